#!/usr/bin/env python3
"""
What is kept of sign-ins: tokens known to be dead are never shown again, the
way back to an earlier sign-in, what happened when; and a storm of clients at
the moment of expiry.
"""
import threading
import time

from harness import main
from lab import until
from token_case import TokenCase


class SignIns(TokenCase):
    names = ['demo', 'alice']
    provider = {'rotates': True}
    settings = {'rotate': True, 'reuse': 'revoke'}

    def shown_tokens(self):
        """Names of the refresh tokens that the provider was shown."""
        return [e['token'] for e in self.token_requests(
            grant_type='refresh_token') if e.get('token')]

    def tokens(self, name='demo'):
        return self.daemon.json('account', 'tokens',
                                self.address(name))['tokens']

    def again(self, name='demo'):
        """Another sign-in, not in the same second as the one before."""
        last = self.tokens(name)[0]['signed_in']
        until(lambda: time.time() >= last + 1, 'the next second')
        self.sign_in_as(name)

    def revoke(self, name='demo'):
        self.assertRegex(self.imap_login(name), ' OK ')
        self.box.kill_grant(name, aadsts=50173)
        self.assertRegex(self.imap_login(name), ' NO ')
        self.wait_service('reauthorize', name)

    # ---- dead is dead

    def test_a_dead_token_is_never_shown_again(self):
        self.revoke()
        shown = self.shown_tokens()
        self.assertEqual(len(shown), len(set(shown)))
        for _ in range(3):
            self.assertRegex(self.imap_login(), ' NO ')
            self.daemon.ctl('reload', code=0)
        self.daemon.kill_role('keeper')
        self.assertRegex(self.imap_login(), ' NO ')
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertRegex(self.imap_login(), ' NO ')
        self.assertEqual(self.shown_tokens(), shown)
        dead = self.tokens()[0]
        self.assertTrue(dead['dead'])
        self.assertEqual(dead['cause'], 'AADSTS50173')
        code, said = self.daemon.ctl('account', 'rollback',
                                     self.address('demo'),
                                     str(dead['generation']))
        self.assertEqual(code, 1)
        self.assertEqual(self.shown_tokens(), shown)

    # ---- the way back

    def test_back_to_the_sign_in_before(self):
        self.again()
        before = self.tokens()[0]
        self.again()
        self.assertNotEqual(self.tokens()[0]['fingerprint'],
                            before['fingerprint'])
        code, said = self.daemon.ctl('account', 'rollback',
                                     self.address('demo'))
        self.assertEqual(code, 0, said)
        now = self.tokens()[0]
        self.assertEqual((now['origin'], now['signed_in'], now['current']),
                         ('rollback', before['signed_in'], True))
        self.assertRegex(self.imap_login(), ' OK ')
        self.box.expire('demo')
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertEqual(self.revocations(), 0)
        shown = self.daemon.ctl('account', 'tokens', self.address('demo'))[1]
        self.assertIn('rollback', shown)

    def test_not_into_the_same_sign_in(self):
        """A strict provider would take the daemon for a thief."""
        self.again()
        self.box.expire('demo')
        self.assertRegex(self.imap_login(), ' OK ')
        old = [t for t in self.tokens() if t['signed_in'] ==
               self.tokens()[0]['signed_in']][1]
        code, said = self.daemon.ctl('account', 'rollback',
                                     self.address('demo'),
                                     str(old['generation']))
        self.assertEqual(code, 1)
        self.assertIn('ends a whole sign-in', said)
        self.assertEqual(self.revocations(), 0)
        self.assertTrue(self.works())

    # ---- what happened

    def test_history(self):
        self.revoke('alice')
        self.sign_in_as('alice')
        events = self.api('GET', '/v1/events?account='
                          + self.address('alice'))[1]['events']
        happened = [(e['kind'], e.get('service'), e.get('state'))
                    for e in reversed(events)]
        for one in (('state', 'imap', 'reauthorize'),
                    ('sign-in', None, None),
                    ('state', 'imap', 'connected')):
            self.assertIn(one, happened)
        self.assertLess(happened.index(('state', 'imap', 'reauthorize')),
                        len(happened) - 1 - happened[::-1].index(
                            ('state', 'imap', 'connected')))
        refused = next(e for e in events if e.get('state') == 'reauthorize'
                       and e.get('cause') == 'AADSTS50173')
        self.assertIn('AADSTS50173', refused['says'])
        self.assertTrue(refused['correlation_id'])
        # Page by page it is the same.
        paged, before = [], 0
        while True:
            page = self.api('GET', f'/v1/events?limit=2&before={before}'
                            f'&account={self.address("alice")}')[1]
            paged += page['events']
            before = page.get('next', 0)
            if not before:
                break
        self.assertEqual(paged, events)
        shown = self.daemon.ctl('account', 'history',
                                self.address('alice'))[1]
        self.assertIn('reauthorize', shown)
        self.assertNotIn(self.address('demo'), shown)


class Storm(TokenCase):
    """Fifty clients log in at the moment the token ends."""
    names = ['demo']
    clients = 50
    settings = {'rotate': True, 'reuse': 'revoke'}
    workers = 2
    ini = {**TokenCase.ini, 'limits': {'auth_delay': '0s',
                                       'provider_timeout': '10s'}}

    def test_one_refresh_and_nobody_refused(self):
        self.assertRegex(self.imap_login(), ' OK ')
        for _ in range(3):
            before = self.refreshes()
            self.box.expire('demo')
            said, barrier = [], threading.Barrier(self.clients)

            def log_in(imap, said=said, barrier=barrier):
                barrier.wait(30)
                said.append(self.imap_login() if imap else
                            self.smtp_login())
            threads = [threading.Thread(target=log_in, args=(n % 2 == 0,))
                       for n in range(self.clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(len(said), self.clients)
            self.assertEqual([s for s in said
                              if not s.startswith('235 ') and
                              ' OK ' not in s], [])
            self.assertEqual(self.refreshes(), before + 1)
        self.assertEqual(self.revocations(), 0)
        self.assertRegex(self.send('after-the-storm'), '^250 ')


if __name__ == '__main__':
    main()
