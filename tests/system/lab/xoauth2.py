#!/usr/bin/env python3
"""Signs in with SASL XOAUTH2 by hand: curl takes OAUTHBEARER where offered.

xoauth2.py imap|pop3|smtps|smtp PORT USER TOKEN CA [FROM RCPT < message]
Exit code as curl's: 0 in, 67 login refused, 55 recipient, 8 data refused."""
import base64
import imaplib
import poplib
import smtplib
import ssl
import sys

kind, port, user, token, ca = sys.argv[1:6]
envelope = sys.argv[6:8]
tls = ssl.create_default_context(cafile=ca)
response = f'user={user}\x01auth=Bearer {token}\x01\x01'


def imap():
    client = imaplib.IMAP4_SSL('localhost', int(port), ssl_context=tls)
    # A second challenge is the error document: the answer is empty.
    client.authenticate('XOAUTH2',
                        lambda c: b'' if c else response.encode())
    client.select('INBOX')
    client.logout()


def pop3():
    client = poplib.POP3_SSL('localhost', int(port), context=tls)
    client._shortcmd('AUTH XOAUTH2')
    client._putcmd(base64.b64encode(response.encode()).decode())
    line = client._getline()[0]
    if line.startswith(b'+ '):
        client._putcmd('')
        line = client._getline()[0]
    if not line.startswith(b'+OK'):
        raise poplib.error_proto(line)
    client.quit()


def smtp():
    if kind == 'smtps':
        client = smtplib.SMTP_SSL('localhost', int(port), context=tls)
    else:
        client = smtplib.SMTP('localhost', int(port))
        client.starttls(context=tls)
    client.ehlo()
    client.auth('XOAUTH2', lambda c=None: response if c is None else '')
    if envelope:
        client.sendmail(envelope[0], envelope[1], sys.stdin.buffer.read())
    client.quit()


try:
    {'imap': imap, 'pop3': pop3}.get(kind, smtp)()
except (imaplib.IMAP4.error, poplib.error_proto,
        smtplib.SMTPAuthenticationError):
    sys.exit(67)
except smtplib.SMTPRecipientsRefused:
    sys.exit(55)
except smtplib.SMTPDataError:
    sys.exit(8)
