#!/usr/bin/env python3
"""Commands of the configuration, run for keeper. Run in the build folder."""

import os
import unittest

import test_supervisor as base
from test_supervisor import ask

REFUSED = '255 [] there is no such command'


class Run(base.Case):
    def accounts(self, *more):
        """Accounts with a token_command: (address, command)."""
        self.d.write('accounts.yaml', 'accounts:\n' + ''.join(
            f'- address: "{address}"\n  provider: p\n  client_id: c\n'
            f'  token_command: {command}\n' for address, command in more))

    def keeper(self, account, name='token'):
        return ask(self.d.port, f'ask keeper run {name} {account}')

    def test_the_command_of_the_account(self):
        d = self.d
        self.accounts(('a@example.test', 'echo own'),
                      ('*@Example.test', 'echo any $MAILBEARER_ACCOUNT'))
        d.start()
        self.assertEqual(self.keeper('A@example.test'), '0 [own\n]')
        self.assertEqual(self.keeper('b@example.test'),
                         '0 [any b@example.test\n]')
        self.assertEqual(self.keeper('b@other.test'), REFUSED)
        self.assertEqual(self.keeper(''), REFUSED)
        # the one in force
        self.accounts(('a@example.test', 'echo why >&2; exit 3'))
        self.assertEqual(ask(d.admin, 'reload'), '1')
        self.assertEqual(self.keeper('a@example.test'), '3 [] why')
        self.assertEqual(self.keeper('b@example.test'), REFUSED)
        d.wait_log('event=command-output', 'account=a@example.test',
                   'text=why')
        d.wait_log('event=command-failed', 'status=3', 'text=why')
        self.assertEqual(d.stop(), 0)

    def test_nobody_else_may(self):
        d = self.d
        self.accounts(('a@example.test', 'echo own'))
        d.start()
        for who in ('', 'ask courier '):
            self.assertEqual(ask(d.port, who + 'run token a@example.test'),
                             REFUSED)
        self.assertEqual(ask(d.admin, 'run token a@example.test'), REFUSED)
        self.assertEqual(self.keeper('a@example.test', 'reboot'), REFUSED)

    def test_as_the_user_of_the_roles(self):
        if os.geteuid() != 0:
            self.skipTest('not root')
        d = self.d
        self.accounts(('a@example.test',
                       'id -u; id -G; grep CapEff /proc/self/status'))
        with open(d.dir + '/mailbearer.ini', encoding='utf-8') as f:
            text = f.read().replace('user = root', 'user = nobody')
        d.write('mailbearer.ini', text)
        d.start()
        self.assertEqual(self.keeper('a@example.test'),
                         '0 [65534\n65534\nCapEff:\t0000000000000000\n]')

    def test_ends_with_the_daemon(self):
        d = self.d
        mark = d.dir + '/pid'
        self.accounts(('a@example.test',
                       f'echo $$ > {mark}.x; mv {mark}.x {mark}; sleep 1000'))
        d.configure()
        d.start()
        with base.socket.create_connection(('127.0.0.1', d.port)) as s:
            s.sendall(b'ask keeper run token a@example.test\n')
            base.until(lambda: os.path.exists(mark), 'the command')
            with open(mark, encoding='ascii') as f:
                pid = int(f.read())
            self.assertTrue(base.is_alive(pid))
            self.assertEqual(d.stop(), 0)
        base.until(lambda: not base.is_alive(pid), 'the end')


if __name__ == '__main__':
    unittest.main(verbosity=2)
