#!/usr/bin/env python3
"""The second half of contrib/quickstart: runs what it has installed.

    show.py [--once] DIR SOURCE

Every command that is printed is the command that is run. Nothing is waited
for by the clock; every wait is for a condition and ends after PATIENCE.
"""
import http.client
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

PATIENCE = 60
ADDRESS = 'demo@example.test'
RECIPIENT = 'alice@example.test'
LOGIN = 'demo-phone'
WIDTH = 76
LABEL = 11
KILL = json.dumps({'user': ADDRESS})
NOTHING = r'(?!)'


class Failed(Exception):
    """A step did not hold; says what was seen."""


class Stopped(Exception):
    """Somebody asked us to end."""


# ---- what is seen


class Screen:
    def __init__(self):
        self.colours = (sys.stdout.isatty() and not os.environ.get('NO_COLOR')
                        and os.environ.get('TERM', 'dumb') != 'dumb')

    def paint(self, code, text):
        return f'\033[{code}m{text}\033[0m' if self.colours else text

    def say(self, text=''):
        print(text, flush=True)

    def fact(self, label, text):
        self.say(f'  {label:<{LABEL - 1}} {text}')

    def title(self, text):
        self.say()
        self.say(self.paint('1', text))

    def command(self, argv):
        """The command as one would type it, broken where it is too long."""
        lines, line = [], '$'
        if argv[:2] == ['sh', '-c']:
            typed = argv[2].split(' | ')
            typed[1:] = ['| ' + part for part in typed[1:]]
        else:
            typed = words(argv)
        for word in typed:
            if len(line) + len(word) + 3 > WIDTH and line != '$':
                lines.append(line + ' \\')
                line = '   '
            line += ' ' + word
        for text in lines + [line]:
            self.say(self.paint('2', f'  {text}'))

    def output(self, text):
        for line in text.rstrip('\n').split('\n'):
            self.say(f'  {line}'.rstrip())

    def verdict(self, good, text, seconds):
        word = self.paint('32', 'ok') if good else self.paint('1;31', 'FAILED')
        pad = ' ' * (6 if good else 2)
        room = WIDTH - 10 - 7
        self.say(f'  {word}{pad}{text:<{room}} {seconds:5.1f} s')


def words(argv):
    """Quoted for a shell; an option and its value stay together."""
    out = []
    for word in argv:
        quoted = shlex.quote(word)
        if out and out[-1].startswith('-') and ' ' not in out[-1] and (
                not word.startswith('-')):
            out[-1] += ' ' + quoted
        else:
            out.append(quoted)
    return out


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f'{what} did not come within {PATIENCE} s')
        time.sleep(0.05)


def port(wanted):
    """This port of loopback, or a free one where somebody has it."""
    for number in (wanted, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', number))
                return s.getsockname()[1]
            except OSError:
                continue
    raise Failed('no port is free')


def message(subject, rcpt, body):
    """A message with what breaks careless relays: dots, octets above 127,
    a line of 998."""
    return (f'From: Demo <{ADDRESS}>\r\nTo: <{rcpt}>\r\n'
            f'Subject: {subject}\r\n'
            f'Message-ID: <{subject.replace(" ", "-")}@quickstart.test>\r\n'
            'Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n'
            'Content-Type: text/plain; charset=utf-8\r\n'
            'Content-Transfer-Encoding: 8bit\r\n\r\n'
            f'{body}\r\n.\r\n..two dots\r\nGr\u00fc\u00dfe\r\n'
            f'{"x" * 998}\r\n').encode()


def below_trace(raw):
    """A message without the Received header that each relay puts on top."""
    top, rest = raw.split(b'\r\n', 1)
    if not top.startswith(b'Received:'):
        return raw
    while rest[:1] in (b' ', b'\t'):
        rest = rest.split(b'\r\n', 1)[1]
    return rest


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


# ---- what runs


class Sandbox:
    """tests/sandbox/provider.py and its control port."""

    def __init__(self, folder, source):
        self.folder = folder
        os.makedirs(folder)
        self.log = open(f'{folder}/output', 'wb')
        self.process = subprocess.Popen(
            [sys.executable, '-B', f'{source}/tests/sandbox/provider.py',
             '--dir', folder, '--auto-approve', '--foreground',
             '--until-eof'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            start_new_session=True)
        if self.process.stdout.readline() != b'ready\n':
            raise Failed(f'the sandbox did not start: {folder}/output')
        self.env = {}
        with open(f'{folder}/env', encoding='utf-8') as f:
            for line in f:
                key, value = line.rstrip('\n').split('=', 1)
                self.env[key] = shlex.split(value)[0] if value else ''
        self.control = self.env['CONTROL']

    def get(self, path):
        where = self.control.split('//')[1]
        connection = http.client.HTTPConnection(where, timeout=PATIENCE + 10)
        try:
            connection.request('GET', path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise Failed(f'sandbox: GET {path}: {answer.status}')
            return body
        finally:
            connection.close()

    def messages(self):
        """What was accepted, in order."""
        return json.loads(self.get('/messages'))

    def raw(self, number):
        return self.get(f'/messages/{number}/raw')

    def stop(self):
        end(self.process)
        self.log.close()


class Daemon:
    """mailbearerd, as it was installed, with a configuration of ours."""

    def __init__(self, folder, sandbox):
        self.folder = folder
        self.installed = f'{folder}/installed'
        self.etc = f'{self.installed}/etc/mailbearer'
        self.log_path = f'{folder}/mailbearerd.log'
        self.process = None
        self.smtp, self.imap, self.web = port(20465), port(20993), port(20080)
        # A unix socket's path has room for 107 octets.
        self.run = f'{self.installed}/run/mailbearer'
        self.shown_run = None
        if len(self.run) > 90:
            self.run = self.shown_run = f'/tmp/mailbearer-{os.getpid()}'
        self.state = f'{self.installed}/var/lib/mailbearer'
        self.configure(sandbox)

    def configure(self, sandbox):
        certificate = f'{self.folder}/ca.crt'
        key = f'{self.etc}/tls.key'
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj',
            '/CN=localhost', '-addext',
            'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1',
            '-keyout', key, '-out', certificate)
        os.chmod(key, 0o600)
        listen = (f'certificate = {certificate}\nkey = {key}\n')
        self.write('mailbearer.ini', f'''[mailbearer]
runtime_dir = {self.run}
hostname = localhost
{self.user()}
[listen submission]
protocol = smtp
address = 127.0.0.1:{self.smtp} [::1]:{self.smtp}
{listen}
[listen imap]
protocol = imap
address = 127.0.0.1:{self.imap} [::1]:{self.imap}
{listen}
[admin]
web = 127.0.0.1:{self.web}
''')
        self.write('accounts.yaml', f'''accounts:
  - address: {ADDRESS}
    provider: sandbox
    client_id: {sandbox.env["PUBLIC_CLIENT_ID"]}
''')
        self.write('providers.yaml', f'''providers:
  - name: sandbox
    issuer: {sandbox.env["ISSUER"]}
    authorize_url: {sandbox.env["AUTHORIZE_URL"]}
    token_url: {sandbox.env["TOKEN_URL"]}
    device_url: {sandbox.env["DEVICE_URL"]}
    authorize_parameters: prompt=consent
    scopes: {{ common: openid offline_access, smtp: mail, imap: mail }}
    smtp: {{ host: localhost, port: {sandbox.env["SMTPS_PORT"]} }}
    imap: {{ host: localhost, port: {sandbox.env["IMAPS_PORT"]} }}
    ca_file: {sandbox.env["CA"]}
''')

    @staticmethod
    def user():
        if os.geteuid() != 0:
            return ''
        for name in ('mailbearer', 'nobody'):
            try:
                pwd.getpwnam(name)
                return f'user = {name}\n'
            except KeyError:
                continue
        raise Failed('there is no user nobody')

    def write(self, name, text):
        path = f'{self.etc}/{name}'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, 0o600)

    def start(self):
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [f'{self.installed}/sbin/mailbearerd'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        until(self.ready, 'the daemon')

    def ready(self):
        if self.process.poll() is not None:
            raise Failed(f'mailbearerd ended:\n{self.tail()}')
        connection = Unix(f'{self.run}/admin.sock')
        try:
            connection.request('GET', '/readyz')
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def tail(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return '\n'.join(f.read().splitlines()[-12:])

    def stop(self):
        code = end(self.process)
        if self.shown_run:
            shutil.rmtree(self.shown_run, ignore_errors=True)
        return code


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode:
        raise Failed(f'{shlex.join(argv)}:\n{done.stdout}')


def end(process):
    """SIGTERM; its exit code."""
    if process is None:
        return None
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


# ---- the show


class Show:
    def __init__(self, folder, source):
        self.screen = Screen()
        self.folder = folder
        self.source = source
        self.results = []
        self.sandbox = self.daemon = None
        self.password = ''
        self.sent = []
        self.total = 0
        # Whatever is run finds the programs, and files by a short name.
        os.environ['PATH'] = (f'{folder}/installed/bin:{folder}/installed/sbin'
                              f':{os.environ["PATH"]}')
        os.chdir(folder)

    # ---- commands

    def command(self, *argv, codes=(0,), shown=None, say=None):
        """Prints and runs a command; its output. shown picks the lines that
        are printed: all, or those with this pattern; say has other words for
        some of the arguments."""
        self.screen.command([(say or {}).get(word, word) for word in argv])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, timeout=PATIENCE,
                              stderr=subprocess.STDOUT, check=False,
                              errors='replace')
        lines = [line for line in done.stdout.replace('\r', '').split('\n')
                 if line and (shown is None or re.search(shown, line))]
        if done.returncode not in codes:
            self.screen.output(done.stdout[-2000:])
            raise Failed(f'{argv[0]}: exit {done.returncode}')
        if lines:
            self.screen.output('\n'.join(lines))
        return done.stdout

    def status(self, code):
        """mailbearerctl status, which must end with this code."""
        text = self.command('mailbearerctl', 'status', codes=(code,))
        self.screen.output(f'exit {code}')
        return text

    def send(self, subject, rcpt):
        """One message by curl; the reply to it."""
        data = message(subject, rcpt, f'This is {subject}.')
        name = f'{subject.replace(" ", "-")}.eml'
        with open(name, 'wb') as f:
            f.write(data)
        self.sent.append(data)
        output = self.command(
            'curl', '-sSv', '--cacert', 'ca.crt',
            f'smtps://localhost:{self.daemon.smtp}',
            '--user', f'{LOGIN}:{self.password}',
            '--login-options', 'AUTH=PLAIN', '--mail-from', ADDRESS,
            '--mail-rcpt', rcpt, '-T', name,
            shown=r'^< 2\d\d 2\.[07]\.0 (?!Bye)(?!.*(?:[Ss]ender|[Rr]ecipient)'
                  r')|^> AUTH')
        replies = re.findall(r'^< (\d{3} .*)', output.replace('\r', ''), re.M)
        last = [r for r in replies if not r.startswith('221')][-1]
        if not last.startswith('250 '):
            raise Failed(f'the answer was {last}')
        return last

    def step(self, title, action):
        self.screen.title(f'{len(self.results) + 1}  {title}')
        start = time.monotonic()
        try:
            note, good = action(), True
        except (Failed, OSError, ValueError, LookupError,
                subprocess.SubprocessError) as e:
            note, good = str(e), False
        seconds = time.monotonic() - start
        first = note.split('\n')[0]
        self.screen.verdict(good, first, seconds)
        self.results.append((title, good, first, seconds))
        if not good:
            if note != first:
                self.screen.output(note)
            raise Failed(note)

    # ---- what is shown

    def sign_in(self):
        argv = ['mailbearerctl', 'auth', ADDRESS, '--browser']
        self.screen.command(argv)
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as child:
            try:
                url = self.read_url(child)
                self.screen.output(f'{url[:69]}...')
                self.command('curl', '-sSfL', '--cacert',
                             'sandbox/tls/ca.crt', url, shown=NOTHING,
                             say={url: 'THAT-ADDRESS'})
                rest = child.communicate(timeout=PATIENCE)[0].strip()
            finally:
                child.kill()
        last = rest.split('\n')[-1] if rest else ''
        if last:
            self.screen.output(last)
        if child.returncode:
            raise Failed(f'mailbearerctl auth: exit {child.returncode}')
        return 'Mailbearer has the tokens, the mail client never sees them'

    @staticmethod
    def read_url(child):
        seen = []
        for line in child.stdout:
            if line.startswith(('https://', 'http://')):
                return line.strip()
            seen.append(line)
        raise Failed('no address to open:\n' + ''.join(seen))

    def add_login(self):
        text = self.command('mailbearerctl', 'login', 'add', ADDRESS, LOGIN)
        found = re.search(r'^\s{2,}(\S+)$', text, re.M)
        if not found:
            raise Failed('no password was shown')
        self.password = found[1]
        return 'all that a mail client needs to know'

    def goes_through(self):
        reply = self.send('the first message', ADDRESS)
        if 'queued as' in reply.lower() and not self.sandbox.messages():
            raise Failed('it was queued, not delivered')
        self.compare(1)
        return 'it is at the provider, byte-identical'

    def is_read(self):
        # curl 7.88 knows LOGIN only as a SASL mechanism; the command itself
        # is spoken by hand.
        talk = f'a LOGIN {LOGIN} {self.password}\\r\\nb LOGOUT\\r\\n'
        spoken = self.command(
            'sh', '-c', f"printf '{talk}' | openssl s_client -quiet -CAfile "
            f'ca.crt -connect localhost:{self.daemon.imap}',
            shown='^(a|b) ')
        if not re.search('^a OK ', spoken, re.M):
            raise Failed('LOGIN was refused')
        self.command(
            'curl', '-sSv', '--cacert', 'ca.crt',
            f'imaps://localhost:{self.daemon.imap}/INBOX/;MAILINDEX=1',
            '--user', f'{LOGIN}:{self.password}',
            '--login-options', 'AUTH=LOGIN', '-o', 'read.eml',
            shown=r'^< A00[13] OK|^> \S+ (AUTHENTICATE|FETCH)')
        with open('read.eml', 'rb') as f:
            got = f.read()
        if below_trace(got) != self.sent[0]:
            raise Failed('what was read is not what was sent: read.eml')
        return 'the same message comes back over IMAP'

    def grant_dies(self):
        self.command('curl', '-sSf', '-d', KILL,
                     f'{self.sandbox.control}/kill')
        return 'tokens of this account are worth nothing from now on'

    def are_kept(self):
        before = len(self.sandbox.messages())
        for name in ('second', 'third', 'fourth'):
            reply = self.send(f'the {name} message', RECIPIENT)
            if not re.match(r'250 2\.0\.0 Queued as \S+', reply):
                raise Failed(f'not queued: {reply}')
        if len(self.sandbox.messages()) != before:
            raise Failed('the provider took one')
        return 'three messages are accepted and on disk'

    def human_is_told(self):
        # What the refusal means is known with the first message; that the
        # text says so is looked at here.
        text = self.status(1)
        for word in ('reauthorize', f'auth {ADDRESS}'):
            if word not in text:
                raise Failed(f'status does not say "{word}"')
        return 'status names the account and the one step that mends it'

    def all_arrive(self):
        count = len(self.sent)
        self.command('curl', '-sSf',
                     f'{self.sandbox.control}/messages?wait={count}',
                     shown=NOTHING)
        until(self.queue_is_empty, 'an empty queue')
        for one in self.sandbox.messages():
            self.screen.output(f'{one["number"]}  {one.get("sha256", "")[:16]}  '
                               f'{subject_of(self.sandbox.raw(one["number"]))}')
        self.compare(count)
        broken = json.loads(self.sandbox.get('/violations'))
        if broken:
            raise Failed(f'rules of the provider were broken: {broken}')
        return 'in order, byte-identical, each exactly once'

    def is_well(self):
        until(lambda: subprocess.run(
            ['mailbearerctl', 'status'], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=PATIENCE,
            check=False).returncode == 0, 'exit 0')
        self.status(0)
        return 'nothing waits, nobody is needed'

    def queue_is_empty(self):
        done = subprocess.run(
            ['mailbearerctl', 'queue', 'list', '--json'], text=True,
            stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
        return not json.loads(done.stdout)['messages']

    def compare(self, count):
        """The provider has exactly what was sent, in this order."""
        got = [below_trace(self.sandbox.raw(m['number']))
               for m in self.sandbox.messages()]
        if len(got) != count:
            raise Failed(f'{len(got)} messages at the provider, not {count}')
        for number, (one, sent) in enumerate(zip(got, self.sent), 1):
            if one != sent:
                raise Failed(f'message {number} is another, or was changed')

    # ---- from beginning to end

    def prepare(self):
        for name in ('sandbox', 'installed/var', 'installed/run'):
            shutil.rmtree(name, ignore_errors=True)
        self.sandbox = Sandbox(f'{self.folder}/sandbox', self.source)
        self.screen.fact('provider', 'a sandbox with OAuth, SMTP and IMAP at '
                         f'{self.sandbox.env["ISSUER"]}')
        self.daemon = Daemon(self.folder, self.sandbox)
        self.daemon.start()
        self.screen.fact('daemon', f'mailbearerd, SMTP on port '
                         f'{self.daemon.smtp}, IMAP on {self.daemon.imap}')
        self.screen.fact('commands', f'as printed, in {self.folder}')

    def play(self):
        steps = (
            ('Somebody signs in to the mailbox, in a browser', self.sign_in),
            ('A mail client gets a user name and a password of its own',
             self.add_login),
            ('It sends a message with them', self.goes_through),
            ('It reads its mailbox', self.is_read),
            ('The sign-in dies at the provider', self.grant_dies),
            ('The client sends on, and notices nothing', self.are_kept),
            ('A human is told', self.human_is_told),
            ('Somebody signs in again', self.sign_in),
            ('Everything arrives', self.all_arrive),
            ('All is well', self.is_well))
        self.total = len(steps)
        for title, action in steps:
            self.step(title, action)

    def summary(self):
        self.screen.title('Summary')
        for number, (title, good, note, seconds) in enumerate(self.results, 1):
            word = (self.screen.paint('32', 'ok') + '    ' if good else
                    self.screen.paint('1;31', 'FAILED'))
            self.screen.say(f'  {number:2}  {word}  {title:<57}'
                            f'{seconds:5.1f} s')
            if not good:
                self.screen.say(f'              {note}')
        held = sum(good for _, good, _, _ in self.results)
        self.screen.say(f'\n  {held} of {self.total} steps held')

    def addresses(self):
        self.screen.title('Point a mail client at it')
        secure = 'implicit TLS'
        for label, text in (
                ('SMTP', f'localhost, port {self.daemon.smtp}, {secure}'),
                ('IMAP', f'localhost, port {self.daemon.imap}, {secure}'),
                ('user', LOGIN), ('password', self.password),
                ('address', f'{ADDRESS}; write to {RECIPIENT} or to yourself'),
                ('trust', f'{self.folder}/ca.crt'),
                ('status', f'{self.folder}/installed/bin/mailbearerctl '
                           'status'),
                ('log', self.daemon.log_path),
                ('break it', f"curl -d '{KILL}' {self.sandbox.control}/kill"),
                ('mend it', f'mailbearerctl auth {ADDRESS} --browser')):
            self.screen.fact(label, text)
        self.screen.say()
        self.screen.say('  Running until Ctrl-C.')

    def keep_running(self):
        """Until somebody ends it, or something ends by itself."""
        while True:
            pid, _ = os.wait()
            for name, process in (('mailbearerd', self.daemon.process),
                                  ('the sandbox', self.sandbox.process)):
                if process.pid == pid:
                    raise Failed(f'{name} ended by itself')

    def stop(self):
        code = self.daemon.stop() if self.daemon else None
        if self.sandbox:
            self.sandbox.stop()
        return code


def subject_of(raw):
    found = re.search(rb'^Subject: (.*?)\r$', raw, re.M)
    return found[1].decode() if found else '?'


def on_signal(_number, _frame):
    raise Stopped


def main():
    once = '--once' in sys.argv
    folder, source = [a for a in sys.argv[1:] if a != '--once']
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    show = Show(folder, source)
    code = 1
    try:
        show.prepare()
        show.play()
        show.summary()
        code = 0
        if not once:
            show.addresses()
            show.keep_running()
    except Failed as e:
        if not show.results or show.results[-1][1]:
            show.screen.say(f'\nFAILED: {e}')
        else:
            show.summary()
        if show.daemon:
            show.screen.say(f'\nThe log of the daemon: {show.daemon.log_path}')
        code = 1
    except Stopped:
        show.screen.say('\nStopping.')
        code = code if show.results and code == 0 else 130
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ended = show.stop()
    if ended not in (0, None):
        show.screen.say(f'mailbearerd ended with {ended}')
        code = code or 1
    sys.exit(code)


if __name__ == '__main__':
    main()
