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

    def test_it_said_nothing(self):
        out = self.show(state='connected', since=1)
        self.assertIn('connected', out)
        self.assertNotIn('says', out)


if __name__ == '__main__':
    unittest.main(verbosity=2)
