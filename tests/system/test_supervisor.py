#!/usr/bin/env python3
"""The supervisor: restarts, reloads, draining, checking, sockets, users."""
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import clients
from daemon import HERE, ROLES, Daemon, crypt, environment, program
from harness import Case, lab_provider, main, message
from lab import free_ports, until
from raw import Imap, Raw, Smtp

ALICE = 'alice@example.test'
BOB = 'bob@example.test'
READER = 'reader@example.test'
PROVIDER = {
    'name': 'nowhere',
    'authorize_url': 'https://localhost:9/a',
    'token_url': 'https://localhost:9/t',
    'scopes': {'smtp': 'mail', 'imap': 'mail'},
    'smtp': {'host': 'localhost', 'port': 9, 'tls': 'implicit'},
    'imap': {'host': 'localhost', 'port': 9, 'tls': 'implicit'},
}
ACCOUNT = {'address': ALICE, 'provider': 'nowhere', 'client_id': 'x'}


class Connector(threading.Thread):
    """Connects to a port again and again; keeps what went wrong."""

    def __init__(self, port, ca, first):
        super().__init__()
        self.port, self.ca, self.first = port, ca, first
        self.refused, self.lost, self.served = 0, 0, 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                client = Raw(self.port, self.ca)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            except OSError:
                # The relay that had taken it died: not a refusal.
                self.lost += 1
                continue
            with client:
                if client.line().startswith(self.first):
                    self.served += 1
                else:
                    self.lost += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Restarts(Case):
    @classmethod
    def setUpClass(cls):
        cls.launch([ACCOUNT], [PROVIDER])

    def test_a_dead_relay_refuses_nobody(self):
        d = self.daemon
        with Connector(d.smtp_port, d.ca, b'220 ') as smtp, \
                Connector(d.imap_port, d.ca, b'* OK') as imap:
            for _ in range(3):
                before = smtp.served, imap.served
                d.kill_role('relay')
                until(lambda b=before: smtp.served > b[0] + 3
                      and imap.served > b[1] + 3, 'service again')
        self.assertEqual((smtp.refused, imap.refused), (0, 0))

    def test_each_role_comes_back(self):
        for role in ROLES:
            with self.subTest(role):
                self.daemon.kill_role(role)
                self.daemon.wait_ready()
                self.assertTrue(self.daemon.events('role-died'))
                self.assertIn(self.daemon.ctl('status')[0], (0, 1))

    def test_logins_while_the_keeper_is_away_are_temporary(self):
        """Never "wrong password" (DESIGN 2)."""
        login = self.daemon.login(ALICE)
        stop = threading.Event()
        replies = set()

        def work():
            while not stop.is_set():
                with Smtp(login.smtp_port, login.ca) as client:
                    replies.add(client.login(login)[:9])
        thread = threading.Thread(target=work)
        thread.start()
        try:
            for _ in range(3):
                self.daemon.kill_role('keeper')
                self.daemon.wait_ready()
        finally:
            stop.set()
            thread.join()
        self.assertTrue(replies)
        self.assertLessEqual(replies - {''}, {'235 2.7.0', '454 4.7.0'})

    def test_each_role_gave_up_what_it_does_not_need(self):
        for pid, role in self.daemon.roles().items():
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                status = dict(line.rstrip().split(':\t', 1) for line in f
                              if ':\t' in line)
            with self.subTest(role):
                self.assertEqual(status['NoNewPrivs'], '1')
                self.assertEqual(status['Seccomp'], '2')
        version = ctypes.CDLL(None).syscall(444, None, 0, 1)
        if version > 0:  # Landlock, which no file of a process shows
            self.assertFalse(self.daemon.events('hardening'))

    def test_one_process_for_each_worker(self):
        found = sorted(self.daemon.roles().values())
        self.assertEqual(found,
                         sorted([*ROLES, 'relay']))


class Reload(Case):
    @classmethod
    def setUpClass(cls):
        cls.open_lab(users=[ALICE, BOB, READER])
        account = {'provider': 'lab', 'client_id': 'proxy',
                   'client_secret': 'proxy-secret'}
        cls.launch([{'address': ALICE, **account}],
                   [lab_provider(cls.lab, 'lab')])
        cls.sign_in(ALICE)

    def reload(self):
        before = len(self.daemon.events('reload'))
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.daemon.events('reload')) > before, 'reload')

    def test_sessions_live_and_news_count(self):
        d = self.daemon
        login = d.login(ALICE)
        imap = Imap(login.imap_port, login.ca)
        smtp = Smtp(login.smtp_port, login.ca)
        self.addCleanup(imap.close)
        self.addCleanup(smtp.close)
        self.assertIn(' OK ', imap.login(login))
        self.assertIn('235', smtp.login(login))
        smtp.command(f'MAIL FROM:<{ALICE}>')
        smtp.command(f'RCPT TO:<{READER}>')
        smtp.command('DATA')
        data = message(ALICE, READER, 'across')
        smtp.send(data[:50])

        d.accounts[0]['logins'].append(
            {'name': 'newcomer', 'password_hash': crypt('new-password')})
        (new_port,) = free_ports(1)
        d.ini['listen more'] = {**d.ini['listen submissions'],
                                'address': f'127.0.0.1:{new_port}'}
        d.write()
        self.reload()

        self.assertRegex(imap.command('NOOP')[1], ' OK')
        self.assertRegex(smtp.command(data[50:] + b'.\r\n'), '^250 ')
        self.assert_arrived(READER, 'across', data)
        new = clients.Login(new_port, d.imap_port, d.ca, 'newcomer',
                            'new-password', ALICE)
        clients.imaplib_read(new)
        data = message(ALICE, READER, 'new-port')
        clients.smtplib_send(new, data, [READER])
        self.assert_arrived(READER, 'new-port', data)

        # And away again.
        d.accounts[0]['logins'].pop()
        del d.ini['listen more']
        d.write()
        self.reload()
        with Imap(d.imap_port, d.ca) as client:
            self.assertRegex(client.login(new), r'\[AUTHENTICATIONFAILED\]')
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(('127.0.0.1', new_port), 5)

    def test_a_broken_configuration_is_refused(self):
        d = self.daemon
        d.allowed.add('config-error')
        good = dict(d.ini['queue']) if 'queue' in d.ini else {}
        for break_it in (
                lambda: d.ini.update(queue={'max_age': 'sometimes'}),
                lambda: d.file('accounts.yaml', 'accounts: [', 0o600),
                lambda: d.file('tls.crt', 'no certificate')):
            with open(d.certificate, encoding='ascii') as f:
                certificate = f.read()
            break_it()
            if 'queue' in d.ini:
                d.write()
            before = len(d.events('config-error'))
            d.process.send_signal(signal.SIGHUP)
            until(lambda b=before: len(d.events('config-error')) > b,
                  'the mistake in the log')
            code, text = d.ctl('reload')
            self.assertNotEqual(code, 0)
            self.assertRegex(text, r'(mailbearer\.ini|accounts\.yaml'
                                   r'|tls\.crt)')
            data = message(ALICE, READER, f'broken-{before}')
            clients.smtplib_send(d.login(ALICE), data, [READER])
            self.assert_arrived(READER, f'broken-{before}', data)
            # The one in force holds for a restarted role, too.
            d.kill_role('relay')
            clients.imaplib_read(d.login(ALICE))
            d.ini.pop('queue', None)
            if good:
                d.ini['queue'] = good
            d.file('tls.crt', certificate)
            d.write()
        self.assertEqual(d.ctl('reload', code=0)[0], 0)

    def test_a_new_certificate(self):
        d = self.daemon

        def serial():
            with Raw(d.smtp_port, d.ca) as client:
                return client.sock.getpeercert()['serialNumber']
        old = serial()
        subprocess.run(['openssl', 'x509', '-req', '-in', 'tls.csr', '-CA',
                        'ca.crt', '-CAkey', 'ca.key', '-set_serial', '4711',
                        '-extfile', 'tls.ext', '-out', 'tls.crt'],
                       cwd=d.dir, check=True, stderr=subprocess.DEVNULL)
        d.ctl('reload', code=0)
        self.assertNotEqual(serial(), old)


class Ends(Case):
    def test_term_drains(self):
        """What is in hand is finished; nothing new is begun."""
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        d.start()
        try:
            login = d.login(ALICE)
            idle = Smtp(login.smtp_port, login.ca)
            front = Imap(login.imap_port, login.ca)
            busy = Smtp(login.smtp_port, login.ca)
            for client in (idle, front, busy):
                self.addCleanup(client.close)
            self.assertIn('235', busy.login(login))
            busy.command(f'MAIL FROM:<{ALICE}>')
            busy.command(f'RCPT TO:<{READER}>')
            busy.command('DATA')
            busy.send(b'Subject: x\r\n\r\n')
            process = d.process
            process.send_signal(signal.SIGTERM)
            self.assertRegex(idle.reply(), '^421 4.3.2')
            self.assertRegex(front.line(), rb'^\* BYE')
            self.assertIsNone(process.poll())
            # The account is not authorised: the queue takes the message.
            self.assertRegex(busy.command(b'the end\r\n.\r\n'),
                             '^250 2.0.0 Queued as ')
            self.assertRegex(busy.rest(), b'^(421 4.3.2|$)')
            self.assertEqual(process.wait(20), 0)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(('127.0.0.1', d.smtp_port), 5)
            self.assertEqual(d.complaints(), [])
            d.start()
            self.assertEqual(len(d.json('queue', 'list')['messages']), 1)
        finally:
            d.stop()

    def test_no_daemon_is_exit_3(self):
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        for args in (['status'], ['queue', 'list'], ['reload']):
            self.assertEqual(d.ctl(*args)[0], 3, args)
        self.assertEqual(d.ctl('frobnicate')[0], 2)
        self.assertEqual(d.ctl('queue')[0], 2)

    def test_a_second_one_says_why_it_cannot(self):
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        d.start()
        try:
            done = subprocess.run(
                [program('mailbearerd'), '-c', d.config], timeout=20,
                env=environment(), stdout=subprocess.PIPE, check=False,
                stderr=subprocess.STDOUT, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(d.smtp_port), done.stdout)
            # And the first one is none the worse for it.
            self.assertEqual(d.get('/readyz')[0], 200)
        finally:
            d.stop()


class Check(Case):
    def check(self, d):
        done = subprocess.run([program('mailbearerd'), '-t', '-c', d.config],
                              stdout=subprocess.PIPE, timeout=20, text=True,
                              stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def test_every_mistake_at_once(self):
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        self.assertEqual(self.check(d)[0], 0)
        d.file('mailbearer.ini', textwrap.dedent(f'''\
            [mailbearer]
            state_dir = {d.dir}/state
            accounts = {d.dir}/accounts.yaml
            providers = {d.dir}/providers.yaml
            workers = many
            [listen one]
            protocol = gopher
            address = 127.0.0.1:99999
            certificate = /nonexistent.pem
            [queue]
            max_age = sometimes
            max_agee = 5d
            [nonsense]
            '''))
        d.file('accounts.yaml', textwrap.dedent('''\
            accounts:
              - address: not-an-address
                provider: nowhere
                client_id: x
              - address: b@example.test
                provider: unknown-provider
                client_id: x
            '''), 0o600)
        code, text = self.check(d)
        self.assertNotEqual(code, 0)
        for place in ('mailbearer.ini:5:', 'mailbearer.ini:7:',
                      'mailbearer.ini:8:', 'mailbearer.ini:9:',
                      'mailbearer.ini:11:', 'mailbearer.ini:12:',
                      'mailbearer.ini:13', 'accounts.yaml:2:',
                      'accounts.yaml:6:'):
            self.assertIn(place, text)
        for word in ('workers', 'gopher', '99999', 'nonexistent',
                     'sometimes', 'max_agee', 'nonsense', 'not-an-address',
                     'unknown-provider'):
            self.assertIn(word, text)

    def test_secrets_others_can_read(self):
        d = Daemon([{**ACCOUNT, 'client_secret': 's'}], [PROVIDER])
        self.addCleanup(d.remove)
        os.chmod(f'{d.dir}/secret-{ALICE}', 0o644)
        os.chmod(d.key, 0o644)
        code, text = self.check(d)
        self.assertNotEqual(code, 0)
        self.assertIn('client_secret_file', text)
        self.assertIn('key', text)

    def test_certificates_that_are_none(self):
        provider = {**PROVIDER, 'ca_file': ''}
        d = Daemon([ACCOUNT], [provider])
        self.addCleanup(d.remove)
        provider['ca_file'] = d.file('authority.crt', 'nothing')
        d.write()
        d.file('tls.crt', 'nothing')
        code, text = self.check(d)
        self.assertNotEqual(code, 0)
        self.assertIn('tls.crt', text)
        self.assertIn('submissions', text)
        self.assertIn('authority.crt', text)

    def test_a_key_of_another_certificate(self):
        d, other = (Daemon([ACCOUNT], [PROVIDER]) for _ in range(2))
        self.addCleanup(d.remove)
        self.addCleanup(other.remove)
        with open(other.key, encoding='ascii') as f:
            d.file('tls.key', f.read(), 0o600)
        code, text = self.check(d)
        self.assertNotEqual(code, 0)
        self.assertRegex(text, 'tls.(crt|key)')

    def test_it_does_not_start_either(self):
        d = Daemon([ACCOUNT], [PROVIDER], {'queue': {'max_age': 'x'}})
        self.addCleanup(d.remove)
        done = subprocess.run([program('mailbearerd'), '-c', d.config],
                              stdout=subprocess.PIPE, timeout=20, text=True,
                              stderr=subprocess.STDOUT, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'mailbearer\.ini:\d+')
        self.assertFalse(os.path.exists(f'{d.dir}/state/queue/queue.db'))


class Sockets(Case):
    def test_handed_over_by_systemd(self):
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        names = ['submissions', 'imaps']
        d.ini['listen submissions']['address'] = f'127.0.0.1:{d.smtp_port}'
        d.ini['listen imaps']['address'] = f'127.0.0.1:{d.imap_port}'
        d.write()
        held = [socket.create_server(('127.0.0.1', port))
                for port in (d.smtp_port, d.imap_port)]
        # A client that comes before the daemon waits in the backlog.
        early = socket.create_connection(('127.0.0.1', d.smtp_port), 20)
        early.close()
        d.start(argv=[sys.executable, f'{HERE}/hand_over.py',
                      ':'.join(names), program('mailbearerd'), '-c',
                      d.config], env={'HELD': ' '.join(
                          str(s.fileno()) for s in held)},
                pass_fds=[s.fileno() for s in held])
        try:
            with Smtp(d.smtp_port, d.ca) as client:
                self.assertRegex(client.greeting, '^220 ')
            with Imap(d.imap_port, d.ca) as client:
                self.assertRegex(client.greeting, r'^\* OK')
            d.kill_role('relay')
            with Smtp(d.smtp_port, d.ca) as client:
                self.assertRegex(client.greeting, '^220 ')
            self.assertEqual(d.stop(), 0)
            # They were systemd's: still listening here.
            socket.create_connection(('127.0.0.1', d.smtp_port), 5).close()
        finally:
            d.stop()
            for s in held:
                s.close()

    def test_low_ports_and_another_user(self):
        d = Daemon([ACCOUNT], [PROVIDER])
        self.addCleanup(d.remove)
        host = f'127.{random.randint(2, 250)}.{random.randint(1, 250)}.1'
        d.ini['listen submissions']['address'] = f'{host}:465'
        d.ini['listen imaps']['address'] = f'{host}:993'
        d.write()
        d.start()
        try:
            with Smtp(465, d.ca, host=host) as client:
                self.assertRegex(client.greeting, '^220 ')
            with Imap(993, d.ca, host=host) as client:
                self.assertRegex(client.greeting, r'^\* OK')
            for pid, role in d.roles().items():
                with open(f'/proc/{pid}/status', encoding='ascii') as f:
                    status = f.read()
                uids = re.search(r'Uid:\s+(.*)', status)[1].split()
                gids = re.search(r'Gid:\s+(.*)', status)[1].split()
                groups = re.search(r'Groups:[ \t]*(.*)', status)[1].split()
                self.assertNotIn('0', uids + gids + groups, role)
                for kind in ('CapPrm', 'CapEff'):
                    self.assertRegex(status, rf'{kind}:\s+0+\n', role)
                self.assertRegex(status, r'NoNewPrivs:\s+1', role)
            d.kill_role('relay')
            with Smtp(465, d.ca, host=host) as client:
                self.assertRegex(client.greeting, '^220 ')
            self.assertEqual(d.complaints(), [])
        finally:
            self.assertEqual(d.stop(), 0)


if __name__ == '__main__':
    main()
