"""What the fault suites share: a daemon whose machine fails on demand."""
import collections
import hashlib
import os
import re
import signal
import sys

from daemon import BUILD, Daemon, sanitized
from fault import Fault
from harness import message
from lab import until
from raw import Smtp
from sandbox_case import BOB, DEMO, UsersCase

# Everything, as make soak does, or as much as fits into a minute?
FULL = bool(os.environ.get('MAILBEARER_SOAK'))

if sanitized():
    sys.exit('the fault suites need a build without sanitizers')


def size(name, small, full):
    """A number from the environment, or else by what kind of run it is."""
    return int(os.environ.get(f'MAILBEARER_{name}') or (full if FULL
                                                        else small))


class Tail:
    """A growing log, read once."""

    def __init__(self, path):
        self.path, self.at, self.rest = path, 0, ''
        self.ready, self.seen = set(), []

    def read(self):
        """What is new, too."""
        with open(self.path, encoding='utf-8', errors='replace') as f:
            f.seek(self.at)
            text = self.rest + f.read()
            self.at = f.tell()
        *lines, self.rest = text.split('\n')
        for line in lines:
            found = re.search(r'\[(\d+)\]: .*event=role-ready', line)
            if found:
                self.ready.add(int(found[1]))
        self.seen += lines


class FaultCase(UsersCase):
    """One relay, so that what happens in it can be counted."""
    ini = {'mailbearer': {'workers': '1'},
           'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                     'window': '60s'},
           'queue': {'verdict_timeout': '6s', 'reserve_bytes': '0',
                     'max_message': '64M'}}
    roles = ('relay', 'keeper', 'courier', 'desk')
    allowed = {'role-died', 'store-error'}

    @classmethod
    def launch(cls, *args, **kw):
        cls.daemon = Daemon(*args, **kw)
        cls.addClassCleanup(cls.end)
        cls.daemon.allowed |= cls.allowed
        cls.fault = Fault(cls.daemon.dir, BUILD)
        cls.daemon.env = cls.fault.env
        cls.prepare()
        cls.daemon.start()
        cls.tail = Tail(cls.daemon.log_path)

    @classmethod
    def prepare(cls):
        """Before the daemon starts."""

    def setUp(self):
        self.fault.clear()
        self.settle()
        super().setUp()
        self.box.settings(reuse='allow', store_bodies=False)
        self.sent, self.accepted = {}, []

    def tearDown(self):
        self.fault.clear()
        super().tearDown()

    # ---- the daemon

    def whole(self):
        """Do all roles run, and serve?"""
        self.tail.read()
        running = self.daemon.roles()
        try:
            return (sorted(running.values()) == sorted(self.roles)
                    and set(running) <= self.tail.ready
                    and self.daemon.get('/readyz')[0] == 200)
        except OSError:
            return False

    def settle(self):
        """
        Roles that died are there again. The supervisor takes them for
        settled, so that the next that dies is started again at once, too.
        """
        try:
            until(self.whole, 'all roles', 40)
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.daemon.tail()}') from None
        self.fault.later(11, ['mailbearerd'])

    def kill_all(self):
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()

    def signed_in(self):
        """Signs in unless the account works."""
        if self.state(DEMO) != 'connected':
            self.sign_in_user('demo')
        self.wait_state(DEMO, 'connected')

    def die(self):
        """The grant of demo dies; what is sent from here on is queued."""
        self.box.kill_grant('demo', aadsts=50173)
        if self.state(DEMO) == 'connected':
            key = f'finds-out-{len(self.sent)}'
            self.assertRegex(self.try_send(key), 'Queued as')
            self.accepted.append(key)
        # A token that never worked yet is tried on for a while.
        self.hurry(self.is_dead)

    def is_dead(self):
        return self.state(DEMO) == 'reauthorize'

    def is_empty(self):
        """Not so while the queue cannot be read."""
        return self.daemon.json('queue', 'list').get('messages') == []

    def pass_time(self, seconds):
        """So much, and keeper and courier wake up and notice."""
        self.fault.later(seconds)
        try:
            self.daemon.get('/readyz')
        except OSError:
            pass    # one of them is just being started

    def hurry(self, condition, seconds=30):
        """Waits for it, and for what has its time: time passes faster."""
        def soon():
            if condition():
                return True
            self.pass_time(2)
            return False
        try:
            until(soon, condition.__name__, seconds)
        except AssertionError as e:
            raise AssertionError(
                f'{e}\n{self.daemon.ctl("status")[1]}\n'
                f'{self.daemon.ctl("queue", "list", "--json")[1][:2000]}\n'
                f'{self.daemon.tail(60)}') from None

    # ---- messages

    def try_send(self, key, body=b'A line.\r\n', rcpt=BOB):
        """The reply that decided; empty when the connection ended."""
        login = self.daemon.login(DEMO)
        data = message(DEMO, rcpt, key, body)
        self.sent[hashlib.sha256(data).hexdigest()] = key
        try:
            with Smtp(login.smtp_port, login.ca) as client:
                reply = client.login(login)
                if reply[:3] == '235':
                    reply = client.message(DEMO, [rcpt], data)
        except TimeoutError:
            raise AssertionError(f'{key}: no answer') from None
        except OSError:
            return ''
        return reply.rstrip()

    def arrived_keys(self):
        """What the provider took, in order; it came as it was sent."""
        digests = [m['sha256'] for m in self.box.messages()]
        self.assertEqual([d for d in digests if d not in self.sent], [],
                         'came otherwise than sent')
        return [self.sent[d] for d in digests]

    def assert_kept(self, accepted, refused=(), seconds=60):
        """
        What was accepted arrives, whole, once and in order; what was refused
        does not.
        """
        self.hurry(self.is_empty, seconds)
        arrived = self.arrived_keys()
        copies = collections.Counter(arrived)
        self.assertEqual([k for k in accepted if k not in copies], [],
                         'accepted and lost')
        self.assertEqual({k: n for k, n in copies.items()
                          if k in accepted and n > 1}, {}, 'came twice')
        self.assertEqual([k for k in refused if k in copies], [],
                         'refused and delivered all the same')
        self.assertEqual([k for k in arrived if k in set(accepted)],
                         list(accepted), 'out of order')
        self.assertEqual(self.box.violations(), [])
