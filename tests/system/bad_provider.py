"""
A mail provider gone mad: accepts connections and does one bad thing. The
tokens for it come from the lab, so only the mail side is mad.
"""
import socket
import ssl
import threading

MEGABYTE = b'x' * 2**20


def silence(_sock, stop):
    stop.wait()


def garbage(sock, _stop):
    sock.sendall(bytes(range(256)) * 64 + b'\r\n' + b'\0\xff\x80\r\n' * 100)


def endless_line(sock, stop):
    while not stop.is_set():
        sock.sendall(MEGABYTE)


def endless_reply(sock, stop):
    """Lines without end that never finish the greeting."""
    while not stop.is_set():
        sock.sendall(b'220-more\r\n* more\r\n' * 4096)


def hang_up(_sock, _stop):
    pass


def half_greeting(sock, stop):
    sock.sendall(b'220 half a gree')
    stop.wait()


def wrong_protocol(sock, stop):
    sock.sendall(b'HTTP/1.0 400 Bad Request\r\n\r\n<html></html>')
    stop.wait(2)


MANNERS = {f.__name__.replace('_', '-'): f for f in (
    silence, garbage, endless_line, endless_reply, hang_up, half_greeting,
    wrong_protocol)}


class BadProvider:
    def __init__(self, certificate=None, key=None):
        self.manner = hang_up
        self.connections = 0
        self.stop = threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def become(self, name):
        """Every connection so far ends; the next ones are treated so."""
        self.stop.set()
        self.stop = threading.Event()
        self.manner = MANNERS[name]

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock, self.stop),
                             daemon=True).start()

    def serve(self, sock, stop):
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            self.manner(sock, stop)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        self.stop.set()
        self.listener.close()
