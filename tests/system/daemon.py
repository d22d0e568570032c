"""mailbearerd under test: its files, its processes, its log."""
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from clients import Login
from lab import children, free_ports, until

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get('MAILBEARER_BUILD', ROOT))
EVENTS = os.path.join(ROOT, 'src', 'base', 'log_event.def')
ROLES = ('relay', 'keeper', 'courier', 'desk')
SANITIZER = re.compile(r'AddressSanitizer|LeakSanitizer|runtime error:'
                       r'|Assertion .* failed')


def program(name):
    """A program of the build tree, or else the installed one."""
    for folder in (BUILD, os.path.join(BUILD, 'src')):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return shutil.which(name) or f'/usr/local/sbin/{name}'


def sanitized():
    """Built with the address sanitizer, which needs memory of its own?"""
    with open(program('mailbearerd'), 'rb') as f:
        return b'__asan_init' in f.read()


def environment():
    """For the daemon: where the roles of the build tree are."""
    env = dict(os.environ)
    # Freed memory is kept for a while; not so much that it hides a leak.
    env.setdefault('ASAN_OPTIONS', 'quarantine_size_mb=1')
    if os.access(os.path.join(BUILD, 'mailbearerd'), os.X_OK):
        env.setdefault('MAILBEARER_LIBEXEC', BUILD)
    return env


def error_events():
    """Names of the events logged at level error or worse."""
    with open(EVENTS, encoding='utf-8') as f:
        return set(re.findall(r'X\(\w+, "([\w-]+)", LOG_(?:ERR|CRIT)',
                              f.read()))


def crypt(password):
    """crypt(3), yescrypt: Python's own module is on its way out."""
    lib = ctypes.CDLL('libcrypt.so.1')
    lib.crypt_gensalt.restype = lib.crypt.restype = ctypes.c_char_p
    salt = lib.crypt_gensalt(b'$y$', ctypes.c_ulong(0), None, 0)
    return lib.crypt(password.encode(), salt).decode()


def yaml(value, indent=0):
    """What our configuration needs of YAML; strings quoted as JSON's are."""
    pad = '  ' * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(f'{pad}{key}:\n{yaml(item, indent + 1)}')
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            lines.append(f'{pad}{key}:\n')
            for one in item:
                text = yaml(one, indent + 2)
                lines.append(f'{pad}  - ' + text[len(pad) + 4:])
        else:
            lines.append(f'{pad}{key}: {json.dumps(item)}\n')
    return ''.join(lines)


def make_certificate(folder):
    """A CA and a certificate for localhost: (ca, certificate, key)."""
    def openssl(*args):
        subprocess.run(['openssl', *args], check=True, cwd=folder,
                       stderr=subprocess.DEVNULL)
    ec = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    openssl('req', '-x509', *ec, '-days', '30', '-subj', '/CN=Listener CA',
            '-addext', 'basicConstraints=critical,CA:TRUE',
            '-keyout', 'ca.key', '-out', 'ca.crt')
    openssl('req', *ec, '-subj', '/CN=localhost', '-keyout', 'tls.key',
            '-out', 'tls.csr')
    with open(f'{folder}/tls.ext', 'w', encoding='ascii') as f:
        f.write('subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n')
    openssl('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.crt', '-CAkey',
            'ca.key', '-CAcreateserial', '-days', '30', '-extfile',
            'tls.ext', '-out', 'tls.crt')
    os.chmod(f'{folder}/tls.key', 0o600)
    return (f'{folder}/ca.crt', f'{folder}/tls.crt', f'{folder}/tls.key')


class Admin(http.client.HTTPConnection):
    """HTTP over the admin socket."""

    def __init__(self, path):
        super().__init__('localhost', timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


class Daemon:
    """
    accounts and providers are lists of dicts as in the YAML files; an
    account's 'password' makes its local login. ini adds options:
    {'queue': {'max_age': '1h'}}.
    """

    def __init__(self, accounts, providers, ini=None):
        self.dir = tempfile.mkdtemp(prefix='mb-sys-')
        # The roles run as another user when the daemon is started by root.
        os.chmod(self.dir, 0o755)
        self.process, self.started_at = None, 0
        self.env = {}  # for its processes, beside our own
        self.allowed = set()
        self.smtp_port, self.imap_port, self.web_port = free_ports(3)
        self.ca, self.certificate, self.key = make_certificate(self.dir)
        self.socket = f'{self.dir}/admin.sock'
        self.config = f'{self.dir}/mailbearer.ini'
        self.log_path = f'{self.dir}/log'
        self.passwords = {}
        self.accounts = [self.account(a) for a in accounts]
        self.providers = providers
        self.ini = self.options(ini or {})
        self.write()

    # ---- configuration

    def account(self, a):
        a = dict(a)
        password = a.pop('password', 'local-password')
        secret = a.pop('client_secret', None)
        name = a.pop('login', a['address'])
        self.passwords[a['address']] = password
        if secret:
            a['client_secret_file'] = self.file(
                f'secret-{a["address"]}', secret + '\n', 0o600)
        a.setdefault('flow', 'authorization_code')
        a.setdefault('services', ['smtp', 'imap'])
        a.setdefault('logins', [{'name': name,
                                 'password_hash': crypt(password)}])
        return a

    def options(self, extra):
        listen = {'tls': 'implicit', 'certificate': self.certificate,
                  'key': self.key}
        options = {
            'mailbearer': {
                'state_dir': f'{self.dir}/state',
                'runtime_dir': f'{self.dir}/run',
                'accounts': f'{self.dir}/accounts.yaml',
                'providers': f'{self.dir}/providers.yaml',
                'hostname': 'proxy.example.test',
                'user': 'nobody',
                'workers': 2,
            },
            'listen submissions': {
                'protocol': 'smtp',
                'address': f'127.0.0.1:{self.smtp_port} '
                           f'[::1]:{self.smtp_port}', **listen},
            'listen imaps': {
                'protocol': 'imap',
                'address': f'127.0.0.1:{self.imap_port} '
                           f'[::1]:{self.imap_port}', **listen},
            'admin': {'socket': self.socket,
                      'web': f'127.0.0.1:{self.web_port}'},
            'log': {'target': 'stderr', 'level': 'debug'},
            'limits': {'auth_delay': '1s'},
        }
        for section, values in extra.items():
            options.setdefault(section, {}).update(values)
        return options

    def file(self, name, content, mode=0o644):
        path = f'{self.dir}/{name}'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def write(self):
        self.file('accounts.yaml', yaml({'accounts': self.accounts}), 0o600)
        self.file('providers.yaml', yaml({'providers': self.providers}))
        # A proxy with a password makes it a secret.
        secret = '@' in self.ini.get('oauth', {}).get('proxy', '')
        self.file('mailbearer.ini', ''.join(
            f'[{section}]\n' + ''.join(f'{k} = {v}\n' for k, v in o.items())
            for section, o in self.ini.items()), 0o600 if secret else 0o644)

    def login(self, address, name=None):
        """A client's account data."""
        return Login(self.smtp_port, self.imap_port, self.ca,
                     name or address, self.passwords[address], address)

    # ---- processes

    def start(self, wait=True, argv=None, env=None, **popen):
        if os.path.exists(self.log_path):
            self.started_at = os.path.getsize(self.log_path)
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                argv or [program('mailbearerd'), '-c', self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment(), **self.env, **(env or {})}, **popen)
        if wait:
            self.wait_ready()
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f'mailbearerd ended with '
                                 f'{self.process.returncode}:\n{self.tail()}')
        try:
            # The first: keeper and courier answer; the second: all do.
            return (self.get('/readyz')[0] == 200
                    and ' event=startup' in self.log(self.started_at))
        except OSError:
            return False

    def wait_ready(self):
        try:
            until(self.ready, 'readiness')
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.tail()}') from None

    def stop(self, sig=signal.SIGTERM, seconds=30):
        """Ends it, by SIGTERM or SIGKILL; its exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(sig)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f'mailbearerd did not end within {seconds} '
                                 f's:\n{self.tail()}') from None

    def remove(self):
        if not os.environ.get('MAILBEARER_KEEP'):
            shutil.rmtree(self.dir, ignore_errors=True)

    def roles(self, name=None):
        """{pid: role} of the living role programs."""
        # A name in /proc/PID/stat holds 15 characters.
        names = {f'mailbearer-{role}'[:15]: role for role in ROLES}
        found = {pid: names.get(comm) or names.get(f'mailbearer-{comm}'[:15])
                 for pid, comm in children(self.process.pid)}
        return {pid: role for pid, role in found.items()
                if role and name in (None, role)}

    def kill_role(self, name):
        """kill -9 of the processes of one role; waits for successors."""
        old = self.roles(name)
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        self.allowed.add('role-died')

        def successors():
            lines = self.events('role-ready')
            ready = [pid for pid in set(self.roles(name)) - set(old)
                     if any(f'[{pid}]: ' in line for line in lines)]
            return len(ready) == len(old)
        until(successors, f'successors of {name}')

    def memory(self, name=None):
        """Resident bytes of the roles together."""
        total = 0
        for pid in self.roles(name):
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                total += int(re.search(r'VmRSS:\s+(\d+)', f.read())[1])
        return total * 1024

    # ---- the admin side

    def get(self, path, method='GET', body=None):
        connection = Admin(self.socket)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as e:
            raise OSError(str(e)) from None
        finally:
            connection.close()

    def ctl_argv(self, *args):
        return [program('mailbearerctl'), '-c', self.config, *args]

    def ctl(self, *args, code=None, stdin=None):
        """Runs mailbearerctl: (exit code, output); code is checked."""
        done = subprocess.run(self.ctl_argv(*args), input=stdin, text=True,
                              stdout=subprocess.PIPE, timeout=30, check=False,
                              stderr=subprocess.STDOUT)
        if code is not None and done.returncode != code:
            raise AssertionError(f'mailbearerctl {" ".join(args)}: exit '
                                 f'{done.returncode}: {done.stdout}')
        return done.returncode, done.stdout

    def json(self, *args, code=None):
        return json.loads(self.ctl(*args, '--json', code=code)[1])

    def authorise(self, account, how, approve):
        """
        Signs in: how is paste, browser or device. approve is called with
        the first line's JSON object and plays the person at the provider;
        where the browser ends up is its result (not for device).
        """
        with subprocess.Popen(
                self.ctl_argv('auth', account, f'--{how}', '--json'),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True) as child:
            try:
                line = child.stdout.readline()
                try:
                    end = approve(json.loads(line))
                except ValueError:
                    raise AssertionError(f'auth {account}: {line}'
                                         f'{child.stdout.read()}') from None
                if how == 'browser':
                    browse(end)
                rest = child.communicate(
                    end + '\n' if how == 'paste' else None, timeout=60)[0]
            finally:
                child.kill()
        if child.returncode != 0:
            raise AssertionError(f'auth {account} --{how}: exit '
                                 f'{child.returncode}: {rest}\n{self.tail()}')
        return rest

    # ---- the log

    def log(self, start=0):
        if not os.path.exists(self.log_path):
            return ''
        with open(self.log_path, 'rb') as f:
            f.seek(start)
            return f.read().decode('utf-8', 'replace')

    def tail(self, lines=40):
        return '\n'.join(self.log().splitlines()[-lines:])

    def events(self, name, **fields):
        """The log lines of an event whose fields have these values."""
        want = [f'event={name}'] + [
            f'{k}={v}' for k, v in fields.items()]
        return [line for line in self.log().splitlines()
                if all(re.search(rf'(?:^|\s){re.escape(w)}(?:\s|$)', line)
                       for w in want)]

    def complaints(self):
        """Log lines that must not be there."""
        bad = error_events() - self.allowed
        found = []
        for line in self.log().splitlines():
            event = re.search(r'(?:^|\s)event=([\w-]+)', line)
            if SANITIZER.search(line) or (event and event[1] in bad):
                found.append(line)
        return found


def browse(url):
    """A browser following the provider's redirect to the daemon."""
    done = subprocess.run(['curl', '-sS', '-f', '--max-time', '20', url],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode:
        raise AssertionError(f'redirect to {url.split("?")[0]}: '
                             f'{done.stdout}')


def wait_port(port, seconds=20):
    def answers():
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return True
        except OSError:
            return False
    until(answers, f'port {port}', seconds)


def measure(action):
    start = time.monotonic()
    result = action()
    return time.monotonic() - start, result
