"""A forward proxy: CONNECT (RFC 9110) and SOCKS5 (RFC 1928, 1929) on one port.

    with Proxy({'mail.example.test': '127.0.0.1'}) as p:
        p.login = 'who:secret'
        p.status = 403      # what every CONNECT is answered; 0: it works

It alone knows the names it is given: who reaches them came by this way.
"""
import base64
import socket
import struct
import threading


class Proxy:
    def __init__(self, names):
        self.names = names
        self.login = None
        self.status = 0
        self.asked = []    # "host:port" of what was asked for
        self.refused = 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Ends accept(), too, which close() alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        try:
            while True:
                client = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(client,),
                                 daemon=True).start()
        except OSError:
            pass

    def serve(self, client):
        try:
            with client:
                client.settimeout(60)
                first = client.recv(1, socket.MSG_PEEK)
                server = (self.socks if first == b'\5' else self.http)(client)
                if server:
                    with server:
                        self.pump(client, server)
        except OSError:
            pass

    @staticmethod
    def pump(client, server):
        def one_way(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=one_way, args=(server, client),
                                daemon=True)
        back.start()
        one_way(client, server)
        back.join(60)

    def reach(self, host, port):
        self.asked.append(f'{host}:{port}')
        return socket.create_connection((self.names[host], port), 10)

    # ---- CONNECT

    def http(self, client):
        head = b''
        while b'\r\n\r\n' not in head:
            data = client.recv(4096)
            if not data:
                return None
            head += data
        lines = head.decode('latin-1').split('\r\n')
        fields = {k.strip().lower(): v.strip() for k, _, v in
                  (line.partition(':') for line in lines[1:])}
        if self.login:
            want = base64.b64encode(self.login.encode()).decode()
            if fields.get('proxy-authorization') != f'Basic {want}':
                return self.refuse(client, 407)
        if self.status:
            return self.refuse(client, self.status)
        method, target = lines[0].split()[:2]
        host, _, port = target.rpartition(':')
        if method != 'CONNECT' or host not in self.names:
            return self.refuse(client, 502)
        server = self.reach(host, int(port))
        client.sendall(b'HTTP/1.1 200 Connected\r\n\r\n')
        return server

    def refuse(self, client, status):
        self.refused += 1
        client.sendall(f'HTTP/1.1 {status} No\r\n'
                       'Proxy-Authenticate: Basic realm="x"\r\n'
                       'Content-Type: text/html\r\nContent-Length: 13\r\n'
                       'Connection: close\r\n\r\n<h1>Hello</h1'.encode())

    # ---- SOCKS5

    @staticmethod
    def exactly(client, n):
        data = b''
        while len(data) < n:
            more = client.recv(n - len(data))
            if not more:
                raise OSError('the client left')
            data += more
        return data

    def text(self, client):
        return self.exactly(client, self.exactly(client, 1)[0]).decode()

    def socks(self, client):
        methods = self.exactly(client, self.exactly(client, 2)[1])
        if self.login:
            if 2 not in methods:
                self.refused += 1
                client.sendall(b'\5\xff')
                return None
            client.sendall(b'\5\2')
            self.exactly(client, 1)
            who = f'{self.text(client)}:{self.text(client)}'
            client.sendall(b'\1\0' if who == self.login else b'\1\1')
            if who != self.login:
                self.refused += 1
                return None
        else:
            client.sendall(b'\5\0')
        kind = self.exactly(client, 4)[3]
        host = (self.text(client) if kind == 3 else
                socket.inet_ntoa(self.exactly(client, 4)))
        port = struct.unpack('!H', self.exactly(client, 2))[0]
        if host not in self.names:
            self.refused += 1
            client.sendall(b'\5\4\0\1\0\0\0\0\0\0')
            return None
        server = self.reach(host, port)
        client.sendall(b'\5\0\0\1\0\0\0\0\0\0')
        return server
