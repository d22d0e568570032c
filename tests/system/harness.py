"""What every suite shares: a lab, a daemon, messages, and the summary line."""
import os
import signal
import sys
import unittest

from daemon import Daemon
from lab import Lab, until


def lab_provider(lab, name, smtp=('SMTPS', 'implicit'),
                 imap=('IMAPS', 'implicit'), sasl='xoauth2 oauthbearer',
                 **more):
    """The lab as an entry of providers.yaml."""
    return {
        'name': name,
        'authorize_url': f'{lab.issuer}/auth',
        'token_url': f'{lab.issuer}/token',
        'device_url': f'{lab.issuer}/device/auth',
        'userinfo_url': f'{lab.issuer}/me',
        'authorize_parameters': 'prompt=consent',
        'scopes': {'common': 'openid offline_access', 'smtp': 'mail',
                   'imap': 'mail'},
        'smtp': {'host': 'localhost', 'port': lab.port(smtp[0]),
                 'tls': smtp[1]},
        'imap': {'host': 'localhost', 'port': lab.port(imap[0]),
                 'tls': imap[1]},
        'sasl': sasl.split(),
        'client_auth': 'basic',
        'rotates': True,
        'ca_file': lab.ca,
        **more,
    }


def message(sender, rcpt, key, body=b'A line of text.\r\n'):
    """A complete message; key makes its Message-ID."""
    return (f'From: <{sender}>\r\nTo: <{rcpt}>\r\n'
            f'Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n'
            f'Message-ID: <{key}@client.test>\r\n'
            f'Subject: {key}\r\nMIME-Version: 1.0\r\n'
            f'Content-Type: text/plain; charset=iso-8859-1\r\n'
            f'Content-Transfer-Encoding: 8bit\r\n'
            f'\r\n').encode() + body


def as_stored(data):
    """As the lab keeps it: Maildir has LF for line ends."""
    return data.replace(b'\r\n', b'\n')


class Case(unittest.TestCase):
    """
    Tests around one daemon. A test fails, too, when the daemon logs an error
    that the test does not allow (daemon.allowed) or a sanitizer speaks.
    """
    daemon = None
    lab = None
    longMessage = True

    @classmethod
    def launch(cls, *args, **kw):
        """Makes and starts the daemon of this class."""
        cls.daemon = Daemon(*args, **kw)
        cls.addClassCleanup(cls.end)
        cls.daemon.start()

    @classmethod
    def end(cls):
        try:
            code = cls.daemon.stop()
            bad = cls.daemon.complaints()
            if code or bad:
                raise AssertionError(f'at the end: exit {code}: {bad}')
        finally:
            cls.daemon.remove()

    @classmethod
    def open_lab(cls, **kw):
        cls.lab = Lab(**kw)
        cls.addClassCleanup(cls.lab.stop)

    @classmethod
    def sign_in(cls, address, how='paste', client='proxy'):
        """Authorises an account at the lab, as its owner would."""
        def approve(first):
            if how == 'device':
                cls.lab.approve_device(first['user_code'], address)
                return None
            return cls.lab.token('approve-url', first['url'], address,
                                 client=client)
        return cls.daemon.authorise(address, how, approve)

    def tearDown(self):
        if self.daemon:
            self.assertEqual(self.daemon.complaints(), [])

    def state(self, address, service='smtp'):
        account = self.daemon.json('account', 'show', address)
        return account['services'][service]['state']

    def wait_state(self, address, state, service='smtp', seconds=20):
        until(lambda: self.state(address, service) == state,
              f'{address} {service} {state}', seconds)

    def queued(self, account=None):
        found = self.daemon.json('queue', 'list')['messages']
        return [m for m in found if account in (None, m['account'])]

    def arrived(self, user, key, seconds=20, count=1):
        """The message with this key, which must be there just once."""
        mark = f'Message-ID: <{key}@client.test>'.encode()

        def found():
            return [data for _, data in self.lab.mail(user) if mark in data]
        until(lambda: len(found()) >= count, f'{key} at {user}', seconds)
        self.assertEqual(len(found()), count, f'copies of {key}')
        return found()[0]

    def assert_arrived(self, user, key, data, seconds=20):
        """It came once, and below the trace header it is what was sent."""
        got = self.arrived(user, key, seconds)
        sent = as_stored(data)
        if not got.endswith(sent):
            tail = got[-len(sent):]
            at = next((i for i, (a, b) in enumerate(zip(tail, sent))
                       if a != b), 0)
            self.fail(f'{key} changed: sent {sent[at:at + 60]!r}, '
                      f'stored {tail[at:at + 60]!r}')


class Lines(unittest.TextTestResult):
    """Knows which tests did not pass; several subtests are one test."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.bad = set()
        self.classes = 0

    def addError(self, test, err):
        super().addError(test, err)
        # What fails in setUpClass or its cleanup is no test, but a failure.
        if isinstance(test, unittest.TestCase):
            self.bad.add(test.id())
        else:
            self.classes += 1

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.bad.add(test.id())

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.bad.add(test.id())
            self.stream.writeln(f'\nFAIL {subtest}')


class Runner(unittest.TextTestRunner):
    resultclass = Lines


def interrupted(_signo, _frame):
    raise KeyboardInterrupt


def clean_up():
    """What unittest leaves undone when it is interrupted: labs, daemons."""
    classes = [Case]
    for cls in classes:
        classes += cls.__subclasses__()
        cls.doClassCleanups()


def main():
    """Runs the suite: as unittest.main, and one summary line at the end."""
    signal.signal(signal.SIGTERM, interrupted)
    try:
        result = unittest.main(exit=False, testRunner=Runner).result
    except KeyboardInterrupt:
        # A second one would leave the rest running.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        clean_up()
        sys.exit('interrupted')
    skipped = len(result.skipped)
    # A class that is skipped as a whole has not run.
    passed = result.testsRun - len(result.bad) - sum(
        isinstance(test, unittest.TestCase) for test, _ in result.skipped)
    for why in sorted({why for _, why in result.skipped}):
        print(f'skipped: {why}')
    failed = len(result.bad) + result.classes
    note = f', {skipped} skipped' if skipped else ''
    print(f'{passed} passed, {failed} failed{note}')
    sys.stdout.flush()
    sys.exit(bool(failed) or not (result.testsRun or skipped))


if os.geteuid() != 0:
    sys.exit('the system tests need root: the lab changes user')
