#!/usr/bin/env python3
"""No secret in a log, a command line, an environment, or a core file.

A whole session is run with marked secrets, the unlucky turns included, and
then they are looked for everywhere: also where they are allowed (the vault,
sealed) and in the memory of the processes that must not have them.
"""
import base64
import glob
import json
import os
import re
import subprocess

import clients
from daemon import program
from harness import Case, lab_provider, main, message
from lab import SCRIPTS, until
from raw import Imap, Smtp, b64

ALICE = 'alice@example.test'
BOB = 'bob@example.test'
READER = 'reader@example.test'
PASSWORD = 'MarkedLocalPassword7319'
WRONG = 'MarkedWrongPassword2846'
ADDED = 'MarkedAddedPassword5530'
CLIENT_SECRET = 'MarkedClientSecret9102'
BODY = 'MarkedMessageBody6457'
# Kinds of entries in the provider's store whose names are the secrets.
KINDS = ('AccessToken', 'RefreshToken', 'AuthorizationCode', 'DeviceCode')


def forms(secret):
    """A secret as it might leak: itself and inside base64."""
    found = {secret}
    for shift in range(3):
        text = base64.b64encode(b'\0' * shift + secret.encode()).decode()
        # Only what is free of its neighbours.
        found.add(text[4 if shift else 0:len(text) // 4 * 4 - 4])
    return found


def memory(pid):
    """What a process could write down: its writable mappings."""
    with open(f'/proc/{pid}/maps', encoding='utf-8') as maps, \
            open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split('-'))
            # The shadow memory of a sanitizer is terabytes.
            if mode.startswith('rw') and end - start < 2**30:
                yield from blocks(mem, start, end)


def blocks(mem, start, end, size=2**20, overlap=256):
    for at in range(start, end, size):
        mem.seek(at)
        try:
            yield mem.read(min(size + overlap, end - at))
        except OSError:
            return


class Secrets(Case):
    @classmethod
    def setUpClass(cls):
        with open(f'{SCRIPTS}/conf/clients.json', encoding='utf-8') as f:
            known = json.load(f)
        for client in known:
            if client['client_id'] == 'proxy':
                client['client_secret'] = CLIENT_SECRET
        cls.open_lab(users=[ALICE, BOB, READER], clients=known)
        cls.procs, cls.outputs, cls.tokens = {}, [], set()
        cls.launch(
            [{'address': ALICE, 'provider': 'lab', 'client_id': 'proxy',
              'client_secret': CLIENT_SECRET, 'password': PASSWORD},
             {'address': BOB, 'provider': 'lab', 'client_id': 'proxy',
              'client_secret': CLIENT_SECRET, 'password': PASSWORD,
              'flow': 'device_code'}],
            [lab_provider(cls.lab, 'lab')],
            {'retry': {'first': '1s', 'longest': '2s'},
             'limits': {'auth_delay': '0s'}})
        cls.session()

    @classmethod
    def session(cls):
        """Everything that happens in a life, good and bad."""
        cls.look()
        cls.outputs.append(cls.sign_in(ALICE))
        cls.outputs.append(cls.sign_in(BOB, 'device'))
        cls.look()
        cls.mail('Marked-1')
        clients.imaplib_read(cls.daemon.login(ALICE))
        clients.imaplib_plain_read(cls.daemon.login(ALICE))
        cls.unlucky_clients()
        cls.unlucky_refreshes()
        cls.note_tokens()
        cls.lab.kill_grants(ALICE)
        cls.mail('Marked-2')
        cls.ask()
        cls.look()
        cls.daemon.kill_role('keeper')
        cls.daemon.wait_ready()
        cls.outputs.append(cls.sign_in(ALICE, 'browser'))
        cls.look()

    @classmethod
    def mail(cls, key):
        login = cls.daemon.login(ALICE)
        clients.smtplib_send(login, message(
            ALICE, READER, key, BODY.encode() + b'\r\n'), [READER])

    @classmethod
    def unlucky_clients(cls):
        """Secrets where none belong: the log must not quote them."""
        login = cls.daemon.login(ALICE)
        wrong = b64('', ALICE, WRONG)
        for lines in ([b'EHLO x', b'AUTH PLAIN ' + wrong],
                      [b'AUTH PLAIN ' + wrong],
                      [b'EHLO x', b'AUTH CRAM-MD5', wrong, WRONG.encode()],
                      [b'EHLO x', b'AUTH LOGIN', b'*', b64(WRONG)],
                      [b'EHLO x', b'AUTH PLAIN ' + wrong + b'!!'],
                      [WRONG.encode(), b'MAIL FROM:<' + WRONG.encode()],
                      [b'EHLO ' + wrong, b'VRFY ' + WRONG.encode()]):
            with Smtp(login.smtp_port, login.ca) as client:
                for line in lines:
                    client.command(line + b'\r\n')
        for line in (f'LOGIN {ALICE} {WRONG}', f'LOGIN {ALICE} "{WRONG}',
                     f'LOGIN {ALICE}{{3+}}', f'{WRONG} {WRONG}',
                     f'AUTHENTICATE PLAIN {wrong.decode()}',
                     f'AUTHENTICATE {WRONG} x'):
            with Imap(login.imap_port, login.ca) as client:
                client.send(f'a {line}\r\n{WRONG}\r\nb LOGOUT\r\n')
                client.rest()

    @classmethod
    def unlucky_refreshes(cls):
        """A provider that says the token in its refusals."""
        for status in (400, 500):
            cls.note_tokens()
            cls.lab.expire_access(ALICE)
            (token,) = cls.refresh_tokens_in_use(ALICE)
            cls.lab.fault(path='/token', status=status, body={
                'error': 'server_error',
                'error_description': f'cannot use {token} of '
                                     f'{CLIENT_SECRET}'})
            cls.mail(f'refresh-{status}')
            cls.lab.clear()
            until(lambda: not cls.daemon.json('queue', 'list')['messages'],
                  'an empty queue')

    @classmethod
    def ask(cls):
        """All that the command line prints about it."""
        d = cls.daemon
        for args in (['status'], ['account', 'list'],
                     ['account', 'show', ALICE], ['login', 'list'],
                     ['queue', 'list'], ['version']):
            cls.outputs.append(d.ctl(*args)[1])
            cls.outputs.append(d.ctl(*args, '--json')[1])
        for m in d.json('queue', 'list')['messages']:
            for verb in ('show', 'why'):
                cls.outputs.append(d.ctl('queue', verb, m['id'])[1])
        cls.outputs.append(d.get('/metrics')[1].decode())
        broken = os.path.join(d.dir, 'broken.ini')
        with open(broken, 'w', encoding='utf-8') as f:
            f.write('[mailbearer]\naccounts = broken.yaml\n')
        d.file('broken.yaml', f'accounts:\n  - address: {ALICE}\n'
               f'    client_secret: {CLIENT_SECRET}\n'
               f'    password: {PASSWORD}\n', 0o600)
        cls.outputs.append(subprocess.run(
            [program('mailbearerd'), '-t', '-c', broken], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True).stdout)

    @classmethod
    def look(cls):
        """What anyone on the machine sees of the processes."""
        cls.note_tokens()
        for pid in [cls.daemon.process.pid, *cls.daemon.roles()]:
            for name in ('cmdline', 'environ'):
                with open(f'/proc/{pid}/{name}', 'rb') as f:
                    cls.procs[pid, name, len(cls.procs)] = f.read()

    @classmethod
    def note_tokens(cls):
        """Before they die: the tokens there are now."""
        cls.tokens |= cls.provider_secrets()

    @classmethod
    def provider_store(cls):
        """[(kind, token, content)] of what the provider has now."""
        # Any order makes it write down what it has.
        cls.lab.control('live', method='GET')
        path = f'{cls.lab.run}/oidc-db.json'
        if not os.path.exists(path):
            return []
        with open(path, encoding='utf-8') as f:
            return [(*key.split(':', 1), entry['v'])
                    for key, entry in json.load(f)]

    @classmethod
    def provider_secrets(cls, *kinds):
        return {token for kind, token, _ in cls.provider_store()
                if kind in (kinds or KINDS)}

    @classmethod
    def refresh_tokens_in_use(cls, account):
        return {token for kind, token, value in cls.provider_store()
                if kind == 'RefreshToken' and 'consumed' not in value
                and value['accountId'] == account}

    def secrets(self):
        self.note_tokens()
        tokens = self.tokens
        self.assertGreater(len(tokens), 8)
        fixed = {PASSWORD, WRONG, CLIENT_SECRET, BODY}
        found = set()
        for secret in tokens | fixed:
            found |= forms(secret)
        return found

    def assert_clean(self, text, where):
        if isinstance(text, bytes):
            text = text.decode('latin-1')
        for secret in self.secrets():
            at = text.find(secret)
            self.assertEqual(at, -1, f'{where} holds a secret: '
                             f'{text[max(0, at - 80):at + 60]!r}')

    # ---- the tests

    def test_the_session_was_one(self):
        """Else the rest would prove nothing."""
        for event in ('smtp-login', 'imap-login', 'token-refresh',
                      'auth-done', 'queue-added', 'account-state'):
            self.assertTrue(self.daemon.events(event), event)
        self.assertTrue(self.provider_secrets('AccessToken'))
        for form in forms(PASSWORD):
            self.assertGreater(len(form), 12)

    def test_log(self):
        self.assert_clean(self.daemon.log(), 'the log')

    def test_command_lines_and_environments(self):
        for (pid, name, _), content in self.procs.items():
            self.assert_clean(content, f'{name} of {pid}')

    def test_command_line_output(self):
        for text in self.outputs:
            self.assert_clean(text, 'output')

    def test_vault_is_sealed(self):
        """Nothing in the files of state but mail in the queue."""
        held = self.provider_secrets() | {PASSWORD, WRONG, CLIENT_SECRET}
        paths = [p for p in glob.glob(f'{self.daemon.dir}/state/**',
                                      recursive=True) if os.path.isfile(p)]
        self.assertTrue(paths)
        for path in paths:
            with open(path, 'rb') as f:
                content = f.read()
            for secret in held:
                self.assertNotIn(secret.encode(), content, path)
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_who_may_read_the_folders(self):
        for name in ('state', 'run'):
            mode = os.stat(f'{self.daemon.dir}/{name}').st_mode
            self.assertEqual(mode & 0o007, 0, name)

    def test_no_core_files(self):
        for pid, role in self.daemon.roles().items():
            with open(f'/proc/{pid}/limits', encoding='ascii') as f:
                limit = re.search(r'Max core file size +(\S+) +(\S+)',
                                  f.read())
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                uid = int(re.search(r'Uid:\s+(\d+)', f.read())[1])
            # The folder of a process that may not be dumped is root's.
            closed = uid != 0 and os.stat(f'/proc/{pid}').st_uid == 0
            self.assertTrue(closed or limit[1] == '0', f'{role}: core files')
            self.assertNotEqual(uid, 0, f'{role} runs as root')

    def test_only_the_keeper_has_the_long_lived(self):
        """Promise 6, in the memory itself."""
        held = [s.encode() for s in
                self.provider_secrets('RefreshToken') | {CLIENT_SECRET}]
        for pid, role in self.daemon.roles().items():
            try:
                found = {secret for block in memory(pid) for secret in held
                         if secret in block}
            except PermissionError:
                self.skipTest('may not read the memory of processes')
            if role == 'keeper':
                self.assertTrue(found, 'else this finds nothing anywhere')
            else:
                self.assertEqual(found, set(), f'memory of {role}')

    def test_new_password_is_shown_once(self):
        """Made here, printed once, nowhere else; given by stdin likewise."""
        added = self.daemon.json('login', 'add', ALICE, 'scanner-1', code=0)
        password = added['password']
        self.assertGreaterEqual(len(password), 16)
        login = self.daemon.login(ALICE, 'scanner-1')
        login.password = password
        clients.imaplib_read(login)
        self.assertNotIn(password, self.daemon.log())
        self.assertNotIn(password, self.daemon.ctl('login', 'list',
                                                   '--json')[1])
        self.daemon.ctl('login', 'remove', 'scanner-1', code=0)
        with Imap(login.imap_port, login.ca) as client:
            self.assertRegex(client.login(login),
                             r'NO \[AUTHENTICATIONFAILED\]')


if __name__ == '__main__':
    main()
