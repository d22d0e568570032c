#!/usr/bin/env python3
"""Clocks that step, by a day and by forty, forward and back.

The machine's clock may be wrong, and may be mended at any moment: no message
is lost, returned early or stuck for it, no token is given up, nobody is told
that a password is wrong. What lasts is measured by a clock that does not step.
"""
import contextlib
import itertools
import os
import sqlite3
import tempfile
import unittest.mock
from signal import SIGKILL

from daemon import BUILD
from fault import Fault
from fault_case import FaultCase
from harness import main
from lab import until
from raw import Imap
from sandbox_case import DEMO

DAY = 86400
STEPS = (DAY, -DAY, 40 * DAY, -40 * DAY)
# The provider's certificates are this old, and last ten years.
OLD = 100 * DAY
# They are not valid yet, or any more.
NO_CERTIFICATES = (-200 * DAY, 4000 * DAY)


class Clock(FaultCase):
    services = ('smtp', 'imap')

    @classmethod
    def start_box(cls):
        """A provider that makes its certificates with a clock that is slow."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        slow = Fault(folder.name, BUILD)
        slow.wall(-OLD)
        with unittest.mock.patch.dict(os.environ, slow.env):
            box = super().start_box()
        slow.wall(0)
        return box

    def setUp(self):
        self.fault.wall(0)
        super().setUp()

    def tearDown(self):
        self.fault.wall(0)
        super().tearDown()

    def accept(self, key, queued=True):
        reply = self.try_send(key)
        self.assertRegex(reply, '^250 ')
        self.assertEqual('Queued as' in reply, queued, reply)
        self.accepted.append(key)

    def notices(self):
        return [m for m in self.queued() if m['login'] == '(notice)']

    def waiting(self, notices=0):
        """How many wait beside so many notices."""
        self.assertEqual(len(self.notices()), notices)
        return len(self.queued()) - notices

    def refreshes(self):
        return len(self.daemon.events('token-refresh', result='ok'))


class Mail(Clock):
    """Mail that waits has its ages; ini has them as they are by default."""
    max_age, warn_after = 5 * DAY, 4 * 3600

    def test_steps_while_mail_waits(self):
        self.die()
        for step in STEPS:
            with self.subTest(step=step):
                self.fault.wall(step)
                self.accept(f'stepped-{step}')
                self.assertEqual(self.waiting(), len(self.accepted))
                # The age of mail is looked at as often as every minute.
                self.pass_time(90)
                self.assertEqual(self.waiting(), len(self.accepted))
                self.daemon.kill_role('courier')
                self.settle()
                self.pass_time(90)
                self.assertEqual(self.waiting(), len(self.accepted))
        self.fault.wall(0)
        self.signed_in()
        self.assert_kept(self.accepted)
        self.assertEqual(self.arrived_keys(), self.accepted)

    def test_steps_while_nothing_runs(self):
        """As when a machine without a battery starts in 1970."""
        self.die()
        self.accept('before')
        for step in (*STEPS, -20000 * DAY):
            with self.subTest(step=step):
                self.daemon.stop()
                self.fault.wall(step)
                # It was switched off for that long, too.
                self.fault.later(40 * DAY)
                self.daemon.start()
                self.settle()
                self.accept(f'after-{step}')
                self.pass_time(90)
                self.assertEqual(self.waiting(), len(self.accepted))
        self.fault.wall(0)
        self.signed_in()
        self.assert_kept(self.accepted)

    def test_steps_while_a_retry_is_due(self):
        """A message that waits for its own sake is tried when it is time."""
        for step in STEPS:
            with self.subTest(step=step):
                self.box.fault(protocol='smtp', stage='eod', times=1,
                               reply='451 4.3.0 busy')
                key = f'busy-{step}'
                self.accept(key)
                self.fault.wall(step)
                self.hurry(self.is_empty)
                self.assertEqual(self.arrived_keys().count(key), 1)
                self.fault.wall(0)
        self.assert_kept(self.accepted)

    def test_a_step_forward_is_no_reason_to_try(self):
        self.box.fault(protocol='smtp', stage='eod', times=0,
                       reply='451 4.3.0 busy')
        self.accept('patient')
        attempts = self.queued()[0]['attempts']
        for step in STEPS:
            self.fault.wall(step)
            self.assertEqual(self.queued()[0]['attempts'], attempts)
        self.box.clear()
        self.assert_kept(self.accepted)

    def test_steps_while_the_provider_is_away(self):
        for step in STEPS:
            with self.subTest(step=step):
                self.box.outage(True, protocols=['smtp'])
                self.accept(f'away-{step}')
                self.fault.wall(step)
                self.pass_time(5)
                self.assertEqual(self.waiting(), 1)
                self.fault.wall(0)
                self.box.outage(False, protocols=['smtp'])
                self.hurry(self.is_empty)
        self.assert_kept(self.accepted)

    def test_mail_gets_old_by_the_time_that_passes(self):
        """And by nothing else: told once, and returned once."""
        self.die()
        self.accept('old')
        mail = len(self.accepted)
        steps = itertools.cycle(STEPS)
        for seconds, waiting, notices in (
                (self.warn_after - 600, mail, 0), (1200, mail, mail),
                (self.max_age - self.warn_after - 1200, mail, mail),
                (1200, 0, 2 * mail)):
            self.fault.wall(next(steps))
            self.pass_time(seconds)
            until(lambda n=notices: len(self.notices()) == n, 'notices')
            self.assertEqual(self.waiting(notices), waiting)
        self.fault.wall(0)
        ends = self.daemon.json('history')['history'][-mail:]
        self.assertEqual([e['result'] for e in ends], ['expired'] * mail)
        # "It is late" is not said any more.
        self.sign_in_user('demo')
        self.hurry(self.is_empty)
        self.assertEqual(len(self.box.messages()), mail)

    def written_clock(self):
        path = f'{self.daemon.dir}/state/queue/queue.db'
        with contextlib.closing(sqlite3.connect(
                f'file:{path}?mode=ro', uri=True)) as db:
            return db.execute('SELECT now_s FROM clock').fetchone()[0]

    def test_a_stop_does_not_end_the_waiting(self):
        """What the queue's clock had is kept, by whatever end."""
        self.die()
        self.accept('old')
        for end in (self.daemon.stop, lambda: self.daemon.stop(SIGKILL)):
            self.pass_time(self.warn_after // 2 - 120)
            self.assertEqual(self.waiting(), len(self.accepted))
            before = self.written_clock()
            # It is written down as often as every minute.
            self.pass_time(61)
            until(lambda b=before: self.written_clock() >= b + 61,
                  'the clock on disk')
            end()
            self.daemon.start()
            self.settle()
        self.pass_time(600)
        until(self.notices, 'a notice')


class SmallAges(Mail):
    max_age, warn_after = 3600, 1200
    ini = {**Mail.ini, 'queue': {**Mail.ini['queue'], 'max_age': '1h',
                                 'warn_after': '20m'}}


class Tokens(Clock):
    """Tokens are judged by the clock that does not step."""
    life = 3600

    def setUp(self):
        super().setUp()
        self.box.settings(access_ttl=self.life)
        self.box.expire('demo', sessions=True)
        self.accept('first', queued=False)

    def test_steps_do_not_age_a_token(self):
        before = self.refreshes()
        for step in STEPS:
            with self.subTest(step=step):
                self.fault.wall(step)
                # Over the connection there is, and with a new login.
                self.accept(f'same-{step}', queued=False)
                self.box.drop(protocol='smtp')
                self.accept(f'anew-{step}', queued=False)
                self.assertEqual(self.refreshes(), before)
        self.assert_kept(self.accepted)

    def test_steps_do_not_keep_a_token_alive(self):
        for step in (DAY, -DAY):
            with self.subTest(step=step):
                before = self.refreshes()
                self.fault.wall(step)
                self.fault.later(self.life - 30, ['keeper', 'courier'])
                self.daemon.ctl('status')
                until(lambda: self.refreshes() > before, 'a refresh')
        self.accept('last', queued=False)
        self.assert_kept(self.accepted)

    def test_sign_in_with_a_wrong_clock(self):
        for step in STEPS:
            with self.subTest(step=step):
                self.die()
                self.accept(f'waits-{step}')
                self.fault.wall(step)
                self.sign_in_user('demo')
                self.hurry(self.is_empty)
                self.fault.wall(0)
        self.assert_kept(self.accepted)


class Certificates(Clock):
    """With a clock that is far off no certificate is valid: that passes."""

    def test_mail_waits_for_the_right_time(self):
        for wrong in NO_CERTIFICATES:
            with self.subTest(wrong=wrong):
                self.fault.wall(wrong)
                self.box.drop(protocol='smtp')
                self.accept(f'smtp-{wrong}')
                self.assert_human_not_called()
                self.fault.wall(0)
                self.hurry(self.is_empty)
        self.assert_kept(self.accepted)

    def test_no_token_is_lost(self):
        """Nothing can be renewed; once it can, it is."""
        for wrong in NO_CERTIFICATES:
            with self.subTest(wrong=wrong):
                self.box.expire('demo', sessions=True)
                self.daemon.kill_role('keeper')
                self.settle()
                self.fault.wall(wrong)
                self.accept(f'token-{wrong}')
                self.fault.later(3600, ['keeper', 'courier'])
                self.assert_human_not_called()
                self.fault.wall(0)
                self.hurry(self.connected)
        self.assert_kept(self.accepted)
        self.assertFalse(self.box.tokens()['family_revocations'])

    def connected(self):
        self.assert_human_not_called()
        return self.state(DEMO) == 'connected' and self.is_empty()

    def assert_human_not_called(self):
        states = {self.state(DEMO, s) for s in self.services}
        self.assertLessEqual(states, {'connected', 'retrying'})

    def test_logins_are_temporary_failures(self):
        login = self.daemon.login(DEMO)
        for wrong in NO_CERTIFICATES:
            self.fault.wall(wrong)
            with Imap(login.imap_port, login.ca) as client:
                self.assertRegex(client.login(login),
                                 r'^\w+ NO \[UNAVAILABLE\]')
            self.assertEqual(self.daemon.ctl('status')[0] in (0, 1), True)
        self.fault.wall(0)

        def admitted():
            with Imap(login.imap_port, login.ca) as client:
                return ' OK ' in client.login(login)
        self.hurry(admitted)


if __name__ == '__main__':
    main()
