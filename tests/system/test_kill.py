#!/usr/bin/env python3
"""A 250 is kept: kill -9 of any process at any moment, and a full queue.

Clients of several accounts send without pause, small messages and some of
megabytes, while processes are killed, grants die and come back, and the
provider drops replies. Once as with any provider: what was in doubt is sent
again. Once with a provider that files copies of what was sent: then nothing
comes twice but what a client has sent twice.

MAILBEARER_KILLS=N says how often (default 24), MAILBEARER_KILLS_FILED=N how
often in the second way (default: a tenth; fewer than three are none, since
looking for copies takes minutes), MAILBEARER_SEED=N repeats a run's
choices.
"""
import collections
import os
import random
import signal
import sys
import threading
import time
import unittest

from harness import main
from lab import until
from sandbox_case import BOB, UsersCase
from senders import Sender, Texts

KILLS = int(os.environ.get('MAILBEARER_KILLS', '24'))
FILED = int(os.environ.get('MAILBEARER_KILLS_FILED', KILLS // 10))
SEED = int(os.environ.get('MAILBEARER_SEED') or random.randrange(10 ** 6))
CLIENTS = 2      # of each account
CONNECTIONS = 3  # courier's default for one account
LARGEST = 4 << 20
ROLE_NAMES = ('courier', 'keeper', 'relay', 'desk')
# With one of these courier dies, and with it what it knew of messages that the
# provider has taken.
FORGET = ('courier', 'supervisor', 'all')
# Seconds between the provider's noting the time and a reply's being lost, on a
# busy machine.
SLACK = 2
INI = {'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                 'window': '60s'},
       'queue': {'verdict_timeout': '6s', 'max_message': '64M'}}


def plan(rng, kills):
    """
    What to kill, in which order. The supervisor starts a role that dies over
    and over ever more slowly, but forgets that when it is killed itself.
    """
    out = []
    while len(out) < kills:
        roles = ['courier', *rng.sample(ROLE_NAMES, 2)]
        rng.shuffle(roles)
        out += [*roles, rng.choice(('supervisor', 'all'))]
    return out[:kills]


class Kill(UsersCase):
    users = ('demo', 'alice', 'carol')
    ini = INI
    times = KILLS
    largest = LARGEST
    patience = 60
    troubles = ('drop after', 'drop before', 'body', 'mail', 'expire', None)
    # without bodies only digests are kept
    settings = {'store_bodies': False}

    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)
        self.kills = []  # (when, what)
        self.drops = set()
        self.taken = []
        self.daemon.allowed.add('role-died')
        self.dead = None    # the user whose grant is
        self.gate = threading.Event()
        # Providers that know no second use of a refresh token cannot be
        # helped when keeper dies with the answer in its hands.
        self.box.settings(reuse='allow', **self.settings)

    # ---- killing

    def pids(self, what):
        roles = self.daemon.roles(None if what == 'all' else what)
        if what == 'relay':
            return [self.rng.choice(sorted(roles))] if roles else []
        return list(roles)

    def kill(self, what):
        self.kills.append((time.time(), what))
        if what != 'supervisor':
            for pid in self.pids(what):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if what in ('supervisor', 'all'):
            self.daemon.stop(signal.SIGKILL)
            self.daemon.start()

    def kill_grant(self):
        self.dead = self.rng.choice(self.users)
        self.box.kill_grant(self.dead, aadsts=50173)
        before = self.count_queued()
        until(lambda: self.count_queued() >= before + 2 * CLIENTS,
              'mail in the queue', 30)

    def count_queued(self):
        for s in self.senders:
            if s.error:
                s.end()
        return sum(m.queued for s in self.senders for m in list(s.messages))

    def revive_grant(self):
        """Signs in, also when the roles it takes are just being started."""
        def signed_in():
            try:
                self.sign_in_user(self.dead)
                return True
            except (AssertionError, OSError, ValueError):
                return False
        until(signed_in, 'a sign-in', 60)
        self.dead = None

    def trouble(self):
        """Something at the provider, some of the time."""
        what = self.rng.choice(self.troubles)
        if what == 'drop after':
            self.drops.add(self.box.fault(protocol='smtp', stage='eod',
                                          drop='after')['id'])
        elif what == 'drop before':
            self.box.fault(protocol='smtp', stage='eod', drop='before')
        elif what == 'body':
            self.box.fault(protocol='smtp', stage='body', close=True)
        elif what == 'mail':
            self.box.fault(protocol='smtp', stage='mail', reset=True)
        elif what == 'expire' and not self.dead:
            self.box.expire(self.rng.choice(self.users))

    def moment(self):
        time.sleep(self.rng.uniform(0.02, 0.6))

    def rampage(self):
        for number, what in enumerate(plan(self.rng, self.times)):
            phase = number % 3
            if phase == 0:
                self.drain()
                self.moment()
            elif phase == 1:
                self.kill_grant()
            else:
                self.revive_grant()
            self.trouble()
            self.moment()
            self.kill(what)

    def drain(self):
        """As long as anything waits, new mail goes behind it: so that
        messages go out live again, clients pause until the queue is empty."""
        self.gate.clear()
        self.wait_for_the_end()
        self.collect()
        self.gate.set()

    # ---- what became of it

    def wait_for_the_end(self):
        self.box.clear()
        if self.dead:
            self.revive_grant()
        try:
            until(self.emptied, 'an empty queue', self.patience)
        except AssertionError as e:
            status = self.daemon.ctl('status')[1]
            raise AssertionError(f'{e}\n{status}\n'
                                 f'{self.daemon.tail()}') from None

    def emptied(self):
        """Also while what answers this is being started again."""
        try:
            return not self.queued() and all(
                self.state(f'{user}@example.test') == 'connected'
                for user in self.users)
        except (AssertionError, ValueError, KeyError):
            return False

    def collect(self):
        """In pieces: the whole of a long run is more than one answer holds."""
        self.taken += self.box.messages(**{'from': len(self.taken) + 1})

    def copies(self):
        """{digest: times at which the provider took it}; order of firsts."""
        copies = collections.defaultdict(list)
        self.collect()
        for m in self.taken:
            copies[m['sha256']].append(m['time'])
        return copies

    def lost_replies(self):
        """When a reply to courier, or its note of one, may have been lost."""
        return [t for t, what in self.kills if what in FORGET] + [
            e['time'] for e in self.box.log(event='fault')
            if e['fault'] in self.drops]

    def check_duplicates(self, copies, attempts):
        """
        What the client sent again may come again. Else a second copy comes
        only where a reply was lost as the first one came, and then one for
        each connection.
        """
        lost, own = self.lost_replies(), 0
        for digest, times in copies.items():
            again = len(times) - attempts[digest].tries
            if again > 0:
                own += again
                self.assertTrue(
                    any(abs(t - first) < SLACK for t in lost
                        for first in times[:-1]),
                    f'{attempts[digest].key} came at {times}, but nothing '
                    f'was lost then')
        self.assertLessEqual(own, len(lost) * CONNECTIONS * len(self.users))

    def check_order(self, copies):
        """Per client: the first copies came in the order of acceptance."""
        place = {digest: n for n, digest in enumerate(copies)}
        for sender in self.senders:
            last = (-1, None)
            for m in sender.messages:
                at = place.get(m.digest)
                if at is None or not m.acknowledged:
                    continue
                self.assertGreater(at, last[0],
                                   f'{m.key} overtook {last[1]}')
                last = (at, m.key)

    def report(self, attempts, acknowledged, copies):
        killed = collections.Counter(what for _, what in self.kills)
        refused = sum((s.refusals for s in self.senders),
                      collections.Counter())
        own = sum(max(0, len(copies[a.digest]) - a.tries) for a in attempts
                  if a.digest in copies)
        print(f'sent {sum(a.tries for a in attempts)}, acknowledged '
              f'{len(acknowledged)} ({sum(a.queued for a in acknowledged)} as '
              f'queued), killed {len(self.kills)} '
              f'({", ".join(f"{k} {n}" for k, n in killed.items())}), '
              f'delivered {sum(map(len, copies.values()))}, duplicates '
              f'{sum(len(c) - 1 for c in copies.values())} ({own} not sent '
              f'twice by the client); refused or cut: '
              + ', '.join(f'{n} {k or "closed"}' for k, n in refused.items()))
        sys.stdout.flush()

    def clients(self):
        texts = Texts(self.rng, self.largest)
        for user in self.users:
            login = self.daemon.login(f'{user}@example.test')
            for _ in range(CLIENTS):
                n = len(self.senders)
                self.senders.append(Sender(n, login, BOB, texts, SEED,
                                           n % 2 == 0, self.gate))

    def test_kill_nine_at_any_moment(self):
        print(f'seed {SEED}: MAILBEARER_SEED={SEED} MAILBEARER_KILLS={KILLS}')
        self.senders = []
        self.clients()
        for s in self.senders:
            s.start()
        try:
            self.rampage()
        finally:
            for s in self.senders:
                s.ended.set()
            self.gate.set()
        for s in self.senders:
            s.end()
        self.wait_for_the_end()
        attempts = {m.digest: m for s in self.senders for m in s.messages}
        acknowledged = [m for m in attempts.values() if m.acknowledged]
        copies = self.copies()
        unknown = set(copies) - set(attempts)
        lost = [m.key for m in acknowledged if m.digest not in copies]
        self.report(attempts.values(), acknowledged, copies)
        self.assertEqual(lost, [], 'acknowledged and lost')
        self.assertEqual(unknown, set(), 'came otherwise than sent')
        self.check_duplicates(copies, attempts)
        self.check_order(copies)
        self.assertEqual(self.box.violations(), [])


class KillFiled(Kill):
    """The provider files a copy of what it has taken."""
    provider = {'sent_copy': True}
    services = ('smtp', 'imap')
    settings = {'store_bodies': True, 'sent_copy': True}
    times = FILED
    largest = 20000
    # A copy that is not there is looked for twice before it is sent again.
    patience = 300

    @classmethod
    def setUpClass(cls):
        if FILED < 3:
            raise unittest.SkipTest('in long runs only: it takes minutes')
        super().setUpClass()

    def check_duplicates(self, copies, attempts):
        """Two submissions of the same message are two messages."""
        for digest, times in copies.items():
            if attempts[digest].tries == 1:
                self.assertEqual(len(times), 1, attempts[digest].key)


if __name__ == '__main__':
    main()
