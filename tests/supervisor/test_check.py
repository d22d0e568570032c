#!/usr/bin/env python3
"""mailbearerd -t: every mistake of the configuration, in one pass."""

import json
import os
import subprocess
import unittest

import test_supervisor as base


class Check(base.Case):
    def run_check(self):
        return subprocess.run(self.d.command('-t'), text=True, check=False,
                              stdout=subprocess.PIPE, timeout=base.PATIENCE,
                              stderr=subprocess.PIPE)

    def test_fine(self):
        done = self.run_check()
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertFalse(os.path.exists(self.d.dir + '/state'))

    def test_all_mistakes(self):
        d = self.d
        d.configure(extra='colour = red\n[queue]\nmax_age = soon\n')
        d.write('secret', 'x', 0o644)
        os.unlink(d.dir + '/cert.pem')
        d.write('accounts.yaml',
                'accounts:\n- address: a@example.test\n  provider: q\n'
                '  client_secret_file: secret\n')
        done = self.run_check()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.replace(d.dir + '/', ''), (
            'mailbearer.ini:10: certificate: cert.pem: No such file or '
            'directory\n'
            'accounts.yaml:4: client_secret_file: secret: others may read '
            'it: chmod 600\n'
            'mailbearer.ini:12: unknown key colour in [listen NAME]\n'
            'mailbearer.ini:14: max_age: expected a duration such as 30s, '
            '5m, 4h or 5d, got "soon"\n'
            'accounts.yaml:3: provider: no provider q in providers.yaml\n'
            'accounts.yaml:2: client_id: must be set for flow '
            'authorization_code\n'))

    def accounts(self, more):
        self.d.write('accounts.yaml',
                     'accounts:\n- address: a@example.test\n  provider: p\n'
                     '  client_id: c\n' + more)

    def test_keys_to_sign_with(self):
        d = self.d
        for name, content in base.certificate.__wrapped__().items():
            d.write('other-' + name, content, 0o600)
        with open(d.dir + '/key.pem', encoding='ascii') as f:
            key = f.read()
        fit = json.dumps({'client_email': 'r@p.test', 'private_key': key})
        for more, files, said in (
                ('  client_certificate: cert.pem\n  client_key: key.pem\n',
                 {}, ''),
                ('  client_certificate: cert.pem\n'
                 '  client_key: other-key.pem\n', {},
                 "other-key.pem: the private key is not the certificate's "
                 '(client_key of a@example.test)\n'),
                ('  client_certificate: secret\n  client_key: key.pem\n', {},
                 'secret: the certificate: no start line (client_certificate '
                 'of a@example.test)\n'),
                ('  flow: service_account\n'
                 '  service_account_file: sa.json\n', {'sa.json': fit}, ''),
                ('  flow: service_account\n'
                 '  service_account_file: sa.json\n', {'sa.json': '{}'},
                 'sa.json: client_email is not there (service_account_file '
                 'of a@example.test)\n')):
            for name, content in files.items():
                d.write(name, content, 0o600)
            self.accounts(more)
            done = self.run_check()
            self.assertEqual(done.stderr.replace(d.dir + '/', ''), said)

    def test_usage(self):
        for args, status in (('-V', 0), ('-h', 0), ('-x', 2), ('more', 2)):
            done = subprocess.run([base.DAEMON, args], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, status, args)


if __name__ == '__main__':
    unittest.main()
