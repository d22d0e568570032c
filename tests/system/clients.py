"""Real mail clients, run as their users run them.

Each sender takes (login, message, rcpts) and hands in exactly the bytes of
message; each reader returns the messages of an INBOX, CRLF for line ends. A
client that fails raises ClientError with what it printed.
"""
import glob
import imaplib
import os
import re
import smtplib
import ssl
import subprocess
import tempfile
import textwrap


class ClientError(Exception):
    pass


class Login:
    """Who signs in where: the plain password side of the daemon."""

    def __init__(self, smtp_port, imap_port, ca, name, password, sender=None):
        self.smtp_port, self.imap_port = smtp_port, imap_port
        self.ca, self.name, self.password = ca, name, password
        self.sender = sender or name
        self.context = ssl.create_default_context(cafile=ca)


def run(argv, stdin=b'', env=None, seconds=60, ok=(0,)):
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds,
                          env={**os.environ, **(env or {})}, check=False)
    if done.returncode not in ok:
        raise ClientError(f'{argv[0]} exit {done.returncode}: '
                          + done.stdout[-2000:].decode('utf-8', 'replace'))
    return done.stdout


def file_in(folder, name, content):
    path = os.path.join(folder, name)
    mode = 'wb' if isinstance(content, bytes) else 'w'
    with open(path, mode) as f:
        f.write(content)
    os.chmod(path, 0o600)
    return path


# ---- sending

def curl_send(login, message, rcpts, mechanism='PLAIN'):
    with tempfile.TemporaryDirectory() as tmp:
        body = file_in(tmp, 'message', message)
        # The password goes in by a file, as it should.
        config = file_in(tmp, 'config',
                         f'user = "{login.name}:{login.password}"\n')
        argv = ['curl', '-sS', '-K', config, '--cacert', login.ca,
                '--max-time', '50', '--login-options', f'AUTH={mechanism}',
                '--mail-from', login.sender]
        for rcpt in rcpts:
            argv += ['--mail-rcpt', rcpt]
        return run(argv + ['-T', body,
                           f'smtps://localhost:{login.smtp_port}/'])


def swaks_send(login, message, rcpts, mechanism='PLAIN'):
    with tempfile.TemporaryDirectory() as tmp:
        # Without its fix-ups swaks wants what goes over the wire, but for
        # the last line end.
        body = file_in(tmp, 'message',
                       (b'\r\n' + message).replace(b'\r\n.', b'\r\n..')
                       .removeprefix(b'\r\n') + b'.')
        return run(['swaks', '--server', 'localhost',
                    '--port', str(login.smtp_port), '--tlsc',
                    '--tls-verify', '--tls-ca-path', login.ca,
                    '--tls-sni', 'localhost', '--ehlo', 'client.test',
                    '--auth', mechanism, '--auth-user', login.name,
                    '--auth-password', login.password,
                    '--from', login.sender, '--to', ','.join(rcpts),
                    '--suppress-data', '--no-data-fixup',
                    '--data', f'@{body}'])


def msmtp_send(login, message, rcpts, mechanism='PLAIN'):
    with tempfile.TemporaryDirectory() as tmp:
        secret = file_in(tmp, 'password', login.password + '\n')
        config = file_in(tmp, 'msmtprc', textwrap.dedent(f'''\
            account default
            host localhost
            port {login.smtp_port}
            tls on
            tls_starttls off
            tls_trust_file {login.ca}
            auth {mechanism.lower()}
            user {login.name}
            passwordeval cat {secret}
            from {login.sender}
            '''))
        # msmtp reads a message as sendmail does: lines end in LF.
        return run(['msmtp', '-C', config, '--', *rcpts],
                   stdin=message.replace(b'\r\n', b'\n'))


def smtplib_send(login, message, rcpts, mechanism='PLAIN'):
    with smtplib.SMTP_SSL('localhost', login.smtp_port, timeout=50,
                          context=login.context) as client:
        client.ehlo()
        client.user, client.password = login.name, login.password
        client.auth(mechanism,
                    getattr(client, f'auth_{mechanism.lower()}'))
        refused = client.sendmail(login.sender, rcpts, message)
        if refused:
            raise ClientError(f'refused: {refused}')
    return b''


# ---- reading

def curl_read(login):
    with tempfile.TemporaryDirectory() as tmp:
        config = file_in(tmp, 'config',
                         f'user = "{login.name}:{login.password}"\n')
        base = ['curl', '-sS', '-K', config, '--cacert', login.ca,
                '--max-time', '50']
        url = f'imaps://localhost:{login.imap_port}/INBOX'
        found = run(base + [url, '-X', 'UID SEARCH ALL']).decode().split()
        return [run(base + [f'{url};UID={uid}']) for uid in found[2:]]


def imaplib_read(login):
    with imaplib.IMAP4_SSL('localhost', login.imap_port, timeout=50,
                           ssl_context=login.context) as client:
        client.login(login.name, login.password)
        client.select('INBOX')
        numbers = client.search(None, 'ALL')[1][0].split()
        return [client.fetch(n, '(BODY.PEEK[])')[1][0][1] for n in numbers]


def imaplib_plain_read(login):
    with imaplib.IMAP4_SSL('localhost', login.imap_port, timeout=50,
                           ssl_context=login.context) as client:
        client.authenticate('PLAIN', lambda _: b'\0'.join(
            [b'', login.name.encode(), login.password.encode()]))
        client.select('INBOX')
        numbers = client.search(None, 'ALL')[1][0].split()
        return [client.fetch(n, '(RFC822)')[1][0][1] for n in numbers]


def mbsync_read(login):
    with tempfile.TemporaryDirectory() as tmp:
        secret = file_in(tmp, 'password', login.password + '\n')
        config = file_in(tmp, 'mbsyncrc', textwrap.dedent(f'''\
            IMAPAccount proxy
            Host localhost
            Port {login.imap_port}
            User {login.name}
            PassCmd "cat {secret}"
            SSLType IMAPS
            CertificateFile {login.ca}

            IMAPStore far
            Account proxy

            MaildirStore near
            Path {tmp}/Maildir/
            Inbox {tmp}/Maildir/INBOX

            Channel all
            Far :far:
            Near :near:
            Patterns INBOX
            Create Near
            Sync Pull
            SyncState *
            '''))
        os.mkdir(f'{tmp}/Maildir')
        run(['mbsync', '-c', config, 'all'])
        messages = []
        for path in glob.glob(f'{tmp}/Maildir/INBOX/*/*'):
            with open(path, 'rb') as f:
                # mbsync adds this header field to what it stores.
                data = re.sub(rb'(?m)^X-TUID: .*\n', b'', f.read())
            messages.append(data.replace(b'\n', b'\r\n'))
        return messages


def fetchmail_read(login):
    with tempfile.TemporaryDirectory() as tmp:
        config = file_in(tmp, 'fetchmailrc', textwrap.dedent(f'''\
            set no bouncemail
            poll localhost protocol imap service {login.imap_port}
              auth password
              user "{login.name}" password "{login.password}"
              ssl sslcertck sslcertfile {login.ca} sslproto "TLS1.2+"
              keep fetchall norewrite no mimedecode dropdelivered
              mda "cat > {tmp}/$$-`date +%s%N`"
            '''))
        # 1 is "no mail".
        run(['fetchmail', '-f', config, '--nodetach', '--pidfile',
             f'{tmp}/pid', '--invisible', '-i', f'{tmp}/ids'],
            env={'FETCHMAILHOME': tmp, 'LOGNAME': 'root'}, ok=(0, 1))
        messages = []
        for path in sorted(glob.glob(f'{tmp}/[0-9]*')):
            with open(path, 'rb') as f:
                messages.append(f.read().replace(b'\n', b'\r\n'))
        return messages


SENDERS = {'curl': curl_send, 'swaks': swaks_send, 'msmtp': msmtp_send,
           'smtplib': smtplib_send}
READERS = {'curl': curl_read, 'imaplib': imaplib_read,
           'imaplib-plain': imaplib_plain_read, 'mbsync': mbsync_read,
           'fetchmail': fetchmail_read}
