#!/usr/bin/env python3
"""Real clients through mailbearerd to real servers, with real tokens.

Four accounts, so that every way in and out is walked: both TLS modes towards
the provider, Postfix and Dovecot, XOAUTH2 and OAUTHBEARER, a confidential
client (basic and post) and a public one, code flow by paste and by browser,
and the device flow.
"""
import hashlib
import imaplib

import clients
from harness import Case, as_stored, lab_provider, main, message
from lab import until
from raw import Imap, Smtp, b64, stuffed

READER = 'reader@example.test'
#	 account	SMTP door		IMAP door	SASL
#	 sign-in	OAuth client	client_auth
ACCOUNTS = {
    'alice@example.test': (
        ('SMTPS', 'implicit'), ('IMAPS', 'implicit'), 'xoauth2',
        'paste', 'proxy', 'basic'),
    'bob@example.test': (
        ('SUBMISSION', 'starttls'), ('IMAP', 'starttls'), 'oauthbearer',
        'device', 'proxy-post', 'post'),
    'carol@example.test': (
        ('DOVECOT_SMTPS', 'implicit'), ('IMAPS', 'implicit'), 'oauthbearer',
        'browser', 'proxy-public', 'post'),
    'dave@example.test': (
        ('DOVECOT_SUBMISSION', 'starttls'), ('IMAP', 'starttls'), 'xoauth2',
        'device', 'proxy-public', 'post'),
}
ALICE = 'alice@example.test'
BODIES = {
    'plain': b'Hello.\r\n',
    'empty': b'',
    'blank-lines': b'\r\n\r\n\r\n',
    '8bit': bytes(range(128, 256)) + b'\r\n' + 'Grüße\r\n'.encode(),
    'long-lines': b'x' * 998 + b'\r\n' + b'y' * 997 + b'\r\nz\r\n',
    'dots': b'.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n',
    'only-dot': b'.\r\n',
    'from-line': b'From here\r\n>From there\r\n',
}
MIXED = b''.join(BODIES.values())


def big(megabytes):
    """Lines that differ, so that a hole or a swap shows."""
    lines = (b'%08d %s\r\n' % (n, b'0123456789abcdef' * 3)
             for n in range(megabytes * 2**20 // 59))
    return b''.join(lines)


class Clients(Case):
    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[*ACCOUNTS, READER])
        accounts, providers = [], []
        for address, (smtp, imap, sasl, how, client,
                      auth) in ACCOUNTS.items():
            name = address.split('@', maxsplit=1)[0]
            providers.append(lab_provider(cls.lab, f'lab-{name}', smtp, imap,
                                          sasl, client_auth=auth))
            account = {'address': address, 'provider': f'lab-{name}',
                       'client_id': client}
            if how == 'device':
                account['flow'] = 'device_code'
            if client != 'proxy-public':
                account['client_secret'] = f'{client}-secret'
            accounts.append(account)
        cls.launch(accounts, providers)
        for address, (_, _, _, how, client, _) in ACCOUNTS.items():
            cls.sign_in(address, how, client)

    def logins(self):
        return [self.daemon.login(address) for address in ACCOUNTS]

    # ---- signing in

    def test_tokens_are_of_the_asked_kind(self):
        grants = [(e['client'], e['grant_type'])
                  for e in self.lab.requests('/token', status=200)]
        device = 'urn:ietf:params:oauth:grant-type:device_code'
        for want in [('proxy', 'authorization_code'),
                     ('proxy-public', 'authorization_code'),
                     ('proxy-post', device), ('proxy-public', device)]:
            self.assertIn(want, grants)

    def test_status_says_all_is_well(self):
        self.assertEqual(self.daemon.ctl('status')[0], 0)

    # ---- sending

    def test_every_client_sends(self):
        for login in self.logins():
            for name, send in clients.SENDERS.items():
                for mechanism in ('PLAIN', 'LOGIN'):
                    key = f'send-{name}-{mechanism}-{login.name}'
                    with self.subTest(key):
                        data = message(login.name, READER, key, MIXED)
                        send(login, data, [READER], mechanism)
                        self.assert_arrived(READER, key, data)

    def test_bodies_arrive_as_they_were(self):
        for login in self.logins():
            for name, body in BODIES.items():
                key = f'body-{name}-{login.name}'
                with self.subTest(key):
                    data = message(login.name, READER, key, body)
                    clients.smtplib_send(login, data, [READER])
                    self.assert_arrived(READER, key, data)

    def test_five_megabytes(self):
        body = big(5)
        for login in self.logins():
            key = f'big-{login.name}'
            with self.subTest(key):
                data = message(login.name, READER, key, body)
                clients.curl_send(login, data, [READER])
                self.assert_arrived(READER, key, data)

    def test_pipelined_transactions(self):
        login = self.daemon.login(ALICE)
        first = message(ALICE, READER, 'pipe-1', MIXED)
        second = message(ALICE, READER, 'pipe-2')
        envelope = (f'MAIL FROM:<{ALICE}> BODY=8BITMIME\r\n'
                    f'RCPT TO:<{READER}>\r\nDATA\r\n').encode()
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.command('EHLO client.test'),
                             '250[- ]PIPELINING')
            self.assertRegex(client.command(
                b'AUTH PLAIN ' + b64('', login.name, login.password)
                + b'\r\n'), '^235 2.7.0')
            client.send(envelope)
            for want in ('250', '250', '354'):
                self.assertEqual(client.reply()[:3], want)
            # The end of one and the beginning of the next in one write.
            client.send(stuffed(first) + b'.\r\n' + envelope)
            for want in ('250', '250', '250', '354'):
                self.assertEqual(client.reply()[:3], want)
            client.send(stuffed(second) + b'.\r\nQUIT\r\n')
            self.assertEqual(client.reply()[:3], '250')
            self.assertEqual(client.reply()[:3], '221')
            self.assertEqual(client.rest(), b'')
        self.assert_arrived(READER, 'pipe-1', first)
        self.assert_arrived(READER, 'pipe-2', second)

    def test_many_messages_share_provider_connections(self):
        login = self.daemon.login(ALICE)
        for n in range(10):
            data = message(ALICE, READER, f'pool-{n}')
            clients.smtplib_send(login, data, [READER])
            self.assert_arrived(READER, f'pool-{n}', data)
        connects = [e for e in self.daemon.events('provider-connect')
                    if f'account={ALICE}' in e]
        self.assertLess(len(connects), 10)

    def test_several_recipients_and_outside(self):
        login = self.daemon.login(ALICE)
        data = message(ALICE, READER, 'several')
        clients.msmtp_send(login, data, [READER, 'bob@example.test'])
        self.assert_arrived(READER, 'several', data)
        self.assert_arrived('bob@example.test', 'several', data)

    def test_ipv6(self):
        login = self.daemon.login(ALICE)
        data = message(ALICE, READER, 'ipv6')
        with Smtp(login.smtp_port, login.ca, host='::1') as client:
            client.login(login)
            self.assertEqual(
                client.message(ALICE, [READER], data)[:3], '250')
        self.assert_arrived(READER, 'ipv6', data)
        with Imap(login.imap_port, login.ca, host='::1') as client:
            self.assertIn(' OK ', client.login(login))

    def test_ehlo_offers(self):
        login = self.daemon.login(ALICE)
        with Smtp(login.smtp_port, login.ca) as client:
            offer = client.command('EHLO client.test')
            for word in ('AUTH PLAIN LOGIN', 'PIPELINING', 'SIZE ',
                         '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES',
                         'DSN'):
                self.assertRegex(offer, f'250[- ]{word}')
            self.assertNotIn('STARTTLS', offer)

    # ---- reading

    def fill_inbox(self, user):
        self.lab.empty(user)
        bodies = {**BODIES, 'big': big(5)}
        sent = [message('lab@example.test', user, f'in-{name}', body)
                for name, body in bodies.items()]
        for data in sent:
            self.lab.put(user, data)
        self.lab.wait_mail(user, len(sent))
        return sent

    def test_every_client_reads(self):
        for login in self.logins():
            sent = self.fill_inbox(login.name)
            for name, read in clients.READERS.items():
                with self.subTest(f'{name} {login.name}'):
                    got = read(login)
                    self.assertEqual(len(got), len(sent))
                    for data in sent:
                        self.assertTrue(
                            any(as_stored(g).endswith(as_stored(data))
                                for g in got), data[:300])

    def connect(self, address=ALICE, **kw):
        login = self.daemon.login(address)
        client = Imap(login.imap_port, login.ca, **kw)
        self.addCleanup(client.close)
        self.assertIn(' OK ', client.login(login))
        return client

    def test_idle(self):
        client = self.connect('bob@example.test')
        client.command('SELECT INBOX')
        client.send('i IDLE\r\n')
        self.assertEqual(client.line()[:1], b'+')
        self.lab.put('bob@example.test',
                     message('lab@example.test', 'bob', 'idle'))
        while b'EXISTS' not in (line := client.line()):
            self.assertTrue(line)
        client.send('DONE\r\n')
        self.assertIn('i OK', client.tagged('i')[1])

    def test_pipelined_behind_the_login(self):
        login = self.daemon.login(ALICE)
        with Imap(login.imap_port, login.ca) as client:
            client.send(f'a LOGIN {login.name} {login.password}\r\n'
                        f'b SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\n')
            for tag in 'abcd':
                self.assertRegex(client.tagged(tag)[1], f'^{tag} OK')
            self.assertEqual(client.rest(), b'')

    def test_capabilities_in_the_tagged_ok(self):
        login = self.daemon.login(ALICE)
        with Imap(login.imap_port, login.ca) as client:
            self.assertRegex(client.greeting, r'^\* OK \[CAPABILITY IMAP4rev1')
            self.assertNotIn('LOGINDISABLED', client.greeting)
            self.assertIn('AUTH=PLAIN', client.greeting)
            said = client.login(login)
            # What Dovecot can do, which we cannot.
            self.assertRegex(said, r'OK \[CAPABILITY [^]]*\bIDLE\b')

    def test_login_in_every_form(self):
        login = self.daemon.login(ALICE)
        name, password = login.name.encode(), login.password.encode()
        plain = b64('', name, password)
        forms = {
            'quoted': [b'a LOGIN "%s" "%s"\r\n' % (name, password)],
            'atoms': [b'a login %s %s\r\n' % (name, password)],
            'literal': [b'a LOGIN {%d}\r\n' % len(name),
                        name + b' {%d}\r\n' % len(password),
                        password + b'\r\n'],
            'literal+': [b'a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n' % (
                len(name), name, len(password), password)],
            'sasl-ir': [b'a AUTHENTICATE PLAIN %s\r\n' % plain],
            'sasl': [b'a AUTHENTICATE PLAIN\r\n', plain + b'\r\n'],
            'sasl-login': [b'a AUTHENTICATE LOGIN\r\n',
                           b64(name) + b'\r\n', b64(password) + b'\r\n'],
        }
        for form, (first, *more) in forms.items():
            with self.subTest(form), \
                    Imap(login.imap_port, login.ca) as client:
                client.send(first)
                for part in more:
                    self.assertEqual(client.line()[:1], b'+')
                    client.send(part)
                self.assertRegex(client.tagged('a')[1], '^a OK')
                self.assertRegex(client.command('NOOP')[1], ' OK')

    def test_smtp_login_in_every_form(self):
        login = self.daemon.login(ALICE)
        plain = b64('', login.name, login.password)
        name, password = b64(login.name), b64(login.password)
        forms = {
            'plain-ir': [b'AUTH PLAIN ' + plain],
            'plain': [b'AUTH PLAIN', plain],
            'login-ir': [b'AUTH LOGIN ' + name, password],
            'login': [b'auth login', name, password],
        }
        for form, steps in forms.items():
            with self.subTest(form), \
                    Smtp(login.smtp_port, login.ca) as client:
                client.command('EHLO client.test')
                for step in steps[:-1]:
                    self.assertRegex(client.command(step + b'\r\n'), '^334 ')
                self.assertRegex(client.command(steps[-1] + b'\r\n'),
                                 '^235 2.7.0')

    def test_append_and_large_fetch(self):
        """Bulk both ways, byte for byte."""
        data = message(ALICE, ALICE, 'append', big(20))
        login = self.daemon.login(ALICE)
        with imaplib.IMAP4_SSL('localhost', login.imap_port, timeout=60,
                               ssl_context=login.context) as client:
            client.login(login.name, login.password)
            client.create('Bulk')
            self.assertEqual(client.append('Bulk', None, None, data)[0], 'OK')
            client.select('Bulk')
            got = client.fetch('1', '(BODY.PEEK[])')[1][0][1]
            self.assertEqual(hashlib.sha256(got).digest(),
                             hashlib.sha256(data).digest())
            client.store('1', '+FLAGS', r'\Deleted')
            client.expunge()

    def test_slow_reader_makes_no_memory_grow(self):
        """A client that stops reading: TCP holds the sender back."""
        client = self.connect()
        client.send('a CREATE Slow\r\n')
        client.tagged('a')
        data = message(ALICE, ALICE, 'slow', big(16))
        client.send(b'b APPEND Slow {%d}\r\n' % len(data))
        self.assertEqual(client.line()[:1], b'+')
        client.send(data + b'\r\n')
        self.assertRegex(client.tagged('b')[1], '^b OK')
        client.command('SELECT Slow')
        before = self.daemon.memory('relay')
        client.send(''.join(f'f{n} FETCH 1 BODY.PEEK[]\r\n'
                            for n in range(8)))
        client.take(100000)
        self.settle()
        grown = self.daemon.memory('relay') - before
        self.assertLess(grown, 4 * 2**20)
        self.assertEqual(self.daemon.get('/healthz')[0], 200)

    def settle(self):
        """Until the relays' memory has stopped changing."""
        last = []

        def calm():
            last.append(self.daemon.memory('relay'))
            return len(last) > 25 and len(set(last[-25:])) == 1
        until(calm, 'calm relays', 10)

    def test_full_refusals_pass(self):
        """The provider's own words reach the client (DESIGN 3)."""
        login = self.daemon.login(ALICE)
        for rcpt, want in (('permfail@example.test', '^550 5.2.1'),
                           ('eodperm@example.test', '^554 5.6.0'),
                           ('nosuch@example.test', '^550 5.1.1')):
            with self.subTest(rcpt), \
                    Smtp(login.smtp_port, login.ca) as client:
                client.login(login)
                self.assertRegex(client.message(
                    ALICE, [rcpt], message(ALICE, rcpt, 'refused')), want)
        self.assertEqual(self.queued(ALICE), [])

    def test_one_refused_recipient_of_two(self):
        login = self.daemon.login(ALICE)
        self.lab.empty(ALICE)
        data = message(ALICE, READER, 'partly')
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            self.assertRegex(client.message(
                ALICE, [READER, 'permfail@example.test'], data), '^250 ')
        self.assert_arrived(READER, 'partly', data)
        report = self.lab.wait_mail(ALICE, 1)[0]
        self.assertIn(b'multipart/report', report)
        self.assertIn(b'permfail@example.test', report)
        self.assertIn(b'5.2.1', report)

    def test_temporary_refusals_are_queued(self):
        login = self.daemon.login(ALICE)
        for rcpt in ('tempfail@example.test', 'eodtemp@example.test',
                     'drop@example.test'):
            with self.subTest(rcpt), \
                    Smtp(login.smtp_port, login.ca) as client:
                client.login(login)
                self.assertRegex(
                    client.message(ALICE, [rcpt],
                                   message(ALICE, rcpt, 'later')),
                    r'^250 2\.0\.0 Queued as \S+')
        waiting = self.queued(ALICE)
        self.assertEqual(len(waiting), 3)
        # Nobody is called for it.
        self.assertEqual(self.daemon.ctl('status')[0], 0)
        for m in waiting:
            self.daemon.ctl('queue', 'delete', m['id'], code=0)
        self.assertEqual(self.queued(ALICE), [])

    def test_a_busy_recipient_holds_up_nobody(self):
        """450 at RCPT is about that mailbox, not about the account."""
        login = self.daemon.login('bob@example.test')
        clients.smtplib_send(login, message(login.name, READER, 'busy'),
                             ['tempfail@example.test'])
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            data = message(login.name, READER, 'beside')
            reply = client.message(login.name, [READER], data)
        self.assertRegex(reply, '^250 ')
        self.assertNotIn('Queued', reply)
        self.assertEqual(self.state(login.name), 'connected')
        self.assert_arrived(READER, 'beside', data)
        (waiting,) = self.queued(login.name)
        self.assertEqual(waiting['attempts'], 1)
        self.assertIn('next', waiting)
        self.daemon.ctl('queue', 'delete', '--all', code=0)

    def test_both_mechanisms_were_used(self):
        for address in ACCOUNTS:
            clients.imaplib_read(self.daemon.login(address))
        with open(f'{self.lab.run}/log/dovecot.log', encoding='utf-8') as f:
            log = f.read()
        for address, (_, _, sasl, *_) in ACCOUNTS.items():
            login = f'user=<{address}>, method={sasl.upper()}'
            self.assertTrue(login in log, login)


if __name__ == '__main__':
    main()
