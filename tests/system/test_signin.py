#!/usr/bin/env python3
"""
A sign-in is checked before it replaces anything: whose it is, and whether the
mail servers take it. At the sandbox, and at the real provider and servers.
"""
import os
import signal
import urllib.parse

import clients
from harness import Case, lab_provider, main, message
from lab import until
from token_case import TokenCase

OFF = 'm365-smtp-auth-disabled-mailbox'


def query_of(url):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)


class Checked(TokenCase):
    names = ['demo', 'alice']
    provider = {'scopes': {'common': 'openid email offline_access',
                           'smtp': 'smtp', 'imap': 'imap'}}

    def setUp(self):
        super().setUp()
        self.daemon.ctl('queue', 'retry', '--all')

    def sign_in_at(self, user, name='demo'):
        """Somebody opens the address and signs in as user: what is said."""
        auth = self.begin('paste', name)
        return self.paste(auth, self.box.approve(auth['url'], user))[1]

    # ---- whose it is

    def test_another_was_signed_in_to_the_browser(self):
        self.assertRegex(self.imap_login(), ' OK ')
        end = self.sign_in_at('alice')
        self.assertEqual(end['status'], 'failed')
        for name in ('demo', 'alice'):
            self.assertIn(self.address(name), end['text'])
        # What was there before is there still, and works.
        self.assertTrue(self.works())
        self.box.expire()
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertTrue(self.works('alice'))
        # The provider is to ask who it is, the next time.
        query = query_of(self.begin('paste')['url'])
        self.assertIn('select_account', query['prompt'][0].split())
        self.assertNotIn('login_hint', query)
        self.assertEqual(self.sign_in_at('demo')['status'], 'done')
        query = query_of(self.begin('paste')['url'])
        self.assertNotIn('select_account', query['prompt'][0].split())
        self.assertEqual(query['login_hint'], [self.address('demo')])

    def test_another_while_nothing_works(self):
        self.box.kill_grant('demo', aadsts=50173)
        self.assertRegex(self.imap_login(), ' NO ')
        self.wait_service('reauthorize')
        self.assertEqual(self.sign_in_at('alice')['status'], 'failed')
        self.assertEqual(self.service()['state'], 'reauthorize')
        self.assertEqual(self.sign_in_at('demo')['status'], 'done')
        self.wait_works()

    # ---- what the mail servers say

    def test_smtp_is_switched_off(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(OFF, times=0)
        said = self.daemon.authorise(
            self.address('demo'), 'paste',
            lambda first: self.box.approve(first['url'], 'demo'))
        self.assertIn('"smtp":{"class":"blocked"', said)
        smtp = self.service(service='smtp')
        self.assertEqual(smtp['state'], 'blocked')
        self.assertEqual(smtp['action']['kind'], 'command')
        # The other service has its token, and was not touched.
        self.assertEqual(self.service(service='imap')['state'], 'connected')
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertRegex(self.send('off-at-sign-in'), '^250 2.0.0 Queued')
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all')
        self.box.messages(wait=1)
        self.wait_works()

    def test_a_permission_was_unticked(self):
        """The token serves one of two; what works is not given for it."""
        self.box.settings(withhold_scopes=['smtp'])
        self.box.fault(protocol='smtp', stage='auth', times=0,
                       reply='535 5.7.3 Authentication unsuccessful')
        self.box.drop(protocol='smtp', how='close')
        end = self.sign_in_at('demo')
        self.assertEqual(end['status'], 'failed')
        self.assertIn('did not grant access to SMTP', end['text'])
        self.box.clear()
        self.assertTrue(self.works())
        self.assertRegex(self.send('unticked'), '^250 ')

    def test_the_servers_are_away(self):
        """No reason to send a person away who did all that was asked."""
        self.box.kill_grant('demo', aadsts=50173)
        self.assertRegex(self.imap_login(), ' NO ')
        self.box.outage(protocols=['smtp', 'imap'])
        self.addCleanup(self.box.outage, False, protocols=['smtp', 'imap'])
        end = self.sign_in_at('demo')
        self.assertEqual(end['status'], 'done')
        self.assertEqual(end['services']['smtp']['class'], 'temporary')
        self.box.outage(False, protocols=['smtp', 'imap'])
        self.assertRegex(self.imap_login(), ' OK ')
        self.wait_works()

    def test_nobody_need_come_for_it_to_be_over(self):
        """The mail server refused what works now; no client is there."""
        self.assertRegex(self.imap_login(), ' OK ')
        self.box.fault(protocol='imap', stage='auth', times=0,
                       reply='NO [AUTHENTICATIONFAILED] Invalid credentials')
        self.assertRegex(self.imap_login(), ' NO ')
        self.wait_service('retrying')
        self.box.clear()
        self.wait_works()

    # ---- killed in between

    def test_killed_while_it_is_tried(self):
        self.box.fault(protocol='imap', stage='auth', stall=True, times=0)
        self.box.fault(protocol='smtp', stage='auth', stall=True, times=0)
        self.box.drop(how='close')
        auth = self.begin('paste')
        url = self.box.approve(auth['url'], 'demo')
        seen = len(self.box.log(event='tokens-issued'))

        def tried():
            return len(self.box.log(event='tokens-issued')) > seen
        pid = os.fork()
        if not pid:
            try:
                self.paste(auth, url)
            finally:
                os._exit(0)
        until(tried, 'the new tokens')
        for keeper in self.daemon.roles('keeper'):
            os.kill(keeper, signal.SIGKILL)
        self.daemon.allowed.add('role-died')
        os.waitpid(pid, 0)
        self.box.clear()
        until(self.daemon.ready, 'a new keeper')
        self.assertTrue(self.works())
        self.box.expire()
        until(lambda: ' OK ' in self.imap_login(), 'a login')
        self.assertRegex(self.send('killed-in-trial'), '^250 ')


ALICE, BOB, DAVE = (f'{n}@example.test' for n in ('alice', 'bob', 'dave'))


class Real(Case):
    """At the OpenID provider, Dovecot and Postfix."""
    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[ALICE, BOB, DAVE])
        scopes = {'common': 'openid offline_access', 'smtp': 'mail',
                  'imap': 'mail'}
        known = lab_provider(cls.lab, 'known', scopes={
            **scopes, 'common': 'openid email offline_access'})
        nameless = lab_provider(cls.lab, 'nameless', scopes=scopes)
        nameless.pop('userinfo_url')
        told = {k: v for k, v in nameless.items()
                if k not in ('authorize_url', 'token_url', 'device_url')}
        told['name'] = 'told'
        cls.launch([{'address': address, 'provider': provider,
                     'client_id': 'proxy', 'client_secret': 'proxy-secret'}
                    for address, provider in ((ALICE, 'known'),
                                              (BOB, 'nameless'),
                                              (DAVE, 'told'))],
                   [known, nameless, told],
                   {'retry': {'first': '1s', 'longest': '2s'}})
        for address in (ALICE, BOB, DAVE):
            cls.sign_in(address)

    def works(self, address, key):
        data = message(address, address, key)
        clients.curl_send(self.daemon.login(address), data, [address])
        self.assert_arrived(address, key, data)
        clients.curl_read(self.daemon.login(address))

    def refused(self, address, user, says):
        """Signs in as another; what is told."""
        try:
            self.daemon.authorise(
                address, 'paste', lambda first:
                self.lab.approve_url(first['url'], user))
        except AssertionError as e:
            self.assertRegex(str(e), says)
        else:
            self.fail(f'{user} was taken for {address}')

    def test_each_works(self):
        """The last one's mail server told where to sign in (RFC 7628)."""
        for address in (ALICE, BOB, DAVE):
            self.works(address, 'real-' + address.split('@', 1)[0])

    def test_the_provider_tells_who_it_is(self):
        self.refused(ALICE, BOB, f'signed in as {BOB}.*{ALICE}')
        self.lab.expire_access(ALICE)
        self.works(ALICE, 'real-told')

    def test_only_the_mail_servers_tell(self):
        """No claim names the mailbox: Dovecot and Postfix know."""
        self.refused(BOB, ALICE, 'the one before it works and stays')
        self.lab.expire_access(BOB)
        self.works(BOB, 'real-served')


if __name__ == '__main__':
    main()
