#!/usr/bin/env python3
"""
Moving in: an account is added by a command, from a terminal or by a script,
and a mail client works with what the command printed.
"""
import base64
import hashlib
import hmac
import imaplib
import os
import pty
import re
import select
import smtplib
import socket
import struct
import subprocess
import threading

from daemon import browse, environment
from harness import Case, main, message
from lab import free_ports
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


PASSWORD = 'the-client-has-it'
SALT = base64.b64encode(b'sixteen octets..').decode()
ITERATIONS = 1000


def fernet(text, password):
    """As that program keeps tokens; AES by openssl(1), all else by hand."""
    key = hashlib.pbkdf2_hmac('sha256', password.encode(),
                              base64.b64decode(SALT), ITERATIONS, 32)
    iv = os.urandom(16)
    encrypted = subprocess.run(
        ['openssl', 'enc', '-aes-128-cbc', '-K', key[16:].hex(), '-iv',
         iv.hex()], input=text.encode(), stdout=subprocess.PIPE,
        check=True).stdout
    head = b'\x80' + struct.pack('!Q', 1764547200) + iv + encrypted
    return base64.urlsafe_b64encode(
        head + hmac.new(key[:16], head, 'sha256').digest()).decode()


class Import(Case):
    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        for name in ('kept', 'other', 'dead'):
            cls.box.add_user(f'{name}@example.test', password='x', name=name)
        cls.launch([{'address': HOME, 'provider': 'sandbox',
                     'client_id': cls.box.env['CLIENT_ID'],
                     'client_secret': cls.box.env['CLIENT_SECRET']}],
                   [sandbox_provider(cls.box)], QUICK)
        cls.imap, cls.smtp = free_ports(2)
        cls.config = cls.daemon.file('emailproxy.config', f'''\
[Email OAuth 2.0 Proxy configuration file]
documentation = Servers are in [Server setup], as in
	[IMAP-1993], and so on.

[Server setup]
documentation = none

[IMAP-{cls.imap}]
local_address = localhost
server_address = imap.sandbox.test
server_port = 993

[SMTP-{cls.smtp}]
server_address = smtp.sandbox.test
server_port = 587
starttls = True

[POP-1995]
server_address = pop.sandbox.test

[Account setup]

[kept@example.test]
{cls.account('kept', PASSWORD)}
[other@example.test]
{cls.account('other', 'another-password')}
[dead@example.test]
{cls.account('dead', PASSWORD, 'sbx-rt-never-issued')}
[your.email@gmail.com]
token_url = {cls.box.env['TOKEN_URL']}
client_id = *** your client id here ***

[elsewhere@example.test]
token_url = https://elsewhere.test/token
client_id = x

[emailproxy]
delete_account_token_on_password_error = False
''')

    @classmethod
    def account(cls, name, password, token=None):
        token = token or cls.box.mint(
            name, client_id=cls.box.env['CLIENT_ID'],
            scope='openid offline_access mail')['refresh_token']
        return f'''permission_url = {cls.box.env['AUTHORIZE_URL']}
token_url = {cls.box.env['TOKEN_URL']}
oauth2_scope = mail offline_access
redirect_uri = http://localhost
client_id = {cls.box.env['CLIENT_ID']}
client_secret = {cls.box.env['CLIENT_SECRET']}
token_salt = {SALT}
token_iterations = {ITERATIONS}
access_token = {fernet('sbx-at-old', password)}
access_token_expiry = 1764547200
refresh_token = {fernet(token, password)}
last_activity = 1764547200
'''

    def run_import(self, *args, stdin=None):
        done = subprocess.run(
            self.daemon.ctl_argv('import', 'emailproxy', self.config, *args),
            input=stdin, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def files(self):
        found = {}
        for name in ('accounts.yaml', 'mailbearer.ini'):
            with open(f'{self.daemon.dir}/{name}', encoding='utf-8') as f:
                found[name] = f.read()
        return found

    def test_everything(self):
        before = self.files()
        code, out, said = self.run_import('--dry-run')
        self.assertEqual(code, 0, said)
        self.assertIn('Nothing was changed', out)
        self.assertEqual(self.files(), before)
        for reason in ('POP3 is not served', 'client_id is not filled in',
                       'elsewhere@example.test is not taken over'):
            self.assertIn(reason, said)
        code, out, said = self.run_import('--password-stdin',
                                          stdin=PASSWORD + '\n')
        self.assertEqual(code, 0, said)
        self.assertIn('kept@example.test: sandbox, password kept, signed in',
                      out)
        self.assertIn('another password', said)
        for name in ('other', 'dead'):
            self.assertIn(f'{name}@example.test: sandbox, password kept, sign '
                          f'in: mailbearerctl auth {name}@example.test', out)
        # What the client had all along: its port, name and password.
        login = self.daemon.login(HOME)
        login.name, login.password = 'kept@example.test', PASSWORD
        with imaplib.IMAP4('127.0.0.1', self.imap) as client:
            client.login(login.name, login.password)
        with smtplib.SMTP('127.0.0.1', self.smtp) as client:
            client.ehlo('client.test')
            client.login(login.name, login.password)
            client.sendmail('kept@example.test', [BOB], message(
                'kept@example.test', BOB, 'moved-in'))
        self.box.messages(wait=1)
        # No secret is in a file that others read.
        for name, text in self.files().items():
            self.assertNotIn(self.box.env['CLIENT_SECRET'], text)
            self.assertTrue(text.startswith(before[name]))
        code, out, said = self.run_import()
        self.assertEqual(code, 1)
        self.assertIn('there is no account to take over', said)


if __name__ == '__main__':
    main()
