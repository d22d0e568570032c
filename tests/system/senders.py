"""Clients that go on sending whatever happens, and remember what they heard."""
import collections
import concurrent.futures
import hashlib
import random
import threading
import time

from harness import message
from raw import Smtp, stuffed

ALPHABET = bytes(range(33, 127))
MOST = 1 << 20


def text(rng, size):
    """Lines of size octets together, some of which begin with a dot."""
    lines = []
    while size > 0:
        n = min(size, rng.randint(3, 78))
        line = bytes(rng.choices(ALPHABET, k=max(n - 2, 0)))
        lines.append((b'.' + line[1:] if n % 7 == 0 else line) + b'\r\n')
        size -= n
    return b''.join(lines)


class Texts:
    """Bodies cut out of one long text: cheap, and each another one."""

    def __init__(self, rng, most=MOST):
        self.most = most
        self.lines = text(rng, most + most // 4).splitlines(keepends=True)

    def body(self, rng):
        size = min(rng.choice((10, 300, 2000, 2000, 9000, 70000)), self.most)
        if rng.random() < 0.02:
            size = rng.randint(size, self.most)
        start = rng.randrange(len(self.lines) // 5)
        return b''.join(self.lines[start:start + 1 + size // 40])


class Attempt:
    """One message of one client."""
    __slots__ = ('key', 'digest', 'size', 'tries', 'acknowledged', 'queued')

    def __init__(self, key, data):
        self.key = key
        self.digest = hashlib.sha256(data).hexdigest()
        self.size = len(data)
        self.tries = 0            # how often the whole message was sent
        self.acknowledged = None  # when the 250 came
        self.queued = False


class Sender(threading.Thread):
    """
    Sends one message after the other over TLS, each again until it got its
    250, as mail programs do. keep: over one connection as long as that lasts.
    gate: an Event; while it is not set no new message is begun.
    """

    def __init__(self, number, login, rcpt, texts, seed, keep, gate):
        super().__init__(daemon=True)
        self.number, self.who, self.rcpt = number, login, rcpt
        self.texts, self.keep, self.gate = texts, keep, gate
        self.rng = random.Random(f'{seed}-{number}')
        self.messages = []
        self.refusals = collections.Counter()
        self.error = None
        self.ended = threading.Event()
        self.client = None

    def run(self):
        try:
            while not self.ended.is_set():
                if self.gate.wait(1):
                    self.send_next()
                    time.sleep(self.rng.uniform(0, 0.02))
        except Exception as e:  # pylint: disable=broad-exception-caught
            self.error = e
        self.disconnect()

    def send_next(self):
        key = f'c{self.number}-{len(self.messages) + 1}'
        data = message(self.who.sender, self.rcpt, key,
                       self.texts.body(self.rng))
        attempt = Attempt(key, data)
        self.messages.append(attempt)
        limit = time.monotonic() + 60
        while not self.accepted(attempt, data):
            if time.monotonic() > limit:
                raise AssertionError(f'{key} not accepted within a minute: '
                                     f'{dict(self.refusals)}')
            time.sleep(self.rng.uniform(0.02, 0.2))
        if not self.keep:
            self.disconnect()

    def accepted(self, attempt, data):
        """One try. Whoever hears nothing, or 4yz, comes again."""
        try:
            reply = self.transaction(attempt, data)
        except TimeoutError:
            raise AssertionError(f'{attempt.key}: no answer') from None
        except OSError as e:
            reply = type(e).__name__
        if reply[:3] == '250':
            attempt.queued = ' Queued as ' in reply
            attempt.acknowledged = time.time()
            return True
        self.disconnect()
        if reply[:1] == '5':
            raise AssertionError(f'{attempt.key} refused: {reply}')
        self.refusals[reply[:3].strip() and reply.strip()[:40]] += 1
        return False

    def transaction(self, attempt, data):
        if not self.client:
            self.client = Smtp(self.who.smtp_port, self.who.ca)
            reply = self.client.login(self.who)
            if reply[:3] != '235':
                return reply
        attempt.tries += 1
        return self.client.message(self.who.sender, [self.rcpt], data)

    def disconnect(self):
        client, self.client = self.client, None
        if client:
            client.close()

    def end(self, seconds=90):
        """Stops after the message in hand."""
        self.ended.set()
        self.join(seconds)
        if self.error:
            raise AssertionError(f'client {self.number}: {self.error}')
        if self.is_alive():
            raise AssertionError(f'client {self.number} hangs')


def submit(login, rcpt, messages):
    """
    Sends messages over one connection, commands pipelined; yields the reply
    to each.
    """
    with Smtp(login.smtp_port, login.ca, seconds=120) as client:
        client.login(login)
        for data in messages:
            client.send(f'MAIL FROM:<{login.sender}>\r\nRCPT TO:<{rcpt}>\r\n'
                        f'DATA\r\n')
            replies = [client.reply() for _ in range(3)]
            if [r[:3] for r in replies] != ['250', '250', '354']:
                raise AssertionError(f'refused: {replies}')
            yield client.command(stuffed(data) + b'.\r\n')


def submit_all(login, rcpt, messages, connections):
    """The same over several connections at once; all replies."""
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        parts = [pool.submit(lambda part=messages[n::connections]:
                             list(submit(login, rcpt, part)))
                 for n in range(connections)]
        return [reply for part in parts for reply in part.result()]
