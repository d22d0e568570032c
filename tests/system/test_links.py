#!/usr/bin/env python3
"""
The links that people are given: what they show, where they lead, and that the
account and its queue go on the moment the page is done.
"""
import http.client
import json
import ssl
import urllib.parse

from harness import main
from lab import until
from token_case import TokenCase

ALL = ['demo', 'alice', 'owner']
OFF = 'm365-smtp-auth-disabled-mailbox'


class Links(TokenCase):
    names = ALL

    def setUp(self):
        super().setUp()
        self.daemon.ctl('queue', 'retry', '--all')

    def action(self, name='demo', service='smtp'):
        return self.service(name, service)['action']

    def open(self, url, host=None):
        """(status, Location or the page), as a browser that goes nowhere."""
        parts = urllib.parse.urlsplit(url)
        web = http.client.HTTPConnection('127.0.0.1', self.daemon.web_port,
                                         timeout=20)
        path = (parts.path or '/') + (f'?{parts.query}' if parts.query else '')
        web.request('GET', path, headers={'Host': host or parts.netloc})
        answer = web.getresponse()
        text = answer.read().decode()
        web.close()
        return answer.status, answer.headers.get('Location') or text

    def revoke(self, name='demo'):
        self.box.kill_grant(name, aadsts=50173)
        self.assertRegex(self.imap_login(name), ' NO ')
        self.wait_service('reauthorize', name)

    def refuse(self, aadsts, **more):
        """The token endpoint refuses all, until that is cleared."""
        for name in ALL:  # what is at hand has proved itself
            self.assertRegex(self.imap_login(name), ' OK ')
        self.box.fault(aadsts=aadsts, times=0, **more)
        self.box.expire()

    # ---- signing in

    def test_signing_in_by_the_link(self):
        self.revoke()
        self.assertRegex(self.send('waits-for-link'), '^250 2.0.0 Queued')
        action = self.action()
        self.assertEqual(action['kind'], 'sign-in')
        self.assertIn(action['url'], self.daemon.ctl('status')[1])
        self.assertTrue(any(action['url'] in line for line in
                            self.daemon.events('account-state',
                                               state='reauthorize')))
        status, provider = self.open(action['url'])
        self.assertEqual(status, 302)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(provider).query)
        self.assertEqual(query['login_hint'], [self.address('demo')])
        # A second visitor, or the mail scanner before them, begins no other.
        self.assertEqual(self.open(action['url']), (302, provider))
        status, page = self.open(self.box.approve(provider, 'demo'))
        self.assertEqual(status, 200, page)
        self.wait_works()
        self.box.messages(wait=1)
        until(lambda: not self.queued(), 'an empty queue')
        status, page = self.open(action['url'])
        self.assertEqual(status, 200)
        self.assertIn('Nothing to do', page)

    def test_a_link_outlives_the_daemon(self):
        self.revoke('alice')
        url = self.action('alice')['url']
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.action('alice')['url'], url)
        status, provider = self.open(url)
        self.assertEqual(status, 302)
        self.assertEqual(
            self.open(self.box.approve(provider, 'alice'))[0], 200)
        self.wait_works('alice')

    def test_not_ours(self):
        self.revoke()
        url = self.action()['url']
        self.assertEqual(self.open(url[:-1])[0], 404)
        self.assertEqual(self.open(url.replace('/signin/', '/consent/'))[0],
                         404)
        # A name that somebody made lead here (DNS rebinding).
        status, page = self.open(url, 'attacker.test')
        self.assertEqual(status, 421)
        self.assertNotIn('sign-in', page)

    # ---- approval

    def test_an_administrator_approves(self):
        self.refuse(65001, cleared_by='adminconsent')
        for name in ('demo', 'alice'):
            self.assertRegex(self.imap_login(name), ' NO ')
            self.wait_service('consent', name)
        self.assertRegex(self.send('waits-for-consent'), '^250 2.0.0 Queued')
        action = self.action()
        self.assertEqual(action['kind'], 'consent')
        self.assertEqual(set(action['permissions']),
                         {'mail', 'openid', 'offline_access'})
        shown = self.daemon.ctl('account', 'show', self.address('demo'))[1]
        self.assertIn(action['url'], shown)
        self.assertIn('permissions', shown)
        status, provider = self.open(action['url'])
        self.assertEqual(status, 302)
        self.assertTrue(provider.startswith(
            self.box.env['ADMIN_CONSENT_URL']), provider)
        back = self.box_redirect(provider)
        status, page = self.open(back)
        self.assertEqual(status, 200, page)
        self.assertIn('Approved', page)
        # All who waited for it, without anybody's doing.
        self.wait_works('demo')
        self.wait_works('alice')
        self.box.messages(wait=1)

    def test_an_administrator_approves_elsewhere(self):
        """The link was opened, the page never came back: it is tried."""
        self.refuse(65001)
        self.assertRegex(self.imap_login(), ' NO ')
        self.wait_service('consent')
        self.assertEqual(self.open(self.action()['url'])[0], 302)
        self.box.clear()
        self.wait_works()

    def test_an_administrator_declines(self):
        self.refuse(65001)
        self.assertRegex(self.imap_login(), ' NO ')
        self.wait_service('consent')
        provider = self.open(self.action()['url'])[1]
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(provider).query)
        status, page = self.open(
            query['redirect_uri'][0] + '/?error=access_denied'
            '&error_description=AADSTS65004:+declined&state='
            + query['state'][0])
        self.assertEqual(status, 400)
        self.assertIn('AADSTS65004: declined', page)
        self.assertEqual(self.service()['state'], 'consent')

    def box_redirect(self, url):
        """Where the provider sends the administrator's browser."""
        parts = urllib.parse.urlsplit(url)
        page = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=20,
            context=ssl.create_default_context(cafile=self.box.ca))
        page.request('GET', f'{parts.path}?{parts.query}')
        answer = page.getresponse()
        answer.read()
        page.close()
        self.assertEqual(answer.status, 302)
        return answer.headers['Location']

    # ---- what somebody else does

    def test_the_command_of_an_administrator(self):
        self.box.fault(OFF, times=0)
        self.box.expire('demo', sessions=True)
        self.assertRegex(self.send('switched-off'), '^250 2.0.0 Queued')
        self.wait_service('blocked', service='smtp')
        command = ('Set-CASMailbox -Identity demo@example.test '
                   '-SmtpClientAuthenticationDisabled $false')
        self.assertEqual(self.action(), {'kind': 'command',
                                         'command': command})
        self.assertIn(command, self.daemon.ctl('status')[1])
        # Nobody would sign in for that.
        self.assertEqual(self.service(service='imap')['state'], 'connected')
        self.box.clear()
        self.daemon.ctl('queue', 'retry', '--all')
        self.box.messages(wait=1)
        self.wait_works()
        self.assertNotIn('action', self.service(service='smtp'))

    def test_nobody_is_called_for_an_outage(self):
        self.box.fault('token-503', times=0)
        self.box.expire()
        self.assertRegex(self.imap_login(), ' NO ')
        self.wait_service('retrying')
        self.assertEqual(self.action(service='imap'), {'kind': 'wait'})

    def test_what_the_api_says_of_it(self):
        status, text = self.daemon.get('/v1/accounts')
        self.assertEqual(status, 200)
        for account in json.loads(text)['accounts']:
            for service in account['services'].values():
                self.assertEqual('action' in service,
                                 service['state'] != 'connected')


if __name__ == '__main__':
    main()
