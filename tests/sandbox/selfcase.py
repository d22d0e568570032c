"""What the sandbox's own tests share: one provider, and clients for it."""

import base64
import hashlib
import imaplib
import json
import os
import secrets
import smtplib
import socket
import ssl
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client                                               # noqa: E402

DEMO = "demo@example.test"
ALICE = "alice@example.test"
BOB = "bob@example.test"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
REDIRECT = "http://127.0.0.1:1234/callback"
MAIL = ("From: demo@example.test\r\nTo: alice@example.test\r\n"
        "Subject: hello\r\n\r\nFirst line\r\n.dot\r\n..two\r\n")
folder = tempfile.TemporaryDirectory(prefix="sandbox-test-")
box = client.start(folder.name)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Case(unittest.TestCase):
    def setUp(self):
        box.reset(users=True)
        self.tls = ssl.create_default_context(cafile=box.ca)
        self.web = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), NoRedirect,
            urllib.request.HTTPSHandler(context=self.tls))

    def tearDown(self):
        self.assertEqual(box.log(event="internal-error"), [])

    # -- OAuth -------------------------------------------------------------

    def http(self, path, form=None, basic=None, headers=None):
        """(status, headers, body) of the OAuth server."""
        url = path if path.startswith("https:") else box.issuer + path
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data, headers or {})
        if basic:
            request.add_header("Authorization", "Basic " + base64.b64encode(
                basic.encode()).decode())
        try:
            with self.web.open(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def token(self, basic="sandbox:sandbox-secret", **form):
        status, _, body = self.http("/token", form, basic)
        return status, json.loads(body)

    def refresh(self, value):
        return self.token(grant_type="refresh_token", refresh_token=value)

    def authorize_url(self, **changes):
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        fields = {
            "response_type": "code", "client_id": "sandbox", "state": "st",
            "redirect_uri": REDIRECT, "scope": box.env["SCOPE"],
            "prompt": "consent", "login_hint": DEMO,
            "code_challenge": base64.urlsafe_b64encode(
                digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256"}
        fields.update(changes)
        fields = {k: v for k, v in fields.items() if v is not None}
        return (box.env["AUTHORIZE_URL"] + "?"
                + urllib.parse.urlencode(fields), verifier)

    def sign_in(self, **changes):
        """The token answer for a whole authorization code flow."""
        url, verifier = self.authorize_url(**changes)
        back = query(box.approve(url))
        self.assertEqual(back["state"], "st")
        self.assertEqual(back["iss"], box.issuer)
        status, body = self.token(
            grant_type="authorization_code", code=back["code"],
            redirect_uri=REDIRECT, code_verifier=verifier)
        self.assertEqual(status, 200, body)
        return body

    # -- mail --------------------------------------------------------------

    def smtp(self, port="smtps"):
        if port == "submission":
            server = smtplib.SMTP("localhost", box.ports[port], timeout=10)
            server.starttls(context=self.tls)
        else:
            server = smtplib.SMTP_SSL("localhost", box.ports[port],
                                      context=self.tls, timeout=10)
        self.addCleanup(server.close)
        server.ehlo("test.example")
        return server

    def smtp_login(self, token, user=DEMO, mech="XOAUTH2", port="smtps"):
        """(server, code, text); two steps, as the token is long."""
        server = self.smtp(port)
        text = sasl(mech, user, token, box.ports[port])
        code, _ = server.docmd("AUTH", mech)
        self.assertEqual(code, 334)
        code, text = server.docmd(b64(text))
        return server, code, text

    def ready(self, user=DEMO, **kw):
        server, code, text = self.smtp_login(
            box.mint(user)["access_token"], user, **kw)
        self.assertEqual(code, 235, text)
        return server

    def send(self, server, sender=DEMO, rcpt=ALICE, mail=MAIL):
        server.sendmail(sender, [rcpt], mail)

    def imap(self, user=DEMO, mech="XOAUTH2", token=None):
        token = token or box.mint(user)["access_token"]
        server = imaplib.IMAP4_SSL("localhost", box.ports["imaps"],
                                   ssl_context=self.tls, timeout=10)
        self.addCleanup(server.shutdown)
        text = sasl(mech, user, token, box.ports["imaps"])
        answers = [text.encode(), b"" if mech == "XOAUTH2" else b"\x01"]
        server.authenticate(mech, lambda _: answers.pop(0))
        return server

    def tls_socket(self, port):
        sock = socket.create_connection(("localhost", box.ports[port]), 10)
        sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        self.addCleanup(sock.close)
        return sock


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def sasl(mech, user, token, port):
    if mech == "XOAUTH2":
        return "user=%s\x01auth=Bearer %s\x01\x01" % (user, token)
    return "n,a=%s,\x01host=localhost\x01port=%d\x01auth=Bearer %s\x01\x01" % (
        user, port, token)


def until_closed(sock):
    data = b""
    try:
        while True:
            more = sock.recv(65536)
            if not more:
                return data
            data += more
    except OSError:
        return data
