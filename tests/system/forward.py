"""A TCP forwarder that breaks connections as networks do, at a known octet.

    with Forward(port) as f:
        f.plans.append({'up': 100, 'how': 'reset'})

Each connection takes the next plan, or is left alone. up, down: after so many
octets from, or to, the client; how: close, reset, or freeze: nothing goes on,
and after 'seconds' the connection is reset, as by a peer that came back.
"""
import collections
import socket
import struct
import threading
import time

CHUNK = 65536


class Connection:
    def __init__(self, client, server, plan):
        self.ends = {'up': (client, server), 'down': (server, client)}
        self.plan = plan
        self.address = '%s:%d' % server.getsockname()[:2]
        self.passed = {'up': 0, 'down': 0}
        self.broken = threading.Event()
        self.over = threading.Event()

    def run(self, way):
        source, sink = self.ends[way]
        limit = self.plan.get(way)
        try:
            while not self.broken.is_set():
                left = CHUNK if limit is None else limit - self.passed[way]
                if left <= 0:
                    self.break_off()
                    return
                data = source.recv(min(CHUNK, left))
                if self.broken.is_set():
                    return
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
                self.passed[way] += len(data)
        except OSError:
            self.end()

    def break_off(self):
        self.broken.set()
        if self.plan['how'] == 'freeze':
            self.over.wait(self.plan['seconds'])
        self.end(reset=self.plan['how'] != 'close')

    def end(self, reset=False):
        self.over.set()
        for sock in self.ends['up']:
            try:
                if reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack('ii', 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


class Forward:
    def __init__(self, target):
        self.target = target
        self.plans = collections.deque()
        self.connections = []
        self.fillers = []
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True,
                         args=(self.listener,)).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        try:
            server = socket.create_connection(('127.0.0.1', self.target), 5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plan = self.plans.popleft() if self.plans else {}
        connection = Connection(client, server, plan)
        self.connections.append(connection)
        down = threading.Thread(target=connection.run, args=('down',),
                                daemon=True)
        down.start()
        connection.run('up')
        down.join()
        connection.end()

    def broken(self):
        """The ends at the server of connections that were broken off."""
        return {c.address for c in self.connections if c.broken.is_set()}

    def cut_all(self):
        for c in list(self.connections):
            c.end(reset=True)

    def fall_silent(self):
        """From now on nobody gets an answer to a SYN, until speak()."""
        self.stop_listening()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', self.port))
        self.listener.listen(0)
        # The kernel holds a few; the next one hears nothing.
        while self.fill():
            pass

    def fill(self):
        filler = socket.socket()
        filler.settimeout(0.3)
        self.fillers.append(filler)
        try:
            filler.connect(('127.0.0.1', self.port))
            return True
        except TimeoutError:
            return False

    def stop_listening(self):
        # Wakes whoever is in accept(), which close() does not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def speak(self):
        for filler in self.fillers:
            filler.close()
        self.fillers = []
        self.stop_listening()
        end = time.monotonic() + 5
        while True:
            try:
                self.listener = socket.create_server(
                    ('127.0.0.1', self.port), backlog=200)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        threading.Thread(target=self.accept, daemon=True,
                         args=(self.listener,)).start()

    def close(self):
        for filler in self.fillers:
            filler.close()
        self.stop_listening()
        self.cut_all()
