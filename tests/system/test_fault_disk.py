#!/usr/bin/env python3
"""Disks that are full, broken or slow, at every write and sync.

MAILBEARER_DISK_EVERY=N: at every Nth only; MAILBEARER_DISK_LARGE=N: at every
Nth of the many writes of a large message; MAILBEARER_DISK_ROUNDS=N: how often
what fills a disk is repeated.
"""
import errno
import os
import shutil
import unittest

from fault_case import FaultCase, size
from harness import main
from lab import until
from loop_disk import own_mounts, run
from sandbox_case import DEMO

EVERY = size('DISK_EVERY', 12, 1)
EVERY_LARGE = size('DISK_LARGE', 801, 13)
ROUNDS = size('DISK_ROUNDS', 2, 30)
# More pages than SQLite lets its log have before it moves them into the
# database.
LARGE = b'%078d\r\n' % 7 * 55000

# How a disk may fail.
KINDS = {
    'full once': {'error': errno.ENOSPC},
    'full': {'error': errno.ENOSPC, 'forever': True},
    'broken once': {'error': errno.EIO},
    'broken': {'error': errno.EIO, 'forever': True},
    'short once': {'error': errno.ENOSPC, 'how': 'short'},
    'short, then full': {'error': errno.ENOSPC, 'how': 'short',
                         'forever': True},
    'sync loses': {'error': errno.EIO, 'how': 'lose', 'calls': ['sync']},
}
READING = {'unreadable once': {'error': errno.EIO, 'calls': ['read']},
           'unreadable': {'error': errno.EIO, 'calls': ['read'],
                          'forever': True}}


class Disk(FaultCase):
    part = 'queue'

    def setUp(self):
        super().setUp()
        self.fault.watch(f'{self.daemon.dir}/state', self.part)
        self.refused = []

    def send_noted(self, key, body=b'A line.\r\n'):
        """Sends; 452 or the truth."""
        reply = self.try_send(key, body)
        if reply[:3] == '250':
            self.accepted.append(key)
        else:
            self.assertRegex(reply, '^452 4[.]3[.]1 ', key)
            self.refused.append(key)
        return reply

    def works_again(self, key):
        """Space is back: without a restart the next is accepted."""
        self.fault.clear()
        self.assertRegex(self.send_noted(key), '^250 ')

    def drained(self):
        self.hurry(self.is_empty)

    def steps(self, program, kind, action, every=EVERY):
        """
        Calls action(name) with the nth call on a file failing, for every n
        until nothing failed; how many times something did.
        """
        kinds = {**KINDS, **READING}
        if kinds[kind].get('how') == 'lose':
            every = 1    # there are but a few
        # Not the same ones for all kinds.
        first = nth = 1 + list(kinds).index(kind) % every
        while True:
            self.fault.disk(program, nth, **kinds[kind])
            action(f'{kind.split(",")[0]}-{nth}'.replace(' ', '-'))
            if not self.fault[program].disk.failed:
                break
            nth += every
        count = (nth - first) // every
        print(f'{program}, {self.part}, {kind}: failed {count} times, at '
              f'every {every}. call')
        self.assertGreater(count, 0)
        return count


class Queue(Disk):
    def accept(self, key, body=b'A line.\r\n'):
        self.send_noted(key, body)
        self.works_again(f'{key}-after')

    def test_at_every_write_of_a_message(self):
        self.die()
        pids = self.daemon.roles()
        for kind in KINDS:
            before = len(self.refused)
            self.steps('courier', kind, self.accept, 1)
            self.assertGreater(len(self.refused), before, 'nobody noticed')
        self.assertEqual(self.daemon.roles(), pids, 'restarted')
        self.signed_in()
        self.assert_kept(self.accepted, self.refused)

    def test_at_the_writes_of_a_large_one(self):
        self.die()
        for kind, every in (('full', EVERY_LARGE), ('sync loses', 1),
                            ('broken once', EVERY_LARGE)):
            self.steps('courier', kind,
                       lambda key: self.accept(f'large-{key}', LARGE), every)
            self.kill_all()
        self.signed_in()
        self.assert_kept(self.accepted, self.refused,
                         60 + len(self.accepted))

    def test_at_every_write_and_read_of_a_delivery(self):
        for kind in (*KINDS, *READING):
            self.steps('courier', kind, self.delivery)
        self.assert_kept(self.accepted, self.refused)

    def delivery(self, key):
        """One message waits, and goes out while the disk fails."""
        courier = self.fault['courier']
        nth, courier.disk.nth = courier.disk.nth, 0
        self.signed_in()
        self.die()
        self.assertRegex(self.send_noted(key), 'Queued as')
        courier.disk.nth = nth
        self.sign_in_user('demo')
        until(lambda: courier.disk.failed or self.is_empty(),
              'a delivery or a failure')
        self.fault.clear()
        self.drained()

    def test_a_slow_sync_delays_and_loses_nothing(self):
        self.die()
        self.fault.disk('courier', 1, 'slow', calls=['sync'], forever=True,
                        milliseconds=300)
        for n in range(4):
            self.assertRegex(self.send_noted(f'slow-{n}'), 'Queued as')
        self.assertGreaterEqual(self.fault['courier'].disk.failed, 4)
        self.fault.clear()
        self.signed_in()
        self.assert_kept(self.accepted)

    def test_what_is_put_off_slowly_is_tried_again(self):
        """Its pause is over before it is written that there is one."""
        self.box.outage(True, protocols=['smtp'])
        self.fault.disk('courier', 1, 'slow', calls=['sync'], forever=True,
                        milliseconds=1500)
        self.assertRegex(self.send_noted('late'), 'Queued as')
        until(lambda: self.fault['courier'].disk.failed > 2, 'a put-off')
        self.box.outage(False, protocols=['smtp'])
        self.fault.clear()
        self.assert_queue_empties()
        self.assert_kept(self.accepted)

    def test_a_sync_that_failed_is_not_believed(self):
        """Killed at once afterwards: memory cannot help."""
        self.die()
        for n in range(ROUNDS):
            self.fault.disk('courier', 1, 'lose', calls=['sync'],
                            error=errno.EIO)
            self.send_noted(f'lost-{n}')
            self.fault.clear()
            self.assertRegex(self.send_noted(f'next-{n}'), '^250 ')
            self.kill_all()
        self.assertTrue(self.refused)
        self.signed_in()
        self.assert_kept(self.accepted, self.refused)


class Spool(Disk):
    part = 'spool'

    def test_at_every_write_of_a_long_message(self):
        body = b'%078d\r\n' % 7 * 4000
        def one(key):
            self.send_noted(key, body)
            self.works_again(f'{key}-after')
        for kind in ('full once', 'full', 'broken', 'short, then full'):
            self.steps('relay', kind, one, 1)
        self.fault.disk('relay', 1, calls=['open'])
        self.send_noted('open', body)
        self.works_again('open-after')
        self.assertIn('open', self.refused)
        self.assert_kept(self.accepted, self.refused)


class Vault(Disk):
    """A rotated refresh token is on disk before its access token is used."""
    part = 'vault'

    def setUp(self):
        super().setUp()
        # As strict as the strictest: an old token used again kills the grant.
        self.box.settings(reuse='revoke')

    def test_at_every_write_of_a_rotation(self):
        for kind in KINDS:
            self.steps('keeper', kind, self.rotation, min(EVERY, 3))
        self.assert_kept(self.accepted, self.refused)
        self.assertFalse(self.box.tokens()['family_revocations'])

    def rotation(self, key):
        """The access token is dead; a message needs a new one."""
        self.box.expire('demo', sessions=True)
        self.assertRegex(self.send_noted(key), '^250 ')
        self.fault.clear()
        self.mended()
        # What is on disk is what the provider knows.
        self.daemon.kill_role('keeper')
        self.settle()
        self.box.expire('demo', sessions=True)
        self.assertRegex(self.send_noted(f'{key}-after'), '^250 ')
        self.mended()

    def mended(self):
        def connected():
            self.assertNotEqual(self.state(DEMO), 'reauthorize')
            return self.state(DEMO) == 'connected' and self.is_empty()
        self.hurry(connected)


class RealDisk(Disk):
    """A file system that is full indeed."""
    file_system = 'tmpfs'

    @classmethod
    def prepare(cls):
        cls.mount = f'{cls.daemon.dir}/state'
        os.mkdir(cls.mount)
        try:
            cls.make()
        except OSError as e:
            raise unittest.SkipTest(str(e)) from None
        cls.addClassCleanup(run, 'umount', '-l', cls.mount)
        shutil.chown(cls.mount, 'nobody')
        os.chmod(cls.mount, 0o700)

    @classmethod
    def make(cls):
        run('mount', '-t', 'tmpfs', '-o', 'size=12M', 'mailbearer-test',
            cls.mount)

    def fill(self):
        """Nothing is left for anybody."""
        with open(f'{self.mount}/filler', 'ab', buffering=0) as f:
            for n in (1 << 20, 4096, 1):
                try:
                    while f.write(bytes(n)):
                        pass
                except OSError as e:
                    self.assertEqual(e.errno, errno.ENOSPC)

    def free(self):
        os.unlink(f'{self.mount}/filler')

    def send_until_refused(self, name, body):
        # What a log has taken up once it may use again.
        for n in range(5000):
            if self.send_noted(f'{name}-{n}', body)[:3] == '452':
                return
            self.fill()
        self.fail('a full disk takes everything')

    def test_full_and_free_again(self):
        self.die()
        for n in range(ROUNDS):
            self.fill()
            self.send_until_refused(f'small-{n}', b'A line.\r\n')
            self.send_until_refused(f'long-{n}', b'%078d\r\n' % 7 * 4000)
            self.free()
            self.assertRegex(self.send_noted(f'free-{n}'), '^250 ')
            self.fill()
            self.sign_in_while_full()
            self.free()
            self.drained()
            self.assert_kept(self.accepted, self.refused)
            self.die()

    def sign_in_while_full(self):
        """The new token may find no room; then it is kept in memory."""
        try:
            self.sign_in_user('demo')
        except AssertionError as e:
            self.assertIn('the store refuses the new token', str(e))


class Ext4(RealDisk):
    @classmethod
    def make(cls):
        image = f'{cls.daemon.dir}/image'
        with open(image, 'wb') as f:
            f.truncate(16 << 20)
        run('mkfs.ext4', '-q', image)
        run('mount', '-o', 'loop', image, cls.mount)


if __name__ == '__main__':
    try:
        own_mounts()
    except OSError:
        pass    # mounts do not work either, and what needs one is skipped
    main()
