"""Sockets on which a test says exactly what it likes."""
import base64
import socket
import ssl


def b64(*parts):
    """SASL PLAIN's message, or one word, in base64."""
    return base64.b64encode(b'\0'.join(
        p.encode() if isinstance(p, str) else p for p in parts))


class Raw:
    def __init__(self, port, ca=None, host='127.0.0.1', seconds=20):
        self.plain = socket.create_connection((host, port), seconds)
        self.sock = self.plain
        if ca:
            context = ssl.create_default_context(cafile=ca)
            try:
                self.sock = context.wrap_socket(self.plain,
                                                server_hostname='localhost')
            except OSError:
                self.plain.close()
                raise
        self.sock.settimeout(seconds)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def greeted(self, read):
        try:
            return read()
        except OSError:
            self.close()
            raise

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b''
        self.buffer += data
        return bool(data)

    def line(self):
        """The next line with its line end; what is left at the end."""
        while b'\n' not in self.buffer and self.fill():
            pass
        line, lf, self.buffer = self.buffer.partition(b'\n')
        return line + lf

    def rest(self):
        """Everything up to the end of the connection."""
        while self.fill():
            pass
        data, self.buffer = self.buffer, b''
        return data

    def take(self, n):
        while len(self.buffer) < n and self.fill():
            pass
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data


class Smtp(Raw):
    def __init__(self, port, ca=None, greet=True, **kw):
        super().__init__(port, ca, **kw)
        self.greeting = self.greeted(self.reply) if greet else None

    def reply(self):
        """A reply, all its lines; empty when the connection ended."""
        lines = self.line()
        last = lines
        while last[3:4] == b'-':
            last = self.line()
            lines += last
        return lines.decode('utf-8', 'replace')

    def command(self, data):
        self.send(data if isinstance(data, bytes) else data + '\r\n')
        return self.reply()

    def login(self, who):
        self.command('EHLO client.test')
        return self.command(b'AUTH PLAIN '
                            + b64('', who.name, who.password) + b'\r\n')

    def message(self, sender, rcpts, data):
        """One transaction; the first reply that refuses, or the last."""
        for command in [f'MAIL FROM:<{sender}>',
                        *(f'RCPT TO:<{r}>' for r in rcpts)]:
            reply = self.command(command)
            if reply[:1] != '2':
                return reply
        reply = self.command('DATA')
        if reply[:3] != '354':
            return reply
        return self.command(stuffed(data) + b'.\r\n')


def stuffed(data):
    return (b'\r\n' + data).replace(b'\r\n.', b'\r\n..')[2:]


class Imap(Raw):
    def __init__(self, port, ca=None, greet=True, **kw):
        super().__init__(port, ca, **kw)
        self.tags = 0
        self.greeting = self.greeted(self.line).decode() if greet else None

    def tagged(self, tag):
        """All lines up to the tagged one: (untagged text, tagged line)."""
        seen = []
        while line := self.line().decode('utf-8', 'replace'):
            if line.startswith(f'{tag} '):
                return ''.join(seen), line
            seen.append(line)
        return ''.join(seen), ''

    def command(self, text):
        self.tags += 1
        tag = f'x{self.tags}'
        self.send(f'{tag} {text}\r\n')
        return self.tagged(tag)

    def login(self, who):
        return self.command(f'LOGIN "{who.name}" "{who.password}"')[1]
