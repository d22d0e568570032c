#!/usr/bin/env python3
"""What Mailbearer is for: the grant dies, nothing is lost, all arrives.

The token endpoint's faults and kill -9 of every process are here, too: the
promises 1 to 4 of the design, seen from outside.
"""
import os
import signal
import threading

from harness import Case, lab_provider, main, message
from lab import until
from raw import Imap, Smtp

ALICE = 'alice@example.test'
BOB = 'bob@example.test'
CAROL = 'carol@example.test'
READER = 'reader@example.test'
PORTAL = '<html><body>Please accept the terms of this network.</body></html>'
BODY = b'.\r\n' + bytes(range(160, 256)) + b'\r\n' + b'x' * 998 + b'\r\n'


class Lively(Case):
    """A lab and a daemon whose pauses are short."""
    addresses = (ALICE, BOB)

    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[ALICE, BOB, CAROL, READER])
        cls.launch(
            [{'address': a, 'provider': 'lab', 'client_id': 'proxy',
              'client_secret': 'proxy-secret'} for a in cls.addresses],
            [lab_provider(cls.lab, 'lab')],
            {'retry': {'first': '1s', 'longest': '2s', 'attempts': '3',
                       'window': '3s'},
             'queue': {'verdict_timeout': '10s'}})
        for address in cls.addresses:
            cls.sign_in(address)

    def setUp(self):
        """A clean start, whatever the test before left behind."""
        self.lab.clear()
        for address in self.addresses:
            if self.state(address) == 'reauthorize':
                self.sign_in(address)
        until(lambda: not self.queued(), 'an empty queue')
        self.lab.empty(READER)
        self.before = len(self.lab.accepted())

    def send(self, key, account=ALICE):
        """Sends one message; the reply to its data."""
        login = self.daemon.login(account)
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.login(login), '^235 ')
            return client.message(account, [READER],
                                  message(account, READER, key, BODY))

    def imap_login(self, account=ALICE):
        login = self.daemon.login(account)
        with Imap(login.imap_port, login.ca) as client:
            return client.login(login)

    def assert_all(self, keys, account=ALICE, seconds=30):
        """They arrive in this order, each once, unchanged."""
        self.lab.wait_mail(READER, len(keys), seconds)
        for key in keys:
            sender = BOB if key == 'neighbour' else account
            self.assert_arrived(READER, key,
                                message(sender, READER, key, BODY))
        # What Postfix does with them afterwards it does in parallel.
        order = [k for k in self.lab.accepted()[self.before:]
                 if k in keys]
        self.assertEqual(order, list(keys))
        until(lambda: not self.queued(account), 'an empty queue')


class MainJob(Lively):
    def test_the_main_job(self):
        self.assertRegex(self.send('before'), '^250 2.0.0')
        self.assert_all(['before'])
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertEqual(self.daemon.ctl('status')[0], 0)

        self.assertGreater(self.lab.kill_grants(ALICE), 0)
        kept = [f'kept-{n}' for n in range(5)]
        for key in kept:
            self.assertRegex(self.send(key), r'^250 2\.0\.0 Queued as \S+')
        self.wait_state(ALICE, 'reauthorize')
        self.assertEqual(len(self.queued(ALICE)), len(kept))
        code, text = self.daemon.ctl('status')
        self.assertEqual(code, 1)
        self.assertRegex(text, rf'{ALICE}[^\n]*reauthorize'
                               rf'|{ALICE}(?s:.)*reauthorize')
        self.assertIn(f'auth {ALICE}', text)
        self.assertRegex(self.imap_login(),
                         r' NO \[(UNAVAILABLE|CONTACTADMIN)\]')

        # The other account has nothing to do with it.
        self.assertRegex(self.send('neighbour', BOB), '^250 2.0.0')
        self.assertEqual(self.state(BOB), 'connected')
        self.arrived(READER, 'neighbour')

        self.sign_in(ALICE)
        self.arrived(READER, kept[-1])
        self.assert_all(['before', 'neighbour', *kept])
        self.wait_state(ALICE, 'connected')
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertEqual(self.daemon.ctl('status')[0], 0)
        self.assertRegex(self.send('after'), '^250 2.0.0')
        self.assert_all(['before', 'neighbour', *kept, 'after'])

    def test_a_restart_while_messages_wait(self):
        self.lab.kill_grants(ALICE)
        keys = [f'over-{n}' for n in range(3)]
        for key in keys:
            self.assertRegex(self.send(key), '^250 2.0.0 Queued as ')
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.wait_state(ALICE, 'reauthorize')
        self.assertEqual(len(self.queued(ALICE)), len(keys))
        self.sign_in(ALICE)
        self.assert_all(keys)

    def test_wrong_password_costs_no_sign_in(self):
        """It never reaches the provider and ends no grant."""
        before = len(self.lab.requests('/token'))
        login = self.daemon.login(BOB)
        login.password = 'not-it'
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.login(login), '^535 5.7.8 ')
        with Imap(login.imap_port, login.ca) as client:
            self.assertRegex(client.login(login),
                             r' NO \[AUTHENTICATIONFAILED\]')
        self.assertEqual(len(self.lab.requests('/token')), before)
        self.assertEqual(self.state(BOB), 'connected')
        self.assertRegex(self.send('right', BOB), '^250 2.0.0')
        self.arrived(READER, 'right')


class TokenEndpoint(Lively):
    """Faults while a refresh is due: no failure destroys a token."""

    def expire(self, account=ALICE):
        """The access token dies at the mail servers; refreshing goes on."""
        self.lab.expire_access(account)

    def fault_then_mend(self, **fault):
        self.expire()
        self.lab.fault(path='/token', **fault)
        self.assertRegex(self.send('during'), '^250 2.0.0 Queued as ')
        self.assertNotEqual(self.state(ALICE), 'reauthorize')
        self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        self.lab.clear()
        self.assert_all(['during'])
        self.wait_state(ALICE, 'connected')
        until(lambda: ' OK ' in self.imap_login(), 'IMAP again')

    def test_503(self):
        self.fault_then_mend(status=503)

    def test_429(self):
        self.fault_then_mend(status=429, headers={'retry-after': '1'})

    def test_captive_portal_200(self):
        self.fault_then_mend(status=200, body=PORTAL,
                             headers={'content-type': 'text/html'})

    def test_captive_portal_400(self):
        self.fault_then_mend(status=400, body=PORTAL,
                             headers={'content-type': 'text/html'})

    def test_cut_before_the_work(self):
        self.fault_then_mend(drop=True)

    def test_cut_after_the_work(self):
        """
        The reply that carries the only valid refresh token is lost, and
        using the old one kills the grant: here a human is needed. What was
        accepted waits for the human.
        """
        self.expire()
        self.lab.fault(path='/token', drop=True, after=True, times=1)
        self.assertRegex(self.send('lost-reply'), '^250 2.0.0 Queued as ')
        self.wait_state(ALICE, 'reauthorize')
        self.sign_in(ALICE)
        self.assert_all(['lost-reply'])

    def test_revoked_access_token_is_refreshed_unseen(self):
        """The mail server refuses the token, the refresh token is good."""
        self.expire()
        self.assertRegex(self.send('unseen'), '^250 2.0.0')
        self.assert_all(['unseen'])
        self.expire()
        self.assertRegex(self.imap_login(), ' OK ')

    def test_disabled_user_then_enabled(self):
        self.expire()
        self.lab.control(f'disable?user={ALICE}')
        self.assertRegex(self.send('disabled'), '^250 2.0.0 Queued as ')
        self.lab.control(f'enable?user={ALICE}')
        self.wait_state(ALICE, 'reauthorize')
        self.sign_in(ALICE)
        self.assert_all(['disabled'])


class Killed(Lively):
    """kill -9 at bad moments; what was acknowledged arrives."""

    def senders(self, count, seconds, strike):
        """
        Sends from several clients while strike() happens; the keys whose
        250 was heard.
        """
        heard, stop = [], threading.Event()

        def work(who):
            n = 0
            while not stop.is_set():
                key = f'k{who}-{n}'
                n += 1
                try:
                    if self.send(key)[:3] == '250':
                        heard.append(key)
                except (OSError, AssertionError):
                    stop.wait(0.05)
        threads = [threading.Thread(target=work, args=(i,))
                   for i in range(count)]
        for t in threads:
            t.start()
        try:
            until(lambda: len(heard) >= 5, 'messages under way', seconds)
            strike()
            mark = len(heard)
            until(lambda: len(heard) >= mark + 5, 'going on', seconds)
        finally:
            stop.set()
            for t in threads:
                t.join()
        return heard

    def assert_kept(self, heard):
        for key in heard:
            self.arrived_at_least_once(key)
        until(lambda: not self.queued(ALICE), 'an empty queue')

    def arrived_at_least_once(self, key):
        mark = f'Message-ID: <{key}@client.test>'.encode()
        until(lambda: any(mark in d for _, d in self.lab.mail(READER)), key)

    def test_roles_killed_under_load(self):
        for role in ('courier', 'keeper', 'relay', 'desk'):
            with self.subTest(role):
                self.lab.empty(READER)
                heard = self.senders(3, 30,
                                     lambda r=role: self.daemon.kill_role(r))
                self.assert_kept(heard)

    def test_daemon_killed_with_a_queue(self):
        self.lab.kill_grants(ALICE)
        keys = [f'dark-{n}' for n in range(10)]
        for key in keys:
            self.assertRegex(self.send(key), '^250 2.0.0 Queued as ')
        roles = self.daemon.roles()
        self.daemon.stop(signal.SIGKILL)
        # The roles end when the supervisor is gone.
        until(lambda: not any(os.path.exists(f'/proc/{pid}')
                              for pid in roles), 'the end of the roles')
        self.daemon.start()
        self.sign_in(ALICE)
        self.assert_all(keys)

    def test_courier_killed_in_the_replay(self):
        """A message whose reply was lost may come twice, none is lost."""
        self.lab.kill_grants(ALICE)
        keys = [f'replay-{n}' for n in range(30)]
        for key in keys:
            self.assertRegex(self.send(key), '^250 2.0.0 Queued as ')
        self.sign_in(ALICE)
        self.lab.wait_mail(READER, 3)
        self.daemon.kill_role('courier')
        self.assert_kept(keys)
        copies = len(self.lab.mail(READER))
        self.assertLessEqual(copies, len(keys) + 3)

    def test_tokens_survive_a_killed_keeper(self):
        for _ in range(3):
            self.daemon.kill_role('keeper')
            self.assertRegex(self.send('t'), '^250 ')
            until(lambda: ' OK ' in self.imap_login(), 'IMAP again')
        self.assertEqual(self.state(ALICE), 'connected')


class RotationInTheDark(Lively):
    """Killed between two tokens: the newest one is on disk."""

    def test_keeper_killed_while_refreshing(self):
        for n in range(3):
            self.lab.expire_access(ALICE)
            # The answer comes late, and nobody waits for it any more.
            self.lab.fault(path='/token', delay_ms=700, times=1)
            thread = threading.Thread(target=self.try_send, args=(n,))
            thread.start()
            until(lambda: self.lab.control('faults', method='GET')[0][
                'times'] == 0, 'a refresh under way')
            self.daemon.kill_role('keeper')
            thread.join()
            self.lab.clear()
            self.assertRegex(self.send(f'dark-{n}'), '^250 2.0.0')
        if self.state(ALICE) == 'reauthorize':
            self.sign_in(ALICE)
        for n in range(3):
            self.arrived(READER, f'dark-{n}', 30)

    def try_send(self, n):
        try:
            self.send(f'maybe-{n}')
        except (OSError, AssertionError):
            pass


if __name__ == '__main__':
    main()
