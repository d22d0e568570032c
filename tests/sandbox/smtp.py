"""The submission server: RFC 5321, 6409, 3207, 4954, 1870, 6152, 6531, 3461.

Strict where a proxy could go wrong: CRLF only, AUTH command lines of at most
512 octets, parameters only if advertised, nothing sent before it may be.
What breaks a rule is refused and noted as a violation.
"""

import asyncio
import email.utils
import hashlib
import re
import time

from conn import Closed, LineTooLong
from faults import wire_reply
from smtp_auth import Auth
from state import Message

HOST = "mail.example.test"
COMMAND_LIMIT = 2048
EOD = b"\r\n.\r\n"
BAD_STUFFING = re.compile(rb"\r\n\.[^.]")
PATH = re.compile(r"<(?:@[^:>]*:)?([^<>\s]*)>(?:\s+(.*))?$")
PARAMETERS = {
    "SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN",
    "AUTH": None,
}
# Recipients that go wrong on purpose, in every domain of the sandbox.
MAGIC_RCPT = {
    "tempfail": "450 4.2.1 The mailbox cannot be reached now",
    "permfail": "550 5.1.1 No such mailbox",
    "drop": "421 4.3.2 Closing the connection",
}
MAGIC_EOD = {
    "eodtemp": "451 4.3.0 Try again later",
    "eodperm": "554 5.7.1 Message refused",
}


def bare(data):
    """A CR or LF that is not part of a CRLF?"""
    pairs = data.count(b"\r\n")
    return data.count(b"\r") != pairs or data.count(b"\n") != pairs


class Session(Auth):
    def __init__(self, conn, state, contexts, starttls, certificate):
        self.conn = conn
        self.state = state
        self.contexts = contexts
        self.starttls = starttls
        self.certificate = certificate
        self.greeted = None
        self.user = None
        self.token = None
        self.mechanism = None
        self.body_size = 0
        self.forget()

    @property
    def settings(self):
        return self.state.settings

    def forget(self):
        """RSET: no transaction."""
        self.sender = None
        self.mail_parameters = {}
        self.recipients = []

    # -- replies and faults ------------------------------------------------

    def reply(self, *lines):
        """Lines as on the wire; enhanced codes only if advertised."""
        if "ENHANCEDSTATUSCODES" not in self.settings["smtp_capabilities"]:
            lines = [re.sub(r"^(\d{3}[ -])\d\.\d+\.\d+ ", r"\1", line)
                     for line in lines]
        self.conn.put(wire_reply(list(lines)))

    async def fault(self, stage, **facts):
        """True when a fault has answered for us."""
        fault = self.state.faults.take_for(self.conn, stage, **facts)
        if fault is None:
            return False
        self.state.faults.drop(fault, self.conn, "before")
        return await self.state.faults.play(fault, self.conn)

    def violation(self, what, **fields):
        self.state.violation(self.conn, what, **fields)

    async def tls(self):
        wanted = self.certificate or self.settings["certificate"]
        context = self.contexts.get(wanted, self.settings["tls_min"],
                                    self.settings["tls_max"])
        try:
            await self.conn.start_tls(context)
        except Closed as exc:
            self.state.note("smtp", "tls-failed", self.conn, why=str(exc))
            raise
        self.state.note("smtp", "tls", self.conn, version=self.conn.tls)

    # -- the session -------------------------------------------------------

    async def run(self):
        self.state.count_open(self.conn)
        self.state.note("smtp", "open", self.conn, peer=self.conn.peer,
                        listener=self.conn.listener)
        try:
            if not self.starttls:
                await self.tls()
            if not await self.fault("connect"):
                self.reply("220 %s ESMTP sandbox" % HOST)
            if self.conn.pending():
                self.violation("spoke before the greeting")
            while await self.command():
                pass
            await self.conn.close("quit")
        finally:
            self.state.note("smtp", "close", self.conn, why=self.conn.closed,
                            read=self.conn.read, written=self.conn.written)
            self.state.count_end(self.conn)

    async def command(self):
        try:
            line = await self.conn.readline(COMMAND_LIMIT)
        except LineTooLong:
            self.violation("command line too long")
            self.reply("500 5.5.2 Line too long")
            return True
        if bare(line) or b"\0" in line:
            self.violation("bare CR, bare LF or NUL in a command")
            self.reply("500 5.5.2 Lines end in CRLF")
            return True
        text = line[:-2].decode("utf-8", "surrogateescape")
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        self.state.note("smtp", "command", self.conn, verb=verb,
                        line=None if verb == "AUTH" else printable(text))
        work = getattr(self, "do_" + verb.lower(), None)
        if await self.fault("command", verb=verb):
            return True
        if self.conn.buf and not self.may_pipeline():
            return False
        if work is None or not verb.isalpha():
            self.reply("500 5.5.1 Unknown command")
            return True
        return await work(rest, line) is not False

    def may_pipeline(self):
        """More commands are here already. False: the session must end."""
        return ("PIPELINING" in self.settings["smtp_capabilities"]
                or self.last_of_group())

    def last_of_group(self):
        """RFC 2920 §3.1: nothing may follow this command before its reply.
        False when the session must end for it."""
        if not self.conn.pending():
            return True
        self.violation("sent more before the reply")
        if self.settings["early_talk"] == "note":
            return True
        self.reply("554 5.5.0 Improper pipelining")
        return False

    # -- greeting and TLS --------------------------------------------------

    async def do_ehlo(self, rest, _line):
        if await self.fault("ehlo"):
            return None
        if not self.last_of_group():
            return False
        if not rest.strip():
            self.reply("501 5.5.4 EHLO needs a name")
            return None
        self.forget()
        self.greeted = rest.strip()
        lines = [HOST]
        for name in self.settings["smtp_capabilities"]:
            lines.append("SIZE %d" % self.settings["smtp_size"]
                         if name == "SIZE" else name)
        if self.starttls and not self.conn.tls:
            lines.append("STARTTLS")
        else:
            lines.append("AUTH " + " ".join(self.settings["mechanisms"]))
        self.conn.put("".join(
            "250%s%s\r\n" % (" " if i == len(lines) - 1 else "-", line)
            for i, line in enumerate(lines)))
        return None

    async def do_helo(self, rest, _line):
        if await self.fault("ehlo"):
            return
        self.forget()
        self.greeted = rest.strip()
        self.reply("250 " + HOST)

    async def do_starttls(self, _rest, _line):
        if not self.starttls or self.conn.tls:
            self.reply("503 5.5.1 TLS is active already")
            return None
        fault = self.state.faults.take_for(self.conn, "starttls")
        inject = ""
        if fault:
            self.state.faults.drop(fault, self.conn, "before")
            if await self.state.faults.play(fault, self.conn):
                return None
            inject = fault.get("inject") or ""
        if self.conn.pending():
            self.violation("plaintext after STARTTLS")
            self.reply("554 5.5.0 Data after STARTTLS")
            return False
        self.reply("220 2.0.0 Go ahead")
        self.conn.put(inject)
        await self.tls()
        self.greeted = None
        self.forget()
        return None

    # -- the transaction ---------------------------------------------------

    def parameters(self, text):
        """The ESMTP parameters of MAIL or RCPT; None after a refusal."""
        found = {}
        for word in (text or "").split():
            key, _, value = word.partition("=")
            key = key.upper()
            needs = PARAMETERS.get(key, "nothing")
            if needs and needs not in self.settings["smtp_capabilities"]:
                self.violation("parameter that was not advertised",
                               parameter=key)
                self.reply("555 5.5.4 Unsupported parameter " + key)
                return None
            found[key] = value
        return found

    def path(self, rest, keyword):
        if not rest.upper().startswith(keyword + ":<"):
            self.reply("501 5.5.4 Syntax: %s:<address>" % keyword)
            return None
        match = PATH.match(rest[len(keyword) + 1:])
        if not match:
            self.reply("501 5.5.4 Bad address")
            return None
        found = self.parameters(match.group(2))
        return None if found is None else (match.group(1), found)

    async def do_mail(self, rest, _line):
        if not self.user:
            self.reply("530 5.7.57 Client not authenticated to send mail")
            return None
        if self.sender is not None:
            self.reply("503 5.5.1 Nested MAIL")
            return None
        parsed = self.path(rest, "FROM")
        if parsed is None:
            return None
        sender, found = parsed
        if await self.fault("mail", sender=sender, token=self.token):
            return None
        size = found.get("SIZE", "0")
        if not size.isdigit():
            self.reply("501 5.5.4 Bad SIZE")
            return None
        if int(size) > self.settings["smtp_size"]:
            self.reply("552 5.3.4 Message too large")
            return None
        if not sender.isascii() and "SMTPUTF8" not in found:
            self.violation("UTF-8 address without SMTPUTF8")
            self.reply("553 5.6.7 Needs SMTPUTF8")
            return None
        if self.settings["sender_check"] == "mail" and not self.owns(sender):
            self.reply("550 5.7.60 No permission to send as this sender")
            return None
        if not await self.within_limits():
            return None
        self.sender, self.mail_parameters = sender, found
        self.reply("250 2.1.0 Sender ok")
        return None

    def owns(self, sender):
        return sender == "" or self.state.user(sender) is self.user

    async def within_limits(self):
        """Concurrency and rate, where they are set to be judged at MAIL."""
        limit = self.settings["smtp_concurrency"]
        now = self.state.open["smtp " + self.user.address]
        if limit and now > limit and (
                self.settings["smtp_concurrency_stage"] == "mail"):
            self.state.note("smtp", "concurrency", self.conn, now=now)
            self.reply("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit"
                       " exceeded")
            return False
        rate, sent = self.settings["smtp_rate"], self.user.sent_at
        while rate:
            while sent and sent[0] < time.monotonic() - 60:
                sent.popleft()
            if len(sent) < rate:
                break
            self.state.note("smtp", "rate-limit", self.conn, sent=len(sent))
            if self.settings["smtp_rate_action"] == "reject":
                self.reply("451 4.7.500 Server busy. Please try again later")
                return False
            await self.conn.flush()
            await asyncio.sleep(0.2)
        return True

    async def do_rcpt(self, rest, _line):
        if self.sender is None:
            self.reply("503 5.5.1 MAIL first")
            return None
        parsed = self.path(rest, "TO")
        if parsed is None:
            return None
        address, found = parsed
        if await self.fault("rcpt", rcpt=address, sender=self.sender):
            return None
        local, _, domain = address.partition("@")
        ours = domain.lower() == self.state.domain
        if ours and local in MAGIC_RCPT:
            self.reply(MAGIC_RCPT[local])
            return local != "drop"
        if not address or not domain:
            self.reply("501 5.1.3 Bad recipient address")
        elif not address.isascii() and (
                "SMTPUTF8" not in self.mail_parameters):
            self.violation("UTF-8 address without SMTPUTF8")
            self.reply("553 5.6.7 Needs SMTPUTF8")
        elif ours and not self.state.user(address) and (
                local not in MAGIC_EOD):
            self.reply("550 5.1.1 <%s>: no such user" % address)
        elif len(self.recipients) >= self.settings["smtp_max_recipients"]:
            self.reply("452 4.5.3 Too many recipients")
        else:
            self.recipients.append((address, found))
            self.reply("250 2.1.5 Recipient ok")
        return None

    async def do_data(self, rest, _line):
        if self.sender is None or not self.recipients:
            self.reply("503 5.5.1 No valid recipients" if self.sender
                       is not None else "503 5.5.1 MAIL first")
            return None
        if rest:
            self.reply("501 5.5.4 DATA takes no argument")
            return None
        if await self.fault("data", sender=self.sender):
            return None
        if not self.last_of_group():
            return False
        self.reply("354 End data with <CRLF>.<CRLF>")
        wire = await self.body()
        return await self.end_of_data(wire)

    async def body(self):
        """Everything up to the end of data, dots still stuffed. A first
        CRLF is put in front while searching, for a dot on line one."""
        fault = self.state.faults.take_for(self.conn, "body",
                                           sender=self.sender)
        cut = fault.get("after_bytes", 1) if fault else None
        parts, tail, total = [], b"\r\n", 0
        while True:
            await self.conn.flush()
            if not self.conn.buf:
                await self.conn.fill()
            data = tail + bytes(self.conn.buf)
            self.conn.buf.clear()
            end = data.find(EOD)
            if end >= 0:
                self.conn.buf += data[end + len(EOD):]
                parts.append(data[:end + 2])
                self.body_size = total + end
                return b"".join(parts)[2:]
            parts.append(data[:-4])
            tail = data[-4:]
            total += len(data) - 4
            if total > self.settings["smtp_size"] + (1 << 20):
                parts.clear()
            if fault and total >= cut:
                self.state.faults.drop(fault, self.conn, "before")
                await self.state.faults.play(fault, self.conn)
                fault = None

    def content_error(self, wire):
        if self.body_size > self.settings["smtp_size"]:
            return "552 5.3.4 Message too large"
        if bare(wire):
            self.violation("bare CR or LF in the message")
            if self.settings["bare_lf"] == "reject":
                return "550 5.6.11 Invalid characters"
        if BAD_STUFFING.search(b"\r\n" + wire):
            self.violation("line with a dot that was not stuffed")
        if (not wire.isascii() and "8BITMIME" not in
                self.settings["smtp_capabilities"]):
            self.violation("8-bit message without 8BITMIME")
        if (self.settings["sender_check"] == "data"
                and not self.owns(self.sender)):
            return ("554 5.2.252 SendAsDenied; %s not allowed to send as %s"
                    % (self.user.address, self.sender))
        for address, _ in self.recipients:
            reply = MAGIC_EOD.get(address.partition("@")[0])
            if reply and address.endswith("@" + self.state.domain):
                return reply
        return None

    async def end_of_data(self, wire):
        raw = (b"\r\n" + wire).replace(b"\r\n.", b"\r\n")[2:]
        fault = self.state.faults.take_for(self.conn, "eod",
                                           sender=self.sender)
        if fault:
            self.state.faults.drop(fault, self.conn, "before")
            if fault.get("drop") == "after" or fault.get("record"):
                self.record(raw)
            self.state.faults.drop(fault, self.conn, "after")
            if await self.state.faults.play(fault, self.conn):
                self.forget()
                return None
        error = self.content_error(wire)
        if error:
            self.state.note("smtp", "message-refused", self.conn,
                            reply=error)
            self.reply(error)
        elif fault and fault.get("record"):
            self.reply("250 2.0.0 Ok: recorded")
        else:
            number = self.record(raw)
            self.reply("250 2.0.0 Ok: queued as SBX%06d" % number)
        self.forget()
        return None

    def record(self, raw):
        """Keeps the message and delivers it. Returns its number."""
        state, number = self.state, len(self.state.messages) + 1
        keep = self.settings["store_bodies"]
        digest = hashlib.sha256(raw).hexdigest()
        state.messages.append(Message(
            raw=raw if keep else None, number=number, time=time.time(),
            mail_from=self.sender, mail_parameters=self.mail_parameters,
            recipients=[a for a, _ in self.recipients],
            recipient_parameters=[p for _, p in self.recipients],
            size=len(raw), sha256=digest, conn=self.conn.id,
            listener=self.conn.listener, tls=self.conn.tls,
            user=self.user.address, token=self.token, ehlo=self.greeted,
            mechanism=self.mechanism, eight_bit=not raw.isascii()))
        self.user.sent_at.append(time.monotonic())
        if keep:
            for address, _ in self.recipients:
                user = state.user(address) if "@" in address else None
                if user:
                    user.store.deliver("INBOX", raw)
            if self.settings["sent_copy"]:
                self.file_copy(raw, number)
        state.note("smtp", "message", self.conn, number=number,
                   size=len(raw), sha256=digest, token=self.token)
        return number

    def file_copy(self, raw, number):
        """Into Sent, as it left the submission server: with its trace."""
        trace = ("Received: from %s by mail.example.test with ESMTPSA"
                 " id %d;\r\n %s\r\n" % (
                     self.greeted or "unknown", number,
                     email.utils.formatdate())).encode()
        copy = (trace if self.settings["sent_trace"] else b"") + raw
        state, box, conn = self.state, self.user.store, self.conn
        message = state.messages[-1]

        def deliver():
            # a reset meanwhile has emptied the mailboxes
            if message in state.messages:
                box.deliver("Sent", copy, {"\\Seen"})
                state.note("smtp", "copy", conn, number=number)
        delay = self.settings["sent_delay"]
        if delay:
            asyncio.get_running_loop().call_later(delay, deliver)
        else:
            deliver()

    # -- the rest ----------------------------------------------------------

    async def do_rset(self, _rest, _line):
        if not await self.fault("rset"):
            self.forget()
            self.reply("250 2.0.0 Ok")

    async def do_noop(self, _rest, _line):
        if not await self.fault("noop"):
            self.reply("250 2.0.0 Ok")

    async def do_vrfy(self, _rest, _line):
        self.reply("252 2.5.2 Send some mail, I will try my best")

    async def do_quit(self, _rest, _line):
        if not await self.fault("quit"):
            self.reply("221 2.0.0 Bye")
        return False


def printable(text):
    return text.encode("ascii", "backslashreplace").decode()
