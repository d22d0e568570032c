#!/usr/bin/env python3
"""Trouble at the token endpoint: what costs nothing but time, and what a
human must mend. One account for each trouble, all at once."""
import concurrent.futures

from harness import main
from lab import until
from token_case import TokenCase

PORTAL = '<html><body>Please accept the terms of this network.</body></html>'
HTML = {'body': PORTAL, 'content_type': 'text/html'}

# Trouble that passes, and the account with it.
PASSING = {
    'portal-200': {'preset': 'captive-portal-200', 'stage': 'token'},
    'portal-302': {'preset': 'captive-portal-302', 'stage': 'token'},
    'portal-400': {'preset': 'captive-portal-400', 'stage': 'token'},
    'portal-511': {'preset': 'captive-portal-511', 'stage': 'token'},
    'plain-400': {'status': 400, **HTML},
    'plain-401': {'status': 401, **HTML},
    'plain-403': {'status': 403, **HTML},
    'plain-404': {'status': 404, **HTML},
    'bare-429': {'preset': 'token-429-bare'},
    'soon-429': {'preset': 'token-429'},
    'rate': {'preset': 'google-rate-limit'},
    'html-500': {'preset': 'token-500'},
    'html-502': {'preset': 'token-502'},
    'html-503': {'preset': 'token-503'},
    'soon-503': {'preset': 'token-503-retry-after'},
    'server-error': {'preset': 'token-server-error'},
    'unavailable': {'preset': 'token-temporarily-unavailable'},
    'failure': {'preset': 'google-internal-failure'},
    'grant-503': {'status': 503, 'json': {'error': 'invalid_grant'}},
    'empty': {'preset': 'token-empty-200'},
    'half-json': {'preset': 'token-not-json'},
    'no-token': {'preset': 'token-no-access-token'},
    'cut': {'preset': 'token-drop-before'},
    'garbage': {'preset': 'token-garbage'},
    'flood': {'preset': 'token-flood'},
    'e90033': {'aadsts': 90033},
    'e50000': {'aadsts': 50000},
    'e80014': {'aadsts': 80014},
}

# Trouble that a human mends, or that the provider wants left alone.
LASTING = {
    'reauthorize': [50173, 50055, 50076, 70000, 70008, 70043, 700082,
                    'token-invalid-grant', 'google-revoked',
                    'google-invalid-rapt', 'token-interaction-required',
                    'token-login-required'],
    'consent': [65001, 90094, 'token-consent-required'],
    'blocked': [53003, 50053, 50057, 50105, 'google-admin-policy'],
    'misconfigured': [7000215, 7000222, 700016, 90002, 50011,
                      'token-invalid-client', 'token-unauthorized-client',
                      'token-invalid-scope', 'google-deleted-client'],
    'retrying': [50196, 90055, 'token-429-date'],
}
ANSWERS = {'reauthorize': 'UNAVAILABLE', 'retrying': 'UNAVAILABLE'}


def lasting():
    """(account name, fault, state)"""
    for state, faults in LASTING.items():
        for fault in faults:
            if isinstance(fault, int):
                yield f'e{fault}', {'aadsts': fault}, state
            else:
                yield fault, {'preset': fault}, state


class AtOnce(TokenCase):
    def all(self, action):
        """action of every account, some at a time: {name: result}"""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return dict(zip(self.names, pool.map(action, self.names)))

    def services(self):
        """{name: {service: state}} of all accounts."""
        return {a['address'].partition('@')[0]: a['services']
                for a in self.api('GET', '/v1/accounts')[1]['accounts']}

    def strike(self, name, fault):
        self.box.fault(**{'protocol': 'oauth', 'stage': 'token', 'times': 0,
                          'match': {'user': self.address(name)}, **fault})


class Passing(AtOnce):
    names = tuple(PASSING)

    def test_nothing_costs_a_sign_in(self):
        for name, fault in PASSING.items():
            self.strike(name, fault)
        self.box.expire()
        for name, answer in self.all(self.imap_login).items():
            self.assertRegex(answer, r' NO \[UNAVAILABLE\]', name)
        for name, services in self.services().items():
            for service in services.values():
                self.assertEqual(service['state'], 'retrying', name)
                self.assertTrue(service['text'] and service['step'], name)
        self.box.clear()
        until(lambda: all(s['state'] == 'connected'
                          for a in self.services().values()
                          for s in a.values()), 'all by themselves', 30)
        for name, answer in self.all(self.imap_login).items():
            self.assertRegex(answer, ' OK ', name)
        self.assertEqual(self.revocations(), 0)


class Lasting(AtOnce):
    names = tuple(name for name, _, _ in lasting())
    # keeper is killed while those that wait for approval ask every second: of
    # an answer that is lost so a strict provider would make a theft.
    settings = {'reuse': 'allow'}

    def asked_for(self):
        waiting = {self.address(name) for name, _, state in lasting()
                   if state == 'consent'}
        return [e['user'] for e in self.token_requests()
                if e['user'] not in waiting]

    def test_each_with_its_state_and_step(self):
        for name, fault, _ in lasting():
            self.strike(name, fault)
        self.box.expire()
        answers = self.all(self.imap_login)
        found = self.services()
        for name, _, state in lasting():
            for service in found[name].values():
                self.assertEqual(service['state'], state, name)
                self.assertTrue(service['text'] and service['step'], name)
            self.assertIn(f' NO [{ANSWERS.get(state, "CONTACTADMIN")}]',
                          answers[name])
        # Nobody is asked again, however often clients come. Approval is
        # waited for at a pace of its own: a second, with this window.
        asked = self.asked_for()
        self.all(self.imap_login)
        self.assertEqual(self.asked_for(), asked)
        for name in ('e50173', 'e65001', 'e53003', 'e7000222'):
            self.assertRegex(self.send(name, name), '^250 2.0.0 Queued as ')
        code, text = self.daemon.ctl('status')
        self.assertEqual(code, 1)
        for word in ('reauthorize', 'consent', 'blocked', 'misconfigured'):
            self.assertIn(word, text)
        # What may have been mended elsewhere is tried by a new keeper; a
        # dead grant is not.
        self.box.clear()
        self.daemon.kill_role('keeper')
        until(self.daemon.ready, 'keeper')
        states = {name: state for name, _, state in lasting()}
        until(lambda: all(
            s['imap']['state'] == ('reauthorize' if states[n] == 'reauthorize'
                                   else 'connected')
            for n, s in self.services().items()), 'a second look', 30)
        self.sign_in_as('e50173')
        until(lambda: not self.queued(self.address('e50173')), 'its mail')


class Client(TokenCase):
    """The daemon's own part: secret, certificate, addresses."""
    names = ('demo', 'alice')

    def test_client_secret_replaced(self):
        client = self.box.env['CLIENT_ID']
        path = self.daemon.accounts[0]['client_secret_file']
        self.addCleanup(self.box.add_client, client,
                        secret=self.box.env['CLIENT_SECRET'])
        self.box.add_client(client, secret='second-secret')
        self.box.expire('demo')
        self.assertRegex(self.imap_login(), r' NO \[CONTACTADMIN\]')
        self.assertEqual(self.service()['state'], 'misconfigured')
        # A reload alone does not help, and does not claim to.
        self.daemon.ctl('reload', code=0)
        until(lambda: self.service()['state'] == 'misconfigured', 'a try')
        self.assertRegex(self.send('kept'), '^250 2.0.0 Queued as ')
        with open(path, encoding='ascii') as f:
            old = f.read()
        with open(path, 'w', encoding='ascii') as f:
            f.write('second-secret\n')
        self.daemon.ctl('reload', code=0)
        self.wait_works()
        self.assertRegex(self.imap_login(), ' OK ')
        until(lambda: not self.queued(), 'an empty queue')
        self.assertEqual(self.revocations(), 0)
        with open(path, 'w', encoding='ascii') as f:
            f.write(old)
        self.box.add_client(client, secret=self.box.env['CLIENT_SECRET'])
        self.daemon.ctl('reload', code=0)

    def check_outage(self, begin, end):
        """A token that still works goes on; a dead one waits."""
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertRegex(self.imap_login('alice'), ' OK ')
        self.box.expire('alice')
        begin()
        self.assertRegex(self.imap_login('alice'), r' NO \[UNAVAILABLE\]')
        self.assertEqual(self.service('alice')['state'], 'retrying')
        self.assertEqual(self.service()['state'], 'connected')
        end()
        self.wait_works('alice')
        self.assertRegex(self.imap_login('alice'), ' OK ')
        self.assertEqual(self.revocations(), 0)

    def test_connection_refused(self):
        self.check_outage(
            lambda: self.box.outage(protocols=['oauth']),
            lambda: self.box.outage(False, protocols=['oauth']))

    def test_slow(self):
        """A late answer is an answer."""
        self.box.expire('alice')
        self.box.fault('token-slow', delay=3)
        self.assertRegex(self.imap_login('alice'), ' OK ')


class Unreachable(TokenCase):
    """The token endpoint is moved away under a running account."""
    names = ('demo',)

    def move(self, url):
        self.daemon.providers[0]['token_url'] = url
        self.daemon.write()
        self.daemon.ctl('reload', code=0)

    def test_wrong_certificate_and_no_such_host(self):
        good = self.daemon.providers[0]['token_url']
        wrong = good.replace(f':{self.box.ports["oauth"]}',
                             f':{self.box.ports["wrong_oauth"]}')
        self.assertNotEqual(good, wrong)
        for url in (wrong, 'https://nowhere.invalid/token'):
            with self.subTest(url):
                self.move(url)
                self.assertRegex(self.imap_login(), r' NO \[UNAVAILABLE\]')
                self.assertEqual(self.service()['state'], 'retrying')
                self.assertTrue(self.service()['text'])
                self.move(good)
                self.wait_works()
                self.assertRegex(self.imap_login(), ' OK ')
        self.assertEqual(self.token_requests(conn='none'), [])
        self.assertEqual(self.revocations(), 0)


class StillValid(TokenCase):
    settings = {'access_ttl': 6}

    def test_the_token_in_hand_outlives_the_outage(self):
        self.box.fault('token-503', times=0)
        asked = len(self.token_requests())
        until(lambda: len(self.token_requests()) > asked, 'a refresh')
        for _ in range(3):
            self.assertTrue(self.works())
            self.assertRegex(self.imap_login(), ' OK ')
        self.assertRegex(self.send('meanwhile'), r'^250 2\.\d\.\d ')
        self.wait_service('retrying')
        self.box.clear()
        self.wait_works()
        self.assertRegex(self.imap_login(), ' OK ')


if __name__ == '__main__':
    main()
