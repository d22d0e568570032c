"""Starts a sandbox provider and talks to its control port.

    with client.start(folder) as box:
        box.fault(preset="token-429", times=3)
        ...

Also a small command: client.py DIR GET|POST PATH [JSON], which prints the
answer, and client.py DIR approve URL [USER], which prints the redirect URL.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


class SandboxError(Exception):
    """The control port refused; the text says why."""


class Sandbox:
    def __init__(self, folder, process=None):
        self.folder = os.path.abspath(folder)
        self.process = process
        self.env = read_env(os.path.join(self.folder, "env"))
        with open(os.path.join(self.folder, "ports.json")) as file:
            self.ports = json.load(file)
        self.ca = self.env["CA"]
        self.issuer = self.env["ISSUER"]
        self.control_url = self.env["CONTROL"]
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- the control port --------------------------------------------------

    def call(self, method, path, data=None, timeout=60):
        """The raw answer of the control port."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.control_url + path, body,
                                         method=method)
        try:
            with self.opener.open(request, timeout=timeout) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise SandboxError(error.read().decode()) from None

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return json.loads(self.call(
            "GET", path, timeout=float(query.get("timeout", 30)) + 30))

    def post(self, path, **data):
        return json.loads(self.call(
            "POST", path, data, timeout=float(data.get("timeout", 30)) + 30))

    def reset(self, **what):
        return self.post("/reset", **what)

    def settings(self, **changes):
        return self.post("/settings", **changes)

    def add_user(self, address, **fields):
        return self.post("/users", address=address, **fields)

    def add_client(self, client_id, **fields):
        return self.post("/clients", client_id=client_id, **fields)

    # -- grants ------------------------------------------------------------

    def approve(self, url, user=None, deny=False):
        """Signs in on an authorization URL; returns the redirect URL."""
        return self.post("/approve", url=url, user=user,
                         deny=deny)["redirect"]

    def approve_device(self, user_code, user="demo", decision="approve"):
        return self.post("/device", user_code=user_code, user=user,
                         decision=decision)

    def kill_grant(self, user, **how):
        """how: aadsts=50173, preset=NAME, body={...}, access=, sessions="""
        return self.post("/kill", user=user, **how)

    def expire(self, user=None, which="access", sessions=False):
        return self.post("/expire", user=user, which=which,
                         sessions=sessions)

    def mint(self, user, **fields):
        return self.post("/mint", user=user, **fields)

    # -- trouble -----------------------------------------------------------

    def fault(self, preset=None, **fields):
        if preset:
            fields["preset"] = preset
        return self.post("/fault", **fields)

    def clear(self, number=None):
        return self.post("/clear", id=number)

    def faults(self):
        return self.get("/faults")

    def drop(self, **chosen):
        return self.post("/drop", **chosen)

    def outage(self, on=True, **which):
        return self.post("/outage", on=on, **which)

    # -- mail and reports --------------------------------------------------

    def messages(self, wait=None, timeout=30, **query):
        """Accepted messages; with wait, as soon as there are so many."""
        if wait is not None:
            query.update(wait=wait, timeout=timeout)
        return self.get("/messages", **query)

    def raw(self, number):
        return self.call("GET", "/messages/%d/raw" % number)

    def create(self, user, **fields):
        return self.post("/create", user=user, **fields)

    def mailbox(self, user, name="INBOX"):
        return self.get("/mailbox", user=user, name=name)

    def log(self, **fields):
        return self.get("/log", **fields)

    def wait(self, count=1, timeout=30, **fields):
        """Waits for events of the log; AssertionError if they stay away."""
        answer = self.post("/wait", count=count, timeout=timeout, **fields)
        if not answer["met"]:
            raise AssertionError("sandbox saw no %d of %r" % (count, fields))
        return answer["events"]

    def tokens(self, secrets=False):
        return self.get("/tokens", **({"secrets": 1} if secrets else {}))

    def connections(self):
        return self.get("/connections")

    def violations(self):
        return self.get("/violations")

    # -- the end -----------------------------------------------------------

    def stop(self):
        """Ends the process start() began; its exit status."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()
        self.process = None
        return status


def read_env(path):
    env = {}
    with open(path) as file:
        for line in file:
            name, _, value = line.strip().partition("=")
            env[name] = "".join(shlex.split(value))
    return env


def start(folder=None, *arguments):
    """Starts a provider of its own in folder and waits until it is ready."""
    folder = folder or tempfile.mkdtemp(prefix="sandbox-")
    process = subprocess.Popen(
        [sys.executable, os.path.join(HERE, "provider.py"), "--dir", folder,
         "--foreground", "--until-eof", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout.readline() != b"ready\n":
        process.stdout.close()
        process.stdin.close()
        raise SandboxError("provider.py ended with %s" % process.wait())
    return Sandbox(folder, process)


def attach(folder):
    """A provider that runs already."""
    return Sandbox(folder)


def main(arguments):
    if len(arguments) < 3:
        sys.exit(__doc__)
    box = attach(arguments[0])
    try:
        if arguments[1] == "approve":
            print(box.approve(*arguments[2:4]))
            return
        data = json.loads(arguments[3]) if len(arguments) > 3 else None
        answer = box.call(arguments[1].upper(), arguments[2], data)
        sys.stdout.buffer.write(answer)
    except SandboxError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
