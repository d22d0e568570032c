"""What the suites about tokens, logins and IMAP share."""
import json
import urllib.error
import urllib.request

from daemon import crypt
from harness import Case, message
from lab import until
from raw import Imap, Smtp
from sandbox_case import BOB, sandbox, sandbox_provider

PASSWORD = 'local-password'


class TokenCase(Case):
    """A sandbox and a daemon with several accounts, all signed in."""
    names = ('demo',)
    ini = {'retry': {'first': '1s', 'longest': '2s', 'attempts': '3',
                     'window': '4s'},
           'queue': {'verdict_timeout': '6s'},
           'limits': {'auth_delay': '1s', 'provider_timeout': '5s'}}
    provider = {}
    settings = {}
    workers = 1

    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        cls.box.settings(**cls.settings)
        known = {u['address'] for u in cls.box.get('/users')}
        for name in cls.names:
            if cls.address(name) not in known:
                cls.box.add_user(cls.address(name), password='x', name=name)
        one_hash = crypt(PASSWORD)
        cls.launch(
            [{'address': cls.address(name), 'provider': 'sandbox',
              'client_id': cls.box.env['CLIENT_ID'],
              'client_secret': cls.box.env['CLIENT_SECRET'],
              'logins': [{'name': name, 'password_hash': one_hash}]}
             for name in cls.names],
            [sandbox_provider(cls.box, **cls.provider)],
            {**cls.ini, 'mailbearer': {'workers': cls.workers,
                                       **cls.ini.get('mailbearer', {})}})
        for name in cls.names:
            cls.sign_in_as(name)

    def setUp(self):
        self.box.clear()
        self.box.reset()
        self.box.settings(**self.settings)
        for name in self.names:
            if not self.works(name):
                self.sign_in_as(name)

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.box.violations(), [])

    @staticmethod
    def address(name):
        return f'{name}@example.test'

    # ---- the admin API

    @classmethod
    def api(cls, method, path, body=None):
        """(status, object)"""
        status, answer = cls.daemon.get(
            path, method, None if body is None else json.dumps(body))
        return status, json.loads(answer)

    @classmethod
    def account(cls, name='demo'):
        return cls.api('GET', f'/v1/accounts/{cls.address(name)}')[1]

    @classmethod
    def service(cls, name='demo', service='imap'):
        return cls.account(name)['services'][service]

    @classmethod
    def works(cls, name='demo'):
        return all(s['state'] == 'connected'
                   for s in cls.account(name)['services'].values())

    def wait_works(self, name='demo', seconds=20):
        until(lambda: self.works(name), f'{name} connected', seconds)

    def wait_service(self, state, name='demo', service='imap', seconds=20):
        until(lambda: self.service(name, service)['state'] == state,
              f'{name} {service} {state}', seconds)
        return self.service(name, service)

    # ---- signing in

    @classmethod
    def begin(cls, method, name='demo'):
        status, auth = cls.api(
            'POST', f'/v1/accounts/{cls.address(name)}/auth',
            {'method': method})
        assert status == 200, auth
        return auth

    @classmethod
    def auth(cls, auth):
        return cls.api('GET', f'/v1/auth/{auth["id"]}')[1]

    @classmethod
    def paste(cls, auth, url):
        return cls.api('POST', f'/v1/auth/{auth["id"]}/paste', {'url': url})

    @classmethod
    def wait_auth(cls, auth, seconds=20):
        """The sign-in when it has ended."""
        until(lambda: cls.auth(auth)['status'] != 'pending',
              'the end of a sign-in', seconds)
        return cls.auth(auth)

    @classmethod
    def sign_in_as(cls, name='demo'):
        auth = cls.begin('paste', name)
        status, end = cls.paste(auth, cls.box.approve(auth['url'], name))
        assert (status, end['status']) == (200, 'done'), end

    @staticmethod
    def browse(url):
        """(status, page) of the redirect at desk's web listener."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    # ---- clients

    def who(self, name='demo', password=PASSWORD):
        login = self.daemon.login(self.address(name), name)
        login.password = password
        return login

    def imap(self):
        return Imap(self.daemon.imap_port, self.daemon.ca)

    def smtp(self):
        return Smtp(self.daemon.smtp_port, self.daemon.ca)

    def imap_login(self, name='demo', password=PASSWORD):
        with self.imap() as client:
            return client.login(self.who(name, password))

    def smtp_login(self, name='demo', password=PASSWORD):
        with self.smtp() as client:
            return client.login(self.who(name, password))

    def send(self, key, name='demo'):
        with self.smtp() as client:
            self.assertRegex(client.login(self.who(name)), '^235 ')
            return client.message(
                self.address(name), [BOB],
                message(self.address(name), BOB, key))

    # ---- the provider's view

    def refreshes(self, name='demo'):
        return self.box.tokens()['refreshes'].get(self.address(name), 0)

    def revocations(self):
        return sum(self.box.tokens()['family_revocations'].values())

    def token_requests(self, **fields):
        return self.box.log(protocol='oauth', event='request',
                            endpoint='token', **fields)

    # ---- what became of tokens

    def assert_committed_first(self, events, names):
        """
        Once an access token was used, the refresh token that came with it is
        on disk: none before it is ever sent again.
        """
        came_with, newest = {}, {}
        for e in events:
            if e['event'] == 'tokens-issued' and e.get('refresh'):
                came_with[e['access']] = e['refresh']
            elif e['event'] == 'auth' and e.get('token') in came_with:
                newest[e['user']] = came_with[e['token']]
            elif (e['event'] == 'request' and e.get('endpoint') == 'token'
                  and e.get('token') and e.get('user') in newest):
                self.assertGreaterEqual(int(e['token'][1:]),
                                        int(newest[e['user']][1:]), e)
        self.assertLessEqual({self.address(n) for n in names}, set(newest))
