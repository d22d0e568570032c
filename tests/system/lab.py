"""The lab (lab/start.sh) as an object: one instance on ports of its own."""
import glob
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, 'lab')
# BASE+24 to BASE+995, below the range ephemeral ports are taken from.
BASES = range(11000, 31700)


def until(condition, what, seconds=20):
    """Waits for a condition and returns its first true value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(0.02)


class Lab:
    def __init__(self, users=None, clients=None, **options):
        """options: MODE, MECHS, PLAIN... of lab/start.sh."""
        self.run = tempfile.mkdtemp(prefix='mb-lab-')
        if users:
            self.write('users.json',
                       {u: {'password': f'{u}-web-pw'} for u in users})
        if clients:
            self.write('clients.json', clients)
        self.start(options)
        with open(f'{self.run}/env', encoding='ascii') as f:
            self.env = dict(line.strip().split('=', 1) for line in f)
        self.ca = self.env['CA']
        self.issuer = self.env['ISSUER']

    def write(self, name, value):
        path = f'{self.run}/{name}'
        with open(path, 'w', encoding='ascii') as f:
            json.dump(value, f)
        os.chmod(path, 0o600)

    def start(self, options):
        for _ in range(5):
            env = {**os.environ, **options, 'RUN': self.run,
                   'BASE': str(random.choice(BASES))}
            # Into a file: what stays running would keep a pipe open.
            with open(f'{self.run}/start.log', 'w+', encoding='utf-8') as f:
                code = subprocess.run([f'{SCRIPTS}/start.sh'], env=env,
                                      stdout=f, stderr=f, timeout=60,
                                      check=False).returncode
                f.seek(0)
                said = f.read()
            if code == 0:
                return
            # Another run may hold a port, or take it this moment.
            self.halt()
            if not re.search('is taken|already in use', said):
                break
        raise RuntimeError(f'the lab did not start: {said}')

    def halt(self):
        subprocess.run([f'{SCRIPTS}/stop.sh'], timeout=60, check=True,
                       env={**os.environ, 'RUN': self.run})

    def stop(self):
        self.halt()
        if not os.environ.get('MAILBEARER_KEEP'):
            shutil.rmtree(self.run, ignore_errors=True)

    def port(self, name):
        return int(self.env[f'{name}_PORT'])

    # ---- the OpenID provider

    def control(self, order, body=None, method='POST'):
        """control('revoke-user?user=..'), control('fault', {...})..."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f'{self.env["CONTROL"]}/{order}',
                                         data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def kill_grants(self, user):
        """Signed out everywhere, open connections included."""
        revoked = self.control(f'revoke-user?user={user}')['revoked']
        self.cut_smtp()
        return revoked

    def expire_access(self, user):
        """Access tokens die, refresh tokens live; connections are cut."""
        self.control(f'expire-access?user={user}')
        self.cut_smtp()

    def cut_smtp(self):
        """
        Ends the sessions of Postfix. It asks for the token only when a
        session begins, so what is open would stay authenticated.
        """
        with open(f'{self.run}/postfix/spool/pid/master.pid',
                  encoding='ascii') as f:
            master = int(f.read())
        old = {pid for pid, name in children(master) if name == 'smtpd'}
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        until(lambda: not old & {pid for pid, _ in children(master)},
              'the end of smtpd')

    def fault(self, **fault):
        self.control('fault', fault)

    def clear(self):
        self.control('clear')

    def requests(self, path, **match):
        """What the provider was asked: the entries of its log."""
        return [e for e in self.control('log', method='GET')
                if e['path'] == path
                and all(e.get(k) == v for k, v in match.items())]

    def token(self, *args, client='proxy'):
        done = subprocess.run(
            [f'{SCRIPTS}/token.sh', *args], timeout=30, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, 'RUN': self.run, 'CLIENT': client})
        if done.returncode:
            raise AssertionError(f'token.sh {args[0]}: {done.stderr}')
        return done.stdout.strip()

    def approve_url(self, url, user):
        """Signs in at an authorization URL; where the browser is sent."""
        return self.token('approve-url', url, user)

    def approve_device(self, code, user):
        self.token('approve-device', code, user)

    # ---- mailboxes

    def mail(self, user):
        """[(name, bytes)] of the messages in an INBOX, oldest first."""
        found = glob.glob(f'{self.run}/mail/{user}/Maildir/new/*') \
            + glob.glob(f'{self.run}/mail/{user}/Maildir/cur/*')
        # By Dovecot's name: seconds, then M and the microseconds.
        found.sort(key=arrival)
        messages = []
        for path in found:
            with open(path, 'rb') as f:
                messages.append((os.path.basename(path), f.read()))
        return messages

    def wait_mail(self, user, count, seconds=20):
        until(lambda: len(self.mail(user)) >= count,
              f'{count} messages for {user}', seconds)
        return [data for _, data in self.mail(user)]

    def accepted(self):
        """Keys of the messages Postfix took, in the order it took them."""
        with open(f'{self.run}/log/postfix.log', encoding='utf-8') as f:
            return re.findall(r'cleanup.* message-id=<(.*)@client\.test>',
                              f.read())

    def empty(self, user):
        for path in glob.glob(f'{self.run}/mail/{user}/Maildir/*/*'):
            os.unlink(path)

    def put(self, user, message):
        """Puts a message straight into a mailbox, by LMTP."""
        lmtp = smtplib.LMTP('127.0.0.1', self.port('LMTP'))
        lmtp.sendmail('lab@example.test', [user], message)
        lmtp.quit()


def children(parent):
    """[(pid, name)] of the living child processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
                head, rest = f.read().rsplit(')', 1)
        except OSError:
            continue
        state, ppid = rest.split()[:2]
        if int(ppid) == parent and state != 'Z':
            found.append((int(pid), head.split('(', 1)[1]))
    return found


def arrival(path):
    first, middle = os.path.basename(path).split('.')[:2]
    return int(first), int(middle[1:].split('P')[0])


def free_ports(count):
    """Ports nobody listens on, below the range of ephemeral ports."""
    held = []
    try:
        while len(held) < count:
            s = socket.socket()
            try:
                s.bind(('127.0.0.1', random.randint(5000, 10999)))
                held.append(s)
            except OSError:
                s.close()
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()
