#!/usr/bin/env python3
"""
Days that pass: an account that nobody uses stays alive, and what will end is
told ahead of time.
"""
from fault_case import FaultCase
from harness import main
from lab import until
from sandbox_case import DEMO

DAY = 86400


class Days(FaultCase):
    provider = {'rotates': False, 'refresh_idle': '90d'}
    passed = 0

    def setUp(self):
        super().setUp()
        self.signed_in()

    def pass_days(self, days):
        """On both clocks; keeper wakes up and does what is due."""
        for _ in range(days):
            Days.passed += DAY  # for all tests: clocks do not go back
            self.fault.wall(Days.passed)
            self.pass_time(DAY)
            # Two turns: timers that came due have run at the second.
            self.daemon.json('account', 'show', DEMO)
            self.daemon.json('account', 'show', DEMO)

    def refreshes(self):
        return self.box.tokens()['refreshes'].get(DEMO, 0)

    def warnings(self):
        return self.daemon.json('account', 'show', DEMO)['warnings']

    def test_a_hundred_days_unused(self):
        before = self.refreshes()
        for week in range(1, 15):
            self.pass_days(8)
            until(lambda w=week: self.refreshes() >= before + w,
                  f'a refresh in week {week}')
        self.assertEqual(self.state(DEMO), 'connected')
        self.assertEqual(self.warnings(), [])
        # Not every hour, for nobody.
        self.assertLess(self.refreshes(), before + 30)
        self.assertRegex(self.try_send('after-a-hundred-days'), '^250 ')

    def test_kept_from_it(self):
        """The provider is away for months: people hear before it ends."""
        self.box.fault('token-503', times=0)
        self.pass_days(60)
        self.assertEqual(self.warnings(), [])
        self.pass_days(20)
        warning, = self.warnings()
        self.assertEqual(warning['kind'], 'idle')
        self.assertIn('/signin/', warning['action']['url'])
        self.assertIn(warning['text'], self.daemon.ctl('status')[1])
        told = self.daemon.events('alarm', what='warning', kind='idle')
        self.assertGreaterEqual(len(told), 1)
        self.pass_days(3)
        # Of what is near it is told some times, not every hour.
        self.assertLess(len(self.daemon.events('alarm', what='warning')), 5)
        self.box.clear()
        self.hurry(self.is_connected)
        self.assertEqual(self.warnings(), [])

    def test_switched_on_while_nobody_looked(self):
        """It was blocked; a while after it was mended it works again."""
        self.box.fault('m365-smtp-auth-disabled-mailbox', times=0)
        self.box.drop(protocol='smtp', how='close')
        self.assertRegex(self.try_send('switched-off'), 'Queued')
        self.assertEqual(self.state(DEMO), 'blocked')
        self.daemon.ctl('queue', 'delete', '--all', code=0)
        self.box.clear()
        for _ in range(9):
            self.pass_time(600)
        self.hurry(self.is_connected)

    def is_connected(self):
        return self.state(DEMO) == 'connected'


if __name__ == '__main__':
    main()
