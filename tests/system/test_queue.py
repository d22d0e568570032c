#!/usr/bin/env python3
"""A queue that is full, and messages that are large.

MAILBEARER_WAITING=N says how many messages wait (default 5000).
"""
import os
import statistics
import threading

from daemon import measure, program
from harness import main, message
from lab import until
from sandbox_case import BOB, DEMO, UsersCase
from senders import submit, submit_all

WAITING = int(os.environ.get('MAILBEARER_WAITING', '5000'))
FEW = 300
ALICE = 'alice@example.test'
LARGE = 30 << 20
QUEUED = r'^250 2\.0\.0 Queued as '


def sanitized():
    """A sanitizer keeps freed memory: figures of memory mean nothing."""
    with open(program('courier'), 'rb') as f:
        return b'__asan_init' in f.read()


class Peak(threading.Thread):
    """The most memory that courier and relays had together meanwhile."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.served, self.most, self.over = daemon, 0, threading.Event()

    def now(self):
        return self.served.memory('courier') + self.served.memory('relay')

    def run(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, self.now())

    def __enter__(self):
        self.first = self.most = self.now()
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    @property
    def growth(self):
        return self.most - self.first


class Queue(UsersCase):
    users = ('demo', 'alice')
    ini = {'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                     'window': '60s'},
           'queue': {'verdict_timeout': '60s', 'max_message': '64M'}}

    def setUp(self):
        super().setUp()
        self.box.settings(store_bodies=False)

    def small(self, keys):
        return [message(DEMO, BOB, key) for key in keys]

    def fill(self, name, count):
        """The grant of demo dies, and so many messages wait; their keys."""
        self.box.kill_grant('demo', aadsts=50173)
        login = self.daemon.login(DEMO)
        # The first one finds out.
        keys = [f'{name}-{n:05}' for n in range(count)]
        data = self.small(keys)
        replies = [*submit(login, BOB, data[:1]),
                   *submit_all(login, BOB, data[1:], 8)]
        for reply in replies:
            self.assertRegex(reply, QUEUED)
        self.wait_state(DEMO, 'reauthorize')

    def taken(self, sender):
        return [m for m in self.box.messages() if m['user'] == sender]

    def replay(self, count):
        """Seconds from the sign-in until so many have arrived."""
        before = len(self.box.messages())

        def arrive():
            self.sign_in_user('demo')
            self.box.messages(wait=before + count, timeout=120)
        return measure(arrive)[0]

    def live(self, name, count):
        """Seconds for each of some live messages of another account."""
        login = self.daemon.login(ALICE)
        replies = submit(login, BOB, (message(ALICE, BOB, f'{name}-{n}')
                                      for n in range(count)))
        out = []
        for _ in range(count):
            seconds, reply = measure(lambda: next(replies))
            self.assertRegex(reply, '^250 ')
            self.assertNotRegex(reply, QUEUED)
            out.append(seconds)
        replies.close()
        return statistics.median(out[1:])

    def restart(self):
        self.daemon.stop()
        return measure(self.daemon.start)[0]

    def test_many_waiting_delay_nobody_else(self):
        empty = self.restart()
        alone = self.live('alone', 11)
        self.fill('few', FEW)
        few = self.replay(FEW)
        self.assert_queue_empties()
        with Peak(self.daemon) as peak:
            filling = measure(lambda: self.fill('many', WAITING))[0]
            beside_dead = self.live('dead', 11)
        full = self.restart()
        many = self.replay(FEW)
        beside = self.live('beside', 11)
        waiting = self.queued()
        self.assertEqual(len(self.taken(ALICE)), 33)
        print(f'{WAITING} queued: {WAITING / filling:.0f} a second, memory '
              f'+{peak.growth >> 20} MB; start: {empty:.2f} s empty, '
              f'{full:.2f} s full; replay: {FEW / few:.0f} a second of {FEW}, '
              f'{FEW / many:.0f} of {WAITING}; a live message of another '
              f'account: {alone * 1000:.1f} ms alone, '
              f'{beside_dead * 1000:.1f} ms beside a full queue, '
              f'{beside * 1000:.1f} ms beside its replay')
        self.assertTrue(waiting, 'all arrived before the other account sent')
        self.assertLess(many, 5 * few + 5)
        self.assertLess(full, 5 * empty + 5)
        # Its ten messages are ahead of thousands that came before.
        self.assertLess(len(self.taken(DEMO)), FEW + WAITING)
        if not sanitized():
            self.assertLess(peak.growth, WAITING * 4096)

    def test_large_messages_are_never_in_memory(self):
        login = self.daemon.login(DEMO)
        large = [message(DEMO, BOB, f'large-{n}', (b'%076d\r\n' % n)
                         * (LARGE // 78)) for n in range(3)]
        list(submit(login, BOB, self.small(['warm-1', 'warm-2'])))
        with Peak(self.daemon) as live:
            for reply in submit_all(login, BOB, large, 3):
                self.assertRegex(reply, '^250 ')
                self.assertNotRegex(reply, QUEUED)
        growth = {'live': live.growth}
        # Twice: the second time in places that were used before.
        for again in ('', ' again'):
            self.box.kill_grant('demo', aadsts=50173)
            list(submit(login, BOB, self.small(['finds-out'])))
            with Peak(self.daemon) as queued:
                for reply in submit_all(login, BOB, large, 3):
                    self.assertRegex(reply, QUEUED)
            with Peak(self.daemon) as replayed:
                self.sign_in_user('demo')
                self.assert_queue_empties(60)
            growth['queued' + again] = queued.growth
            growth['replayed' + again] = replayed.growth
        arrived = [m['size'] for m in self.box.messages()]
        self.assertEqual(arrived.count(len(large[0])), 9)
        print(f'3 messages of {LARGE >> 20} MB: memory '
              + ', '.join(f'{k} +{v / (1 << 20):.1f} MB'
                          for k, v in growth.items()))
        if not sanitized():
            for how, most in growth.items():
                self.assertLess(most, LARGE / 3, how)


if __name__ == '__main__':
    main()
