#!/usr/bin/env python3
"""The verdict table: what the provider says, and what the client hears.

Every row of DESIGN's table against a provider that fails on demand.
"""
import concurrent.futures
import threading

from daemon import measure
from harness import main
from lab import until
from sandbox_case import BOB, DEMO, QUICK, SandboxCase

QUEUED = r'^250 2\.0\.0 Queued as [0-9a-f]{16}$'


class Verdicts(SandboxCase):
    def test_accepted_with_the_providers_words(self):
        self.assertRegex(self.send('one'), r'^250 2\.\d\.\d ')
        self.assertEqual(self.keys(), ['one'])
        self.assertEqual(self.queued(), [])

    def test_connections_are_reused(self):
        before = self.box.connections()['total'].get('smtp', 0)
        for n in range(5):
            self.assertRegex(self.send(f'reuse-{n}'), '^250 ')
        after = self.box.connections()['total'].get('smtp', 0)
        self.assertLessEqual(after - before, 2)

    def test_the_messages_own_fault_is_passed_on(self):
        for stage, reply in (('mail', '553 5.1.7 Sender syntax'),
                             ('rcpt', '550 5.1.1 No such user'),
                             ('data', '554 5.6.0 Not that'),
                             ('eod', '554 5.6.0 Refused content')):
            with self.subTest(stage):
                self.box.fault(protocol='smtp', stage=stage, reply=reply)
                self.assertEqual(self.send(f'fault-{stage}'), reply)
                self.assertEqual(self.queued(), [])
        self.assertEqual(self.state(DEMO), 'connected')
        self.assertRegex(self.send('after'), '^250 ')

    def test_temporary_refusals_wait_in_the_queue(self):
        for stage in ('mail', 'rcpt', 'data', 'eod'):
            with self.subTest(stage):
                self.box.fault(protocol='smtp', stage=stage,
                               reply='451 4.3.0 Try later')
                self.assertRegex(self.send(f'temp-{stage}'), QUEUED)
                self.assert_queue_empties()
        self.assertEqual(self.keys(), [f'temp-{s}' for s in
                                       ('mail', 'rcpt', 'data', 'eod')])

    def test_lost_connections_lose_nothing(self):
        for stage in ('mail', 'rcpt', 'data', 'body'):
            with self.subTest(stage):
                self.box.fault(protocol='smtp', stage=stage, close=True,
                               times=2)
                self.assertRegex(self.send(f'lost-{stage}'), '^250 ')
                self.assert_queue_empties()
        self.assertEqual(self.keys(), [f'lost-{s}' for s in
                                       ('mail', 'rcpt', 'data', 'body')])

    def test_reply_lost_before_the_provider_had_it(self):
        self.box.fault(protocol='smtp', stage='eod', drop='before')
        self.assertRegex(self.send('dot'), '^250 ')
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['dot'])

    def test_reply_lost_after_the_provider_had_it(self):
        self.box.fault(protocol='smtp', stage='eod', drop='after')
        self.assertRegex(self.send('twice'), QUEUED)
        self.assert_queue_empties()
        # Sent again: a lost reply cannot tell whether it was taken.
        self.assertEqual(self.keys(), ['twice', 'twice'])

    def test_some_recipients_refused(self):
        reply = self.send('some', (BOB, 'permfail@example.test'))
        self.assertRegex(reply, '^250 ')
        until(lambda: len(self.box.messages()) == 2, 'a notice')
        notice = self.box.raw(2)
        self.assertIn(b'multipart/report', notice)
        self.assertIn(b'Final-Recipient: rfc822; permfail@example.test',
                      notice)
        self.assertIn(b'Status: 5.', notice)
        self.assertNotIn(b'Final-Recipient: rfc822; ' + BOB.encode(), notice)
        self.assert_queue_empties()

    def test_some_recipients_deferred_are_tried_again_alone(self):
        self.box.fault(protocol='smtp', stage='rcpt', reply='450 4.2.1 busy',
                       match={'rcpt': 'alice@example.test'})
        reply = self.send('part', (BOB, 'alice@example.test'))
        self.assertRegex(reply, '^250 ')
        self.assert_queue_empties(30)
        got = [m['recipients'] for m in self.box.messages()]
        self.assertEqual(got, [[BOB], ['alice@example.test']])

    def test_expired_token_is_renewed_once_and_nobody_waits(self):
        self.assertRegex(self.send('warm'), '^250 ')
        self.box.expire('demo')
        self.box.drop(protocol='smtp', how='close')
        self.assertRegex(self.send('renewed'), r'^250 ')
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['warm', 'renewed'])
        self.assertEqual(self.state(DEMO), 'connected')

    def test_the_first_token_of_a_new_grant_is_renewed_too(self):
        # That a token of the old grant was refused is forgotten with it.
        self.box.kill_grant('demo', aadsts=50173)
        self.assertRegex(self.send('dead'), QUEUED)
        self.wait_state(DEMO, 'reauthorize')
        self.box.outage(protocols=['smtp'])
        self.sign_in_sandbox()
        self.box.expire('demo')
        self.box.outage(on=False, protocols=['smtp'])
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['dead'])
        self.wait_state(DEMO, 'connected')

    def test_smtp_auth_switched_off(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault('m365-smtp-auth-disabled-tenant', times=0)
        self.assertRegex(self.send('off'), QUEUED)
        self.wait_state(DEMO, 'blocked')
        account = self.daemon.json('account', 'show', DEMO)
        self.assertIn('Set-CASMailbox', account['services']['smtp']['step'])
        code, text = self.daemon.ctl('status')
        self.assertEqual(code, 1)
        self.assertIn('blocked', text)
        # IMAP is another service: it works.
        self.assertRegex(self.imap_login(), ' OK ')
        why = self.daemon.ctl('queue', 'why', self.queued()[0]['id'])[1]
        self.assertIn('blocked', why)
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['off'])
        self.wait_state(DEMO, 'connected')

    def test_trouble_at_connecting_mends_itself_with_nothing_to_send(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.outage(True, protocols=['smtp'])
        self.assertRegex(self.send('gone'), QUEUED)
        self.wait_state(DEMO, 'retrying')
        self.daemon.ctl('queue', 'delete', '--all', code=0)
        self.box.outage(False, protocols=['smtp'])
        self.wait_state(DEMO, 'connected')
        self.assertEqual(self.keys(), [])

    def test_throttled(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault('m365-smtp-concurrent-connections', times=2)
        self.assertRegex(self.send('slow'), '^250 ')
        self.assert_queue_empties(40)
        self.assertEqual(self.keys(), ['slow'])

    def test_a_provider_that_says_nothing(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(protocol='smtp', stage='connect', stall=True, times=0)
        self.assertRegex(self.send('silent'), QUEUED)
        self.box.clear()
        self.assert_queue_empties(40)
        self.assertEqual(self.keys(), ['silent'])

    def test_a_provider_that_says_nothing_any_more(self):
        # The connection in hand breaks, and the next one never comes about:
        # the client's time goes on running.
        self.assertRegex(self.send('warm'), '^250 ')
        self.box.fault(protocol='smtp', stage='mail', reset=True)
        self.box.fault(protocol='smtp', stage='connect', stall=True, times=0)
        self.assertRegex(self.send('stale'), QUEUED)
        self.box.clear()
        self.assert_queue_empties(70)
        self.assertEqual(self.keys(), ['warm', 'stale'])

    def test_trouble_of_one_is_known_to_all(self):
        # Those that wait for a connection are queued as soon as the provider
        # has refused the first, not when their own time is over.
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(protocol='smtp', stage='mail', delay=1, times=0,
                       reply='451 4.7.500 Server busy')
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(
                lambda n: measure(lambda: self.send(f'all-{n}')), range(8)))
        for _, reply in found:
            self.assertRegex(reply, QUEUED)
        # verdict_timeout is 6 s.
        self.assertLess(max(seconds for seconds, _ in found), 5)
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_queue_empties(30)
        self.assertEqual(len(set(self.keys())), 8)

    def test_garbage_and_floods(self):
        for fault in ({'garbage': 4096}, {'flood': 3_000_000}):
            with self.subTest(fault):
                self.box.drop(protocol='smtp', how='close')
                self.box.fault(protocol='smtp', stage='connect', **fault)
                key = next(iter(fault))
                self.assertRegex(self.send(key), '^250 ')
                self.assert_queue_empties(40)
        self.assertEqual(self.keys(), ['garbage', 'flood'])
        self.assertLess(self.daemon.memory('courier'), 400 << 20)

    def test_one_refresh_for_many(self):
        self.box.expire('demo')
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(protocol='oauth', stage='token', delay=1)
        replies = []
        threads = [threading.Thread(
            target=lambda n=n: replies.append(self.send(f'many-{n}')))
            for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertTrue(all(r.startswith('250 ') for r in replies), replies)
        self.assert_queue_empties(30)
        self.assertEqual(sorted(self.keys()),
                         sorted(f'many-{n}' for n in range(8)))
        self.assertEqual(self.box.tokens()['max_in_flight'], {DEMO: 1})

    def test_queue_commands(self):
        self.box.fault(protocol='smtp', stage='any',
                       reply='451 4.3.0 Try later', times=0)
        for n in range(3):
            self.assertRegex(self.send(f'held-{n}'), QUEUED)
        ids = [m['id'] for m in self.queued()]
        self.assertEqual(len(ids), 3)
        self.daemon.ctl('queue', 'hold', ids[0], code=0)
        self.daemon.ctl('queue', 'delete', ids[1], code=0)
        self.assertEqual(self.daemon.ctl('queue', 'show', ids[1])[0], 1)
        exported = self.daemon.ctl('queue', 'export', ids[2], code=0)[1]
        self.assertIn('Message-ID: <held-2@client.test>', exported)
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        until(lambda: self.keys() == ['held-2'], 'the third alone')
        self.daemon.ctl('queue', 'release', ids[0], code=0)
        until(lambda: self.keys() == ['held-2', 'held-0'], 'the first')


class Limits(SandboxCase):
    ini = {**QUICK, 'queue': {**QUICK['queue'], 'max_messages': '2'}}

    def test_a_full_queue_takes_nothing(self):
        self.box.fault(protocol='smtp', stage='any',
                       reply='451 4.3.0 Try later', times=0)
        for n in range(2):
            self.assertRegex(self.send(f'full-{n}'), QUEUED)
        self.assertRegex(self.send('full-2'), r'^452 4\.3\.1 ')
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['full-0', 'full-1'])


class Pass(SandboxCase):
    ini = {**QUICK, 'queue': {**QUICK['queue'], 'on_tempfail': 'pass'}}

    def test_on_tempfail_pass(self):
        self.box.fault(protocol='smtp', stage='eod',
                       reply='451 4.3.0 Try later')
        self.assertEqual(self.send('passed'), '451 4.3.0 Try later')
        self.assertEqual(self.queued(), [])


class StartTls(SandboxCase):
    starttls = True

    def test_starttls_and_injection(self):
        self.assertRegex(self.send('plain'), '^250 ')
        self.assertEqual(self.keys(), ['plain'])
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(protocol='smtp', stage='starttls',
                       inject='250-AUTH PLAIN\r\n')
        self.assertRegex(self.send('injected'), '^250 ')
        self.assert_queue_empties(30)
        self.assertEqual(self.keys(), ['plain', 'injected'])


class Untrusted(SandboxCase):
    def test_a_certificate_for_another_host(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.settings(certificate='mismatch')
        self.assertRegex(self.send('secret'), QUEUED)
        self.assertEqual(self.keys(), [])
        self.box.settings(certificate='good')
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_queue_empties()
        self.assertEqual(self.keys(), ['secret'])


if __name__ == '__main__':
    main()
