#!/usr/bin/env python3
"""A mail provider with OAuth to try a mail proxy on: authorization server,
submission and IMAP over TLS, and a control port to make it fail on demand.
Everything is in memory; nothing leaves this machine. See README.md."""

import argparse
import asyncio
import json
import os
import resource
import shlex
import signal
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import imap                                                 # noqa: E402
import smtp                                                 # noqa: E402
import tls                                                  # noqa: E402
import web                                                  # noqa: E402
from conn import Closed, Listener                           # noqa: E402
from control import Control                                 # noqa: E402
from faults import Faults                                   # noqa: E402
from oauth import OAuth                                     # noqa: E402
from state import State                                     # noqa: E402

# name: (offset from --base-port, protocol, certificate or None for setting)
PORTS = {
    "oauth": (443, "oauth", None),
    "control": (444, "control", None),
    "smtps": (465, "smtp", None),
    "submission": (587, "smtp", None),
    "imaps": (993, "imap", None),
    "wrong_smtps": (466, "smtp", "mismatch"),
    "wrong_imaps": (994, "imap", "mismatch"),
    "wrong_oauth": (445, "oauth", "mismatch"),
}


class Provider:
    def __init__(self, options):
        self.options = options
        settings = {"auto_approve": options.auto_approve}
        if options.access_ttl:
            settings["access_ttl"] = options.access_ttl
        self.state = State(**settings)
        self.state.faults = Faults(self.state)
        folder = os.path.join(options.dir, "tls")
        tls.make(folder)
        self.contexts = tls.Contexts(folder)
        self.oauth = OAuth(self.state, tls.SigningKey(folder))
        self.control = Control(self.state, self.oauth)

    def handler(self, name, protocol, certificate):
        state, contexts = self.state, self.contexts

        async def mail(conn):
            if protocol == "smtp":
                session = smtp.Session(conn, state, contexts,
                                       name == "submission", certificate)
            else:
                session = imap.Session(conn, state, contexts, certificate)
            await session.run()

        async def oauth(conn):
            state.count_open(conn)
            try:
                settings = state.settings
                await conn.start_tls(contexts.get(
                    certificate or settings["certificate"],
                    settings["tls_min"], settings["tls_max"]))
                await web.serve(conn, self.oauth.handle, state)
            except Closed as exc:
                if conn.tls is None:
                    state.note("oauth", "tls-failed", conn, why=str(exc))
                raise
            finally:
                state.count_end(conn)

        async def control(conn):
            await web.serve(conn, self.control.handle, state)

        return {"smtp": mail, "imap": mail, "oauth": oauth,
                "control": control}[protocol]

    def on_error(self, conn, exc):
        """A bug of the sandbox: to standard error and into the log."""
        traceback.print_exception(exc, file=sys.stderr)
        sys.stderr.flush()
        self.state.note(conn.protocol, "internal-error", conn, error=repr(exc))

    def listen(self):
        for name, (offset, protocol, certificate) in PORTS.items():
            base = self.options.base_port
            listener = Listener(
                name, self.options.host, base + offset if base else 0,
                protocol, self.handler(name, protocol, certificate),
                self.on_error)
            listener.open()
            self.state.listeners[name] = listener
        self.state.issuer = "https://localhost:%d" % (
            self.state.listeners["oauth"].port)

    def describe(self):
        ports = {n: l.port for n, l in self.state.listeners.items()}
        issuer, folder = self.state.issuer, self.options.dir
        env = {
            "SANDBOX_DIR": folder, "SANDBOX_PID": os.getpid(),
            "HOST": "localhost", "ADDRESS": self.options.host,
            "CA": os.path.join(folder, "tls", "ca.crt"),
            "OAUTH_URL": issuer, "ISSUER": issuer,
            "AUTHORIZE_URL": issuer + "/authorize",
            "TOKEN_URL": issuer + "/token",
            "DEVICE_URL": issuer + "/device_authorization",
            "REVOKE_URL": issuer + "/revoke",
            "USERINFO_URL": issuer + "/userinfo",
            "ADMIN_CONSENT_URL": issuer + "/adminconsent",
            "SCOPE": "openid offline_access mail",
            "CLIENT_ID": "sandbox", "CLIENT_SECRET": "sandbox-secret",
            "PUBLIC_CLIENT_ID": "sandbox-public",
            "CONTROL": "http://%s:%d" % (
                "[::1]" if ":" in self.options.host else self.options.host,
                ports["control"]),
        }
        env.update({n.upper() + "_PORT": p for n, p in ports.items()})
        return ports, env

    def announce(self):
        ports, env = self.describe()
        folder = self.options.dir
        write(os.path.join(folder, "ports.json"), json.dumps(
            ports, indent=1) + "\n")
        write(os.path.join(folder, "env"), "".join(
            "%s=%s\n" % (k, shlex.quote(str(v))) for k, v in env.items()))

    async def run(self, ready):
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if self.options.until_eof:
            loop.add_reader(0, lambda: os.read(0, 4096) or stop.set())
        self.listen()
        self.announce()
        ready()
        await stop.wait()
        for listener in self.state.listeners.values():
            listener.close()
            for conn in list(listener.conns):
                conn.abort("sandbox stops")
        await asyncio.sleep(0)


def write(path, text):
    """The whole file at once, or not at all."""
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as file:
        file.write(text)
    os.rename(temporary, path)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True, help="for all it writes")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--base-port", type=int, metavar="N",
                       help="ports are N+443, N+444, N+465, N+587, N+993 ...")
    where.add_argument("--ports", choices=["auto"],
                       help="any free ports (the default)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--access-ttl", type=int, metavar="S",
                        help="life of an access token (3600)")
    parser.add_argument("--auto-approve", action="store_true",
                        help="a GET of /authorize with login_hint signs in")
    parser.add_argument("--foreground", action="store_true",
                        help="do not go to the background when ready")
    parser.add_argument("--until-eof", action="store_true",
                        help="end when standard input does (so that nothing"
                             " is left if the parent is killed)")
    options = parser.parse_args(arguments)
    if options.until_eof and not options.foreground:
        parser.error("--until-eof needs --foreground")
    options.dir = os.path.abspath(options.dir)
    return options


def to_background(folder):
    """Forks. The parent waits for the word and ends; the child gets a
    function to say it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        word = os.read(reading, 64)
        sys.stdout.write(word.decode())
        sys.stdout.flush()
        os._exit(0 if word else 1)
    os.close(reading)
    os.setsid()
    log = os.open(os.path.join(folder, "output"),
                  os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)

    def ready():
        os.write(writing, b"ready\n")
        os.close(writing)
        os.dup2(log, 2)

    os.dup2(null, 0)
    os.dup2(log, 1)
    return ready


def main():
    options = parse(sys.argv[1:])
    os.makedirs(options.dir, mode=0o700, exist_ok=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ready = (lambda: print("ready", flush=True)) if options.foreground \
        else to_background(options.dir)
    pid = os.path.join(options.dir, "pid")
    write(pid, "%d\n" % os.getpid())
    try:
        asyncio.run(Provider(options).run(ready))
    finally:
        os.unlink(pid)


if __name__ == "__main__":
    main()
