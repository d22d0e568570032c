#!/usr/bin/env python3
"""What mailbearerctl shows of one account. Run in the build folder."""
import unittest

from test_ctl import Case


class AccountShow(Case):
    def show(self, **service):
        self.script({
            'GET /v1/accounts/a%40b': {
                'address': 'a@b', 'provider': 'p', 'flow': 'f',
                'services': {'smtp': service}, 'logins': []},
            'GET /v1/queue/counts': {'accounts': []}})
        return self.ctl('account', 'show', 'a@b')[0]

    def test_what_the_provider_said(self):
        out = self.show(state='blocked', since=1, cause='c', text='t',
                        step='s', says='535 5.7.139 \x1b[2Joff',
                        trace_id='t-1', correlation_id='c-1')
        self.assertIn('provider says smtp: 535 5.7.139 \\u001b[2Joff\n', out)
        self.assertIn('trace        smtp: t-1\n', out)
        self.assertIn('correlation  smtp: c-1\n', out)

    def test_a_link_to_open(self):
        out = self.show(state='reauthorize', since=1, text='t',
                        step='Sign in again: mailbearerctl auth a@b',
                        action={'kind': 'sign-in',
                                'url': 'http://localhost:1/signin/K'})
        self.assertIn('-> Sign in again: mailbearerctl auth a@b\n'
                      '    -> http://localhost:1/signin/K\n', out)

    def test_a_command_is_not_said_twice(self):
        out = self.show(state='blocked', since=1, text='t',
                        step='An administrator runs: Set-X -Y',
                        action={'kind': 'command', 'command': 'Set-X -Y'})
        self.assertEqual(out.count('Set-X -Y'), 1)

    def test_permissions(self):
        out = self.show(state='consent', since=1, text='t', step='s',
                        action={'kind': 'consent', 'url': 'http://x/',
                                'permissions': ['SMTP.Send',
                                                'offline_access']})
        self.assertIn('permissions  SMTP.Send, offline_access\n', out)
        self.assertIn('-> http://x/\n', out)

    def test_it_said_nothing(self):
        out = self.show(state='connected', since=1)
        self.assertIn('connected', out)
        self.assertNotIn('says', out)


class Auth(Case):
    def test_one_service_does_not_work(self):
        self.script({'POST /v1/accounts/a%40b/auth': {
            'id': '1', 'account': 'a@b', 'method': 'paste',
            'status': 'done', 'services': {
                'smtp': {'class': 'blocked', 'text': 'SMTP is off',
                         'says': '535 5.7.139 off', 'step': 'Set-X'},
                'imap': {'class': 'works', 'text': ''}}}})
        out, err = self.ctl('auth', 'a@b', '--paste', code=0)[:2]
        self.assertIn('a@b is signed in, but not everything works yet:', out)
        self.assertIn('smtp: SMTP is off\n', err)
        self.assertIn('535 5.7.139 off\n', err)
        self.assertIn('-> Set-X\n', err)
        self.assertNotIn('imap', err)

    def test_approval_comes_first(self):
        self.script({'POST /v1/accounts/a%40b/auth': {
            'id': '1', 'account': 'a@b', 'method': 'paste',
            'status': 'failed', 'text': 'not approved', 'step': 'wait',
            'action': {'kind': 'consent', 'url': 'http://x/consent/K',
                       'permissions': ['SMTP.Send', 'offline_access']}}})
        err = self.ctl('auth', 'a@b', '--paste', code=1)[1]
        self.assertIn('not approved\n    -> wait\n'
                      '    -> http://x/consent/K\n'
                      '    -> permissions: SMTP.Send, offline_access\n', err)


if __name__ == '__main__':
    unittest.main(verbosity=2)
