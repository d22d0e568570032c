#!/usr/bin/env python3
"""The password of a proxy is keeper's. Run in the build folder."""

import os
import unittest

import test_supervisor as base
from test_supervisor import ask

LOGIN = 'who:terces@'


class Proxy(base.Case):
    def sizes(self):
        """{role: octets of the ini it was given}"""
        answers = {'relay': ask(self.d.port, 'blobs'),
                   'keeper': ask(self.d.port, 'ask keeper blobs'),
                   'courier': ask(self.d.port, 'ask courier blobs'),
                   'desk': ask(self.d.admin, 'blobs')}
        return {role: int(blob.rsplit(':', 1)[1])
                for role, text in answers.items()
                for blob in text.split() if blob.startswith('ini=')}

    def configure(self, login, mode):
        self.d.configure(extra=f'[oauth]\nproxy = http://{login}p.test:1\n')
        os.chmod(self.d.dir + '/mailbearer.ini', mode)
        return os.path.getsize(self.d.dir + '/mailbearer.ini')

    def test_password_is_keepers(self):
        d = self.d
        whole = self.configure(LOGIN, 0o600)
        d.start()
        self.assertEqual(self.sizes(), {
            'keeper': whole, **dict.fromkeys(('relay', 'courier', 'desk'),
                                             whole - len(LOGIN))})
        whole = self.configure('', 0o644)
        self.assertEqual(ask(d.admin, 'reload'), '1')
        self.assertEqual(set(self.sizes().values()), {whole})
        self.configure(LOGIN, 0o644)
        got = ask(d.admin, 'reload')
        self.assertIn('others may read it: chmod 600', got)
        self.assertNotIn('terces', got)
        self.assertFalse(d.log('terces'))


if __name__ == '__main__':
    unittest.main(verbosity=2)
