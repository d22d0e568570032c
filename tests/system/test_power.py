#!/usr/bin/env python3
"""A 250 is kept, and no token is lost, when the power fails.

The state folder is on a file system of its own that is stopped dead, journal
unwritten, while clients send and tokens rotate. Then everything is killed,
the file system is mounted again, the daemon is started, and what is there is
counted, by the admin API and by delivering it. Only what was answered before
the cut counts. As a control the same is done with syncs that do nothing.

MAILBEARER_CUTS=N says how often on each file system and in each way (default
1), MAILBEARER_ANSWERS=N how many answers there must be at least, so that
there are more cuts if need be (default 0), MAILBEARER_SEED=N repeats a run's
choices.
"""
import collections
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

from harness import main, message
from lab import until
from loop_disk import LoopDisk, missing, own_mounts
from sandbox_case import BOB
from senders import Texts, submit
from token_case import TokenCase

CUTS = int(os.environ.get('MAILBEARER_CUTS', '1'))
ANSWERS = int(os.environ.get('MAILBEARER_ANSWERS', '0'))
SEED = int(os.environ.get('MAILBEARER_SEED') or random.randrange(10 ** 6))
CLIENTS = 8
SIZE = 9600
ROTATING = ('alice', 'bob')
# Seconds from a delivery to the commit of its end, on a busy machine.
SLACK = 2
# What a daemon whose disk has gone may say.
# A successor of a role that has died finds no disk, too.
DYING = {'role-died', 'store-error', 'config-error'}
HERE = os.path.dirname(os.path.abspath(__file__))


class Sent:
    """One message and what became of it."""
    __slots__ = ('client', 'digest', 'when', 'queue_id')

    def __init__(self, client, digest):
        self.client, self.digest = client, digest
        self.when = self.queue_id = None


class Stream(threading.Thread):
    """Sends without pause over one connection, until that ends."""

    def __init__(self, number, login, texts, seed):
        super().__init__(daemon=True)
        self.number, self.who, self.texts = number, login, texts
        self.rng = random.Random(f'{seed}-{number}')
        self.sent = []
        self.error = None
        self.ended = threading.Event()

    def messages(self):
        lines = self.texts.lines
        while not self.sent or not self.ended.is_set():
            start = self.rng.randrange(len(lines) // 5)
            body = b''.join(lines[start:start + SIZE // 40])
            data = message(self.who.sender, BOB,
                           f's{self.number}-{len(self.sent)}', body)
            self.sent.append(Sent(self.number,
                                  hashlib.sha256(data).hexdigest()))
            yield data

    def run(self):
        try:
            for reply in submit(self.who, BOB, self.messages()):
                if reply[:3] != '250':
                    raise AssertionError(reply)
                self.sent[-1].queue_id = reply.split()[-1]
                self.sent[-1].when = time.monotonic()
        except (AssertionError, OSError) as e:
            self.error = (time.monotonic(), e)


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Rotation(threading.Thread):
    """Uses up an account's tokens as fast as they are renewed."""

    def __init__(self, case, name):
        super().__init__(daemon=True)
        self.case, self.who = case, name
        self.ended = threading.Event()
        self.logins = 0

    def run(self):
        while not self.ended.is_set():
            self.case.box.expire(self.who)
            try:
                self.logins += ' OK ' in self.case.imap_login(self.who)
            except OSError:
                pass


class Power:
    """One file system; kind is ext4 or xfs."""
    names = ('demo', *ROTATING)
    settings = {'store_bodies': False}
    workers = 2
    kind = None

    @classmethod
    def setUpClass(cls):
        why = missing(cls.kind)
        if why:
            raise unittest.SkipTest(why)
        cls.disk = LoopDisk(cls.kind)
        cls.addClassCleanup(cls.disk.remove)
        cls.disk.make()
        cls.ini = {**TokenCase.ini, 'mailbearer': {
            'state_dir': f'{cls.disk.path}/state'}}
        super().setUpClass()
        cls.daemon.allowed |= DYING
        cls.rng = random.Random(SEED)
        cls.texts = Texts(cls.rng)

    # ---- one cut

    def fresh(self, reuse):
        """A new disk, on which everybody has just signed in."""
        self.daemon.stop()
        self.disk.make()
        self.box.reset(tokens=True)
        self.box.settings(reuse=reuse, **self.settings)
        self.daemon.start()
        for name in self.names:
            self.sign_in_as(name)
        self.streams, self.rotations = [], []

    def kill_grant(self):
        """Mail of demo waits from now on; the first one finds out."""
        self.box.kill_grant('demo', aadsts=50173)
        first = Stream(0, self.who(), self.texts, self.rng.random())
        first.ended.set()
        self.streams.append(first)
        first.run()
        self.assertIsNone(first.error)
        self.wait_service('reauthorize', service='smtp')

    def answered(self):
        return [m for s in self.streams for m in s.sent if m.when]

    def send(self):
        """Clients send from now on until the end."""
        for n in range(1, CLIENTS + 1):
            self.streams.append(
                Stream(n, self.who(), self.texts, self.rng.random()))
        for s in self.streams[1:]:
            s.start()
        until(lambda: len(self.answered()) > 2 * CLIENTS or self.errors(),
              'answers')

    def rotate(self):
        self.rotations = [Rotation(self, name) for name in ROTATING]
        for r in self.rotations:
            r.start()

    def errors(self):
        return [s.error for s in self.streams if s.error]

    def moment(self, least, most):
        time.sleep(self.rng.uniform(least, most))

    def cut(self):
        """
        The power fails; the daemon is killed, sometimes a little later, when
        it has seen what a disk is like that has gone.
        """
        self.assertEqual(self.errors(), [])
        roles = self.daemon.roles()
        self.cut_time, self.cut_at = time.time(), time.monotonic()
        self.disk.cut()
        if self.rng.random() < 0.5:
            self.moment(0, 0.3)
            roles.update(self.daemon.roles())
        self.kill(roles)
        for thread in (*self.streams, *self.rotations):
            thread.ended.set()
            if thread.ident:
                thread.join(30)

    def power_is_back(self):
        self.back_time = time.time()
        self.disk.replug()
        self.daemon.start()

    def kill(self, roles):
        """Those who are known at once, or they would go on for a while."""
        os.kill(self.daemon.process.pid, signal.SIGKILL)
        kill_all(roles)
        self.daemon.stop(signal.SIGKILL)
        until(lambda: not any(os.path.exists(f'/proc/{pid}')
                              for pid in roles), 'the end of the roles')

    # ---- what is left

    def waiting(self):
        """Ids of all messages in the queue."""
        found, after = [], ''
        while True:
            page = self.api('GET', f'/v1/queue?limit=1000{after}')[1]
            found += [m['id'] for m in page['messages']]
            if 'next' not in page:
                return found
            after = f'&after={page["next"]}'

    def emptied(self):
        counts = self.api('GET', '/v1/queue/counts')[1]['accounts']
        return not sum(a['messages'] for a in counts)

    def promised(self):
        """Answered before the cut."""
        return [m for m in self.answered() if m.when < self.cut_at]

    def judge_queue(self, counted):
        """What was answered is in the queue, by its id."""
        ids = set(self.waiting())
        lost = [m.queue_id for m in self.promised() if m.queue_id not in ids]
        counted['answered'] += len(self.promised())
        counted['lost'] += len(lost)
        return lost

    def judge_mail(self, counted):
        """Delivers all that is there, and compares."""
        until(self.emptied, 'an empty queue', 120)
        all_sent = {m.digest: m for s in self.streams for m in s.sent}
        copies = collections.defaultdict(list)
        for m in self.box.messages():
            copies[m['sha256']].append(m['time'])
        lost = [m.digest for m in self.promised() if m.digest not in copies]
        late = [m for m in self.answered() if m.when >= self.cut_at]
        counted['torn'] += len(set(copies) - set(all_sent))
        counted['missing'] += len(lost)
        counted['twice'] += sum(len(c) - 1 for c in copies.values())
        counted['never answered'] += sum(not m.when for d, m in
                                         all_sent.items() if d in copies)
        counted['answered at the cut'] += len(late)
        counted['of these lost'] += sum(m.digest not in copies for m in late)
        self.assertEqual(lost, [], 'answered and lost')
        self.assertEqual(set(copies) - set(all_sent), set(), 'torn')
        self.assert_order(copies)
        return {d: times for d, times in copies.items() if len(times) > 1}

    def assert_order(self, copies):
        place = {digest: n for n, digest in enumerate(copies)}
        for stream in self.streams:
            came = [place[m.digest] for m in stream.sent
                    if m.digest in place]
            self.assertEqual(came, sorted(came), 'out of order')

    def judge_tokens(self, reuse, counted):
        """
        With the token on disk accounts go on. A provider that is strict may
        have sent one that nobody could read any more: that costs a sign-in.
        """
        for name in ROTATING:
            if ' OK ' not in self.imap_login(name):
                self.wait_service('reauthorize', name)
                counted['sign-ins'] += 1
                self.assertEqual(reuse, 'revoke', name)
        # In the very moment of the cut the kernel may say of a sync that it
        # is done though it is not: that counts neither.
        events = [e for e in self.box.log(limit=1000000)
                  if e['event'] != 'auth' or
                  not self.cut_time <= e['time'] < self.back_time]
        self.assert_committed_first(events, ROTATING)
        counted['rotations'] += sum(r.logins for r in self.rotations)

    def report(self, how, counted):
        print(f'{self.kind}, {how}: '
              + ', '.join(f'{k} {n}' for k, n in counted.items())
              + f'; MAILBEARER_SEED={SEED}')
        sys.stdout.flush()

    def cuts(self, how, one):
        """As many cuts as it takes."""
        counted = collections.Counter(
            dict.fromkeys(('cuts', 'answered', 'lost', 'torn'), 0))
        try:
            while (counted['cuts'] < CUTS or counted['answered'] < ANSWERS):
                counted['cuts'] += 1
                one(counted)
        finally:
            self.report(how, counted)

    # ---- the tests

    def while_it_waits(self, counted):
        reuse = self.rng.choice(('allow', 'revoke'))
        self.fresh(reuse)
        self.kill_grant()
        self.rotate()
        self.send()
        self.moment(0.4, 2.2)
        self.cut()
        self.power_is_back()
        self.assertEqual(self.judge_queue(counted), [], 'answered and lost')
        self.judge_tokens(reuse, counted)
        self.sign_in_as('demo')
        self.assertEqual(self.judge_mail(counted), {}, 'delivered twice')

    def while_it_goes_out(self, counted):
        self.fresh('allow')
        self.kill_grant()
        self.send()
        self.moment(0.4, 1.2)
        self.sign_in_as('demo')
        self.moment(0.05, 1)
        self.cut()
        before = len(self.box.messages())
        self.power_is_back()
        counted['answered'] += len(self.promised())
        counted['delivered before'] += before
        # That somebody signed in was on disk before it was said.
        twice = self.judge_mail(counted)
        for times in twice.values():
            self.assertLess(self.cut_time - times[0], SLACK,
                            'came twice, though its end was long on disk')

    def without_syncs(self, counted):
        self.fresh('allow')
        self.kill_grant()
        self.daemon.stop()
        self.daemon.start(env={
            'LD_PRELOAD': self.no_sync(),
            'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '')
            + ':verify_asan_link_order=0'})
        self.send()
        self.moment(0.4, 2.2)
        self.cut()
        try:
            self.power_is_back()
            self.judge_queue(counted)
        except AssertionError:
            counted['answered'] += len(self.promised())
            counted['lost'] += len(self.promised())

    def no_sync(self):
        path = f'{self.daemon.dir}/nosync.so'
        if not os.path.exists(path):
            subprocess.run([os.environ.get('CC', 'cc'), '-shared', '-fPIC',
                            '-o', path, f'{HERE}/nosync.c'], check=True)
        return path

    def test_cut_while_mail_waits(self):
        self.cuts('mail waits', self.while_it_waits)

    def test_cut_while_mail_goes_out(self):
        self.cuts('mail goes out', self.while_it_goes_out)

    def test_without_syncs_mail_is_lost(self):
        """The control: this way of proving does notice."""
        counted = collections.Counter(cuts=1)
        self.without_syncs(counted)
        self.report('without syncs', counted)
        self.assertGreater(counted['lost'], 0)


class Ext4(Power, TokenCase):
    kind = 'ext4'


class Xfs(Power, TokenCase):
    kind = 'xfs'


if __name__ == '__main__':
    try:
        own_mounts()
    except OSError:
        pass    # each class says so, and is skipped
    main()
