#!/usr/bin/env python3
"""
keeper is killed before each of the writes and syncs that follow an answer of
the provider: a refresh, a sign-in, a way back, a refusal. Afterwards the
account works, without anybody's doing.

MAILBEARER_TOKEN_KILLS=500 is the long form.
"""
import json
import time

from fault_case import FaultCase, size
from harness import main
from lab import until
from sandbox_case import DEMO

KILLS = size('TOKEN_KILLS', 24, 500)
CALLS = ('write', 'truncate', 'sync', 'name')


class Tokens(FaultCase):
    services = ('smtp', 'imap')
    provider = {'rotates': False}

    def setUp(self):
        super().setUp()
        self.fault.watch(f'{self.daemon.dir}/state/vault')
        self.signed_in()

    def keeper(self):
        return set(self.daemon.roles('keeper'))

    def works(self):
        """A client logs in with a fresh token, whatever was at hand."""
        self.box.expire('demo', sessions=True)
        until(self.is_in, 'a login', 40)
        self.wait_state(DEMO, 'connected')
        self.wait_state(DEMO, 'connected', 'imap')

    def is_in(self):
        try:
            return ' OK ' in self.imap_login()
        except OSError:
            return False

    def dies_at(self, nth, act):
        """Did keeper get as far as its nth call?"""
        before = self.keeper()
        self.fault.disk('keeper', nth, 'die', CALLS)
        try:
            act()
        except (OSError, AssertionError):
            pass    # there was nobody to answer
        died = self.fault['keeper'].disk.failed > 0
        self.fault.clear()
        if died:
            until(lambda: self.keeper() - before, 'another keeper')
            self.settle()
        return died

    # ---- what is interrupted

    def refresh(self):
        self.box.expire('demo')
        self.imap_login()

    def sign_in_again(self):
        """Seconds tell one sign-in from another."""
        time.sleep(max(0, self.last + 1.1 - time.time()))
        self.last = time.time()
        auth = self.api('POST', f'/v1/accounts/{DEMO}/auth',
                        {'method': 'paste'})
        self.api('POST', f'/v1/auth/{auth["id"]}/paste',
                 {'url': self.box.approve(auth['url'], 'demo')})

    def go_back(self):
        self.api('POST', f'/v1/accounts/{DEMO}/rollback', {})

    last = 0

    def api(self, method, path, body):
        return json.loads(self.daemon.get(path, method, json.dumps(body))[1])

    def each(self, act, kills):
        """Killed before its first call, its second, and so on; and again."""
        done, nth, furthest = 0, 1, 0
        while done < kills:
            if self.dies_at(nth, act):
                done += 1
                furthest = max(furthest, nth)
                nth += 1
            else:
                self.assertGreater(nth, 3, 'nothing was written')
                nth = 1
            self.works()
        return furthest

    def test_killed_after_a_refresh(self):
        self.each(self.refresh, KILLS // 2)

    def test_killed_after_a_sign_in(self):
        self.each(self.sign_in_again, KILLS // 4)

    def test_killed_on_the_way_back(self):
        self.sign_in_again()
        self.each(self.go_back, KILLS // 4)


if __name__ == '__main__':
    main()
