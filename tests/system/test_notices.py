#!/usr/bin/env python3
"""What senders are told (RFC 3461, 3464), and what they are not.

smtplib asks for notices as a mail client does; every notice is read with
Python's own parser, which must find nothing wrong with it.
"""
import email
import email.policy
import smtplib
import ssl

from harness import main, message
from lab import until
from sandbox_case import BOB, DEMO, SandboxCase, UsersCase

NOBODY = 'permfail@example.test'
NOBODY_TOO = 'nobody@example.test'
CAPABILITIES = ['PIPELINING', 'SIZE', '8BITMIME', 'SMTPUTF8',
                'ENHANCEDSTATUSCODES']
KEY = 'Grüße'
ENVID = 'ENVID=Q+2B1'
ORCPT = 'ORCPT=rfc822;Some+2Bone@example.test'


class Report:
    """A notice, parsed; what does not parse is a failure."""

    def __init__(self, raw):
        self.raw = raw
        self.mail = email.message_from_bytes(raw, policy=email.policy.default)
        for part in self.mail.walk():
            if part.defects:
                raise AssertionError(f'{part.defects}: {raw!r}')
        assert self.mail.get_content_type() == 'multipart/report'
        assert self.mail.get_param('report-type') == 'delivery-status'
        words, status, *self.original = self.mail.iter_parts()
        self.words = ' '.join(words.get_content().split())
        self.first = ' '.join(
            words.get_content().partition('\r\n\r\n')[0].split())
        self.status_type = status.get_content_type()
        groups = status.get_payload()
        if isinstance(groups, str):  # a parser that knows no RFC 6533
            groups = [email.message_from_string(g, policy=email.policy.default)
                      for g in groups.strip().split('\r\n\r\n')]
        self.message, *self.recipients = groups

    def of(self, address):
        found = [g for g in self.recipients
                 if g['Final-Recipient'].endswith(f'; {address}')]
        assert len(found) == 1, f'{address}: {self.raw!r}'
        return found[0]

    def addresses(self):
        return [g['Final-Recipient'].split('; ')[1] for g in self.recipients]


class Sending:
    """Sends with what a client may say about notices."""

    def submit(self, key, rcpts, mail_options=(), data=None, sender=DEMO):
        """rcpts: address to options of RCPT."""
        login = self.daemon.login(DEMO)
        context = ssl.create_default_context(cafile=login.ca)
        with smtplib.SMTP_SSL('localhost', login.smtp_port, timeout=20,
                              context=context) as client:
            client.ehlo()
            self.assertTrue(client.has_extn('dsn'))
            client.login(login.name, login.password)
            self.check(client.mail(sender, mail_options))
            for address, options in rcpts.items():
                self.check(client.rcpt(address, options))
            return self.check(client.data(
                data or message(DEMO, [*rcpts][0], key)))

    def check(self, reply):
        self.assertEqual(reply[0] // 100, 2, reply)
        return reply

    def no_dsn(self):
        """The provider has no DSN, from its next connection on."""
        self.box.settings(smtp_capabilities=CAPABILITIES)
        self.box.drop(protocol='smtp', how='close')

    def notices(self, to=DEMO):
        return [n for n, m in enumerate(self.box.messages(), 1)
                if m['recipients'] == [to]]

    def notice(self, count=1, to=DEMO):
        until(lambda: len(self.notices(to)) >= count, f'notice {count}', 20)
        self.assert_queue_empties()
        self.assertEqual(len(self.notices(to)), count)
        return Report(self.box.raw(self.notices(to)[-1]))

    def assert_no_notice(self):
        self.assert_queue_empties()
        self.assertEqual(self.notices(), [])

    def assert_polite(self):
        """The provider never heard a parameter that it does not offer."""
        self.assertEqual(self.box.violations(), [])


class Notices(Sending, SandboxCase):
    def test_all_is_passed_on_to_a_provider_with_dsn(self):
        self.submit('on', {BOB: ['NOTIFY=SUCCESS,FAILURE', ORCPT],
                           'carol@example.org': ['NOTIFY=NEVER']},
                    ['RET=HDRS', ENVID])
        got, = self.box.messages()
        self.assertEqual(got['mail_parameters']['RET'], 'HDRS')
        self.assertEqual(got['mail_parameters']['ENVID'], 'Q+2B1')
        self.assertEqual(got['recipient_parameters'],
                         [{'NOTIFY': 'SUCCESS,FAILURE',
                           'ORCPT': 'rfc822;Some+2Bone@example.test'},
                          {'NOTIFY': 'NEVER'}])
        self.assert_no_notice()

    def test_the_same_from_the_queue(self):
        self.box.kill_grant('demo', aadsts=50173)
        self.submit('late', {BOB: ['NOTIFY=DELAY', ORCPT]}, ['RET=FULL', ENVID])
        self.wait_state(DEMO, 'reauthorize')
        self.assertEqual(len(self.queued()), 1)
        self.sign_in_sandbox()
        self.assert_queue_empties()
        got, = self.box.messages()
        self.assertEqual(got['mail_parameters']['RET'], 'FULL')
        self.assertEqual(got['mail_parameters']['ENVID'], 'Q+2B1')
        self.assertEqual(got['recipient_parameters'],
                         [{'NOTIFY': 'DELAY',
                           'ORCPT': 'rfc822;Some+2Bone@example.test'}])

    def test_success_without_dsn_there_is_ours_to_tell(self):
        self.no_dsn()
        self.submit('relayed', {BOB: ['NOTIFY=SUCCESS', ORCPT],
                                'carol@example.org': ['NOTIFY=FAILURE'],
                                'dave@example.org': []},
                    ['RET=FULL', ENVID])
        report = self.notice()
        self.assertEqual(self.box.messages()[0]['mail_parameters'].keys() &
                         {'RET', 'ENVID'}, set())
        self.assertEqual(report.addresses(), [BOB])
        self.assertEqual(report.of(BOB)['Action'], 'relayed')
        self.assertRegex(report.of(BOB)['Status'], r'^2\.')
        self.assertEqual(report.of(BOB)['Original-Recipient'],
                         'rfc822; Some+one@example.test')
        self.assertEqual(report.message['Original-Envelope-Id'], 'Q+1')
        self.assertIn('passed on', report.first)
        # RFC 3461 §4.3: the whole is for failures
        self.assertEqual(report.original[0].get_content_type(),
                         'text/rfc822-headers')
        self.assert_polite()

    def test_success_from_the_queue(self):
        self.no_dsn()
        self.box.kill_grant('demo', aadsts=50173)
        self.submit('relayed', {BOB: ['NOTIFY=SUCCESS']})
        self.wait_state(DEMO, 'reauthorize')
        self.sign_in_sandbox()
        report = self.notice()
        self.assertEqual(report.of(BOB)['Action'], 'relayed')
        self.assertEqual(self.box.messages()[0]['recipients'], [BOB])

    def test_one_notice_says_who_got_it_and_who_did_not(self):
        self.no_dsn()
        self.submit('mixed', {BOB: ['NOTIFY=SUCCESS,FAILURE'],
                              NOBODY: ['NOTIFY=SUCCESS,FAILURE', ORCPT]},
                    [ENVID])
        report = self.notice()
        self.assertEqual(sorted(report.addresses()), [BOB, NOBODY])
        self.assertEqual(report.of(BOB)['Action'], 'relayed')
        self.assertEqual(report.of(NOBODY)['Action'], 'failed')
        self.assertEqual(report.of(NOBODY)['Status'], '5.1.1')
        self.assertIn(f'to {NOBODY} could not be delivered', report.first)
        self.assertIn('check the address', report.first)

    def test_what_the_provider_said_is_kept(self):
        self.box.fault(protocol='smtp', stage='rcpt', match={'rcpt': NOBODY},
                       reply='550 5.7.133 RESOLVER.RST.SenderNotAuth; not '
                             'allowed by the rules of this mailbox')
        self.submit('words', {BOB: [], NOBODY: [ORCPT]}, ['RET=FULL', ENVID])
        report = self.notice()
        fields = report.of(NOBODY)
        self.assertEqual(fields['Status'], '5.7.133')
        self.assertEqual(
            ' '.join(fields['Diagnostic-Code'].split()),
            'smtp; 550 5.7.133 RESOLVER.RST.SenderNotAuth; not allowed by '
            'the rules of this mailbox')
        self.assertEqual(fields['Remote-MTA'], 'dns; localhost')
        self.assertTrue(fields['Last-Attempt-Date'])
        self.assertIn('RESOLVER.RST.SenderNotAuth', report.words)
        self.assertEqual(report.message['Original-Envelope-Id'], 'Q+1')
        whole, = report.original
        self.assertEqual(whole.get_content_type(), 'message/rfc822')
        self.assertIn(b'\r\n\r\n' + message(DEMO, BOB, 'words'), report.raw)
        # The provider must not send notices about ours.
        notice = self.box.messages()[-1]
        self.assertEqual(notice['recipient_parameters'], [{'NOTIFY': 'NEVER'}])
        self.assertEqual(report.mail['In-Reply-To'], '<words@client.test>')
        self.assertEqual(report.mail['Auto-Submitted'], 'auto-replied')

    def test_only_the_header_where_that_is_asked(self):
        self.submit('hdrs', {BOB: [], NOBODY: []}, ['RET=HDRS'])
        part, = self.notice().original
        self.assertEqual(part.get_content_type(), 'text/rfc822-headers')
        self.assertIn('Subject: hdrs', part.get_payload())
        self.assertNotIn('A line.', part.get_payload())

    def test_only_the_header_of_a_long_message(self):
        self.submit('long', {BOB: [], NOBODY: []}, ['RET=FULL'],
                    message(DEMO, BOB, 'long', b'0123456789\r\n' * 20000))
        part, = self.notice().original
        self.assertEqual(part.get_content_type(), 'text/rfc822-headers')

    def test_nobody_is_told_what_he_does_not_want_to_hear(self):
        self.submit('never', {BOB: [], NOBODY: ['NOTIFY=NEVER']})
        self.submit('delay', {BOB: [], NOBODY_TOO:
                              ['NOTIFY=SUCCESS,DELAY']})
        self.assert_no_notice()
        self.submit('failure', {BOB: [], NOBODY: ['NOTIFY=FAILURE'],
                                NOBODY_TOO: ['NOTIFY=NEVER']})
        self.assertEqual(self.notice().addresses(), [NOBODY])

    def test_nobody_is_told_of_what_the_null_path_sent(self):
        self.submit('null', {BOB: [], NOBODY: ['NOTIFY=FAILURE']}, sender='')
        self.assert_no_notice()

    def test_there_is_no_notice_about_a_notice(self):
        self.submit('loop', {BOB: [], NOBODY_TOO: []},
                    sender=NOBODY)
        self.assert_queue_empties()
        self.assertEqual(self.box.messages()[0]['recipients'], [BOB])
        self.assertEqual(len(self.box.messages()), 1)
        until(lambda: [h['result'] for h in self.daemon.json(
            'history', '--all')['history']
            if h.get('kind') == 'failure-notice' and h['recipients'] ==
            [NOBODY]] == ['dropped'], 'the end of the notice')

    def test_a_subject_is_shown_as_it_was_meant(self):
        data = message(DEMO, BOB, 'subject').replace(
            b'Subject: subject',
            b'Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?= =?utf-8?B?IEvDtmxu?=')
        self.submit('subject', {BOB: [], NOBODY: []}, data=data)
        report = self.notice()
        self.assertIn('"Grüße aus Köln"', report.first)
        self.assertIn('Grüße aus Köln', report.mail['Subject'])

    def test_octets_that_are_no_text(self):
        data = b'X-Latin: \xfc\xff\r\n' + message(DEMO, BOB, 'latin',
                                                  bytes(range(128, 256)) +
                                                  b'\r\n')
        self.submit('latin', {BOB: [], NOBODY: []}, data=data)
        report = self.notice()
        self.assertEqual(report.original[0].get_content_type(),
                         'message/rfc822')
        self.assertIn(b'\r\n\r\n' + data, report.raw)

    def test_addresses_beyond_ascii(self):
        self.box.fault(protocol='smtp', stage='rcpt',
                       match={'rcpt': 'jürgen@example.test'},
                       reply='550 5.1.1 nobody')
        data = message(DEMO, BOB, 'utf8').replace(
            b'Subject: utf8', f'Subject: {KEY}'.encode())
        login = self.daemon.login(DEMO)
        context = ssl.create_default_context(cafile=login.ca)
        with smtplib.SMTP_SSL('localhost', login.smtp_port, timeout=20,
                              context=context) as client:
            client.ehlo()
            client.login(login.name, login.password)
            client.command_encoding = 'utf-8'
            self.check(client.mail(DEMO, ['SMTPUTF8', 'BODY=8BITMIME']))
            self.check(client.rcpt(BOB))
            self.check(client.rcpt('jürgen@example.test',
                                   ['ORCPT=utf-8;\\x{FC}@example.test']))
            self.check(client.data(data))
        report = self.notice()
        self.assertEqual(report.status_type, 'message/global-delivery-status')
        self.assertIn('Final-Recipient: utf-8; jürgen@example.test\r\n'
                      .encode(), report.raw)
        self.assertIn('Original-Recipient: utf-8; ü@example.test\r\n'
                      .encode(), report.raw)
        self.assertIn(f'"{KEY}" to jürgen@example.test', report.first)
        self.assertEqual(report.original[0].get_content_type(),
                         'message/global')
        self.assert_polite()


class Delays(Sending, UsersCase):
    """The account is dead; notices go through alice's."""
    users = ('demo', 'alice')
    ini = {'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                     'window': '60s'},
           'queue': {'warn_after': '2s', 'max_age': '1h',
                     'verdict_timeout': '6s'},
           'notify': {'mail_account': 'alice@example.test'}}

    def test_who_wants_to_hear_of_a_delay_does(self):
        self.box.kill_grant('demo', aadsts=50173)
        self.submit('unstated', {BOB: []})
        self.wait_state(DEMO, 'reauthorize')
        self.submit('never', {BOB: ['NOTIFY=NEVER']})
        self.submit('failure', {BOB: ['NOTIFY=FAILURE']})
        self.submit('success', {BOB: ['NOTIFY=SUCCESS']})
        self.submit('delay', {BOB: ['NOTIFY=NEVER'],
                              'carol@example.org': ['NOTIFY=DELAY', ORCPT]},
                    ['RET=FULL', ENVID])
        until(lambda: len(self.notices()) == 2, 'two notices', 20)
        until(lambda: len(self.queued()) == 5, 'the mail alone', 20)
        reports = [Report(self.box.raw(n)) for n in self.notices()]
        self.assertIn('"unstated"', reports[0].first)
        self.assertEqual(reports[0].addresses(), [BOB])
        self.check_delay(reports[1])
        self.sign_in_user('demo')
        self.assert_queue_empties()
        self.assertEqual(len(self.notices()), 2)

    def check_delay(self, report):
        self.assertIn('"delay" to carol@example.org has not been sent yet',
                      report.first)
        self.assertIn('need not send it again', report.first)
        self.assertIn(f'No mail can be sent from {DEMO}', report.words)
        self.assertIn(f'mailbearerctl auth {DEMO}', report.words)
        self.assertEqual(report.addresses(), ['carol@example.org'])
        fields = report.of('carol@example.org')
        self.assertEqual(fields['Action'], 'delayed')
        self.assertRegex(fields['Status'], r'^4\.')
        self.assertTrue(fields['Will-Retry-Until'])
        self.assertEqual(fields['Original-Recipient'],
                         'rfc822; Some+one@example.test')
        self.assertEqual(report.message['Original-Envelope-Id'], 'Q+1')
        self.assertEqual(report.original[0].get_content_type(),
                         'text/rfc822-headers')


if __name__ == '__main__':
    main()
