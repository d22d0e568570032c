"""The IMAP server: RFC 3501 with LITERAL+, ID, IDLE, NAMESPACE, UIDPLUS,
UNSELECT, MOVE, CHILDREN, SPECIAL-USE and SASL-IR. This file has the session
up to login; imap_box.py has what works on mailboxes.
"""

import sasl
from conn import Closed, LineTooLong
from faults import wire_reply
from imap_box import Boxes, No
from imap_parse import Bad, quote, read_command, text_of

GREETING = "Sandbox IMAP4rev1 ready"
BEFORE_LOGIN = {"CAPABILITY", "NOOP", "ID", "LOGOUT", "AUTHENTICATE",
                "LOGIN"}
LITERAL_BEFORE_LOGIN = 8192
RESPONSE_LIMIT = 12288
NOT_CONNECTED_MAX = 3


class Session(Boxes):
    def __init__(self, conn, state, contexts, certificate):
        super().__init__(conn, state)
        self.contexts = contexts
        self.certificate = certificate
        self.tag = "*"
        self.broken = None          # the fault that spoils this session
        self.broken_replies = 0
        self.over = False

    @property
    def settings(self):
        return self.state.settings

    def capabilities(self):
        words = ["IMAP4rev1"] + self.settings["imap_capabilities"]
        if not self.user:
            if self.settings["sasl_ir"]:
                words.append("SASL-IR")
            mechanisms = self.settings["mechanisms"]
            words += ["AUTH=" + m for m in mechanisms]
            if "PLAIN" not in mechanisms:
                words.append("LOGINDISABLED")
        return " ".join(words)

    async def play(self, stage, **facts):
        """True when a fault has answered for us."""
        fault = self.state.faults.take_for(self.conn, stage, **facts)
        if fault is None:
            return False
        self.state.faults.drop(fault, self.conn, "before")
        return await self.state.faults.play(fault, self.conn, self.tag)

    # -- the session -------------------------------------------------------

    async def run(self):
        state, conn = self.state, self.conn
        state.count_open(conn)
        state.note("imap", "open", conn, peer=conn.peer,
                   listener=conn.listener)
        try:
            await self.tls()
            if not await self.play("connect"):
                code = ("[CAPABILITY %s] " % self.capabilities()
                        if self.settings["imap_capability_in_greeting"]
                        else "")
                conn.put("* OK %s%s\r\n" % (code, GREETING))
            while not self.over:
                await self.command()
            await conn.close("logout")
        finally:
            self.deselect()
            state.note("imap", "close", conn, why=conn.closed)
            state.count_end(conn)

    async def tls(self):
        wanted = self.certificate or self.settings["certificate"]
        try:
            await self.conn.start_tls(self.contexts.get(
                wanted, self.settings["tls_min"], self.settings["tls_max"]))
        except Closed as exc:
            self.state.note("imap", "tls-failed", self.conn, why=str(exc))
            raise
        self.state.note("imap", "tls", self.conn, version=self.conn.tls)

    async def command(self):
        limit = (self.settings["smtp_size"] if self.user
                 else LITERAL_BEFORE_LOGIN)
        try:
            self.tag, name, parser = await read_command(self.conn, limit)
        except LineTooLong:
            self.state.violation(self.conn, "command line too long")
            self.conn.put("* BAD Line too long\r\n")
            return
        except Bad as bad:
            self.state.violation(self.conn, "unreadable command",
                                 why=str(bad))
            self.conn.put("%s BAD %s\r\n" % (bad.tag, bad))
            if bad.swallow:
                self.conn.put("* BYE Literal too large\r\n")
                self.over = True
            return
        self.state.note("imap", "command", self.conn, verb=name)
        if await self.spoiled(name) or await self.play(
                "command", verb=name):
            return
        reply = await self.dispatch(name, parser)
        if self.box and name != "IDLE":
            self.sync(name not in ("FETCH", "STORE", "SEARCH"))
        if reply:
            self.conn.put("%s %s\r\n" % (self.tag, reply))

    async def spoiled(self, name):
        """Exchange's "authenticated but not connected": CAPABILITY still
        works, everything else does not, and then comes the BYE."""
        if not self.broken or name in ("CAPABILITY", "LOGOUT"):
            return False
        self.broken_replies += 1
        self.conn.put(wire_reply(self.broken.get("reply"), self.tag))
        if self.broken_replies >= NOT_CONNECTED_MAX:
            self.conn.put("* BYE Connection closed. 14\r\n")
            self.over = True
        return True

    async def dispatch(self, name, parser):
        work = getattr(self, "do_" + name.lower(), None)
        if work is None or not name.isalpha():
            return "BAD Unknown command"
        if not self.user and name not in BEFORE_LOGIN:
            return "BAD Log in first"
        if self.user and name in ("AUTHENTICATE", "LOGIN"):
            return "BAD Already logged in"
        if name in self.SELECTED and not self.box:
            return "BAD Select a mailbox first"
        try:
            return await work(parser.arguments())
        except Bad as bad:
            return "BAD %s" % bad
        except No as no:
            return "NO %s" % no
        except (IndexError, TypeError, ValueError):
            return "BAD Bad arguments"

    # -- commands for every state ------------------------------------------

    async def do_capability(self, _args):
        self.conn.put("* CAPABILITY %s\r\n" % self.capabilities())
        return "OK CAPABILITY completed"

    async def do_noop(self, _args):
        return "OK NOOP completed"

    async def do_id(self, args):
        client = None
        if args and isinstance(args[0], list):
            client = [text_of(a) for a in args[0]]
        self.state.note("imap", "id", self.conn, fields=client)
        self.conn.put(b'* ID ("name" "sandbox" "vendor" %s)\r\n'
                      % quote(self.state.domain))
        return "OK ID completed"

    async def do_logout(self, _args):
        self.conn.put("* BYE Good bye\r\n")
        self.over = True
        return "OK LOGOUT completed"

    # -- login -------------------------------------------------------------

    async def do_login(self, args):
        if "PLAIN" not in self.settings["mechanisms"]:
            return "NO [PRIVACYREQUIRED] LOGIN is disabled"
        name, password = text_of(args[0]), text_of(args[1])
        return await self.verdict("LOGIN", sasl.judge_password(
            self.state, name, password))

    async def do_authenticate(self, args):
        mechanism = text_of(args[0]).upper()
        if await self.play("auth-command", mechanism=mechanism):
            return None
        if mechanism not in self.settings["mechanisms"]:
            return "NO Unsupported authentication mechanism"
        if len(args) > 1 and not self.settings["sasl_ir"]:
            self.state.violation(self.conn, "initial response without "
                                 "SASL-IR")
            return "BAD No initial response here"
        try:
            return await self.exchange(mechanism, text_of(args[1]).encode()
                                       if len(args) > 1 else None)
        except sasl.Malformed as exc:
            self.state.violation(self.conn, "malformed SASL message",
                                 why=str(exc))
            return "BAD Invalid SASL message"
        except LineTooLong:
            self.state.violation(self.conn, "SASL response too long")
            return "BAD Line too long"

    async def answer(self, challenge=""):
        """The client's line after a challenge, None if it was *."""
        self.conn.put("+ %s\r\n" % challenge)
        line = await self.conn.readline(RESPONSE_LIMIT)
        if not line.endswith(b"\r\n"):
            raise sasl.Malformed("bare line feed")
        return None if line == b"*\r\n" else line[:-2]

    async def exchange(self, mechanism, response):
        if mechanism == "LOGIN":
            name = response or await self.answer("VXNlcm5hbWU6")
            word = name and await self.answer("UGFzc3dvcmQ6")
            if not word:
                return "BAD AUTHENTICATE cancelled"
            name, word = (sasl.decode(part).decode("utf-8", "replace")
                          for part in (name, word))
            return await self.verdict(mechanism, sasl.judge_password(
                self.state, name, word))
        if response is None:
            response = await self.answer()
            if response is None:
                return "BAD AUTHENTICATE cancelled"
        data = b"" if response == b"=" else sasl.decode(response)
        return await self.verdict(mechanism, sasl.judge(
            self.state, mechanism, data, "imap", self.conn.port))

    async def verdict(self, mechanism, verdict):
        state = self.state
        token = verdict.token.name if verdict.token else None
        user = state.user(verdict.name)
        name = user.address if user else verdict.name
        fault = state.faults.take_for(self.conn, "auth", user=name,
                                      mechanism=mechanism)
        if fault:
            state.faults.drop(fault, self.conn, "before")
            if fault.get("challenge") and not await self.refuse_politely(
                    mechanism, sasl.challenge(fault.get("challenge"))):
                return "BAD AUTHENTICATE cancelled"
            if await state.faults.play(fault, self.conn, self.tag):
                return None
        if not verdict.accepted:
            state.note("imap", "auth-refused", self.conn, token=token,
                       name=verdict.name, why=verdict.reason,
                       mechanism=mechanism)
            return await self.refuse(mechanism, verdict)
        now = state.count_login(self.conn, verdict.user, verdict.token)
        if 0 < self.settings["imap_concurrency"] < now:
            state.note("imap", "concurrency", self.conn, now=now)
            self.over = True
            return "NO [ALERT] Too many simultaneous connections. (Failure)"
        return self.logged_in(verdict.user, token, mechanism)

    def logged_in(self, user, token, mechanism):
        self.user = user
        self.state.note("imap", "auth", self.conn, token=token,
                        mechanism=mechanism)
        self.broken = self.state.faults.take_for(self.conn, "session")
        code = ("[CAPABILITY %s] " % self.capabilities()
                if self.settings["imap_capability_in_ok"] else "")
        verb = "LOGIN" if mechanism == "LOGIN" else "AUTHENTICATE"
        return "OK %s%s completed." % (code, verb)

    async def refuse(self, mechanism, verdict):
        if self.settings["failure_shape"] == "direct":
            return "NO AUTHENTICATE failed."
        if mechanism in ("XOAUTH2", "OAUTHBEARER"):
            if not await self.refuse_politely(mechanism, sasl.failure(
                    self.state, mechanism, verdict.reason)):
                return "BAD AUTHENTICATE cancelled"
        return "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"

    async def refuse_politely(self, mechanism, challenge):
        """The JSON challenge. False when the client did not answer it as
        the mechanism wants."""
        line = await self.answer(challenge)
        if line is None:
            return False
        if not sasl.proper_dummy(mechanism, line):
            self.state.violation(
                self.conn, "wrong answer to the failure challenge",
                mechanism=mechanism)
            return False
        return True
