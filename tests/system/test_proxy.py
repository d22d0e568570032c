#!/usr/bin/env python3
"""Requests to the sign-in service by a proxy, the only one who knows it."""
from harness import main
from lab import until
from proxy import Proxy
from token_case import TokenCase

HOST = 'mail.example.test'
LOGIN = 'who:terces-%40'  # percent-encoded; the @ is "@"


class ProxyCase(TokenCase):
    scheme = ''

    @classmethod
    def launch(cls, accounts, providers, ini=None, **more):
        cls.proxy = cls.enterClassContext(Proxy({HOST: '127.0.0.1'}))
        for provider in providers:
            for name in ('token_url', 'device_url'):
                provider[name] = provider[name].replace('localhost', HOST)
                assert HOST in provider[name]
        super().launch(accounts, providers, {
            **ini, 'oauth': {'proxy': cls.address_of()}}, **more)

    @classmethod
    def enterClassContext(cls, context):
        """unittest's own is younger than our Python."""
        entered = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return entered

    @classmethod
    def address_of(cls, login=''):
        return f'{cls.scheme}{login}127.0.0.1:{cls.proxy.port}'

    def use(self, proxy):
        self.daemon.ini['oauth'] = {'proxy': proxy}
        self.daemon.write()
        self.daemon.ctl('reload', code=0)

    def expire_and_log_in(self):
        self.box.expire('demo')
        return self.imap_login()

    def assert_waits(self, text):
        """Whatever a proxy says, it is an outage, and costs nothing."""
        before = len(self.daemon.log())
        self.assertRegex(self.expire_and_log_in(), r' NO \[UNAVAILABLE\]')
        st = self.service()
        self.assertEqual((st['state'], st['cause']),
                         ('retrying', 'proxy-failed'))
        self.assertIn('proxy', st['text'])
        self.assertIn('[oauth]', st['step'])
        log = self.daemon.log()[before:]
        self.assertIn(text, log)
        self.assertNotIn('terces', log)

    def assert_mended(self):
        self.wait_works()
        self.assertRegex(self.imap_login(), ' OK ')
        self.assertEqual(self.revocations(), 0)


class Http(ProxyCase):
    scheme = 'http://'

    def tearDown(self):
        self.proxy.login, self.proxy.status = None, 0
        super().tearDown()

    def test_everything_goes_by_it(self):
        self.assertRegex(self.expire_and_log_in(), ' OK ')
        auth = self.begin('device')
        self.box.approve_device(auth['user_code'], 'demo')
        self.assertEqual(self.wait_auth(auth)['status'], 'done')
        port = self.box.env['TOKEN_URL'].split(':')[2].split('/')[0]
        self.assertEqual(set(self.proxy.asked), {f'{HOST}:{port}'})

    def test_refusals(self):
        for status in (403, 302, 502):
            with self.subTest(status):
                self.proxy.status = status
                self.assert_waits(f'HTTP status {status}')
                self.proxy.status = 0
                self.assert_mended()

    def test_name_and_password(self):
        self.proxy.login = 'who:terces-@'
        self.assert_waits('HTTP status 407, it wants another name or '
                          'password')
        self.use(self.address_of(LOGIN + '@'))
        self.assert_mended()
        # A wrong one is a passing trouble, too.
        self.use(self.address_of('who:terces-wrong@'))
        self.assert_waits('HTTP status 407')
        self.use(self.address_of(LOGIN + '@'))
        self.assert_mended()
        self.proxy.login = None
        self.use(self.address_of())
        self.assertNotIn('terces', self.daemon.log())

    def test_gone(self):
        self.use('http://127.0.0.1:1')
        self.assert_waits('Failed to connect to 127.0.0.1 port 1')
        self.use(self.address_of())
        self.assert_mended()


class Socks(ProxyCase):
    scheme = 'socks5h://'

    def test_by_socks(self):
        self.assertRegex(self.expire_and_log_in(), ' OK ')
        self.assertTrue(self.proxy.asked)
        self.proxy.login = 'who:terces-@'
        self.assert_waits('event=token-refresh')
        self.use(self.address_of(LOGIN + '@'))
        until(lambda: self.works(), 'a token')
        self.assert_mended()


if __name__ == '__main__':
    main()
