#!/usr/bin/env python3
"""What waits long is told to its sender; what waits too long goes back.

The account demo is dead. Notices about its mail go through alice's account,
which is [notify] mail_account.
"""
import email
import email.policy
import time

from harness import main
from lab import until
from sandbox_case import BOB, DEMO, UsersCase

ALICE = 'alice@example.test'


def report(raw):
    """(the words, the fields per recipient) of a multipart/report."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    parts = list(mail.iter_parts())
    status = [p for p in parts
              if p.get_content_type().endswith('delivery-status')][0]
    return mail, parts[0].get_content(), list(status.iter_parts())[1:]


class Age(UsersCase):
    users = ('demo', 'alice')
    ini = {'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                     'window': '60s'},
           'queue': {'warn_after': '2s', 'max_age': '8s',
                     'verdict_timeout': '6s'},
           'notify': {'mail_account': ALICE}}

    def kill(self):
        self.box.kill_grant('demo', aadsts=50173)

    def to_demo(self):
        return [n for n, m in enumerate(self.box.messages(), 1)
                if m['recipients'] == [DEMO]]

    def notice(self, number):
        until(lambda: len(self.to_demo()) >= number, f'notice {number}', 30)
        return report(self.box.raw(self.to_demo()[number - 1]))

    def test_told_once_of_the_delay_and_once_of_the_end(self):
        self.kill()
        self.assertRegex(self.send('late'), 'Queued as')
        self.wait_state(DEMO, 'reauthorize')
        mail, words, fields = self.notice(1)
        self.assertIn(ALICE, mail['From'])
        self.assertIn('need not send it again', ' '.join(words.split()))
        self.assertEqual(fields[0]['Action'], 'delayed')
        self.assertTrue(self.queued(), 'it is still there')
        mail, words, fields = self.notice(2)
        self.assertIn('late', mail.as_string(), 'which message it is')
        self.assertIn(BOB, words)
        self.assertEqual(fields[0]['Action'], 'failed')
        self.assertEqual(fields[0]['Status'], '5.4.7')
        self.assert_queue_empties()
        self.assertEqual(len(self.to_demo()), 2)
        self.assertEqual(len(self.box.messages()), 2)
        self.sign_in_user('demo')

    def test_what_may_have_arrived_is_returned_as_such(self):
        until(lambda: 'Queued' not in self.send('before'), 'an empty queue')
        self.box.fault(protocol='smtp', stage='eod', drop='after')
        self.assertRegex(self.send('doubtful'), 'Queued as')
        self.kill()
        _, words, _ = self.notice(2)
        self.assertIn('may have arrived', ' '.join(words.split()))
        self.assert_queue_empties()
        self.sign_in_user('demo')

    def test_nothing_stale_is_said_when_it_went_out(self):
        self.box.outage(True, protocols=['smtp'])
        try:
            self.assertRegex(self.send('saved'), 'Queued as')
            until(lambda: len(self.queued()) == 2, 'a notice', 20)
        finally:
            self.box.outage(False, protocols=['smtp'])
        self.assert_queue_empties()
        self.assertEqual([m['recipients'] for m in self.box.messages()], [[BOB]])


class NewQueue(UsersCase):
    """The clock of a new queue reaches what mail may age to, once."""
    users = ('demo', 'alice')
    ages = {'warn_after': 10, 'max_age': 14}
    ini = {'queue': {key: f'{s}s' for key, s in ages.items()},
           'notify': {'mail_account': ALICE}}

    def test_nothing_comes_of_age_with_the_queue(self):
        self.box.kill_grant('demo', aadsts=50173)
        sent = time.monotonic()
        self.assertRegex(self.send('young'), 'Queued as')
        for number, (what, age) in enumerate(self.ages.items(), 1):
            self.box.messages(wait=number, timeout=2 * age)
            waited = time.monotonic() - sent
            # The queue's clock counts whole seconds.
            self.assertGreater(waited, age - 1, what)


if __name__ == '__main__':
    main()
