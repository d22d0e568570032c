#!/usr/bin/env python3
"""IMAP through the daemon: what the client hears when the provider is in
trouble, and that the pump passes every octet, and keeps no more than it must.
"""
import base64
import hashlib
import os
import re
import threading
import time

from daemon import program
from harness import main
from lab import until
from token_case import TokenCase

MEGABYTE = 1 << 20


def sanitized(name):
    with open(program(name), 'rb') as f:
        return b'__asan_init' in f.read()


# What the provider does, what the client hears, and the service's state.
UNAVAILABLE, ADMIN = r' NO \[UNAVAILABLE\] ', r' NO \[CONTACTADMIN\] '
TROUBLE = (
    ('m365-imap-not-connected', ADMIN, 'blocked'),
    ('gmail-imap-not-enabled', ADMIN, 'blocked'),
    ('gmail-imap-domain-disabled', ADMIN, 'blocked'),
    ('gmail-imap-web-login', ADMIN, 'blocked'),
    ('m365-imap-auth-failed', UNAVAILABLE, 'retrying'),
    ('gmail-imap-too-many-connections', UNAVAILABLE, 'retrying'),
    ('gmail-imap-unavailable', UNAVAILABLE, 'retrying'),
    ('imap-bye-at-auth', UNAVAILABLE, 'retrying'),
    ('imap-bye-greeting', UNAVAILABLE, 'retrying'),
    ('imap-garbage-greeting', UNAVAILABLE, 'retrying'),
    ('imap-preauth', UNAVAILABLE, 'retrying'),
    ('imap-flood', UNAVAILABLE, 'retrying'),
)


class AtLogin(TokenCase):
    def test_the_table(self):
        for preset, answer, state in TROUBLE:
            with self.subTest(preset):
                self.box.fault(preset, times=0)
                self.assertRegex(self.imap_login(), answer)
                service = self.service()
                self.assertEqual(service['state'], state)
                self.assertTrue(service['text'] and service['step'])
                # SMTP is another service.
                self.assertEqual(self.service(service='smtp')['state'],
                                 'connected')
                self.box.clear()
                self.assertRegex(self.imap_login(), ' OK ')
                self.assertEqual(self.service()['state'], 'connected')
        self.assertLess(self.daemon.memory('relay'), 200 * MEGABYTE)
        self.assertEqual(self.revocations(), 0)

    def test_a_silent_provider(self):
        """Others are served meanwhile, and this one is told in seconds."""
        for fault in ({'preset': 'imap-no-greeting'},
                      {'protocol': 'imap', 'stage': 'auth', 'stall': True}):
            with self.subTest(fault):
                self.box.fault(**fault)
                answers = []
                thread = threading.Thread(
                    target=lambda: answers.append(self.imap_login()))
                seen = len(self.box.log(protocol='imap', event='open'))
                thread.start()
                until(lambda: len(self.box.log(
                    protocol='imap', event='open')) > seen, 'a connection')
                self.assertRegex(self.imap_login(), ' OK ')
                self.assertEqual(answers, [])
                thread.join()
                self.assertRegex(answers[0], UNAVAILABLE)
                self.box.clear()

    def test_an_expired_token_is_not_noticed(self):
        for mechanism in ('LOGIN', 'AUTHENTICATE'):
            before = self.refreshes()
            self.box.expire('demo')
            with self.imap() as client:
                who = self.who()
                if mechanism == 'LOGIN':
                    answer = client.login(who)
                else:
                    plain = base64.b64encode(
                        f'\0{who.name}\0{who.password}'.encode()).decode()
                    answer = client.command(
                        f'AUTHENTICATE PLAIN {plain}')[1]
                self.assertRegex(answer, ' OK ')
                self.assertRegex(client.command('SELECT INBOX')[1], ' OK ')
            self.assertEqual(self.refreshes(), before + 1)

    def test_the_login_can_be_tried_again_on_the_connection(self):
        with self.imap() as client:
            self.box.fault('gmail-imap-unavailable')
            self.assertRegex(client.login(self.who()), UNAVAILABLE)
            self.assertRegex(client.login(self.who(password='no')),
                             r' NO \[AUTHENTICATIONFAILED\]')
            self.assertRegex(client.login(self.who()), ' OK ')
            self.assertRegex(client.command('NOOP')[1], ' OK ')

    def test_client_leaves_while_it_waits(self):
        self.box.fault(protocol='imap', stage='auth', stall=True)
        client = self.imap()
        client.send('a LOGIN "demo" "local-password"\r\n')
        self.box.wait(protocol='imap', event='fault')
        client.close()
        until(lambda: not self.box.connections()['open'].get('imap'),
              'the end at the provider')
        self.box.clear()
        self.assertRegex(self.imap_login(), ' OK ')


class Session(TokenCase):
    # A sanitizer needs several times the memory, and keeps what is free.
    little = (64 if sanitized('relay') else 4) * MEGABYTE

    @classmethod
    def setUpClass(cls):
        os.environ.setdefault('ASAN_OPTIONS', 'quarantine_size_mb=1')
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.client = self.imap()
        self.addCleanup(self.client.close)
        self.assertRegex(self.client.login(self.who()), ' OK ')

    def put(self, size):
        """A message of size octets in the INBOX: (uid, sha256)"""
        self.box.create('demo', mailbox='INBOX', size=size)
        last = self.box.mailbox('demo')[-1]
        return last['uid'], last['sha256']

    def read_literal(self, slow=False):
        """Reads a FETCH answer: (size, sha256)."""
        line = self.client.line()
        while not (m := re.search(rb'\{(\d+)\}\r\n$', line)):
            self.assertTrue(line)
            line = self.client.line()
        left, digest = int(m[1]), hashlib.sha256()
        while left:
            piece = self.client.take(min(left, 256 * 1024))
            self.assertTrue(piece)
            digest.update(piece)
            left -= len(piece)
            if slow:
                time.sleep(0.002)
        return int(m[1]), digest.hexdigest()

    def test_a_large_message_and_a_reader_that_pauses(self):
        size = 20 * MEGABYTE
        uid, sha256 = self.put(size)
        self.client.command('SELECT INBOX')
        before = self.daemon.memory('relay')
        self.client.send(f'f UID FETCH {uid} BODY.PEEK[]\r\n')
        # Nobody reads: the relay must stop, too.
        until(lambda: self.daemon.memory('relay') > 0, 'relay')
        highest, quiet = 0, time.monotonic()
        while time.monotonic() < quiet + 1:
            highest = max(highest, self.daemon.memory('relay'))
            time.sleep(0.05)
        got, digest = self.read_literal(slow=True)
        highest = max(highest, self.daemon.memory('relay'))
        self.assertEqual((got, digest), (size, sha256))
        self.assertLess(highest - before, self.little)
        self.client.tagged('f')
        self.assertRegex(self.client.command('NOOP')[1], ' OK ')

    def test_a_large_message_goes_up(self):
        """APPEND, both ways at once."""
        body = b'Subject: up\r\n\r\n' + (b'x' * 70 + b'\r\n') * 150_000
        before = self.daemon.memory('relay')
        self.client.send(f'a APPEND INBOX {{{len(body)}}}\r\n')
        self.assertRegex(self.client.line(), rb'^\+ ')
        self.client.send(body + b'\r\n')
        self.assertRegex(self.client.tagged('a')[1], ' OK ')
        self.assertLess(self.daemon.memory('relay') - before, self.little)
        last = self.box.mailbox('demo')[-1]
        self.assertEqual((last['size'], last['sha256']),
                         (len(body), hashlib.sha256(body).hexdigest()))

    def test_idle_pushes(self):
        self.client.command('SELECT INBOX')
        self.client.send('i IDLE\r\n')
        self.assertRegex(self.client.line(), rb'^\+ ')
        self.put(100)
        self.assertRegex(self.client.line(), rb'^\* \d+ EXISTS')
        self.client.send('DONE\r\n')
        self.assertRegex(self.client.tagged('i')[1], ' OK ')

    def test_a_token_may_end_while_the_session_goes_on(self):
        """The session was let in; the daemon does not end it."""
        self.box.expire('demo')
        self.assertRegex(self.client.command('NOOP')[1], ' OK ')

    def test_the_provider_ends_the_session(self):
        self.box.fault('m365-imap-token-expired-bye')
        self.client.send('n NOOP\r\n')
        self.assertIn(b'BYE', self.client.rest())
        self.assertRegex(self.imap_login(), ' OK ')

    def test_the_client_ends_the_session(self):
        self.assertIn('BYE', self.client.command('LOGOUT')[0])
        self.assertEqual(self.client.rest(), b'')
        until(lambda: not self.box.connections()['open'].get('imap'),
              'the end at the provider')

    def test_a_client_that_stops_reading_holds_nobody_up(self):
        uid, _ = self.put(20 * MEGABYTE)
        self.client.command('SELECT INBOX')
        before = self.daemon.memory('relay')
        for _ in range(3):
            self.client.send(f'f UID FETCH {uid} BODY.PEEK[]\r\n')
        for _ in range(10):
            self.assertRegex(self.imap_login(), ' OK ')
        self.assertLess(self.daemon.memory('relay') - before, self.little)


if __name__ == '__main__':
    main()
