#!/usr/bin/env python3
"""The pace of an account: what its provider takes, and who goes first.

Limits hold for all clients together, and for live and replayed mail alike.
"""
import concurrent.futures
import json

from daemon import crypt
from harness import main, message
from lab import until
from raw import Smtp
from sandbox_case import BOB, DEMO, QUICK, SandboxCase

QUEUED = r'^250 2\.0\.0 Queued as '
FAST = 'in-a-hurry'


class PaceCase(SandboxCase):
    limits = {}

    @classmethod
    def setUpClass(cls):
        cls.provider = {'limits': cls.limits} if cls.limits else {}
        super().setUpClass()

    @classmethod
    def launch(cls, accounts, providers, ini=None):
        accounts[0]['logins'] = [
            {'name': DEMO, 'password_hash': crypt('local-password')},
            {'name': FAST, 'password_hash': crypt('local-password'),
             'overtake': True}]
        super().launch(accounts, providers, ini)

    def setUp(self):
        super().setUp()
        self.box.drop(protocol='smtp', how='close')

    def send_as(self, name, key, rcpts=(BOB,)):
        login = self.daemon.login(DEMO, name)
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.login(login), '^235 ')
            return client.message(DEMO, list(rcpts),
                                  message(DEMO, rcpts[0], key)).rstrip()

    def send_all(self, keys, at_once=8):
        """Replies to so many messages of as many clients at a time."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.send, keys))

    def counts(self):
        body = json.loads(self.daemon.get('/v1/queue/counts')[1])
        found = [a for a in body['accounts'] if a['account'] == DEMO]
        return found[0] if found else {}

    def fault_all(self, **fields):
        self.box.fault(protocol='smtp', times=0, **fields)

    def most_connections(self):
        return self.box.connections()['max']['smtp']

    def began(self):
        """How often a message was offered, accepted or not."""
        return len(self.box.log(event='command', verb='MAIL', limit=10000))


class Connections(PaceCase):
    limits = {'max_connections': 4}

    def test_no_more_than_the_limit(self):
        self.fault_all(stage='eod', delay=0.1)
        for reply in self.send_all([f'limit-{n}' for n in range(20)], 20):
            self.assertRegex(reply, '^250 ')
        self.assert_queue_empties()
        self.assertEqual(len(set(self.keys())), 20)
        self.assertLessEqual(self.most_connections(), 4)

    def test_too_many_are_halved(self):
        # The provider allows fewer than its entry says.
        self.box.settings(smtp_concurrency=2)
        self.fault_all(stage='eod', delay=0.2)
        for reply in self.send_all([f'halved-{n}' for n in range(12)], 12):
            self.assertRegex(reply, '^250 ')
        until(lambda: self.daemon.events('pace', account=DEMO,
                                         cause='too-many-connections'),
              'a slower pace')
        self.assert_queue_empties(60)
        self.assertEqual(len(set(self.keys())), 12)
        self.assertEqual(len(self.keys()), 12)
        # From now on it keeps to what the provider bears.
        refused = len(self.box.log(event='concurrency'))
        self.wait_state(DEMO, 'connected')
        for reply in self.send_all([f'after-{n}' for n in range(12)], 12):
            self.assertRegex(reply, '^250 ')
        self.assert_queue_empties(60)
        self.assertEqual(len(self.box.log(event='concurrency')), refused)


class Minute(PaceCase):
    limits = {'max_per_minute': 20}

    def test_live_and_replayed_share_a_minute(self):
        # Twenty go at once: one part replayed, the other live.
        self.fault_all(stage='mail', reply='451 4.3.0 Try later')
        for n in range(12):
            self.assertRegex(self.send(f'queued-{n}'), QUEUED)
        tried = self.began()
        self.box.clear()
        self.box.settings(smtp_rate=20)
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_queue_empties()
        # The provider would refuse the twenty-first of a minute.
        replies = self.send_all([f'live-{n}' for n in range(8 - tried)])
        self.assertEqual(len(self.keys()), 20 - tried)
        for reply in replies:
            self.assertNotRegex(reply, QUEUED)
        self.assertEqual(self.box.log(event='rate-limit'), [])
        # The next one has to wait for its turn, but its client has not.
        self.assertRegex(self.send('one-more'), QUEUED)
        waiting = self.queued()
        why = self.daemon.ctl('queue', 'why', waiting[0]['id'], code=0)[1]
        self.assertIn('20 messages of the account in a minute',
                      ' '.join(why.split()))
        self.assert_queue_empties(90)
        self.assertEqual(self.box.log(event='rate-limit'), [])


class Day(PaceCase):
    limits = {'max_recipients_per_day': 10}
    ini = {**QUICK, 'queue': {**QUICK['queue'], 'max_age': '100d'}}

    def test_recipients_of_a_day(self):
        many = [f'r{n}@elsewhere.test' for n in range(4)]
        self.assertEqual(self.counts()['recipients_limit'], 10)
        # Live mail counts, by recipient,
        self.assertNotRegex(self.send('one', many), QUEUED)
        self.assertEqual(self.counts()['recipients_today'], 4)
        # only those that the provider took,
        self.box.fault(protocol='smtp', stage='rcpt', reply='550 5.1.1 No',
                       match={'rcpt': many[0]})
        self.assertNotRegex(self.send('two', many[:2]), QUEUED)
        until(lambda: len(self.box.messages()) == 3, 'a notice')
        # of the message, and of the notice about it;
        self.assertEqual(self.counts()['recipients_today'], 6)
        self.box.fault(protocol='smtp', stage='eod', reply='554 5.6.0 No')
        self.assertRegex(self.send('refused', many), '^554 ')
        self.assertEqual(self.counts()['recipients_today'], 6)
        # replayed mail, too.
        self.box.fault(protocol='smtp', stage='mail', reply='451 4.3.0 Later')
        self.assertRegex(self.send('three', many[:3]), QUEUED)
        self.assert_queue_empties()
        self.assertEqual(self.counts()['recipients_today'], 9)
        # One that does not fit waits, and those behind it: first come,
        # first served.
        sent = self.began()
        self.assertRegex(self.send('four', many[:2]), QUEUED)
        self.assertRegex(self.send('five'), QUEUED)
        waiting = self.queued()
        self.assertEqual([m['cause'] for m in waiting],
                         ['daily-recipient-limit'] * 2)
        why = self.daemon.ctl('queue', 'why', waiting[0]['id'], code=0)[1]
        self.assertIn('9 of the 10 recipients', ' '.join(why.split()))
        self.assertEqual(self.began(), sent)
        # It is no trouble of the account.
        self.assertEqual(self.state(DEMO), 'connected')
        self.assertIn('9 of 10', self.daemon.ctl('account', 'show', DEMO)[1])
        # The day is not forgotten over a restart, nor by retrying.
        self.daemon.stop()
        self.daemon.start()
        until(lambda: self.counts().get('recipients_today') == 9, 'the count')
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assertRegex(self.send('six'), QUEUED)
        self.assertEqual(len(self.queued()), 3)
        self.assertEqual(self.began(), sent)
        # More in a day by the configuration: it goes on.
        self.daemon.providers[0]['limits'] = {'max_recipients_per_day': 1000}
        self.daemon.write()
        self.daemon.ctl('reload', code=0)
        self.assert_queue_empties()
        self.assertEqual(self.keys()[-3:], ['four', 'five', 'six'])
        self.assertEqual(self.counts()['recipients_today'], 13)


class Shared(PaceCase):
    """Trouble of one message holds the account's others, live or queued."""

    ini = {**QUICK, 'retry': {**QUICK['retry'], 'first': '30s',
                              'longest': '60s'}}

    def test_each_code_at_each_stage(self):
        for stage in ('mail', 'rcpt', 'data', 'eod'):
            for reply in ('421 4.3.2 Closing', '451 4.3.0 Local error',
                          '432 4.3.2 Concurrent connections limit exceeded',
                          '452 4.3.1 Insufficient system storage'):
                with self.subTest(stage=stage, reply=reply):
                    self.setUp()
                    self.box.fault(protocol='smtp', stage=stage, reply=reply,
                                   close=reply.startswith('421'))
                    self.assertRegex(self.send('first'), QUEUED)
                    tried = self.began()
                    self.assertEqual(tried, 1)
                    # The provider would take it, but is left alone.
                    self.assertRegex(self.send('second'), QUEUED)
                    self.assertEqual(self.began(), tried)
                    self.daemon.ctl('queue', 'retry', '--all', code=0)
                    self.assert_queue_empties()
                    self.assertEqual(self.keys(), ['first', 'second'])


class Recipients(PaceCase):
    ini = Shared.ini

    def test_as_many_at_once_as_the_provider_takes(self):
        self.box.settings(smtp_max_recipients=3)
        many = [f'r{n}@elsewhere.test' for n in range(8)]
        self.assertRegex(self.send('split', many), '^250 ')
        # At once: half a minute would be the least of pauses.
        until(lambda: len(self.box.messages()) == 3, 'three transactions', 10)
        got = [m['recipients'] for m in self.box.messages()]
        self.assertEqual(got, [many[:3], many[3:6], many[6:]])
        self.assert_queue_empties()


class StepsAside(PaceCase):
    """What is said of the server, and is about one message all the same."""

    def test_one_message_does_not_hold_up_the_others_for_good(self):
        self.fault_all(stage='rcpt', reply='451 4.3.0 Local error',
                       match={'rcpt': BOB})
        self.assertRegex(self.send('poison'), QUEUED)
        self.assertRegex(self.send('other', ('alice@example.test',)),
                         '^250 ')
        until(lambda: self.keys() == ['other'], 'the other', 30)
        self.assertEqual(len(self.queued()), 1)
        self.box.clear()
        self.assert_queue_empties(60)
        self.assertEqual(self.keys(), ['other', 'poison'])


class Lingering(PaceCase):
    """The mailbox cannot be opened: perhaps it is moved, perhaps a right or
    a licence is missing."""
    ini = {**QUICK, 'retry': {**QUICK['retry'], 'window': '1s'}}

    def test_an_administrator_is_told_when_it_lasts(self):
        self.box.fault('m365-smtp-mailbox-logon-failure', times=0)
        self.assertRegex(self.send('lingers'), QUEUED)
        self.assertEqual(self.state(DEMO), 'retrying')
        self.wait_state(DEMO, 'blocked', seconds=40)
        show = self.daemon.json('account', 'show', DEMO)['services']['smtp']
        self.assertEqual(show['cause'], 'mailbox-logon-failure')
        self.assertIn('permissions', show['step'])
        self.box.clear()
        # It is still tried, and mends itself.
        self.assert_queue_empties(30)
        self.wait_state(DEMO, 'connected')
        self.assertEqual(self.keys(), ['lingers'])


class Order(PaceCase):
    """Of one account: first come, first served, unless a login may overtake."""

    def test_new_mail_goes_behind_the_queue(self):
        before = [f'before-{n:02}' for n in range(20)]
        self.fault_all(stage='connect', close=True)
        for key in before:
            self.assertRegex(self.send(key), QUEUED)
        self.box.clear()
        # Slow enough that the queue is not over before the next is sent.
        self.fault_all(stage='eod', delay=0.3)
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.box.messages(wait=1)
        self.assertRegex(self.send_as(DEMO, 'behind'), QUEUED)
        self.assertNotRegex(self.send_as(FAST, 'overtakes'), QUEUED)
        self.assert_queue_empties(60)
        keys = self.keys()
        self.assertLess(keys.index('overtakes'), len(before))
        keys.remove('overtakes')
        self.assertEqual(keys, [*before, 'behind'])

    def test_nobody_overtakes_an_account_in_trouble(self):
        self.fault_all(stage='mail', reply='451 4.3.0 Try later')
        self.assertRegex(self.send_as(DEMO, 'first'), QUEUED)
        self.assertRegex(self.send_as(FAST, 'second'), QUEUED)
        self.box.clear()
        self.assert_queue_empties(30)
        self.assertEqual(self.keys(), ['first', 'second'])


if __name__ == '__main__':
    main()
