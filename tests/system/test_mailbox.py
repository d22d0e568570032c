#!/usr/bin/env python3
"""Errands in a mailbox (session/imap_mailbox) at real IMAP servers: Dovecot,
and the sandbox in the ways other providers differ.
"""
import base64
import imaplib
import json
import os
import ssl
import subprocess
import time
import unittest

from daemon import BUILD
from harness import main, message
from lab import Lab
from sandbox_case import DEMO, sandbox

ERRAND = os.path.join(BUILD, 'tests', 'system', 'errand')
TRACE = b'Received: from client by server.test with ESMTPSA; now\r\n'
ALICE = 'alice@example.test'
LONG_AGO = 1000000000


def errand(what, port, ca, user, token, *more, body=b''):
    done = subprocess.run(
        [ERRAND, what, 'localhost', str(port), ca, user, *more],
        input=token.encode() + b'\n' + body, stdout=subprocess.PIPE,
        timeout=60, check=True)
    return done.stdout.decode().strip()


@unittest.skipUnless(os.path.exists(ERRAND),
                     'needs the build tree after make check')
class Server(unittest.TestCase):
    """What holds at both; a subclass says where."""

    def ask(self, key, since=LONG_AGO):
        return self.run_errand('find', f'<{key}@client.test>', str(since))

    def test_found_and_absent(self):
        self.assertEqual(self.ask('a'), 'absent')
        self.file('Sent', TRACE + message(self.user, 'b@x.test', 'a'))
        self.assertEqual(self.ask('a'), 'found')
        self.assertEqual(self.ask('b'), 'absent')
        self.assertEqual(self.ask('a', int(time.time()) + 3600), 'absent')

    def test_what_a_client_filed_proves_nothing(self):
        self.file('Sent', message(self.user, 'b@x.test', 'own'))
        self.assertEqual(self.ask('own'), 'absent')
        self.file('Sent', TRACE + message(self.user, 'b@x.test', 'own'))
        self.assertEqual(self.ask('own'), 'found')

    def test_odd_message_ids(self):
        for key in ('a"b', 'back\\slash', 'a b', '(x)', '%*', 'é'):
            raw = message(self.user, 'b@x.test', 'K').replace(
                b'<K@', f'<{key}@'.encode())
            self.assertEqual(self.ask(key), 'absent')
            self.file('Sent', TRACE + raw)
            self.assertEqual(self.ask(key), 'found', key)

    def test_append(self):
        for size in (10, 300_000):
            raw = message('daemon@x.test', self.user, f'n{size}',
                          b'It waits.\r\n' * size)
            self.assertEqual(self.run_errand('append', body=raw), 'appended')
            self.assertEqual(self.newest('INBOX'), raw)


class Dovecot(Server):
    user = ALICE

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(PLAIN='1')
        cls.addClassCleanup(cls.lab.stop)

    def setUp(self):
        self.token = json.loads(
            self.lab.token('code', self.user))['access_token']

    def run_errand(self, what, *more, body=b''):
        return errand(what, self.lab.port('IMAPS'), self.lab.ca, self.user,
                      self.token, *more, body=body)

    def client(self):
        client = imaplib.IMAP4_SSL(
            'localhost', self.lab.port('IMAPS'), timeout=10,
            ssl_context=ssl.create_default_context(cafile=self.lab.ca))
        self.addCleanup(client.shutdown)
        client.login(self.user, 'alice-mail-pw')
        return client

    def file(self, folder, raw):
        self.assertEqual(self.client().append(folder, None, None, raw)[0],
                         'OK')

    def newest(self, folder):
        client = self.client()
        count = client.select(folder, readonly=True)[1][0].decode()
        return client.fetch(count, '(BODY.PEEK[])')[1][0][1]

    def test_no_right_to_the_mailbox(self):
        self.assertRegex(
            errand('find', self.lab.port('IMAPS'), self.lab.ca,
                   'bob@example.test', self.token, '<a@x>', '0'),
            '^failed: token-refused: ')


class Sandbox(Server):
    user = DEMO

    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)

    def setUp(self):
        self.box.clear()
        self.box.reset()
        self.token = self.box.mint(DEMO)['access_token']
        self.addCleanup(lambda: self.assertEqual(self.box.violations(), []))

    def run_errand(self, what, *more, body=b''):
        return errand(what, self.box.ports['imaps'], self.box.ca, self.user,
                      self.token, *more, body=body)

    def file(self, folder, raw):
        self.box.post('/create', user=DEMO, mailbox=folder,
                      raw=base64.b64encode(raw).decode())

    def newest(self, folder):
        client = imaplib.IMAP4_SSL(
            'localhost', self.box.ports['imaps'], timeout=10,
            ssl_context=ssl.create_default_context(cafile=self.box.ca))
        self.addCleanup(client.shutdown)
        text = f'user={DEMO}\1auth=Bearer {self.token}\1\1'
        client.authenticate('XOAUTH2', lambda _: text.encode())
        count = client.select(folder, readonly=True)[1][0].decode()
        return client.fetch(count, '(BODY.PEEK[])')[1][0][1]

    def test_sent_by_its_name(self):
        self.box.settings(special_use=False)
        self.test_found_and_absent()

    def test_trouble(self):
        for fault, said in (
                ('m365-imap-not-connected', 'failed: not-connected: '),
                ('gmail-imap-too-many-connections',
                 'failed: too-many-connections: '),
                ({'protocol': 'imap', 'stage': 'command',
                  'match': {'verb': 'EXAMINE'},
                  'reply': 'NO [UNAVAILABLE] later'},
                 'failed: provider-unavailable: later'),
                ({'protocol': 'imap', 'stage': 'command',
                  'match': {'verb': 'UID'}, 'close': True},
                 'failed: provider-unreachable: ')):
            with self.subTest(fault):
                if isinstance(fault, str):
                    self.box.fault(fault)
                else:
                    self.box.fault(**fault)
                self.assertRegex(self.ask('x'), '^' + said)
                self.box.clear()


del Server  # the common cases run where there is a server

if __name__ == '__main__':
    main()
