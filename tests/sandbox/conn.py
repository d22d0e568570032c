"""Connections for asyncio on bare non-blocking sockets, plain or TLS.

asyncio's own TLS transport keeps a quarter of a megabyte per connection and
hides the socket; here a connection costs what OpenSSL takes, can start TLS
in the middle, stop reading, or be cut with a reset. Everything runs in the
one event loop thread.

put() collects output; it goes out on flush(), or by itself as soon as a read
must wait. Every read raises Closed when the peer is gone.
"""

import asyncio
import errno
import select
import socket
import ssl
import struct

CHUNK = 65536
WANT_READ = (ssl.SSLWantReadError, BlockingIOError)


class Closed(Exception):
    """The connection is over: by the peer, by a fault, or by control."""


class LineTooLong(Exception):
    """The line is longer than the caller's limit; it has been skipped."""


class Conn:
    serial = 0

    def __init__(self, sock, peer, listener):
        Conn.serial += 1
        self.id = "c%d" % Conn.serial
        self.protocol = listener.protocol
        self.listener = listener.name
        self.port = listener.port
        self.sock = sock
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.buf = bytearray()
        self.out = bytearray()
        self.tls = None
        self.user = None            # whose mailbox it is logged in to
        self.owner = None           # whose token did it
        self.closed = None
        # octets inside TLS, and how many there may be (see limit)
        self.read = self.written = 0
        self.most_read = self.most_written = None
        self.reset_at_limit = False
        self.pause = 0
        self._waiting = {}
        self._lock = asyncio.Lock()

    # -- waiting -----------------------------------------------------------

    async def _wait(self, kind):
        if self.closed:
            raise Closed(self.closed)
        fut = self.loop.create_future()
        fd = self.sock.fileno()
        add, remove = {
            "r": (self.loop.add_reader, self.loop.remove_reader),
            "w": (self.loop.add_writer, self.loop.remove_writer),
        }[kind]
        add(fd, self._wake, fut)
        self._waiting[kind] = fut
        try:
            await fut
        finally:
            self._waiting.pop(kind, None)
            if not self.closed:
                remove(fd)
        if self.closed:
            raise Closed(self.closed)

    @staticmethod
    def _wake(fut):
        if not fut.done():
            fut.set_result(None)

    async def _attempt(self, call, *args):
        """call(*args), waiting for the socket as often as it takes."""
        while True:
            if self.closed:
                raise Closed(self.closed)
            try:
                return call(*args)
            except WANT_READ:
                await self._wait("r")
            except ssl.SSLWantWriteError:
                await self._wait("w")
            except (OSError, ValueError) as exc:
                self.abort("lost: %s" % (getattr(exc, "reason", None) or exc))
                raise Closed(self.closed) from None

    async def start_tls(self, context):
        """Server side handshake. Raises Closed when it fails."""
        await self.flush()
        try:
            self.sock = context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False)
        except OSError as exc:
            self.abort("lost: %s" % exc)
            raise Closed(self.closed) from None
        await self._attempt(self.sock.do_handshake)
        self.tls = self.sock.version()

    # -- trouble -----------------------------------------------------------

    def limit(self, read=None, written=None, reset=False, pause=0):
        """The connection is cut as soon as so many octets were read, and
        instead of writing more than so many; with pause they go one by one,
        so many seconds apart. Counted from its beginning, inside TLS."""
        self.most_read, self.most_written = read, written
        self.reset_at_limit, self.pause = reset, pause

    def _cut(self):
        self.abort("cut by a limit", reset=self.reset_at_limit)
        raise Closed(self.closed)

    def _room(self, done, most):
        step = 1 if self.pause else CHUNK
        return step if most is None else min(step, most - done)

    # -- reading -----------------------------------------------------------

    async def fill(self):
        """Reads at least one byte into buf; sends what is collected first."""
        most = self._room(self.read, self.most_read)
        if most <= 0:
            await self.flush()
            self._cut()
        if self.pause:
            await self.flush()
            await asyncio.sleep(self.pause)
        try:
            data = self.sock.recv(most) if not self.out else None
        except (OSError, ValueError):
            data = None
        if data is None:
            await self.flush()
            data = await self._attempt(self.sock.recv, most)
        if not data:
            self.abort("closed by peer")
            raise Closed(self.closed)
        self.read += len(data)
        if self.read == self.most_read:
            self._cut()
        self.buf += data

    async def readline(self, limit):
        """One line with its line feed. Longer than limit: LineTooLong, after
        the whole line was read and thrown away."""
        start = 0
        while True:
            end = self.buf.find(b"\n", start)
            if end >= 0:
                line = bytes(self.buf[:end + 1])
                del self.buf[:end + 1]
                if end >= limit:
                    raise LineTooLong()
                return line
            start = len(self.buf)
            if start > limit:
                await self._skip_line()
                raise LineTooLong()
            await self.fill()

    async def _skip_line(self):
        while True:
            end = self.buf.find(b"\n")
            if end >= 0:
                del self.buf[:end + 1]
                return
            self.buf.clear()
            await self.fill()

    async def read_exactly(self, count):
        while len(self.buf) < count:
            await self.fill()
        data = bytes(self.buf[:count])
        del self.buf[:count]
        return data

    def pending(self):
        """Bytes that have come but were not read: buffered here, in OpenSSL
        or, without waiting, in the kernel."""
        most = self._room(self.read, self.most_read) - 1
        if not self.buf and not self.closed and most > 0:
            try:
                self.buf += self.sock.recv(most)
                self.read += len(self.buf)
            except (OSError, ValueError):
                pass
        return len(self.buf)

    # -- writing -----------------------------------------------------------

    def put(self, data):
        self.out += data.encode() if isinstance(data, str) else data

    async def flush(self):
        while self.out:
            data, self.out = self.out, bytearray()
            await self.send(data)

    async def send(self, data):
        """Sends data (bytes-like) now, after what was collected."""
        async with self._lock:
            if self.out and data is not self.out:
                before, self.out = self.out, bytearray()
                if len(data) <= CHUNK:
                    data = before + data
                else:
                    await self._send(before)
            await self._send(data)

    async def _send(self, data):
        view = memoryview(data)
        sent, since = 0, 0
        while sent < len(view):
            most = self._room(self.written, self.most_written)
            if most <= 0:
                self._cut()
            if self.pause:
                await asyncio.sleep(self.pause)
            step = await self._attempt(self.sock.send,
                                       view[sent:sent + most])
            self.written += step
            sent += step
            since += step
            if since >= 4 * CHUNK:
                since = 0
                await asyncio.sleep(0)

    # -- ending ------------------------------------------------------------

    def abort(self, why, reset=False):
        """Ends the connection now: no close_notify, with reset a TCP RST."""
        if self.closed:
            return
        self.closed = why
        fd = self.sock.fileno()
        if fd >= 0:
            self.loop.remove_reader(fd)
            self.loop.remove_writer(fd)
        if reset:
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
            except OSError:
                pass
        try:
            self.sock.close()
        except OSError:
            pass
        for fut in list(self._waiting.values()):
            self._wake(fut)

    async def dismiss(self, text, why):
        """Ends the connection from another task, with a last word."""
        try:
            self.put(text)
            await asyncio.wait_for(self.flush(), 1)
            self._goodbye()
        except (Closed, OSError, ValueError, asyncio.TimeoutError):
            pass
        self.abort(why)

    async def close(self, why="closed"):
        """Sends what is left, says goodbye, reads the peer's last bytes for
        a moment (or they would turn the goodbye into a reset)."""
        if self.closed:
            return
        try:
            await asyncio.wait_for(self.flush(), 5)
            self._goodbye()
            await asyncio.wait_for(self._drain(), 0.5)
        except (Closed, OSError, ValueError, asyncio.TimeoutError):
            pass
        self.abort(why)

    def _goodbye(self):
        if self.tls:
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    async def _drain(self):
        while True:
            await self._wait("r")
            try:
                if not socket.socket.recv(self.sock, CHUNK):
                    return
            except (BlockingIOError, ssl.SSLError):
                continue

    def peer_gone(self):
        """True once the peer has closed, found out without reading."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLRDHUP)
        return any(e & (select.POLLRDHUP | select.POLLHUP | select.POLLERR)
                   for _, e in poll.poll(0))


class Listener:
    """Accepts on one address and starts handler(conn) for each connection;
    on_error(conn, exception) hears of a handler's bug.
    close() and open() model an outage on the same port."""

    def __init__(self, name, host, port, protocol, handler, on_error):
        self.name, self.protocol = name, protocol
        self.host, self.port = host, port
        self.handler, self.on_error = handler, on_error
        self.sock = None
        self.conns = set()

    def open(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.host, self.port))
        sock.listen(4096)
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        self.sock = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._accept)

    def close(self):
        if self.sock:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.sock.close()
            self.sock = None

    def cut(self, why):
        for conn in list(self.conns):
            conn.abort(why, reset=True)

    def _accept(self):
        for _ in range(64):
            try:
                sock, peer = self.sock.accept()
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE):
                    self._pause()
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Conn(sock, "%s:%d" % peer[:2], self)
            self.conns.add(conn)
            asyncio.get_running_loop().create_task(self._run(conn))

    def _pause(self):
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.sock.fileno())
        loop.call_later(0.1, self._resume)

    def _resume(self):
        if self.sock:
            loop = asyncio.get_running_loop()
            loop.add_reader(self.sock.fileno(), self._accept)

    async def _run(self, conn):
        try:
            await self.handler(conn)
        except Closed:
            pass
        except Exception as exc:
            self.on_error(conn, exc)
        finally:
            conn.abort("handler ended")
            self.conns.discard(conn)
