"""What the suites around the sandbox provider share."""
import os
import sys

from daemon import ROOT
from harness import Case, message
from lab import until
from raw import Imap, Smtp

sys.path.insert(0, os.path.join(ROOT, 'tests', 'sandbox'))
import client as sandbox  # noqa: E402  pylint: disable=wrong-import-position

DEMO = 'demo@example.test'
BOB = 'bob@example.test'
QUICK = {'retry': {'first': '1s', 'longest': '2s', 'attempts': '3',
                   'window': '4s'},
         'queue': {'verdict_timeout': '6s'}}


def sandbox_provider(box, **more):
    """The sandbox as an entry of providers.yaml."""
    return {
        'name': 'sandbox',
        'authorize_url': box.env['AUTHORIZE_URL'],
        'token_url': box.env['TOKEN_URL'],
        'device_url': box.env['DEVICE_URL'],
        'admin_consent_url': box.env['ADMIN_CONSENT_URL'],
        'authorize_parameters': 'prompt=consent',
        'scopes': {'common': 'openid offline_access', 'smtp': 'mail',
                   'imap': 'mail'},
        'smtp': {'host': 'localhost', 'port': int(box.env['SMTPS_PORT']),
                 'tls': 'implicit'},
        'imap': {'host': 'localhost', 'port': int(box.env['IMAPS_PORT']),
                 'tls': 'implicit'},
        'sasl': ['xoauth2', 'oauthbearer'],
        'client_auth': 'post',
        'rotates': True,
        'ca_file': box.ca,
        **more,
    }


class SandboxCase(Case):
    """A sandbox and a daemon with the account demo, signed in."""
    provider = {}
    ini = QUICK
    address = DEMO
    starttls = False

    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        provider = dict(cls.provider)
        if cls.starttls:
            provider['smtp'] = {'host': 'localhost', 'tls': 'starttls',
                                'port': int(cls.box.env['SUBMISSION_PORT'])}
        cls.launch([{'address': cls.address, 'provider': 'sandbox',
                     'client_id': cls.box.env['CLIENT_ID'],
                     'client_secret': cls.box.env['CLIENT_SECRET']}],
                   [sandbox_provider(cls.box, **provider)], cls.ini)
        cls.sign_in_sandbox()

    @classmethod
    def sign_in_sandbox(cls):
        cls.daemon.authorise(cls.address, 'paste', lambda first:
                             cls.box.approve(first['url'], 'demo'))

    def setUp(self):
        self.box.clear()
        self.box.reset()
        self.daemon.ctl('queue', 'delete', '--all')
        self.daemon.ctl('queue', 'retry', '--all')
        if self.state(self.address) != 'connected':
            self.sign_in_sandbox()
        self.wait_state(self.address, 'connected')

    def send(self, key, rcpts=(BOB,), body=b'A line.\r\n'):
        """Sends one message; the reply that decided."""
        login = self.daemon.login(self.address)
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.login(login), '^235 ')
            reply = client.message(
                self.address, list(rcpts),
                message(self.address, rcpts[0], key, body))
        return reply.rstrip()

    def imap_login(self):
        login = self.daemon.login(self.address)
        with Imap(login.imap_port, login.ca) as client:
            return client.login(login)

    def keys(self):
        """Message-IDs the provider accepted, in order."""
        found = []
        for number, _ in enumerate(self.box.messages(), 1):
            raw = self.box.raw(number)
            at = raw.find(b'Message-ID: <')
            found.append(raw[at + 13:raw.index(b'@', at)].decode())
        return found

    def assert_queue_empties(self, seconds=20):
        until(lambda: not self.queued(), 'an empty queue', seconds)


class UsersCase(SandboxCase):
    """The same with several accounts, for submission only."""
    users = ('demo',)
    services = ('smtp',)

    @classmethod
    def start_box(cls):
        return sandbox.start()

    @classmethod
    def setUpClass(cls):
        cls.box = cls.start_box()
        cls.addClassCleanup(cls.box.stop)
        known = {u['address'] for u in cls.box.get('/users')}
        for user in cls.users:
            if f'{user}@example.test' not in known:
                cls.box.add_user(f'{user}@example.test', password='x',
                                 name=user)
        cls.launch([{'address': f'{user}@example.test', 'provider': 'sandbox',
                     'services': list(cls.services),
                     'client_id': cls.box.env['CLIENT_ID'],
                     'client_secret': cls.box.env['CLIENT_SECRET']}
                    for user in cls.users],
                   [sandbox_provider(cls.box, **cls.provider)], cls.ini)
        for user in cls.users:
            cls.sign_in_user(user)

    @classmethod
    def sign_in_user(cls, user):
        cls.daemon.authorise(f'{user}@example.test', 'paste', lambda first:
                             cls.box.approve(first['url'], user))
