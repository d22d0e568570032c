#!/usr/bin/env python3
"""Signing in, and keeping what came of it."""
import os
import random
import re
import signal
import threading
import time

from harness import main
from lab import until
from token_case import TokenCase


class SignIn(TokenCase):
    def setUp(self):
        super().setUp()
        self.before = self.grants()

    def grants(self):
        return [g for g in self.box.tokens()['grants']
                if g['user'] == self.address('demo') and not g['dead']]

    def assert_kept(self):
        """The sign-in of before is alive, and in use."""
        self.assertTrue(self.works())
        self.assertEqual(self.revocations(), 0)
        names = [g['grant'] for g in self.grants()]
        for grant in self.before:
            self.assertIn(grant['grant'], names)
        self.box.expire('demo')
        self.assertRegex(self.imap_login(), ' OK ')

    def assert_failed(self, auth, text):
        end = self.wait_auth(auth)
        self.assertEqual(end['status'], 'failed')
        self.assertRegex(end['text'], text)
        self.assert_kept()
        return end

    def test_browser(self):
        auth = self.begin('browser')
        self.assertIn('code_challenge_method=S256', auth['url'])
        self.assertNotIn('verifier', auth['url'])
        url = self.box.approve(auth['url'], 'demo')
        # Somebody else's state ends nothing.
        status, page = self.browse(re.sub('state=[^&]*', 'state=x', url))
        self.assertNotIn('Signed in', page)
        self.assertEqual(self.auth(auth)['status'], 'pending')
        status, page = self.browse(url)
        self.assertEqual(status, 200)
        self.assertIn('Signed in', page)
        self.assertEqual(self.auth(auth)['status'], 'done')
        # The page loaded again tells the same, and sends no code twice.
        self.assertIn('Signed in', self.browse(url)[1])
        self.assertEqual(
            len(self.token_requests(grant_type='authorization_code')), 1)
        self.assertEqual(self.revocations(), 0)
        self.assertRegex(self.imap_login(), ' OK ')

    def test_paste(self):
        auth, other = self.begin('paste'), self.begin('paste')
        for nonsense in ('', 'hello', 'http://localhost/', 'x' * 100000,
                         'http://localhost/?code=abc',
                         'http://localhost/?code=abc&state=' + 'y' * 32):
            status, end = self.paste(auth, nonsense)
            self.assertIn(status, (400, 404, 413), nonsense[:60])
            self.assertTrue(end['error'])
        url = self.box.approve(auth['url'], 'demo')
        # An address of another sign-in.
        self.assertEqual(self.paste(other, url)[0], 404)
        self.assertEqual(self.auth(auth)['status'], 'pending')
        self.assertEqual(self.paste(auth, f'  {url}\n')[1]['status'], 'done')
        self.assertEqual(self.paste(auth, url)[1]['status'], 'done')
        self.assertEqual(
            len(self.token_requests(grant_type='authorization_code')), 1)
        self.assertEqual(self.api('GET', '/v1/auth/nonsense')[0], 404)

    def test_by_command_line(self):
        self.daemon.authorise(
            self.address('demo'), 'paste',
            lambda auth: self.box.approve(auth['url'], 'demo'))
        self.daemon.authorise(
            self.address('demo'), 'browser',
            lambda auth: self.box.approve(auth['url'], 'demo'))

    def test_the_user_says_no(self):
        auth = self.begin('paste')
        url = self.box.approve(auth['url'], 'demo', deny=True)
        self.assertEqual(self.paste(auth, url)[1]['status'], 'failed')
        self.assertTrue(self.assert_failed(auth, '.')['step'])

    def test_no_refresh_token(self):
        self.box.settings(withhold_scopes=['offline_access'])
        auth = self.begin('paste')
        self.paste(auth, self.box.approve(auth['url'], 'demo'))
        self.assert_failed(auth, 'no refresh token')

    def test_mail_permission_withheld(self):
        self.box.settings(withhold_scopes=['mail'])
        auth = self.begin('paste')
        self.paste(auth, self.box.approve(auth['url'], 'demo'))
        self.assert_failed(auth, 'access to mail')

    def test_token_endpoint_in_trouble(self):
        for fault in ({'preset': 'token-503'}, {'preset': 'token-drop-after'},
                      {'preset': 'token-drop-before'},
                      {'preset': 'captive-portal-200', 'stage': 'token'},
                      {'preset': 'token-no-access-token'},
                      {'aadsts': 54005}, {'aadsts': 7000215}):
            with self.subTest(fault):
                self.box.fault(**fault)
                auth = self.begin('paste')
                self.paste(auth, self.box.approve(auth['url'], 'demo'))
                end = self.assert_failed(auth, '.')
                self.assertTrue(end['step'])

    def test_account_taken_out_meanwhile(self):
        auth = self.begin('paste')
        url = self.box.approve(auth['url'], 'demo')
        accounts = self.daemon.accounts
        self.daemon.accounts = [{**accounts[0], 'address': 'new@example.test'}]
        self.daemon.write()
        self.daemon.ctl('reload', code=0)
        self.assertEqual(self.auth(auth)['status'], 'failed')
        self.assertEqual(self.paste(auth, url)[1]['status'], 'failed')
        self.daemon.accounts = accounts
        self.daemon.write()
        self.daemon.ctl('reload', code=0)
        self.assert_kept()


class Device(TokenCase):
    settings = {'device_interval': 1}

    def polls(self):
        return self.token_requests(
            grant_type='urn:ietf:params:oauth:grant-type:device_code')

    def test_pending_then_approved(self):
        auth = self.begin('device')
        self.assertRegex(auth['user_code'], '^[A-Z]{4}-[A-Z]{4}$')
        self.assertIn('/device', auth['verification_uri'])
        until(lambda: len(self.polls()) >= 2, 'two polls')
        self.assertEqual(self.auth(auth)['status'], 'pending')
        self.box.approve_device(auth['user_code'], 'demo')
        self.assertEqual(self.wait_auth(auth)['status'], 'done')
        self.assertRegex(self.imap_login(), ' OK ')
        # It was never too fast for the provider.
        self.assertEqual(self.box.log(event='slow-down'), [])

    def test_denied_expired_slowed_and_troubled_at_once(self):
        """Four sign-ins side by side, each with its own end."""
        denied, expired = self.begin('device'), self.begin('device')
        self.box.approve_device(denied['user_code'], decision='deny')
        self.box.approve_device(expired['user_code'], decision='expire')
        for auth in (denied, expired):
            end = self.wait_auth(auth)
            self.assertEqual(end['status'], 'failed')
            self.assertTrue(end['text'] and end['step'])
        self.assertTrue(self.works())
        slowed = self.begin('device')
        self.box.fault('device-slow-down')
        until(lambda: not self.box.faults(), 'a poll')
        at = time.monotonic()
        self.box.approve_device(slowed['user_code'], 'demo')
        # Another one meets an endpoint in trouble, and goes on.
        self.box.fault('token-503', skip=0)
        troubled = self.begin('device')
        self.box.approve_device(troubled['user_code'], 'demo')
        self.assertEqual(self.wait_auth(troubled)['status'], 'done')
        self.assertEqual(self.wait_auth(slowed)['status'], 'done')
        self.assertGreater(time.monotonic() - at, 5)


class Refresh(TokenCase):
    """Short lives: what takes an hour elsewhere."""
    names = ('demo', 'alice')
    settings = {'access_ttl': 3}

    def test_refreshed_ahead_while_nobody_asks(self):
        before = self.refreshes()
        while self.refreshes() < before + 3:
            account = self.account()
            self.assertTrue(self.works(), account)
            self.assertGreaterEqual(account['token_expires_in'], 0)
            time.sleep(0.1)
        tokens = self.box.tokens()
        self.assertEqual(tokens['max_in_flight'][self.address('demo')], 1)
        self.assertEqual(tokens['refused'], {})
        self.assertEqual(self.revocations(), 0)

    def test_mail_and_imap_over_many_refreshes(self):
        before = self.refreshes()
        n = 0
        while self.refreshes() < before + 2:
            self.assertRegex(self.send(f'm{n}'), '^250 ')
            self.assertRegex(self.imap_login(), ' OK ')
            n += 1
        self.assertEqual(self.box.tokens()['refused'], {})

    def test_waits_for_a_refresh_when_stopped(self):
        """The answer under way carries the only token that still works."""
        self.box.fault(protocol='oauth', stage='token', delay=1, times=0)
        mark = len(self.token_requests())
        until(lambda: len(self.token_requests()) > mark, 'a refresh')
        self.assertEqual(self.daemon.stop(), 0)
        self.box.clear()
        self.daemon.start()
        for name in self.names:
            self.assertRegex(self.imap_login(name), ' OK ')
        self.assertEqual(self.revocations(), 0)


class Single(TokenCase):
    """One request for all, and none too many."""

    def test_many_logins_share_one_refresh(self):
        self.assertRegex(self.imap_login(), ' OK ')
        before = self.refreshes()
        self.box.expire('demo')
        self.box.fault(protocol='oauth', stage='token', delay=1)
        answers = []
        threads = [threading.Thread(
            target=lambda: answers.append(self.imap_login()))
            for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([a for a in answers if ' OK ' not in a], [])
        self.assertEqual(self.refreshes(), before + 1)
        self.assertEqual(
            self.box.tokens()['max_in_flight'][self.address('demo')], 1)

    def test_a_token_refused_twice_is_not_renewed_for_ever(self):
        """The fault lies elsewhere: it ends as a request to a human."""
        before = self.refreshes()
        self.box.fault('gmail-imap-invalid-credentials', times=0)
        self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        self.assertEqual(self.service()['state'], 'retrying')
        # A client that hammers does not use the attempts up.
        for _ in range(5):
            self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        self.assertEqual(self.service()['state'], 'retrying')

        def tried():
            self.imap_login()
            return self.service()['state'] == 'reauthorize'
        until(tried, 'the end of the patience', 20)
        self.assertIn('auth demo@', self.service()['step'])
        self.assertEqual(self.refreshes(), before + 1)
        self.assertEqual(self.service(service='smtp')['state'], 'connected')
        self.assertRegex(self.send('other-service'), '^250 ')
        self.box.clear()
        self.sign_in_as()
        self.assertRegex(self.imap_login(), ' OK ')

    def test_an_outage_is_no_refusal(self):
        """A dead access token and a dead token endpoint: only patience."""
        self.box.expire('demo')
        self.box.fault('token-503', times=0)
        end = time.monotonic() + 5       # longer than the retry window
        while time.monotonic() < end:
            self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
            self.assertEqual(self.service()['state'], 'retrying')
            time.sleep(0.2)
        self.assertRegex(self.send('kept'), '^250 2.0.0 Queued')
        self.assertNotEqual(self.service(service='smtp')['state'],
                            'reauthorize')
        # Nobody was asked more often than the pauses allow.
        self.assertLess(len(self.token_requests()), 12)
        self.box.clear()
        self.wait_works()
        self.assertRegex(self.imap_login(), ' OK ')
        until(lambda: not self.queued(), 'an empty queue')

    def test_retry_after_is_heeded(self):
        self.box.expire('demo')
        self.box.fault(protocol='oauth', stage='token', status=429, times=0,
                       headers={'Retry-After': '4'},
                       json={'error': 'slow down'})
        self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        asked = len(self.token_requests())
        self.box.clear()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        self.assertEqual(len(self.token_requests()), asked)
        self.wait_works()

    def test_answer_lost(self):
        """The one failure that no client of a strict provider survives."""
        self.box.fault('token-drop-after')
        self.box.expire('demo')
        self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
        st = self.wait_service('reauthorize')
        self.assertIn('was lost on the way', st['text'])
        self.assertIn('auth demo@', st['step'])
        asked = len(self.token_requests())
        for _ in range(3):
            self.assertRegex(self.imap_login(), r' NO \[')
        self.assertRegex(self.send('waits'), '^250 2.0.0 Queued')
        # It is over: the dead token is not sent again and again.
        self.assertEqual(len(self.token_requests()), asked)
        self.sign_in_as()
        self.assertTrue(self.works())
        until(lambda: not self.queued(), 'an empty queue')
        # Said of that refresh only.
        self.box.kill_grant('demo', aadsts=50173)
        self.assertRegex(self.imap_login(), r' NO \[')
        st = self.wait_service('reauthorize')
        self.assertNotIn('lost', st['text'])

    def test_state_survives_a_restart(self):
        self.assertRegex(self.imap_login(), ' OK ')
        self.box.kill_grant('demo', aadsts=50173)
        self.assertRegex(self.imap_login(), r' NO \[')
        since = self.wait_service('reauthorize')['since']
        self.daemon.kill_role('keeper')
        until(self.daemon.ready, 'keeper')
        self.assertEqual(self.service()['state'], 'reauthorize')
        self.assertEqual(self.service()['since'], since)
        self.sign_in_as()
        self.daemon.kill_role('keeper')
        until(self.daemon.ready, 'keeper')
        self.assertTrue(self.works())


class Killed(TokenCase):
    """kill -9 while tokens rotate."""
    names = ('demo', 'alice', 'bob')
    settings = {'access_ttl': 2}
    rounds = 10

    def logins(self):
        threads = [threading.Thread(target=self.try_login, args=(n,))
                   for n in self.names]
        for t in threads:
            t.start()
        return threads

    def try_login(self, name):
        try:
            self.imap_login(name)
        except OSError:
            pass

    def test_no_rotation_is_lost(self):
        lost = 0
        for _ in range(self.rounds):
            self.box.fault(protocol='oauth', stage='token', times=0,
                           delay=random.choice((0, 0.02, 0.1)))
            self.box.expire()
            threads = self.logins()
            time.sleep(random.random() * 0.3)
            roles = self.daemon.roles()
            self.daemon.stop(signal.SIGKILL)
            until(lambda r=roles: not any(os.path.exists(f'/proc/{pid}')
                                          for pid in r), 'the end')
            for t in threads:
                t.join()
            self.box.clear()
            self.daemon.start()
            for name in self.names:
                # With the token on disk, or else the answer was on its way.
                if ' OK ' not in self.imap_login(name):
                    self.assertEqual(self.wait_service(
                        'reauthorize', name)['state'], 'reauthorize')
                    lost += 1
                    self.sign_in_as(name)
        revoked = [e for e in self.box.log(
            event='family-revoked', limit=1000)]
        self.assertEqual(len(revoked), lost)
        # Only an answer that nobody could have read may be lost.
        self.assertLess(lost, self.rounds)
        events = self.box.log(limit=100000)
        self.assert_committed_first(events, self.names)


if __name__ == '__main__':
    main()
