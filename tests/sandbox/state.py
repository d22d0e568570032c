"""What the sandbox provider knows: settings, users, clients, the log.

One State object is shared by all servers; everything runs in one thread.
"""

import asyncio
import collections
import copy
import time

from store import Store
from grants import Grants

LOG_KEPT = 200000

# Every switch there is, with its default. README.md says what each does.
DEFAULTS = {
    # OAuth
    "auto_approve": False,
    "access_ttl": 3600,
    "refresh_ttl": 0,
    "code_ttl": 600,
    "rotate": True,
    "reuse": "revoke",
    "offline_needs_consent": True,
    "withhold_scopes": [],
    "expires_in": "number",
    "access_token_bytes": 1400,
    "device_interval": 5,
    "device_ttl": 900,
    "device_complete_uri": True,
    "iss": True,
    "date_offset": 0,
    # mail, both protocols
    "mechanisms": ["XOAUTH2", "OAUTHBEARER"],
    "failure_shape": "challenge",
    "certificate": "good",
    "tls_min": "1.2",
    "tls_max": "1.3",
    # SMTP
    "smtp_capabilities": ["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8",
                          "ENHANCEDSTATUSCODES", "DSN"],
    "smtp_size": 157286400,
    "smtp_max_recipients": 500,
    "smtp_concurrency": 0,
    "smtp_concurrency_stage": "auth",
    "smtp_rate": 0,
    "smtp_rate_action": "reject",
    "bare_lf": "reject",
    "early_talk": "reject",
    "sender_check": "off",
    "sent_copy": True,
    "sent_trace": True,
    "sent_delay": 0,
    "store_bodies": True,
    # IMAP
    "sasl_ir": True,
    "special_use": True,
    "imap_capability_in_greeting": True,
    "imap_capability_in_ok": True,
    "imap_capabilities": ["LITERAL+", "ID", "IDLE", "NAMESPACE", "UIDPLUS",
                          "UNSELECT", "MOVE", "CHILDREN", "SPECIAL-USE"],
    "imap_concurrency": 0,
}

CHOICES = {
    "reuse": ("revoke", "allow"),
    "expires_in": ("number", "string", "omit"),
    "failure_shape": ("challenge", "direct"),
    "certificate": ("good", "mismatch", "untrusted", "expired"),
    "tls_min": ("1.0", "1.1", "1.2", "1.3"),
    "tls_max": ("1.0", "1.1", "1.2", "1.3"),
    "bare_lf": ("reject", "accept"),
    "early_talk": ("reject", "note"),
    "sender_check": ("off", "mail", "data"),
    "smtp_concurrency_stage": ("auth", "mail"),
    "smtp_rate_action": ("reject", "delay"),
}

PEOPLE = (("demo", "Demo Account"), ("alice", "Alice Example"),
          ("bob", "Bob Example"))


class BadRequest(Exception):
    """What the control client asked for makes no sense."""


class User:
    def __init__(self, address, name=None, password=None, delegates=()):
        self.address = address
        self.name = name or address.partition("@")[0]
        self.password = password or self.name.split()[0].lower() + "-password"
        # Addresses whose tokens may open this mailbox (a shared mailbox).
        self.delegates = set(delegates)
        self.store = Store()
        self.sent_at = collections.deque(maxlen=10000)


class Message:
    """One message accepted over SMTP, exactly as received."""

    def __init__(self, **fields):
        self.raw = fields.pop("raw")
        self.fields = fields

    def as_json(self):
        return self.fields


class State:
    def __init__(self, domain="example.test", **settings):
        self.domain = domain
        self.startup = dict(copy.deepcopy(DEFAULTS), **settings)
        self.started = time.time()
        self.waiters = []
        self.open = collections.Counter()
        self.users = {}
        self.clients = {}
        self.grants = Grants(self)
        self.faults = None
        self.listeners = {}
        self.issuer = None
        self.reset_settings()
        self.reset_log()
        self.reset_users()
        self.reset_clients()

    # -- beginnings --------------------------------------------------------

    def reset_settings(self):
        self.settings = copy.deepcopy(self.startup)

    def reset_log(self):
        self.log = collections.deque(maxlen=LOG_KEPT)
        self.log_number = 0
        self.violations = []
        self.messages = []
        self.totals = collections.Counter()
        self.most = collections.Counter()

    def reset_users(self):
        self.users = {}
        for local, name in PEOPLE:
            self.add_user("%s@%s" % (local, self.domain), name=name)

    def reset_mail(self):
        for user in self.users.values():
            user.store.reset()
            user.sent_at.clear()

    def reset_clients(self):
        self.clients = {}
        self.add_client("sandbox", secret="sandbox-secret")
        self.add_client("sandbox-public", secret=None)

    def add_user(self, address, **fields):
        address = address.lower()
        if "@" not in address:
            address += "@" + self.domain
        self.users[address] = User(address, **fields)
        return self.users[address]

    def add_client(self, client_id, secret=None, redirect_uris=(),
                   loopback=True):
        self.clients[client_id] = {
            "client_id": client_id, "secret": secret,
            "redirect_uris": list(redirect_uris), "loopback": loopback}

    def user(self, address):
        """The user of that name, None if there is none. A bare local part
        means the sandbox's domain."""
        address = (address or "").strip().lower()
        if "@" not in address:
            address += "@" + self.domain
        return self.users.get(address)

    # -- settings ----------------------------------------------------------

    def change(self, wanted):
        for key, value in wanted.items():
            if key not in DEFAULTS:
                raise BadRequest("no such setting: %s" % key)
            default = DEFAULTS[key]
            good = (isinstance(value, (int, float))
                    if isinstance(default, int) else
                    isinstance(value, type(default)))
            if isinstance(default, bool):
                good = isinstance(value, bool)
            if not good or value not in CHOICES.get(key, (value,)):
                raise BadRequest("bad value for %s: %r" % (key, value))
        self.settings.update(wanted)
        self.note("control", "settings", **wanted)

    # -- log ---------------------------------------------------------------

    def note(self, protocol, event, conn=None, **fields):
        """One event of the log. Never takes a secret: tokens go by name."""
        self.log_number += 1
        entry = {"n": self.log_number, "time": round(time.time(), 6),
                 "protocol": protocol, "event": event}
        if conn is not None:
            entry["conn"] = conn.id
            if conn.user:
                entry["user"] = conn.user.address
        entry.update(fields)
        self.log.append(entry)
        if self.waiters:
            self.wake()
        return entry

    def violation(self, conn, what, **fields):
        """The client broke a rule of its protocol."""
        self.violations.append(
            self.note(conn.protocol, "violation", conn, what=what, **fields))

    def wake(self):
        waiters, self.waiters = self.waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)

    async def until(self, condition, timeout):
        """Waits until condition() is true; False if it took too long. The
        condition is looked at after each event of the log."""
        end = time.monotonic() + timeout
        while not condition():
            future = asyncio.get_running_loop().create_future()
            self.waiters.append(future)
            left = end - time.monotonic()
            try:
                await asyncio.wait_for(future, max(left, 0.001))
            except asyncio.TimeoutError:
                return condition()
        return True

    # -- connections -------------------------------------------------------

    def connections(self, protocol=None, user=None):
        found = []
        for listener in self.listeners.values():
            for conn in listener.conns:
                if protocol and conn.protocol != protocol:
                    continue
                if user and conn.user is not user:
                    continue
                found.append(conn)
        return found

    def count_login(self, conn, user, token=None):
        """Enters a login to user's mailbox; returns how many connections to
        it over that protocol are now open, this one included."""
        conn.user = user
        conn.owner = token.grant.user if token else None
        now = self.count_up("%s %s" % (conn.protocol, user.address))
        self.totals["login " + conn.protocol] += 1
        return now

    def count_open(self, conn):
        self.totals[conn.protocol] += 1
        self.count_up(conn.protocol)

    def count_up(self, key):
        self.open[key] += 1
        self.most[key] = max(self.most[key], self.open[key])
        return self.open[key]

    def count_end(self, conn):
        self.open[conn.protocol] -= 1
        if conn.user:
            self.open["%s %s" % (conn.protocol, conn.user.address)] -= 1
