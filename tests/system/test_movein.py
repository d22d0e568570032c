#!/usr/bin/env python3
"""
Moving in: an account is added by a command, from a terminal or by a script,
and a mail client works with what the command printed.
"""
import os
import pty
import re
import select
import socket
import struct
import subprocess
import threading

from daemon import browse, environment
from harness import Case, main, message
from raw import Imap, Smtp
from sandbox_case import BOB, QUICK, sandbox, sandbox_provider

HOME = 'first@example.test'


class Dns:
    """Knows the mail exchangers of some domains, and nothing else."""
    address = '127.0.0.77'

    def __init__(self, exchangers):
        self.exchangers = exchangers
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query), peer)
            except OSError:
                return

    def answer(self, query):
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        exchanger = self.exchangers.get('.'.join(name))
        kind, = struct.unpack('!H', query[at + 1:at + 3])
        if not exchanger or kind != 15:
            return query[:2] + struct.pack('!5H', 0x8183, 1, 0, 0,
                                           0) + question
        data = struct.pack('!H', 10) + b''.join(
            bytes([len(p)]) + p.encode() for p in exchanger.split('.')) + b'\0'
        return (query[:2] + struct.pack('!5H', 0x8180, 1, 1, 0, 0) + question
                + b'\xc0\x0c' + struct.pack('!HHIH', 15, 1, 60, len(data))
                + data)


class MoveIn(Case):
    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        known = {u['address'] for u in cls.box.get('/users')}
        for name in ('first', 'second', 'third', 'fourth', 'fifth'):
            if f'{name}@example.test' not in known:
                cls.box.add_user(f'{name}@example.test', password='x',
                                 name=name)
        cls.launch([{'address': HOME, 'provider': 'sandbox',
                     'client_id': cls.box.env['CLIENT_ID'],
                     'client_secret': cls.box.env['CLIENT_SECRET']}],
                   [sandbox_provider(cls.box, mx=['mx.sandbox.test'],
                                     match=['match.test'])], QUICK)
        cls.accounts = f'{cls.daemon.dir}/accounts.yaml'
        cls.secret = cls.daemon.file('secret',
                                     cls.box.env['CLIENT_SECRET'] + '\n',
                                     0o600)

    def text(self):
        with open(self.accounts, encoding='utf-8') as f:
            return f.read()

    def setUp(self):
        # As people write it: comments, blank lines, their own indentation.
        before = self.text()
        if '# ours' not in before:
            with open(self.accounts, 'w', encoding='utf-8') as f:
                f.write('# ours\n\n' + before + '\n  # the end\n')

    def add(self, *args, stdin=None, prefix=()):
        done = subprocess.run(
            [*prefix, *self.daemon.ctl_argv('account', 'add', *args)],
            input=stdin,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def options(self):
        return ('--provider', 'sandbox', '--client-id',
                self.box.env['CLIENT_ID'], '--secret-file', self.secret)

    def settings(self, printed):
        """Port and credentials, as a person copies them."""
        servers = dict(re.findall(r'^(outgoing|incoming) +\S+, port (\d+),',
                                  printed, re.M))
        return (int(servers['outgoing']), int(servers['incoming']),
                re.search(r'^user name +(\S+)', printed, re.M)[1],
                re.search(r'^password +(\S+)', printed, re.M)[1])

    def check_client(self, address, printed, key):
        smtp, imap, name, password = self.settings(printed)
        login = self.daemon.login(HOME)
        login.name, login.password = name, password
        with Imap(imap, self.daemon.ca) as client:
            self.assertRegex(client.login(login), ' OK ')
        with Smtp(smtp, self.daemon.ca) as client:
            self.assertRegex(client.login(login), '^235 ')
            self.assertRegex(client.message(
                address, [BOB], message(address, BOB, key)), '^250 ')

    # ---- by a script

    def test_by_options(self):
        before = self.text()
        mode = os.stat(self.accounts).st_mode
        code, printed, said = self.add('second@example.test',
                                       *self.options(), '--no-auth')
        self.assertEqual(code, 0, said)
        after = self.text()
        self.assertTrue(after.startswith(before))
        self.assertEqual(os.stat(self.accounts).st_mode, mode)
        self.daemon.authorise('second@example.test', 'paste', lambda first:
                              self.box.approve(first['url'], 'second'))
        self.check_client('second@example.test', printed, 'moved-second')
        # Twice is once too often.
        code, _, said = self.add('Second@example.test', *self.options())
        self.assertEqual(code, 2)
        self.assertIn('already', said)
        self.assertEqual(self.text(), after)

    def test_nobody_to_ask(self):
        before = self.text()
        for args, missing in (((), 'ADDRESS'),
                              (('x@nowhere.invalid',), '--provider'),
                              (('x@match.test',), '--client-id')):
            code, printed, said = self.add(*args, stdin='')
            self.assertEqual((code, printed), (2, ''), said)
            self.assertIn(f'{missing} is needed', said)
        self.assertEqual(self.text(), before)

    def test_refused_by_the_daemon(self):
        """The file is as it was, and the daemon goes on."""
        before = self.text()
        self.daemon.allowed.add('config-error')
        code, _, said = self.add('third@example.test', '--provider',
                                 'sandbox', '--client-id', 'x',
                                 '--secret-file', '/nowhere/secret')
        self.assertEqual(code, 1)
        self.assertIn('/nowhere/secret', said)
        self.assertIn('is as it was', said)
        self.assertEqual(self.text(), before)
        self.assertEqual(self.daemon.get('/readyz')[0], 200)

    def test_mistakes_that_were_there(self):
        before = self.text()
        with open(self.accounts, 'a', encoding='utf-8') as f:
            f.write('  - nonsense: 1\n')
        code, _, said = self.add('third@example.test', *self.options())
        with open(self.accounts, 'w', encoding='utf-8') as f:
            f.write(before)
        self.assertEqual(code, 2)
        self.assertIn('accounts.yaml', said)

    def test_provider_by_the_mail_exchanger(self):
        """The system's DNS is one of the test's, where only it sees that."""
        dns = Dns({'corp.test': 'host7.mx.sandbox.test'})
        self.addCleanup(dns.close)
        conf = self.daemon.file('resolv.conf', f'nameserver {dns.address}\n')
        inside = ('unshare', '--mount', 'sh', '-c', 'mount --bind "$0" '
                  '/etc/resolv.conf && exec "$@"', conf)
        code, printed, said = self.add(
            'someone@corp.test', '--client-id', self.box.env['CLIENT_ID'],
            '--secret-file', self.secret, '--no-auth', prefix=inside)
        self.assertEqual(code, 0, said)
        self.assertIn('Provider: sandbox, by the domain', said)
        self.assertIn('someone@corp.test', printed)
        code, _, said = self.add('someone@other.test', stdin='',
                                 prefix=inside)
        self.assertIn('--provider is needed', said)

    # ---- at a terminal

    def talk(self, *args, answers):
        """[(what is asked, what is answered)]: all that the screen had."""
        pid, fd = pty.fork()
        if not pid:
            argv = self.daemon.ctl_argv('account', 'add', *args)
            os.execvpe(argv[0], argv, {**environment(), 'DISPLAY': ''})
        screen, at = '', 0
        waiting = list(answers)
        while True:
            if not select.select([fd], [], [], 30)[0]:
                raise AssertionError(f'it waits: {screen}')
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            screen += data.decode()
            if waiting and re.search(waiting[0][0], screen[at:]):
                at = len(screen)
                reply = waiting.pop(0)[1]
                os.write(fd, (reply(screen) if callable(reply) else
                              reply).encode() + b'\n')
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        self.assertEqual(waiting, [], screen)
        return code, screen.replace('\r\n', '\n')

    def browse(self, screen):
        """What the person does at the address: signs in there."""
        url = re.search(r'https://\S+authorize\?\S+', screen)[0]
        browse(self.box.approve(url, 'fourth'))
        return ''

    def test_it_asks_and_signs_in(self):
        code, screen = self.talk(answers=[
            ('Address of the mailbox: ', 'fourth@example.test'),
            ('Provider: ', 'sandbox'),
            ('Client id of your app: ', self.box.env['CLIENT_ID']),
            ('Client secret .*: ', self.box.env['CLIENT_SECRET']),
            (r'authorize\?\S+\s[^$]*this', self.browse)])
        self.assertEqual(code, 0, screen)
        self.assertIn('fourth@example.test is signed in', screen)
        self.check_client('fourth@example.test', screen, 'moved-fourth')

    def test_the_secret_is_kept_in_a_file(self):
        code, screen = self.talk('--provider', 'sandbox', '--no-auth',
                                 answers=[
            ('Address of the mailbox: ', 'fifth@example.test'),
            ('Client id of your app: ', self.box.env['CLIENT_ID']),
            ('Client secret .*: ', self.box.env['CLIENT_SECRET'])])
        self.assertEqual(code, 0, screen)
        self.assertNotIn(self.box.env['CLIENT_SECRET'], screen)
        path = f'{self.daemon.dir}/fifth@example.test.secret'
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertNotIn(self.box.env['CLIENT_SECRET'], self.text())
        self.daemon.authorise('fifth@example.test', 'paste', lambda first:
                              self.box.approve(first['url'], 'fifth'))
        self.check_client('fifth@example.test', screen, 'moved-fifth')


if __name__ == '__main__':
    main()
