#!/usr/bin/env python3
"""A queue so long that whatever grows with it would be seen.

MAILBEARER_WAITING=N says how many messages wait (default 50000; the figure
promised is 200000). Bodies and envelopes stay on disk: memory is compared
with that of a short queue, in the same run.
"""
import json
import os
import re
import subprocess

from daemon import BUILD, measure
from harness import main
from lab import until
from sandbox_case import UsersCase
from senders import submit
from test_queue import sanitized

FEW = 1000
WAITING = int(os.environ.get('MAILBEARER_WAITING', '50000'))
BESIDE = 10000
DEMO = 'demo@example.test'
ALICE = 'alice@example.test'
BOB = 'bob@example.test'
FILLQUEUE = f'{BUILD}/tests/bench/fillqueue' if BUILD else None


class ScaleCase(UsersCase):
    """demo and alice are signed in; whatever the test fills in waits."""
    users = ('demo', 'alice')
    ini = {'retry': {'first': '1s', 'longest': '1s'},
           'queue': {'verdict_timeout': '60s', 'max_messages': '0',
                     'max_bytes': '0'}}

    @classmethod
    def setUpClass(cls):
        if not FILLQUEUE or not os.path.exists(FILLQUEUE):
            cls.skipTest(cls(), 'tests/bench/fillqueue is not built')
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.box.settings(store_bodies=False)

    def folder(self):
        return f'{self.daemon.dir}/state/queue'

    def fill(self, count, *accounts):
        """So many messages in the queue of a daemon that does not run."""
        owner = os.stat(self.folder())
        subprocess.run(
            [FILLQUEUE, self.folder(), str(count), '1024', *accounts],
            check=True, stdout=subprocess.DEVNULL, user=owner.st_uid,
            group=owner.st_gid, extra_groups=[])

    def waiting(self, account):
        counts = self.daemon.get('/v1/queue/counts')[1]
        return sum(a['messages'] for a in json.loads(counts)['accounts']
                   if a['account'] == account)


class Long(ScaleCase):
    """Mail of an account that nobody has signed in for yet."""

    @classmethod
    def launch(cls, accounts, providers, ini=None):
        dead = {**accounts[0], 'address': BOB}
        super().launch([*accounts, dead], providers, ini)

    def setUp(self):
        self.empty()
        self.daemon.start()
        super().setUp()

    def empty(self):
        """Without deleting message by message: these are many."""
        self.daemon.stop()
        for name in os.listdir(self.folder()):
            os.remove(f'{self.folder()}/{name}')

    def peak(self):
        """The most memory that courier had since it was started."""
        pid, = self.daemon.roles('courier')
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            return int(re.search(r'VmHWM:\s+(\d+)', f.read())[1])

    def pages(self, limit):
        """Every message of the list, page by page."""
        after, count = 0, 0
        while after is not None:
            status, body = self.daemon.get(
                f'/v1/queue?limit={limit}&after={after}')
            self.assertEqual(status, 200)
            page = json.loads(body)
            seqs = [m['seq'] for m in page['messages']]
            self.assertEqual(seqs, sorted(set(seqs)))
            self.assertTrue(all(seq > after for seq in seqs))
            self.assertLessEqual(len(seqs), limit)
            count += len(seqs)
            after = page.get('next')
        return count

    def live(self, name):
        login = self.daemon.login(DEMO)
        for n, reply in enumerate(submit(login, BOB, [
                b'From: <%s>\r\nMessage-ID: <%s-%d@client.test>\r\n\r\n.'
                b'\r\n' % (DEMO.encode(), name.encode(), n)
                for n in range(20)])):
            self.assertRegex(reply, '^250 ', n)

    def run_with(self, count):
        """Start, list, live mail beside so many: seconds, kB of courier."""
        self.empty()
        self.fill(count, BOB)
        seconds = measure(self.daemon.start)[0]
        self.assertEqual(self.waiting(BOB), count)
        self.assertEqual(self.pages(1000), count)
        self.live(f'beside-{count}')
        self.assertEqual(self.waiting(BOB), count)
        return seconds, self.peak()

    def test_start_list_and_memory(self):
        few_s, few_kb = self.run_with(FEW)
        many_s, many_kb = self.run_with(WAITING)
        print(f'start: {few_s:.2f} s with {FEW} waiting, {many_s:.2f} s with '
              f'{WAITING}; courier at most {few_kb} and {many_kb} kB')
        # A list of what waits, an account's or all, is never in memory.
        if not sanitized():
            self.assertLess(many_kb, 1.3 * few_kb)
        # Far from fifty times as long for fifty times as many.
        self.assertLess(many_s, few_s * WAITING / FEW / 4)

    def test_the_list_of_ctl_pages(self):
        self.empty()
        self.fill(FEW * 3, BOB)
        self.daemon.start()
        out = self.daemon.ctl('queue', 'list', code=0)[1]
        self.assertEqual(out.count('sink@bench.test'), FEW * 3)
        out = self.daemon.ctl('queue', 'list', '--limit', '7', code=0)[1]
        self.assertEqual(out.count('sink@bench.test'), 7)
        self.daemon.ctl('queue', 'delete', '--all', code=0)
        self.assertEqual(self.queued(), [])


class Fair(ScaleCase):
    """One account has a long queue; the other must not notice."""

    def setUp(self):
        super().setUp()
        self.box.kill_grant('demo', aadsts=50173)
        list(submit(self.daemon.login(DEMO), BOB, [b'Subject: x\r\n\r\n']))
        self.wait_state(DEMO, 'reauthorize')
        self.daemon.stop()
        self.fill(BESIDE, DEMO)
        self.daemon.start()
        self.sign_in_user('demo')
        self.box.messages(wait=100, timeout=60)

    def senders(self):
        return [m['user'] for m in self.box.messages()]

    def assert_soon(self, count, since):
        """So many of alice's came before a tenth of what waits for demo."""
        until(lambda: self.senders().count(ALICE) >= count, 'her mail')
        found = self.senders()
        last = len(found) - found[::-1].index(ALICE)
        self.assertLess(last - since, BESIDE // 10)
        self.assertGreater(self.waiting(DEMO), 0)

    def test_live_mail_of_another_account(self):
        since = len(self.senders())
        for reply in submit(self.daemon.login(ALICE), BOB,
                            [b'Subject: x\r\n\r\n'] * 5):
            self.assertRegex(reply, '^250 ')
            self.assertNotRegex(reply, 'Queued')
        self.assert_soon(5, since)

    def test_queued_mail_of_another_account(self):
        self.box.fault(protocol='smtp', stage='mail', match={'user': ALICE},
                       reply='451 4.3.0 Try later', times=0)
        for reply in submit(self.daemon.login(ALICE), BOB,
                            [b'Subject: x\r\n\r\n'] * 5):
            self.assertRegex(reply, 'Queued')
        self.box.clear()
        since = len(self.senders())
        self.daemon.ctl('queue', 'retry', '--account', ALICE, code=0)
        self.assert_soon(5, since)


if __name__ == '__main__':
    main()
