#!/usr/bin/env python3
"""Bad input from clients and from providers.

After every test the daemon still serves everyone else and its memory is
bounded. Time limits are shortened by the configuration.
"""
import socket
import ssl
import time
import warnings

import clients
from bad_provider import MANNERS, BadProvider
from daemon import measure, sanitized
from harness import Case, lab_provider, main, message
from lab import until
from raw import Imap, Raw, Smtp, b64

ALICE = 'alice@example.test'
BOB = 'bob@example.test'
READER = 'reader@example.test'
# How much all roles together may have grown after a test, in bytes.
GROWTH = (96 if sanitized() else 24) * 2**20
DELAY = 1


class Serving(Case):
    """The neighbour is served, and memory is bounded, after each test."""
    memory = None
    neighbour = ALICE

    def setUp(self):
        super().setUp()
        if Serving.memory is None:
            self.serve_neighbour()
            Serving.memory = self.daemon.memory()

    def serve_neighbour(self):
        login = self.daemon.login(self.neighbour)
        key = f'well-{time.monotonic_ns()}'
        data = message(login.name, READER, key)
        clients.smtplib_send(login, data, [READER])
        self.assert_arrived(READER, key, data)
        clients.imaplib_read(login)

    def tearDown(self):
        self.assertLess(self.daemon.memory() - Serving.memory, GROWTH)
        self.serve_neighbour()
        super().tearDown()

    @classmethod
    def tearDownClass(cls):
        Serving.memory = None

    def smtp(self, login=False, greet=True):
        who = self.daemon.login(ALICE)
        client = Smtp(who.smtp_port, who.ca, greet=greet)
        self.addCleanup(client.close)
        if login:
            self.assertRegex(client.login(who), '^235 ')
        return client

    def imap(self, greet=True):
        who = self.daemon.login(ALICE)
        client = Imap(who.imap_port, who.ca, greet=greet)
        self.addCleanup(client.close)
        return client


class FromClients(Serving):
    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[ALICE, READER])
        cls.launch(
            [{'address': ALICE, 'provider': 'lab', 'client_id': 'proxy',
              'client_secret': 'proxy-secret'}],
            [lab_provider(cls.lab, 'lab')],
            {'limits': {'auth_delay': f'{DELAY}s', 'command_timeout': '2s',
                        'auth_timeout': '3s'},
             'queue': {'max_message': '1M'}})
        cls.sign_in(ALICE)

    # ---- wrong password

    def test_wrong_password_smtp(self):
        asked = len(self.lab.requests('/token'))
        for name, password in ((ALICE, 'wrong'), (ALICE, ''),
                               ('nobody@example.test', 'local-password')):
            with self.subTest(name=name, password=password):
                client = self.smtp()
                client.command('EHLO x')
                took, reply = measure(lambda c=client: c.command(
                    b'AUTH PLAIN ' + b64('', name, password) + b'\r\n'))
                self.assertRegex(reply, '^535 5.7.8 ')
                self.assertGreaterEqual(took, DELAY * 0.9)
                # The session goes on.
                self.assertRegex(client.command('NOOP'), '^250 ')
        self.assertEqual(len(self.lab.requests('/token')), asked)
        self.assertEqual(self.state(ALICE), 'connected')

    def test_wrong_password_imap(self):
        asked = len(self.lab.requests('/token'))
        for command in (f'LOGIN {ALICE} wrong',
                        'LOGIN nobody@example.test wrong',
                        'AUTHENTICATE PLAIN '
                        + b64('', ALICE, 'wrong').decode()):
            with self.subTest(command):
                client = self.imap()
                took, (_, reply) = measure(
                    lambda c=client, x=command: c.command(x))
                self.assertRegex(reply, r' NO \[AUTHENTICATIONFAILED\]')
                self.assertGreaterEqual(took, DELAY * 0.9)
                self.assertRegex(client.command('NOOP')[1], ' OK')
        self.assertEqual(len(self.lab.requests('/token')), asked)
        self.assertEqual(self.state(ALICE, 'imap'), 'connected')

    def test_delays_do_not_block_others(self):
        held = [self.smtp() for _ in range(20)]
        for client in held:
            client.send(b'EHLO x\r\nAUTH PLAIN ' + b64('', ALICE, 'wrong')
                        + b'\r\n')
        took, _ = measure(self.serve_neighbour)
        self.assertLess(took, 20 * DELAY)
        for client in held:
            client.reply()
            self.assertRegex(client.reply(), '^535 ')

    def test_guessing_ends_the_session(self):
        client = self.smtp()
        client.command('EHLO x')
        replies = []
        while reply := client.command(
                b'AUTH PLAIN ' + b64('', ALICE, 'wrong') + b'\r\n'):
            replies.append(reply)
            self.assertLess(len(replies), 20)
        self.assertRegex(replies[-1], '^(421|535) ')

    def test_malformed_sasl(self):
        client = self.smtp()
        client.command('EHLO x')
        self.assertRegex(client.command('AUTH PLAIN !!!!'), '^501 5.5.2')
        self.assertRegex(client.command('AUTH PLAIN ='), '^(501|535) ')
        self.assertRegex(client.command('AUTH CRAM-MD5'), '^504 5.5.4')
        self.assertRegex(client.command('AUTH PLAIN'), '^334 ')
        self.assertRegex(client.command('*'), '^501 5.(0.0|5.2|7.0)')
        client = self.imap()
        self.assertRegex(client.command('AUTHENTICATE PLAIN !!!')[1],
                         ' (BAD|NO) ')
        self.assertRegex(client.command('AUTHENTICATE NONSENSE')[1],
                         ' (BAD|NO) ')
        client.send('c AUTHENTICATE PLAIN\r\n')
        self.assertEqual(client.line()[:1], b'+')
        client.send('*\r\n')
        self.assertRegex(client.tagged('c')[1], '^c BAD ')

    # ---- lines, verbs, order

    def test_over_long_lines_smtp(self):
        client = self.smtp()
        self.assertRegex(client.command(b'NOOP ' + b'x' * 100000 + b'\r\n'),
                         '^500 5.5.[26]')
        self.assertRegex(client.command('NOOP'), '^250 ')
        client.command('EHLO x')
        self.assertRegex(client.command('AUTH PLAIN'), '^334 ')
        self.assertRegex(client.command(b'A' * 100000 + b'\r\n'),
                         '^500 5.5.[26]')
        self.assertRegex(client.command('NOOP'), '^250 ')

    def test_endless_line_smtp(self):
        client = self.smtp()
        self.pour(client, b'x' * 65536, 32)
        self.daemon.get('/healthz')

    def test_endless_line_imap(self):
        client = self.imap()
        self.pour(client, b'x' * 65536, 32)

    def pour(self, client, block, megabytes):
        """As much as the server takes."""
        try:
            for _ in range(megabytes * 2**20 // len(block)):
                client.send(block)
        except (OSError, ssl.SSLError):
            pass

    def test_over_long_lines_imap(self):
        client = self.imap()
        said, reply = client.command('NOOP ' + 'x' * 100000)
        self.assertRegex(said + reply, r'(BAD|BYE)')

    def test_unknown_verbs(self):
        client = self.smtp()
        for verb in ('FROBNICATE', 'GET / HTTP/1.1', 'BDAT 10', 'TURN',
                     'ETRN x', '\x01\x02'):
            with self.subTest(verb):
                client = self.smtp()
                self.assertRegex(client.command(verb), '^50[02] 5.5.[12]')
        for verb in ('STARTTLS', 'EXPN x'):
            with self.subTest(verb):
                self.assertRegex(self.smtp().command(verb), '^50[023] ')
        client = self.imap()
        for verb in ('FROBNICATE', 'SELECT INBOX', 'FETCH 1 ALL',
                     'STARTTLS'):
            self.assertRegex(client.command(verb)[1], ' BAD ')
        client.send('\r\n')
        self.assertIn(b'BAD', client.line())
        client.send('justatag\r\n')
        self.assertIn(b'BAD', client.line())

    def test_too_many_errors_end_the_session(self):
        client = self.smtp()
        replies = []
        while reply := client.command('FROBNICATE'):
            replies.append(reply)
            self.assertLess(len(replies), 200)
        self.assertRegex(replies[-1], '^421 ')
        client = self.imap()
        seen = 0
        while client.command('FROBNICATE')[1]:
            seen += 1
            self.assertLess(seen, 200)

    def test_out_of_order(self):
        client = self.smtp()
        self.assertRegex(client.command(f'MAIL FROM:<{ALICE}>'), '^5(03|30)')
        client.command('EHLO x')
        self.assertRegex(client.command(f'MAIL FROM:<{ALICE}>'), '^530 5.7.0')
        self.assertRegex(client.command(f'RCPT TO:<{READER}>'),
                         '^(503 5.5.1|530)')
        self.assertRegex(client.command('DATA'), '^(503 5.5.1|530)')
        client = self.smtp(login=True)
        self.assertRegex(client.command(f'RCPT TO:<{READER}>'), '^503 5.5.1')
        self.assertRegex(client.command('DATA'), '^503 5.5.1')
        self.assertRegex(client.command('AUTH PLAIN AHgAeA=='), '^503 5.5.1')
        self.assertRegex(client.command(f'MAIL FROM:<{ALICE}>'), '^250 ')
        self.assertRegex(client.command(f'MAIL FROM:<{ALICE}>'), '^503 5.5.1')
        self.assertRegex(client.command('DATA'), '^(503|554) 5.5.1')
        self.assertRegex(client.command('RSET'), '^250 ')

    def test_bad_addresses(self):
        client = self.smtp(login=True)
        for mail in ('MAIL', 'MAIL FROM:', 'MAIL FROM:x y', 'MAIL TO:<a@b>',
                     f'MAIL FROM:<{ALICE}', f'MAIL FROM:<{ALICE}> NONSENSE=1',
                     f'MAIL FROM:<{ALICE}> SIZE=x',
                     'MAIL FROM:<a@b\x00c>',
                     f'MAIL FROM:<{"x" * 3000}@example.test>'):
            with self.subTest(mail[:40]):
                self.assertRegex(client.command(mail), '^5(01|53|55|00) ')
        self.assertRegex(
            client.command(f'MAIL FROM:<{ALICE}> SIZE=99999999999'),
            '^552 5.3.4')
        self.assertRegex(client.command(f'MAIL FROM:<{ALICE}>'), '^250 ')
        for rcpt in ('RCPT', 'RCPT TO:', 'RCPT TO:<>', 'RCPT TO:<a b@c>'):
            with self.subTest(rcpt):
                self.assertRegex(client.command(rcpt), '^5(01|53) ')

    # ---- NUL, bare CR and LF

    def test_nul_in_commands(self):
        self.assertRegex(self.smtp().command(b'NO\0OP\r\n'), '^50[01] ')
        client = self.imap()
        client.send(b'a LOGIN x\0y z\r\n')
        self.assertIn(b'BAD', client.line())

    def test_bare_line_ends_in_commands(self):
        """Neither ends a command and lets a second one hide behind it."""
        for end in (b'\r', b'\n'):
            with self.subTest(end):
                client = self.smtp(login=True)
                client.send(b'NOOP' + end + b'RSET' + end + b'NOOP\r\n')
                replies = client.reply()
                self.assertRegex(replies, '^(500|501) ')
                self.assertRegex(client.command('QUIT'), '^221 ')

    def test_smuggling(self):
        """No end of data but CRLF . CRLF, and none of it two messages."""
        inner = (f'MAIL FROM:<{ALICE}>\r\nRCPT TO:<{READER}>\r\nDATA\r\n'
                 'Subject: smuggled\r\n\r\nx\r\n').encode()
        for n, end in enumerate((b'\n.\n', b'\r\n.\n', b'\n.\r\n', b'\r.\r',
                                 b'\r\n.\r', b'\r.\r\n', b'\r\n\0.\r\n')):
            with self.subTest(end):
                client = self.smtp(login=True)
                data = message(ALICE, READER, f'smuggle-{n}', b'text' + end
                               + inner)
                client.command(f'MAIL FROM:<{ALICE}>')
                client.command(f'RCPT TO:<{READER}>')
                client.command('DATA')
                reply = client.command(data + b'\r\n.\r\n')
                self.assertRegex(reply, '^(250|5[0-9][0-9]) ')
                self.assertRegex(client.command('NOOP'), '^250 2')
        until(lambda: not self.queued(), 'an empty queue')
        self.serve_neighbour()
        for _, stored in self.lab.mail(READER):
            self.assertNotIn(b'\nSubject: smuggled',
                             stored.split(b'\n\n', 1)[0])

    def test_bare_line_ends_imap(self):
        client = self.imap()
        client.send(b'a NOOP\nb NOOP\r\n')
        self.assertTrue(client.line())
        self.assertIn(b' OK', client.command('NOOP')[1].encode())

    # ---- literals

    def test_literal_of_four_gigabytes(self):
        for size in ('4294967296', '4294967295', '99999999999999999999',
                     '18446744073709551617', '70000'):
            for plus in ('', '+'):
                with self.subTest(size + plus):
                    client = self.imap()
                    client.send(f'a LOGIN {{{size}{plus}}}\r\n')
                    self.assertRegex(client.line(), rb'(a BAD|a NO|\* BYE)')

    def test_malformed_literals(self):
        for literal in ('{}', '{-1}', '{1', '{x}', '{1}}', '{01+-}'):
            with self.subTest(literal):
                client = self.imap()
                client.send(f'a LOGIN {literal}\r\nb NOOP\r\n')
                self.assertRegex(client.line(), rb'(BAD|BYE)')

    def test_too_large_a_message(self):
        client = self.smtp(login=True)
        reply = client.message(ALICE, [READER], message(
            ALICE, READER, 'large', b'x' * 70 + b'\r\n' * 10
            + (b'y' * 70 + b'\r\n') * 2**15))
        self.assertRegex(reply, '^552 5.3.4')
        self.assertRegex(client.command('NOOP'), '^250 ')

    # ---- silence and half commands

    def test_half_a_command_and_silence(self):
        for make, half in ((self.smtp, b'EHL'), (self.smtp, b''),
                           (self.imap, b'a LOGIN al'), (self.imap, b''),
                           (self.imap, b'a LOGIN {5}\r\nal')):
            with self.subTest(half):
                client = make()
                client.send(half)
                took, said = measure(client.rest)
                self.assertLess(took, 10)
                self.assertRegex(said, rb'(^|\n)(421 4\.4\.2|\* BYE)')

    def test_silence_after_login(self):
        client = self.smtp(login=True)
        self.assertRegex(client.rest(), b'^421 4.4.2')

    def test_half_a_message_and_silence(self):
        client = self.smtp(login=True)
        client.command(f'MAIL FROM:<{ALICE}>')
        client.command(f'RCPT TO:<{READER}>')
        client.command('DATA')
        client.send(b'Subject: half\r\n\r\nhalf a li')
        self.assertRegex(client.rest(), b'^(421 .*)?')
        self.assertEqual(self.queued(), [])

    def test_cut_in_data_is_no_message(self):
        client = self.smtp(login=True)
        client.command(f'MAIL FROM:<{ALICE}>')
        client.command(f'RCPT TO:<{READER}>')
        client.command('DATA')
        client.send(message(ALICE, READER, 'cut-in-data'))
        client.close()
        self.serve_neighbour()
        self.assertFalse([d for _, d in self.lab.mail(READER)
                          if b'cut-in-data' in d])

    # ---- TLS

    def test_plaintext_to_the_tls_port(self):
        who = self.daemon.login(ALICE)
        for port, text in ((who.smtp_port, b'EHLO x\r\n' * 100),
                           (who.imap_port, b'a LOGIN x y\r\n' * 100),
                           (who.smtp_port, b'GET / HTTP/1.1\r\n\r\n'),
                           (who.imap_port, bytes(1000))):
            with self.subTest(text[:10]):
                client = Raw(port)
                self.addCleanup(client.close)
                client.send(text)
                said = client.rest()
                # Nothing but an alert, and the end.
                self.assertNotIn(b'220', said)
                self.assertNotIn(b'* OK', said)

    def test_silence_in_the_handshake(self):
        who = self.daemon.login(ALICE)
        for port in (who.smtp_port, who.imap_port):
            for hello in (b'', b'\x16\x03\x01\x02\x00\x01'):
                with self.subTest(port=port, hello=hello):
                    client = Raw(port)
                    self.addCleanup(client.close)
                    client.send(hello)
                    took, _ = measure(client.rest)
                    self.assertLess(took, 15)

    def test_old_tls_is_refused(self):
        context = ssl.create_default_context(
            cafile=self.daemon.login(ALICE).ca)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers('ALL:@SECLEVEL=0')
        with self.assertRaises(OSError):
            context.wrap_socket(socket.create_connection(
                ('127.0.0.1', self.daemon.smtp_port), 10),
                server_hostname='localhost')

    def test_a_crowd(self):
        """Many connections at once, silent ones, and all of them end."""
        who = self.daemon.login(ALICE)
        crowd = [Raw(port) for port in (who.smtp_port, who.imap_port)
                 for _ in range(150)]
        self.serve_neighbour()
        for client in crowd:
            client.close()


class FromProviders(Serving):
    """The provider's mail servers go mad; the neighbour has sane ones."""
    neighbour = BOB

    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[ALICE, BOB, READER])
        tls = f'{cls.lab.run}/tls'
        cls.bad = BadProvider(f'{tls}/server.crt', f'{tls}/server.key')
        cls.bad_plain = BadProvider()
        cls.addClassCleanup(cls.bad.close)
        cls.addClassCleanup(cls.bad_plain.close)
        implicit = {'host': 'localhost', 'port': cls.bad.port,
                    'tls': 'implicit'}
        cls.launch(
            [{'address': ALICE, 'provider': 'mad', 'client_id': 'proxy',
              'client_secret': 'proxy-secret'},
             {'address': BOB, 'provider': 'lab', 'client_id': 'proxy',
              'client_secret': 'proxy-secret'}],
            [lab_provider(cls.lab, 'lab'),
             {**lab_provider(cls.lab, 'mad'), 'smtp': implicit,
              'imap': implicit}],
            {'limits': {'provider_timeout': '2s'},
             'queue': {'verdict_timeout': '4s'}})
        cls.sign_in(ALICE)
        cls.sign_in(BOB)

    def assert_borne(self):
        """The message is queued, the login fails as temporary."""
        login = self.daemon.login(ALICE)
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            self.assertRegex(
                client.message(ALICE, [READER],
                               message(ALICE, READER, 'mad')),
                '^250 2.0.0 Queued as ')
        with Imap(login.imap_port, login.ca, seconds=30) as client:
            self.assertRegex(client.login(login), r' NO \[UNAVAILABLE\]')
        self.assertNotEqual(self.state(ALICE), 'reauthorize')
        self.daemon.ctl('queue', 'delete', '--all')

    def test_mad_over_tls(self):
        for name in MANNERS:
            with self.subTest(name):
                self.bad.become(name)
                before = self.bad.connections
                self.assert_borne()
                self.assertGreater(self.bad.connections, before)
                self.assertLess(self.daemon.memory() - Serving.memory,
                                GROWTH)

    def test_mad_without_tls(self):
        """Where TLS is expected, and where STARTTLS is."""
        for mode in ('implicit', 'starttls'):
            for p in self.daemon.providers:
                if p['name'] == 'mad':
                    p['smtp'] = p['imap'] = {
                        'host': 'localhost', 'port': self.bad_plain.port,
                        'tls': mode}
            self.daemon.write()
            self.daemon.ctl('reload', code=0)
            for name in MANNERS:
                with self.subTest(f'{mode} {name}'):
                    self.bad_plain.become(name)
                    self.assert_borne()


if __name__ == '__main__':
    main()
