#!/usr/bin/env python3
"""mailbearerd from outside: start, crash, reload, stop. Run in the build
folder. Every wait is for a condition and bounded by PATIENCE."""

import functools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

DAEMON = os.path.abspath('mailbearerd')
ROLE = os.path.abspath('tests/supervisor/test_role')
PATIENCE = 30


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError('no ' + what)


def is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def ask(to, line):
    """One command to a test role at a port or a path."""
    family = socket.AF_UNIX if isinstance(to, str) else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(PATIENCE)
        s.connect(to if isinstance(to, str) else ('127.0.0.1', to))
        s.sendall(line.encode() + b'\n')
        got = b''
        while chunk := s.recv(65536):
            got += chunk
        return got.decode().strip()


@functools.cache
def certificate():
    """{file: content} of a certificate and its key."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj',
             '/CN=localhost', '-keyout', 'key.pem', '-out', 'cert.pem'],
            cwd=folder, check=True, stderr=subprocess.DEVNULL)
        return {name: pathlib.Path(folder, name).read_text('ascii')
                for name in ('cert.pem', 'key.pem')}


class Daemon:
    """One daemon in a folder of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='mailbearer-test.')
        os.chmod(self.dir, 0o755)
        self.libexec = self.dir + '/libexec'
        os.mkdir(self.libexec)
        shutil.copy(ROLE, self.libexec + '/relay')
        for name in ('keeper', 'courier', 'desk'):
            os.link(self.libexec + '/relay', f'{self.libexec}/{name}')
        self.port = free_port()
        self.admin = self.dir + '/run/admin.sock'
        self.process = None
        self.lines = []
        self.write('secret', 'client secret', 0o600)
        for name, content in certificate().items():
            self.write(name, content, 0o600)
        self.write('providers.yaml',
                   'providers:\n- name: p\n  token_url: https://id.test/t\n'
                   '  authorize_url: https://id.test/a\n'
                   '  scopes: { common: mail }\n  smtp: { host: h.test }\n')
        self.write('accounts.yaml',
                   'accounts:\n- address: a@example.test\n  provider: p\n'
                   '  client_id: c\n  client_secret_file: secret\n')
        self.configure()

    def write(self, name, text, mode=0o644):
        path = f'{self.dir}/{name}'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)

    def configure(self, hostname='one.test', ports=None, extra='', main=''):
        """mailbearer.ini; the listener is line 7, main begins in line 6."""
        user = 'user = root\n' if os.geteuid() == 0 else '; no user\n'
        addresses = ' '.join(f'127.0.0.1:{p}' for p in ports or [self.port])
        self.write('mailbearer.ini',
                   f'[mailbearer]\nstate_dir = {self.dir}/state\n'
                   f'runtime_dir = {self.dir}/run\nworkers = 2\n{user}'
                   f'hostname = {hostname}\n{main}'
                   f'[listen smtp]\nprotocol = smtp\naddress = {addresses}\n'
                   f'certificate = cert.pem\nkey = key.pem\n{extra}')

    def command(self, *args):
        return [DAEMON, '-c', self.dir + '/mailbearer.ini', *args]

    def environment(self, **more):
        return dict(os.environ, MAILBEARER_LIBEXEC=self.libexec, **more)

    def launch(self, command=None, fds=(), **env):
        self.process = subprocess.Popen(
            command or self.command(), stderr=subprocess.PIPE,
            env=self.environment(**env), text=True, pass_fds=fds,
            start_new_session=True)
        threading.Thread(target=self.read, args=(self.process.stderr,),
                         daemon=True).start()

    def read(self, stream):
        with stream:
            for line in stream:
                self.lines.append(line.rstrip('\n'))

    def start(self, **kwargs):
        self.launch(**kwargs)
        self.wait_log('event=startup')

    def log(self, *words, start=0):
        return [l for l in self.lines[start:] if all(w in l for w in words)]

    def wait_log(self, *words, start=0, n=1):
        return until(lambda: len(self.log(*words, start=start)) >= n
                     or (self.process.poll() is not None and
                         self.fail(words)),
                     f'{words} in:\n' + '\n'.join(self.lines))

    def fail(self, words):
        raise AssertionError(f'ended before {words}:\n' +
                             '\n'.join(self.lines))

    def pids(self):
        return {w[1]: int(w[2]) for w in self.started()}

    def started(self):
        """The newest start of each role: (line, role, pid)."""
        out = []
        for line in self.log('event=role-start'):
            fields = dict(w.split('=', 1) for w in line.split()
                          if '=' in w)
            out.append((line, fields['role'], fields['pid']))
        return out

    def reload(self):
        seen = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        return seen

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir)


class Case(unittest.TestCase):
    def setUp(self):
        self.d = Daemon()
        self.addCleanup(self.d.close)


class Start(Case):
    def test_each_role_gets_its_part(self):
        d = self.d
        d.start()
        here = d.dir
        ini = os.path.getsize(here + '/mailbearer.ini')
        ini = f'ini={here}/mailbearer.ini:{ini}'
        accounts = os.path.getsize(here + '/accounts.yaml')
        providers = os.path.getsize(here + '/providers.yaml')
        self.assertEqual(sorted(ask(d.port, 'blobs').split()), sorted([
            ini, *(f'file:{here}/{name}={here}/{name}:{len(content)}'
                   for name, content in certificate().items())]))
        self.assertEqual(sorted(ask(d.port, 'ask keeper blobs').split()),
                         sorted([
            ini, f'accounts={here}/accounts.yaml:{accounts}',
            f'providers={here}/providers.yaml:{providers}',
            f'file:{here}/secret={here}/secret:13']))
        self.assertEqual(ask(d.port, 'ask courier blobs'), ini)
        self.assertEqual(ask(d.admin, 'blobs'), ini)
        self.assertEqual(ask(d.port, 'listeners'), 'smtp')
        self.assertEqual(ask(d.admin, 'listeners'), 'admin')
        self.assertEqual(ask(d.port, 'ask keeper listeners'), '')

    def test_each_role_knows_its_peers(self):
        d = self.d
        d.start()
        self.assertEqual(ask(d.port, 'peers'), 'keeper courier')
        self.assertEqual(ask(d.admin, 'peers'), 'keeper courier')
        self.assertEqual(ask(d.port, 'ask keeper peers'),
                         'relay/0 relay/1 courier desk')
        self.assertEqual(ask(d.port, 'ask courier peers'),
                         'relay/0 relay/1 keeper desk')

    def test_roles_are_hardened(self):
        d = self.d
        d.start()
        for pid in d.pids().values():
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                self.assertIn('NoNewPrivs:\t1', f.read())
            with open(f'/proc/{pid}/limits', encoding='ascii') as f:
                core = [l for l in f if l.startswith('Max core file size')]
            self.assertEqual(core[0].split()[4:6], ['0', '0'])
        self.assertEqual(os.stat(d.admin).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(d.dir + '/state').st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(d.dir + '/run').st_mode & 0o777, 0o700)

    def test_privileges_are_dropped(self):
        if os.geteuid() != 0:
            self.skipTest('not root')
        d = self.d
        d.configure()
        with open(d.dir + '/mailbearer.ini', encoding='utf-8') as f:
            text = f.read().replace('user = root', 'user = nobody')
        d.write('mailbearer.ini', text)
        d.start()
        for pid in d.pids().values():
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                status = dict(l.rstrip().split(':\t', 1) for l in f
                              if ':\t' in l)
            self.assertEqual(set(status['Uid'].split()), {'65534'})
            self.assertNotIn('0', status['Gid'].split())
            self.assertNotIn('0', status['Groups'].split())
            self.assertEqual(int(status['CapEff'], 16), 0)
        self.assertEqual(os.stat(d.dir + '/state').st_uid, 65534)
        seen = d.reload()
        d.wait_log('event=reload', start=seen)

    def test_root_wants_a_user(self):
        if os.geteuid() != 0:
            self.skipTest('not root')
        with open(self.d.dir + '/mailbearer.ini', encoding='utf-8') as f:
            text = f.read().replace('user = root', 'user = no-such-user')
        self.d.write('mailbearer.ini', text)
        self.d.launch()
        self.assertEqual(self.d.process.wait(PATIENCE), 1)
        until(lambda: self.d.log('there is no user no-such-user'), 'reason')

    def test_port_taken(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', self.d.port))
            s.listen()
            self.d.launch()
            self.assertEqual(self.d.process.wait(PATIENCE), 1)
        until(lambda: self.d.log('[listen smtp]', str(self.d.port)), 'reason')

    def test_role_missing(self):
        os.unlink(self.d.libexec + '/courier')
        self.d.launch()
        self.assertEqual(self.d.process.wait(PATIENCE), 1)
        until(lambda: self.d.log('courier: No such file'), 'reason')
        until(lambda: self.d.log('event=role-died', 'role=courier',
                                 'status=127'), 'death')

    def test_role_refuses(self):
        self.d.configure(hostname='refuse.test')
        self.d.launch()
        self.assertEqual(self.d.process.wait(PATIENCE), 1)
        until(lambda: self.d.log('event=config-error', 'text=refused'),
              'reason')

    def test_state_open_to_others(self):
        os.mkdir(self.d.dir + '/state')
        os.chmod(self.d.dir + '/state', 0o777)
        self.d.launch()
        self.assertEqual(self.d.process.wait(PATIENCE), 1)
        until(lambda: self.d.log('state: others may write'), 'reason')

    def test_detached(self):
        d = self.d
        d.configure(extra='[log]\ntarget = ./log\n')
        done = subprocess.run(d.command('-D'), env=d.environment(),
                              timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0)
        role = int(ask(d.port, 'pid'))
        with open(f'/proc/{role}/stat', encoding='ascii') as f:
            daemon = int(f.read().rsplit(')', 1)[1].split()[1])
        os.kill(daemon, signal.SIGTERM)
        until(lambda: not is_alive(daemon), 'end')
        with open(d.dir + '/log', encoding='utf-8') as f:
            self.assertIn('event=startup', f.read())

    def test_detached_start_fails(self):
        d = self.d
        d.configure(hostname='refuse.test', extra='[log]\ntarget = ./log\n')
        done = subprocess.run(d.command('-D'), env=d.environment(),
                              timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1)
        d.configure()
        done = subprocess.run(d.command('-D'), env=d.environment(),
                              timeout=PATIENCE, stderr=subprocess.PIPE,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('there is none with -D', done.stderr)


class Crash(Case):
    def test_sockets_outlive_relays(self):
        d = self.d
        d.start()
        for _ in range(2):
            started = len(d.started())
            pids = d.pids()
            for name in ('relay/0', 'relay/1'):
                os.kill(pids[name], signal.SIGKILL)
            # never refused, and answered as soon as one is back
            until(lambda p=pids: self.try_pid() not in
                  (None, p['relay/0'], p['relay/1']), 'new relay')
            until(lambda n=started: len(d.started()) == n + 2, 'starts')
        self.assertEqual(len(d.log('event=role-died', 'signal=9')), 4)
        until(lambda: ask(d.port, 'ask keeper peers') ==
              'relay/0 relay/1 courier desk', 'all peers')

    def try_pid(self):
        try:
            return int(ask(self.d.port, 'pid') or 0) or None
        except ConnectionRefusedError:
            raise
        except OSError:
            return None  # taken by the one that died

    def test_keeper_comes_back(self):
        d = self.d
        d.start()
        old = ask(d.port, 'ask keeper pid')
        self.assertEqual(ask(d.port, 'ask keeper crash'), 'none')
        new = until(lambda: ask(d.port, 'ask keeper pid'), 'keeper')
        self.assertNotIn(new, ('none', old))
        self.assertEqual(until(lambda: ask(d.admin, 'ask keeper pid'),
                               'keeper'), new)
        until(lambda: d.log('event=role-died', 'role=keeper',
                            f'signal={signal.SIGABRT.value}'), 'death')
        until(lambda: ask(d.port, 'ask keeper peers') ==
              'relay/0 relay/1 courier desk', 'all peers')

    def test_back_off(self):
        d = self.d
        d.start()
        times = []
        for n in range(3):
            os.kill(d.pids()['desk'], signal.SIGKILL)
            before = time.monotonic()
            until(lambda k=n: len(d.log('event=role-start', 'role=desk')) ==
                  k + 2, 'restart')
            times.append(time.monotonic() - before)
        # the pauses grow: at once, 1 s, 2 s
        self.assertLess(times[0], times[1])
        self.assertLess(times[1], times[2])

    def test_roles_end_with_the_supervisor(self):
        d = self.d
        d.start()
        pids = d.pids().values()
        d.process.kill()
        d.process.wait()
        until(lambda: not any(is_alive(p) for p in pids), 'end of roles')


class Reload(Case):
    def test_new_configuration(self):
        d = self.d
        second, third = free_port(), free_port()
        d.configure(ports=[d.port, second])
        d.start()
        pids = d.pids()
        self.assertEqual(ask(second, 'hostname'), 'one.test')
        d.configure(hostname='two.test', ports=[d.port, third])
        with socket.create_connection(('127.0.0.1', d.port)) as held:
            d.wait_log('event=reload', start=d.reload())
            held.settimeout(PATIENCE)
            held.sendall(b'hostname\n')
            self.assertEqual(held.recv(100), b'two.test\n')
        for port in (d.port, third):
            self.assertEqual(ask(port, 'hostname'), 'two.test')
        self.assertEqual(ask(d.port, 'ask keeper hostname'), 'two.test')
        with self.assertRaises(ConnectionRefusedError):
            ask(second, 'hostname')
        self.assertEqual(d.pids(), pids)
        os.kill(pids['desk'], signal.SIGKILL)
        d.wait_log('event=role-start', 'role=desk', n=2)
        self.assertEqual(ask(d.admin, 'hostname'), 'two.test')

    def test_mistake_keeps_the_old(self):
        d = self.d
        d.start()
        port = free_port()
        d.configure(hostname='two.test', ports=[port], extra='colour = red\n')
        seen = d.reload()
        d.wait_log('event=config-error', 'mailbearer.ini:12', 'colour',
                   start=seen)
        self.assertEqual(ask(d.port, 'hostname'), 'one.test')
        got = ask(d.admin, 'reload')
        self.assertTrue(got.startswith('0 '), got)
        self.assertIn('mailbearer.ini:12: unknown key colour', got)
        self.assertFalse(d.log('event=reload '))
        # and once mended it is taken
        d.configure(hostname='two.test')
        self.assertEqual(ask(d.admin, 'reload'), '1')
        self.assertEqual(ask(d.port, 'hostname'), 'two.test')
        d.wait_log('event=reload ')

    def test_port_taken(self):
        d = self.d
        d.start()
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            free = free_port()
            d.configure(ports=[s.getsockname()[1], free],
                        hostname='two.test')
            got = ask(d.admin, 'reload')
        self.assertTrue(got.startswith('0 '), got)
        self.assertIn('in use', got)
        self.assertEqual(ask(d.port, 'hostname'), 'one.test')
        with self.assertRaises(ConnectionRefusedError):
            ask(free, 'hostname')

    def test_role_refuses(self):
        d = self.d
        d.start()
        pids = d.pids()
        d.configure(hostname='refuse.test')
        got = ask(d.admin, 'reload')
        self.assertIn('keeper: refused', got)
        self.assertEqual(ask(d.port, 'hostname'), 'one.test')
        self.assertEqual(d.pids(), pids)

    def test_what_only_a_restart_changes(self):
        d = self.d
        d.start()
        with open(d.dir + '/mailbearer.ini', encoding='utf-8') as f:
            text = f.read().replace('workers = 2', 'workers = 3')
        d.write('mailbearer.ini', text)
        self.assertIn(':4: workers cannot change', ask(d.admin, 'reload'))

    def test_log_file_is_opened_again(self):
        d = self.d
        log = d.dir + '/log'
        d.configure(extra='[log]\ntarget = ./log\n')
        d.launch()
        until(lambda: 'event=startup' in self.text(log), 'start')
        os.rename(log, log + '.1')
        d.reload()
        until(lambda: 'event=reload ' in self.text(log), 'reload')
        d.stop()
        self.assertNotIn('event=shutdown', self.text(log + '.1'))
        for role in ('relay', 'keeper', 'courier', 'desk'):
            self.assertRegex(self.text(log), f'{role}.*event=role-stopping')

    @staticmethod
    def text(path):
        try:
            with open(path, encoding='utf-8') as f:
                return f.read()
        except FileNotFoundError:
            return ''


class Stop(Case):
    def test_in_order(self):
        d = self.d
        d.start()
        self.assertEqual(d.stop(), 0)
        until(lambda: len(d.log('event=role-stopping')) == 5, 'words')
        order = [l.split('[')[0].split('/')[-1] for l in
                 d.log('event=role-stopping')]
        self.assertEqual(order, ['relay', 'relay', 'courier', 'keeper',
                                 'desk'])
        self.assertFalse(d.log('event=role-died'))
        self.assertFalse(os.path.exists(d.admin))

    def test_second_signal_is_at_once(self):
        d = self.d
        d.start()
        ask(d.port, 'ask courier hang')
        d.process.send_signal(signal.SIGTERM)
        d.wait_log('courier', 'event=role-stopping')
        self.assertIsNone(d.process.poll())
        self.assertEqual(d.stop(), 0)

    def test_terminal_reaches_the_supervisor_only(self):
        d = self.d
        d.start()
        os.killpg(d.process.pid, signal.SIGINT)
        self.assertEqual(d.process.wait(PATIENCE), 0)
        self.assertFalse(d.log('event=role-died'))


class Systemd(Case):
    def test_sockets_handed_over(self):
        d = self.d
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            port = s.getsockname()[1]
            d.start(command=['sh', '-c', 'exec 3<&"$1"; LISTEN_PID=$$ '
                             'LISTEN_FDS=1 LISTEN_FDNAMES=smtp exec "$2" -c '
                             '"$3"', 'sh', str(s.fileno()), DAEMON,
                             d.dir + '/mailbearer.ini'], fds=[s.fileno()])
        self.assertEqual(ask(port, 'hostname'), 'one.test')
        with self.assertRaises(ConnectionRefusedError):
            ask(d.port, 'hostname')
        d.configure(hostname='two.test')
        self.assertEqual(ask(d.admin, 'reload'), '1')
        self.assertEqual(ask(port, 'hostname'), 'two.test')

    def test_stray_socket(self):
        d = self.d
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            s.listen()
            d.launch(command=['sh', '-c', 'exec 3<&"$1"; LISTEN_PID=$$ '
                              'LISTEN_FDS=1 LISTEN_FDNAMES=other exec "$2" '
                              '-c "$3"', 'sh', str(s.fileno()), DAEMON,
                              d.dir + '/mailbearer.ini'], fds=[s.fileno()])
            self.assertEqual(d.process.wait(PATIENCE), 1)
        until(lambda: d.log('no [listen other]'), 'reason')

    def test_notifications(self):
        d = self.d
        path = d.dir + '/notify'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(PATIENCE)
            d.launch(NOTIFY_SOCKET=path)
            self.assertIn(b'READY=1', s.recv(4096))
            d.wait_log('event=startup')
            d.reload()
            self.assertIn(b'RELOADING=1\nMONOTONIC_USEC=', s.recv(4096))
            self.assertIn(b'READY=1', s.recv(4096))
            self.assertEqual(d.stop(), 0)
            self.assertIn(b'STOPPING=1', s.recv(4096))


if __name__ == '__main__':
    unittest.main(verbosity=2)
