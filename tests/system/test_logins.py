#!/usr/bin/env python3
"""Local names and passwords: checked once, remembered, and kept apart from
the tokens."""
import os
import signal
import threading
import time

from daemon import crypt
from harness import main
from lab import until
from raw import Smtp
from token_case import PASSWORD, TokenCase

TICKS = os.sysconf('SC_CLK_TCK')


class Logins(TokenCase):
    names = ('demo', 'alice')
    ini = {**TokenCase.ini, 'limits': {'auth_delay': '0'}}

    def setUp(self):
        super().setUp()
        self.added = []

    def tearDown(self):
        for name in self.added:
            self.api('DELETE', f'/v1/logins/{name}')
        super().tearDown()

    def add(self, name, account='demo', **more):
        status, made = self.api('POST', '/v1/logins', {
            'account': self.address(account), 'name': name, **more})
        self.assertEqual(status, 200, made)
        self.added.append(name)
        return made.get('password')

    def smtp_as(self, name, password, host='127.0.0.1'):
        who = self.who()
        who.name, who.password = name, password
        with Smtp(self.daemon.smtp_port, self.daemon.ca, host=host) as client:
            return client.login(who)

    def cpu(self):
        """Seconds of processor time that keeper used so far."""
        total = 0
        for pid in self.daemon.roles('keeper'):
            with open(f'/proc/{pid}/stat', encoding='ascii') as f:
                fields = f.read().rpartition(')')[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def spent(self, action):
        before = self.cpu()
        action()
        return self.cpu() - before

    def in_threads(self, count, action):
        threads = [threading.Thread(target=action, args=(n,))
                   for n in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def test_a_wrong_password_touches_no_token(self):
        before = self.refreshes()
        for _ in range(3):
            self.assertRegex(self.smtp_login(password='no'), r'^535 5\.7\.8 ')
            self.assertRegex(self.imap_login(password='no'),
                             r' NO \[AUTHENTICATIONFAILED\]')
        self.assertEqual(self.box.log(protocol='imap', event='open'), [])
        self.assertEqual(self.refreshes(), before)
        self.assertTrue(self.works())

    def test_the_second_login_costs_no_hash(self):
        with self.smtp() as client:
            client.login(self.who())

        def again():
            for _ in range(100):
                self.assertRegex(self.smtp_login(), '^235 ')

        def wrong(n):
            # Each another password: each a hash.
            self.smtp_login(password=f'wrong-{n}')
        hashes = self.spent(lambda: self.in_threads(10, wrong))
        self.assertGreater(hashes, 0)
        self.assertLess(self.spent(again), hashes)
        # Nor after a change of the table, and a reload.
        self.add('another')
        self.daemon.ctl('reload', code=0)
        self.assertLess(self.spent(again), hashes)

    def test_hammering_with_one_wrong_password_costs_no_hash(self):
        def one(n):
            self.smtp_login(password=f'other-{n}')

        def same(_):
            self.assertRegex(self.smtp_login(password='same'), '^535 ')

        def nobody(_):
            self.assertRegex(self.smtp_as('nobody', 'same'), '^535 ')
        hashes = self.spent(lambda: self.in_threads(10, one))
        for action in (same, nobody):
            action(0)
            # One after the other: those at once share a hash anyhow.
            self.assertLess(self.spent(lambda a=action: [
                a(n) for n in range(30)]), hashes / 2)
        # And the right one is not kept waiting by them.
        self.assertRegex(self.smtp_login(), '^235 ')

    def test_unknown_users_cost_the_same(self):
        """Neither the first nor the second answer tells who exists."""
        known = self.spent(lambda: self.in_threads(
            10, lambda n: self.smtp_as('demo', f'k{n}')))
        unknown = self.spent(lambda: self.in_threads(
            10, lambda n: self.smtp_as(f'nobody{n}', 'k')))
        self.assertLess(unknown, known * 3)
        self.assertLess(known, unknown * 3)

    def test_the_address_is_a_login(self):
        for name in ('demo', 'demo@example.test', 'DEMO@Example.TEST',
                     'Demo'):
            self.assertRegex(self.smtp_as(name, PASSWORD), '^235 ', name)
        # Another login does not change what opens the address.
        self.assertTrue(self.add('aaa'))
        self.assertRegex(self.smtp_as('demo@example.test', PASSWORD), '^235 ')

    def test_added_and_removed_at_once(self):
        self.assertRegex(self.smtp_as('printer', 'x'), '^535 ')
        password = self.add('printer')
        self.assertGreaterEqual(len(password), 16)
        self.assertRegex(self.smtp_as('printer', password), '^235 ')
        self.assertRegex(self.smtp_as('printer', password + 'x'), '^535 ')
        self.assertRegex(self.smtp_as('printer', password[:-1]), '^535 ')
        self.daemon.kill_role('keeper')
        until(lambda: self.smtp_as('printer', password)[:3] == '235',
              'the login after a restart')
        # A new password ends the old one, remembered as it may be.
        newer = self.add('printer')
        self.assertRegex(self.smtp_as('printer', password), '^535 ')
        self.assertRegex(self.smtp_as('printer', newer), '^235 ')
        self.daemon.ctl('login', 'remove', 'printer', code=0)
        self.assertRegex(self.smtp_as('printer', newer), '^535 ')
        # What stands in the file stays there.
        self.assertEqual(self.api('DELETE', '/v1/logins/demo')[0], 409)
        self.assertEqual(self.api('DELETE', '/v1/logins/printer')[0], 404)

    def test_names_belong_to_one_account(self):
        self.add('scanner')
        for account, name in (('alice', 'scanner'), ('alice', 'demo'),
                              ('alice', 'demo@example.test'),
                              ('demo', 'two words'), ('demo', ''),
                              ('demo', 'x' * 200)):
            status, answer = self.api('POST', '/v1/logins', {
                'account': self.address(account), 'name': name})
            self.assertEqual(status, 400, (account, name))
            self.assertTrue(answer['error'])

    def test_networks(self):
        password = self.add('near', networks=['127.0.0.0/8'])
        self.assertRegex(self.smtp_as('near', password), '^235 ')
        self.assertRegex(self.smtp_as('near', password, host='::1'), '^535 ')
        self.assertRegex(self.smtp_as('near', password), '^235 ')
        far = self.add('far', networks=['192.0.2.0/24', '2001:db8::/32'])
        self.assertRegex(self.smtp_as('far', far), '^535 ')
        self.assertEqual(self.api('POST', '/v1/logins', {
            'account': self.address('demo'), 'name': 'odd',
            'networks': ['192.0.2.0/240']})[0], 400)

    def test_a_password_changed_in_the_file(self):
        login = self.daemon.accounts[1]['logins'][0]
        was = login['password_hash']
        self.assertRegex(self.smtp_login('alice'), '^235 ')
        login['password_hash'] = crypt('another')
        self.daemon.write()
        self.daemon.ctl('reload', code=0)
        self.assertRegex(self.smtp_login('alice'), '^535 ')
        self.assertRegex(self.smtp_login('alice', 'another'), '^235 ')
        login['password_hash'] = was
        self.daemon.write()
        self.daemon.ctl('reload', code=0)
        self.assertRegex(self.smtp_login('alice'), '^235 ')

    def test_keeper_killed_while_a_login_waits(self):
        """Temporary, never "wrong password"."""
        self.daemon.allowed.add('role-died')
        answers = []

        def work(action):
            answers.append(action())
        pids = list(self.daemon.roles('keeper'))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        threads = [threading.Thread(target=work, args=(a,))
                   for a in (self.smtp_login, self.imap_login)]
        for t in threads:
            t.start()
        # Both have said their password and wait.
        until(lambda: len(self.daemon.events('smtp-connect')) and
              len(self.daemon.events('imap-connect')), 'two sessions')
        time.sleep(0.3)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for t in threads:
            t.join()
        for answer in answers:
            self.assertRegex(answer, r'^454 4\.7\.0 |NO \[UNAVAILABLE\]')
        until(lambda: self.smtp_login()[:3] == '235', 'keeper again')

    def test_many_wrong_passwords_do_not_shut_the_right_one_out(self):
        stop = threading.Event()

        def hammer(who):
            n = 0
            while not stop.is_set():
                n += 1
                try:
                    self.smtp_login(password=f'{who}-{n}')
                except OSError:
                    pass
        self.assertRegex(self.smtp_login(), '^235 ')
        threads = [threading.Thread(target=hammer, args=(i,))
                   for i in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(10):
                self.assertRegex(self.smtp_login(), '^235 ')
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertLess(self.daemon.memory('keeper'), 200 << 20)


if __name__ == '__main__':
    main()
