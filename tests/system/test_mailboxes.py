#!/usr/bin/env python3
"""Which mailbox an account opens, as whom, and where it has moved to."""
from harness import Case, main, message
from lab import until
from raw import Imap, Smtp
from sandbox_case import BOB, QUICK, sandbox, sandbox_provider
from token_case import PASSWORD

from daemon import crypt

HASH = crypt(PASSWORD)


class Mailboxes(Case):
    """Helpers for daemons whose accounts differ from test to test."""

    @classmethod
    def start_boxes(cls, count=1):
        boxes = []
        for _ in range(count):
            boxes.append(sandbox.start())
            cls.addClassCleanup(boxes[-1].stop)
        return boxes

    @staticmethod
    def account(box, address, provider='sandbox', **more):
        return {'address': address, 'provider': provider,
                'client_id': box.env['CLIENT_ID'],
                'client_secret': box.env['CLIENT_SECRET'],
                'services': ['smtp', 'imap'],
                'logins': [{'name': address, 'password_hash': HASH}], **more}

    def sign_in_as(self, box, account, user):
        self.daemon.authorise(account, 'paste',
                              lambda first: box.approve(first['url'], user))
        self.wait_state(account, 'connected')

    def client(self, kind, name):
        port = {Smtp: self.daemon.smtp_port,
                Imap: self.daemon.imap_port}[kind]
        client = kind(port, self.daemon.ca)
        self.addCleanup(client.close)
        login = self.daemon.login(self.daemon.accounts[0]['address'], name)
        login.password = PASSWORD
        return client, client.login(login)

    def send(self, name, sender, key):
        client, reply = self.client(Smtp, name)
        self.assertRegex(reply, '^235 ')
        return client.message(sender, [BOB], message(sender, BOB, key))

    def opens(self, name):
        return self.client(Imap, name)[1]

    @staticmethod
    def sent_as(box, key):
        """Envelope sender and user of the message, once it is there."""
        def found():
            for number, m in enumerate(box.messages(), 1):
                if f'<{key}@'.encode() in box.raw(number):
                    return m
            return None
        until(found, f'message {key}')
        return found()


class CatchAll(Mailboxes):
    """An application with access to a whole domain."""
    ALL = '*@example.test'

    @classmethod
    def setUpClass(cls):
        cls.box, = cls.start_boxes()
        cls.launch([cls.account(cls.box, cls.ALL, flow='client_credentials',
                                logins=[{'name': 'alice@example.test',
                                         'password_hash': HASH},
                                        {'name': 'printer',
                                         'mailbox': BOB,
                                         'password_hash': HASH}]),
                    cls.account(cls.box, 'demo@example.test')],
                   [sandbox_provider(cls.box)], QUICK)

    def addresses(self):
        return sorted(a['address'] for a in
                      self.daemon.json('account', 'list')['accounts'])

    def test_each_login_opens_its_own_mailbox(self):
        for name, mailbox in (('alice@example.test', 'alice@example.test'),
                              ('printer', BOB)):
            with self.subTest(name):
                since = len(self.box.log())
                self.assertRegex(self.opens(name), 'OK')
                events = self.box.log(protocol='imap', event='auth',
                                      since=since)
                self.assertEqual([e['user'] for e in events], [mailbox])
                self.assertRegex(self.send(name, mailbox, f'all-{name[0]}'),
                                 '^250 ')
                self.assertEqual(self.sent_as(self.box, f'all-{name[0]}')
                                 ['user'], mailbox)

    def test_one_that_stands_in_the_file_is_its_own(self):
        self.assertEqual(self.state('demo@example.test'), 'reauthorize')
        self.assertRegex(self.opens('demo@example.test'), 'Nobody has signed in')

    def test_a_new_login_makes_an_account_and_it_stays(self):
        self.box.add_user('carol@example.test', password='x', name='carol')
        self.assertNotIn('carol@example.test', self.addresses())
        self.daemon.ctl('login', 'add', 'carol@example.test', 'carol',
                        '--password-stdin', stdin=PASSWORD + '\n', code=0)
        self.assertIn('carol@example.test', self.addresses())
        self.assertRegex(self.opens('carol'), 'OK')
        self.daemon.stop()
        self.daemon.start()
        self.assertIn('carol@example.test', self.addresses())
        self.assertRegex(self.opens('carol'), 'OK')
        self.daemon.ctl('login', 'remove', 'carol', code=0)
        self.daemon.ctl('reload', code=0)
        self.assertNotIn('carol@example.test', self.addresses())

    def test_other_domains_and_odd_names_make_none(self):
        for address in ('x@elsewhere.test', '*@example.test'):
            with self.subTest(address):
                code, text = self.daemon.ctl('login', 'add', address, 'x')
                self.assertEqual(code, 1, text)
                self.assertIn(f'no account {address}', text)

    def test_its_state_is_its_own(self):
        self.box.fault(protocol='imap', stage='auth', times=0,
                       match={'user': BOB},
                       reply='NO [CONTACTADMIN] not this one')
        self.addCleanup(self.box.clear)
        self.assertNotRegex(self.opens('printer'), 'OK Logged')
        self.wait_state(BOB, 'blocked', 'imap')
        self.assertEqual(self.state('alice@example.test', 'imap'),
                         'connected')
        self.box.clear()
        self.assertRegex(self.opens('printer'), 'OK')
        self.wait_state(BOB, 'connected', 'imap')


class Shared(Mailboxes):
    """One person, several mailboxes; one that nobody signs in as."""
    SHARED = 'info@example.test'

    @classmethod
    def setUpClass(cls):
        cls.box, = cls.start_boxes()
        cls.box.add_user(cls.SHARED, password='x', name='info',
                         delegates=['alice@example.test'])
        cls.launch([cls.account(cls.box, cls.SHARED,
                                sign_in_as='alice@example.test'),
                    cls.account(cls.box, 'alice@example.test'),
                    cls.account(cls.box, 'office@example.test',
                                sign_in_as='demo@example.test',
                                smtp_user='demo@example.test',
                                imap_user='demo@example.test')],
                   [sandbox_provider(cls.box)], QUICK)

    def test_signs_in_as_one_and_opens_another(self):
        first = []

        def approve(auth):
            first.append(auth['url'])
            return self.box.approve(auth['url'])  # as login_hint says
        self.daemon.authorise(self.SHARED, 'paste', approve)
        self.assertIn('login_hint=alice%40example.test', first[0])
        self.wait_state(self.SHARED, 'connected')
        self.sign_in_as(self.box, 'alice@example.test', 'alice')
        for name in (self.SHARED, 'alice@example.test'):
            since = len(self.box.log())
            self.assertRegex(self.opens(name), 'OK')
            self.assertRegex(self.send(name, name, f'shared-{name[0]}'),
                             '^250 ')
            users = {e['user'] for e in
                     self.box.log(event='auth', since=since)}
            self.assertEqual(users, {name})

    def test_the_name_at_the_server_may_be_another(self):
        self.sign_in_as(self.box, 'office@example.test', 'demo')
        self.assertRegex(self.opens('office@example.test'), 'OK')
        self.assertRegex(self.send('office@example.test',
                                   'office@example.test', 'name-1'), '^250 ')
        sent = self.sent_as(self.box, 'name-1')
        self.assertEqual((sent['user'], sent['mail_from']),
                         ('demo@example.test', 'office@example.test'))


class OneWay(Mailboxes):
    """Incoming only, outgoing only."""

    @classmethod
    def setUpClass(cls):
        cls.box, = cls.start_boxes()
        cls.launch([cls.account(cls.box, 'alice@example.test',
                                services=['imap']),
                    cls.account(cls.box, 'demo@example.test',
                                services=['smtp'])],
                   [sandbox_provider(cls.box, scopes={
                       'common': 'openid offline_access', 'smtp': 'smtp',
                       'imap': 'imap'})], QUICK)

    def asked(self, account):
        urls = []

        def approve(auth):
            urls.append(auth['url'])
            return self.box.approve(auth['url'], account.split('@')[0])
        self.daemon.authorise(account, 'paste', approve)
        return urls[0]

    def test_each_asks_for_its_own_and_refuses_the_other(self):
        incoming = self.asked('alice@example.test')
        outgoing = self.asked('demo@example.test')
        self.assertIn('offline_access', incoming)
        self.assertRegex(incoming, r'scope=[^&]*\bimap\b')
        self.assertNotRegex(incoming, r'scope=[^&]*\bsmtp\b')
        self.assertRegex(outgoing, r'scope=[^&]*\bsmtp\b')
        self.assertNotRegex(outgoing, r'scope=[^&]*\bimap\b')
        self.assertRegex(self.opens('alice@example.test'), 'OK')
        self.assertRegex(self.send('demo@example.test', 'demo@example.test',
                                   'way-1'), '^250 ')
        self.assertNotRegex(self.client(Smtp, 'alice@example.test')[1],
                            '^235 ')
        self.assertNotRegex(self.opens('demo@example.test'), ' OK ')


class Moving(Mailboxes):
    """To another provider by editing and reloading."""
    DEMO = 'demo@example.test'

    @classmethod
    def setUpClass(cls):
        cls.old, cls.new = cls.start_boxes(2)
        cls.launch([cls.account(cls.old, cls.DEMO, 'old')],
                   [sandbox_provider(cls.old, name='old'),
                    sandbox_provider(cls.new, name='new')], QUICK)

    def move(self, box, provider, **more):
        self.daemon.accounts[0].update(
            provider=provider, client_id=box.env['CLIENT_ID'], **more)
        self.daemon.write()
        self.daemon.ctl('reload', code=0)

    def test_moves_and_takes_its_mail_along(self):
        self.sign_in_as(self.old, self.DEMO, 'demo')
        # A connection to the old provider is open, and warm.
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'move-1'), '^250 ')
        self.sent_as(self.old, 'move-1')
        self.move(self.new, 'new')
        self.wait_state(self.DEMO, 'reauthorize')
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'move-2'),
                         '^250 2.0.0 Queued')
        self.sign_in_as(self.new, self.DEMO, 'demo')
        self.sent_as(self.new, 'move-2')
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'move-3'), '^250 ')
        self.sent_as(self.new, 'move-3')
        self.assertRegex(self.opens(self.DEMO), 'OK')
        # Back again: the old sign-in was kept, and nobody is asked.
        self.move(self.old, 'old')
        self.wait_state(self.DEMO, 'connected')
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'move-4'), '^250 ')
        self.sent_as(self.old, 'move-4')
        for box, keys in ((self.old, ('move-1', 'move-4')),
                          (self.new, ('move-2', 'move-3'))):
            raw = [box.raw(n) for n, _ in enumerate(box.messages(), 1)]
            self.assertEqual(sorted(k for k in keys for r in raw
                                    if f'<{k}@'.encode() in r), list(keys))
            self.assertFalse([r for r in raw if b'<move-' in r and not
                              any(f'<{k}@'.encode() in r for k in keys)])

    def test_a_flow_without_a_person_moves_at_once(self):
        """What is open to the old provider carries nothing more."""
        self.move(self.old, 'old', flow='client_credentials')
        self.wait_state(self.DEMO, 'connected')
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'app-1'), '^250 ')
        self.sent_as(self.old, 'app-1')
        self.move(self.new, 'new', flow='client_credentials')
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'app-2'), '^250 ')
        self.sent_as(self.new, 'app-2')
        self.move(self.old, 'old', flow='authorization_code')

    def test_mail_queued_before_goes_by_the_new_provider(self):
        self.move(self.old, 'old', flow='client_credentials')
        self.wait_state(self.DEMO, 'connected')
        self.old.outage(protocols=['smtp'])
        self.addCleanup(self.old.outage, False)
        self.assertRegex(self.send(self.DEMO, self.DEMO, 'wait-1'),
                         '^250 2.0.0 Queued')
        self.move(self.new, 'new', flow='client_credentials')
        self.sent_as(self.new, 'wait-1')
        until(lambda: not self.queued(), 'an empty queue')
        self.move(self.old, 'old', flow='authorization_code')


if __name__ == '__main__':
    main()
