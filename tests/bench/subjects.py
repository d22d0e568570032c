"""
What is measured, each between the load generator and the provider: nothing
(direct), the floor (tlspipe), mailbearerd, and rivals that are installed.
"""
import http.client
import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'system'))
import daemon  # noqa: E402  (the system tests know how to run it)
from lab import free_ports, until  # noqa: E402

ACCOUNTS = 8        # bench0@bench.test ...; the clients take turns
FRESH = 5           # first0@bench.test ...; whose first login is measured
PASSWORD = 'bench'


def program(name):
    path = os.path.join(daemon.BUILD, 'tests', 'bench', name)
    if not os.access(path, os.X_OK):
        raise SystemExit(f'{path} is not there: "make bench" builds it')
    return path


def stop(process):
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Provider:
    """sinkprov, and the requests that steer it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='mb-bench-')
        os.chmod(self.dir, 0o755)
        self.ca, self.certificate, self.key = daemon.make_certificate(self.dir)
        self.process = subprocess.Popen(
            [program('sinkprov'), '-c', self.certificate, '-k', self.key],
            stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.tls = ssl.create_default_context(cafile=self.ca)

    def request(self, method, path):
        connection = http.client.HTTPSConnection(
            'localhost', self.ports['http'], context=self.tls, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.getheader('Location'), answer.read()
        finally:
            connection.close()

    def post(self, path):
        return json.loads(self.request('POST', path)[1])

    def stats(self):
        return json.loads(self.request('GET', '/stats')[1])

    def consent(self, url):
        """Follows an authorization URL; where the browser is sent."""
        return self.request('GET', '/' + url.split('/', 3)[3])[0]

    def stop(self):
        stop(self.process)
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Subject:
    """Ports, the CA of its certificate, and the process to measure."""
    name = '?'
    sends = reads = True    # has SMTP, IMAP
    auth = True             # the client logs in
    root = None             # pid of its process tree

    def __init__(self, provider, options):
        self.provider, self.options = provider, options
        self.ca = provider.ca
        self.smtp = self.imap = 0

    @staticmethod
    def there():
        return True

    def start(self):
        pass

    def stop(self):
        pass


class Direct(Subject):
    name = 'direct'

    def start(self):
        self.smtp = self.provider.ports['smtp']
        self.imap = self.provider.ports['imap']


class Piped(Subject):
    """A program that runs in the foreground and only passes bytes on."""

    def __init__(self, provider, options):
        super().__init__(provider, options)
        self.process = None
        self.dir = tempfile.mkdtemp(prefix='mb-bench-')
        self.pem = f'{self.dir}/both.pem'
        with open(self.pem, 'w', encoding='ascii') as out:
            for path in (provider.certificate, provider.key):
                with open(path, encoding='ascii') as f:
                    out.write(f.read())
        os.chmod(self.pem, 0o600)

    def run(self, argv, **popen):
        self.process = subprocess.Popen(argv, **popen)
        self.root = self.process.pid

    def config(self, text):
        path = f'{self.dir}/config'
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        return path

    def run_config(self, *argv):
        with open(f'{self.dir}/log', 'wb') as log:
            self.run(argv, stdout=log, stderr=log)
        try:
            for port in (self.smtp, self.imap):
                daemon.wait_port(port)
        except AssertionError as e:
            with open(f'{self.dir}/log', encoding='utf-8') as f:
                raise RuntimeError(f'{self.name}: {e}\n{f.read()}') from None

    def stop(self):
        stop(self.process)
        shutil.rmtree(self.dir, ignore_errors=True)


class TlsPipe(Piped):
    name = 'tlspipe'

    def start(self):
        p = self.provider
        self.run([program('tlspipe'), '-c', p.certificate, '-k', p.key, '-a',
                  p.ca, str(p.ports['smtp']), str(p.ports['imap'])],
                 stdout=subprocess.PIPE, text=True)
        self.smtp, self.imap = json.loads(self.process.stdout.readline())

    def stop(self):
        super().stop()
        self.process.stdout.close()


class HaProxy(Piped):
    name = 'haproxy'

    @staticmethod
    def there():
        return shutil.which('haproxy')

    def start(self):
        self.smtp, self.imap = free_ports(2)
        text = ('global\n nbthread 1\n maxconn 9000\ndefaults\n mode tcp\n'
                ' timeout connect 10s\n timeout client 1h\n'
                ' timeout server 1h\n')
        for name in ('smtp', 'imap'):
            text += (f'listen {name}\n'
                     f' bind 127.0.0.1:{getattr(self, name)} ssl crt '
                     f'{self.pem}\n server s 127.0.0.1:'
                     f'{self.provider.ports[name]} ssl verify required '
                     f'ca-file {self.ca} sni str(localhost)\n')
        self.run_config('haproxy', '-db', '-f', self.config(text))


class Stunnel(Piped):
    """Two services in a row: it has TLS on one side of each only."""
    name = 'stunnel'

    @staticmethod
    def there():
        return shutil.which('stunnel')

    def start(self):
        self.smtp, self.imap, *between = free_ports(4)
        text = 'foreground = yes\npid =\ndebug = 3\nsocket = l:TCP_NODELAY=1\n' \
               'socket = r:TCP_NODELAY=1\n'
        for name, middle in zip(('smtp', 'imap'), between):
            text += (f'[{name}-in]\naccept = 127.0.0.1:{getattr(self, name)}\n'
                     f'cert = {self.pem}\nconnect = 127.0.0.1:{middle}\n'
                     f'[{name}-out]\nclient = yes\n'
                     f'accept = 127.0.0.1:{middle}\nconnect = 127.0.0.1:'
                     f'{self.provider.ports[name]}\nCAfile = {self.ca}\n'
                     f'verifyChain = yes\ncheckHost = localhost\n'
                     f'sni = localhost\n')
        self.run_config('stunnel', self.config(text))


class Mailbearer(Subject):
    name = 'mailbearer'

    @staticmethod
    def there():
        return os.access(daemon.program('mailbearerd'), os.X_OK) \
            and os.access(daemon.program('mailbearerctl'), os.X_OK)

    def accounts(self):
        names = [f'bench{i}@bench.test' for i in range(ACCOUNTS)]
        return names + [f'first{i}@bench.test' for i in range(FRESH)]

    def provider_entry(self):
        ports = self.provider.ports
        web = f'https://localhost:{ports["http"]}'
        return {
            'name': 'bench', 'match': ['bench.test'],
            'authorize_url': f'{web}/authorize', 'token_url': f'{web}/token',
            'scopes': {'smtp': 'mail', 'imap': 'mail'},
            'smtp': {'host': 'localhost', 'port': ports['smtp'],
                     'tls': 'implicit'},
            'imap': {'host': 'localhost', 'port': ports['imap'],
                     'tls': 'implicit'},
            'sasl': ['xoauth2'], 'client_auth': 'post', 'rotates': True,
            'ca_file': self.provider.ca,
            'limits': {'max_connections': self.options.connections,
                       'max_per_minute': 0},
        }

    def start(self):
        accounts = [{'address': a, 'provider': 'bench', 'client_id': 'bench',
                     'password': PASSWORD} for a in self.accounts()]
        self.daemon = daemon.Daemon(accounts, [self.provider_entry()], {
            'mailbearer': {'workers': self.options.workers},
            'log': {'level': 'info'},
            'retry': {'first': '1s', 'longest': '2s'},
            'limits': {'max_sessions': 20000},
            'queue': {'max_messages': 0, 'max_bytes': 0},
        })
        self.daemon.start()
        self.root = self.daemon.process.pid
        self.ca = self.daemon.ca
        self.smtp, self.imap = self.daemon.smtp_port, self.daemon.imap_port
        self.sign_in()

    def sign_in(self):
        for account in self.accounts():
            self.daemon.authorise(
                account, 'paste',
                lambda auth: self.provider.consent(auth['url']))

    def states(self):
        status, body = self.daemon.get('/v1/accounts')
        if status != 200:
            raise RuntimeError(f'/v1/accounts says {status}')
        return {a['address']: a['services'] for a in
                json.loads(body)['accounts']}

    def waiting(self):
        """Messages in the queue."""
        status, body = self.daemon.get('/v1/queue/counts')
        if status != 200:
            raise RuntimeError(f'/v1/queue/counts says {status}')
        return sum(a['messages'] for a in json.loads(body)['accounts'])

    def stop_and_fill(self, count):
        """
        Ends the daemon and puts so many messages into an empty queue, the
        accounts in turns; their digest.
        """
        self.daemon.stop()
        folder = f'{self.daemon.dir}/state/queue'
        owner = os.stat(folder)
        for name in os.listdir(folder):
            os.remove(f'{folder}/{name}')
        senders = [a for a in self.accounts() if a.startswith('bench')]
        done = subprocess.run(
            [program('fillqueue'), folder, str(count), '10240', *senders],
            check=True, stdout=subprocess.PIPE, user=owner.st_uid,
            group=owner.st_gid, extra_groups=[])
        return json.loads(done.stdout)['xor']

    def courier_peak_mb(self):
        pid, = self.daemon.roles('courier')
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            for line in f:
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) / 1024
        return None

    def senders_dead(self):
        return all(s['smtp']['state'] == 'reauthorize'
                   for a, s in self.states().items() if a.startswith('bench'))

    def stop(self):
        if hasattr(self, 'daemon'):
            self.daemon.stop()
            self.daemon.remove()


class Postfix(Subject):
    """
    Only for what it accepts and keeps: its transport is deferred, as ours is
    by a dead account. It asks no password, which is in its favour.
    """
    name = 'postfix'
    reads = auth = False

    @staticmethod
    def there():
        return os.geteuid() == 0 and shutil.which('postfix')

    def start(self):
        self.smtp, = free_ports(1)
        self.dir = tempfile.mkdtemp(prefix='mb-bench-')
        os.chmod(self.dir, 0o755)
        for name in ('etc', 'spool', 'data'):
            os.mkdir(f'{self.dir}/{name}')
        os.chown(f'{self.dir}/data', pwd.getpwnam('postfix').pw_uid, -1)
        pem = f'{self.dir}/etc/both.pem'
        with open(pem, 'w', encoding='ascii') as out:
            os.chmod(pem, 0o600)
            for path in (self.provider.key, self.provider.certificate):
                with open(path, encoding='ascii') as f:
                    out.write(f.read())
        self.write_config(pem)
        with open(f'{self.dir}/log', 'ab') as log:
            subprocess.run(['postfix', '-c', f'{self.dir}/etc', 'start'],
                           check=True, stdout=log, stderr=log)
        with open(f'{self.dir}/spool/pid/master.pid', encoding='ascii') as f:
            self.root = int(f.read())
        daemon.wait_port(self.smtp)

    def write_config(self, pem):
        with open(f'{self.dir}/etc/main.cf', 'w', encoding='ascii') as f:
            f.write(f'compatibility_level = 3.6\n'
                    f'queue_directory = {self.dir}/spool\n'
                    f'data_directory = {self.dir}/data\n'
                    f'maillog_file = {self.dir}/mail.log\n'
                    f'maillog_file_prefixes = {self.dir}\n'
                    f'myhostname = postfix.bench.test\nmydestination =\n'
                    f'mynetworks = 127.0.0.0/8\ninet_protocols = ipv4\n'
                    f'alias_maps =\nrelayhost = [127.0.0.1]:9\n'
                    f'defer_transports = smtp\nqueue_minfree = 0\n'
                    f'smtpd_relay_restrictions = permit_mynetworks, reject\n'
                    f'smtpd_client_connection_count_limit = 0\n'
                    f'smtpd_tls_security_level = encrypt\n'
                    f'smtpd_tls_chain_files = {pem}\n'
                    f'default_process_limit = 100\n')
        agents = (('pickup unix n - n 60 1', 'pickup'),
                  ('cleanup unix n - n - 0', 'cleanup'),
                  ('qmgr unix n - n 300 1', 'qmgr'),
                  ('tlsmgr unix - - n 1000? 1', 'tlsmgr'),
                  ('rewrite unix - - n - -', 'trivial-rewrite'),
                  ('bounce unix - - n - 0', 'bounce'),
                  ('defer unix - - n - 0', 'bounce'),
                  ('trace unix - - n - 0', 'bounce'),
                  ('smtp unix - - n - -', 'smtp'),
                  ('error unix - - n - -', 'error'),
                  ('retry unix - - n - -', 'error'),
                  ('anvil unix - - n - 1', 'anvil'),
                  ('postlog unix-dgram n - n - 1', 'postlogd'),
                  ('proxymap unix - - n - -', 'proxymap'))
        with open(f'{self.dir}/etc/master.cf', 'w', encoding='ascii') as f:
            f.write(f'127.0.0.1:{self.smtp} inet n - n - - smtpd\n'
                    f' -o smtpd_tls_wrappermode=yes\n')
            f.writelines(f'{line} {command}\n' for line, command in agents)

    def waiting(self):
        return sum(len(files) for name in ('incoming', 'active', 'deferred')
                   for _, _, files in os.walk(f'{self.dir}/spool/{name}'))

    def stop(self):
        if self.root:
            subprocess.run(['postfix', '-c', f'{self.dir}/etc', 'stop'],
                           check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            until(lambda: self.root not in measure.parents(),
                       'end of postfix', 20)
        shutil.rmtree(self.dir, ignore_errors=True)


ALL = (Direct, TlsPipe, Mailbearer, HaProxy, Stunnel, Postfix)
