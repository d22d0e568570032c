#!/usr/bin/env python3
"""The nth allocation of a role fails: the role answers "later", or dies
loudly and is started again. Nobody is told anything false.

For every n until a run in which nothing failed; MAILBEARER_MEMORY_TRIES=N
takes only so many of them, MAILBEARER_SEED=N the same ones again.
"""
import json
import os
import random
import re
import sys

from fault_case import FaultCase, size
from harness import main
from lab import until
from sandbox_case import DEMO

TRIES = size('MEMORY_TRIES', 6, 0)
SEED = int(os.environ.get('MAILBEARER_SEED') or random.randrange(10 ** 6))
LATER = r'^(250 |4\d\d |$)'
LOUD = re.compile(r'event=out-of-memory')
DIED = re.compile(r'event=role-died .*(signal|status)=(\d+)')
SIGABRT, SIGKILL = '6', '9'


def nothing():
    """There is nothing to do."""


class Memory(FaultCase):
    services = ('smtp', 'imap')

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rng = random.Random(SEED)
        print(f'MAILBEARER_SEED={SEED}, {cls.daemon.dir}')

    def setUp(self):
        super().setUp()
        self.deaths = self.loud = self.number = self.waiting = 0

    # ---- all the allocations of something

    def every(self, name, role, action, before=nothing, after=nothing):
        """
        Does action(key) again and again while an allocation of the role
        fails, another each time.
        """
        name = f'{name}-{role}'
        # A first one may do more: it is the first.
        count = min(self.one(role, 0, f'{name}-clean-{n}', action, before,
                             after) for n in 'ab')
        tried = failed = clean = 0
        while clean < 2 if not TRIES else tried < TRIES:
            tried += 1
            nth = self.rng.randint(1, count) if TRIES else tried
            done = self.one(role, nth, f'{name}-{nth}-{tried}', action,
                            before, after)
            if self.fault[role].memory.failed:
                failed, clean = failed + 1, 0
            else:
                clean, count = clean + 1, done
        self.watch_deaths()
        print(f'{name}: {failed} allocations failed of {tried} tried, '
              f'about {count} in each run; {self.deaths} deaths so far')
        sys.stdout.flush()
        self.assertGreater(failed, 0)

    def one(self, role, nth, key, action, before, after):
        """Does it once; the number of allocations meanwhile."""
        self.failing, count = self.fault[role].memory, 1
        with self.subTest(key):
            self.settle()
            before()
            first = self.fault.allocations(role)
            self.fault.memory(role, nth)
            action(key)
            count = self.fault.allocations(role) - first
            self.fault.clear()
            self.settle()
            after()
            self.mended()
        return max(count, 1)

    def watch_deaths(self):
        """Whoever died said why."""
        for line in self.tail.seen:
            self.loud += bool(LOUD.search(line))
            died = DIED.search(line)
            if died and died[2] != SIGKILL:    # that was us
                self.deaths += 1
                self.assertEqual(died[1], 'signal', line)
                self.assertEqual(died[2], SIGABRT, line)
        self.tail.seen.clear()
        self.assertEqual(self.deaths, self.loud, 'died silently')

    def mended(self):
        """By itself: all roles are there, and the account works again."""
        self.settle()
        self.hurry(self.works)

    def works(self):
        states = {self.state(DEMO, s) for s in self.services}
        self.assertLessEqual(states, {'connected', 'retrying'})
        return states == {'connected'} and self.is_empty()

    def assert_nothing_lost(self):
        arrived = self.arrived_keys()
        self.assertEqual([k for k in self.accepted if k not in arrived], [])
        # A courier that dies may not know what the provider has taken.
        self.assertLessEqual(len(arrived) - len(set(arrived)), self.deaths)
        self.assertEqual(self.box.violations(), [])

    # ---- what is done

    def submit(self, key):
        reply = self.try_send(key)
        self.assertRegex(reply, LATER, key)
        if reply[:3] == '250':
            self.accepted.append(key)
        return reply

    def disconnect(self):
        """Courier must connect to the provider again."""
        self.box.drop(protocol='smtp')

    def expire(self):
        """The access token, which has worked, ends."""
        self.assertRegex(self.submit(f'works-{self.number}'), '^250 ')
        self.mended()
        self.number += 1
        self.box.expire('demo', sessions=True)

    def open_mailbox(self, key):
        try:
            said = self.imap_login()
        except OSError:
            return    # closed before it said anything
        self.assertRegex(said, r'^(\w+ OK |\w+ NO \[(UNAVAILABLE|CONTACTADMIN'
                         r'|INUSE)\]|$)', key)

    def wait(self):
        """A message waits for a sign-in."""
        self.number += 1
        self.die()
        self.assertRegex(self.submit(f'waits-{self.number}'), 'Queued as')
        self.waiting = len(self.queued())

    def replay(self, _key):
        """The grant is there again, and what waits goes out."""
        self.try_to_sign_in()
        until(lambda: self.failing.failed or self.is_empty(),
              'the end of a replay')

    def try_to_sign_in(self):
        """For a person who tries again when told to."""
        def signed_in():
            try:
                self.sign_in_user('demo')
                return True
            except (AssertionError, ValueError, OSError):
                return False
        until(signed_in, 'a sign-in')

    def ask(self, key):
        """The truth about what waits, or nothing."""
        waiting = self.waiting
        code, said = self.daemon.ctl('queue', 'list', '--json')
        if code == 0:
            found = json.loads(said)['messages']
            self.assertEqual(len(found), waiting, key)

    # ---- tests

    def test_submit(self):
        for role in ('relay', 'keeper', 'courier'):
            self.every('submit', role, self.submit)
        self.every('submit-anew', 'courier', self.submit, self.disconnect)
        self.assert_nothing_lost()

    def test_submit_while_the_grant_is_dead(self):
        for role in ('relay', 'keeper', 'courier'):
            self.every('queue', role, self.submit, self.die,
                       self.try_to_sign_in)
        self.assert_nothing_lost()

    def test_replay(self):
        for role in ('keeper', 'courier', 'desk'):
            self.every('replay', role, self.replay, self.wait)
        self.assert_nothing_lost()

    def test_refresh(self):
        for role in ('keeper', 'courier'):
            self.every('refresh', role, self.submit, self.expire)
        self.assert_nothing_lost()

    def test_login(self):
        for role in ('relay', 'keeper'):
            self.every('login', role, self.open_mailbox)

    def test_first_login(self):
        """Nothing is remembered of the password yet."""
        def forget():
            self.daemon.kill_role('keeper')
            self.settle()
        self.every('first-login', 'keeper', self.open_mailbox, forget)

    def test_list(self):
        for role in ('desk', 'courier'):
            self.every('list', role, self.ask, self.wait,
                       self.try_to_sign_in)


if __name__ == '__main__':
    main()
