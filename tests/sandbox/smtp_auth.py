"""AUTH of the submission server (RFC 4954); smtp.Session inherits it."""

import sasl
from conn import LineTooLong

AUTH_LINE_LIMIT = 512
AUTH_RESPONSE_LIMIT = 12288


class Auth:
    async def do_auth(self, rest, line):
        if self.user or self.sender is not None:
            self.reply("503 5.5.1 AUTH is not possible now")
            return None
        if self.starttls and not self.conn.tls:
            self.violation("AUTH without TLS")
            self.reply("538 5.7.11 Encryption required")
            return None
        if not self.last_of_group():
            return False
        words = rest.split(" ")
        self.mechanism = words[0].upper()
        if await self.fault("auth-command", mechanism=self.mechanism):
            return None
        if len(line) > AUTH_LINE_LIMIT:
            self.violation("AUTH command line over 512 octets",
                           length=len(line))
            self.reply("500 5.5.6 Line too long")
            return None
        if self.mechanism not in self.settings["mechanisms"]:
            self.reply("504 5.7.4 Unrecognized authentication type")
            return None
        if len(words) > 2 or not self.greeted:
            self.reply("501 5.5.4 Syntax error")
            return None
        response = words[1].encode() if len(words) == 2 else None
        try:
            return await self.exchange(response)
        except sasl.Malformed as exc:
            self.violation("malformed SASL message", why=str(exc))
            self.reply("501 5.5.2 Cannot decode response")
        except LineTooLong:
            self.violation("SASL response over 12288 octets")
            self.reply("500 5.5.6 Line too long")
        return None

    async def answer(self, challenge=""):
        """Sends a challenge, returns the client's line or None for *."""
        self.conn.put("334 %s\r\n" % challenge)
        line = await self.conn.readline(AUTH_RESPONSE_LIMIT)
        if not line.endswith(b"\r\n"):
            raise sasl.Malformed("bare line feed")
        if line == b"*\r\n":
            self.reply("501 5.0.0 Authentication cancelled")
            return None
        return line[:-2]

    async def exchange(self, response):
        if self.mechanism == "LOGIN":
            verdict = await self.login(response)
            if verdict is None:
                return None
        else:
            if response is None:
                response = await self.answer()
                if response is None:
                    return None
            data = b"" if response == b"=" else sasl.decode(response)
            verdict = sasl.judge(self.state, self.mechanism, data, "smtp",
                                 self.conn.port)
        return await self.verdict(verdict)

    async def login(self, response):
        name = response or await self.answer("VXNlcm5hbWU6")
        word = name and await self.answer("UGFzc3dvcmQ6")
        if not word:
            return None
        name, word = (sasl.decode(part).decode("utf-8", "replace")
                      for part in (name, word))
        return sasl.judge_password(self.state, name, word)

    async def verdict(self, verdict):
        token = verdict.token.name if verdict.token else None
        fault = self.state.faults.take_for(
            self.conn, "auth", user=self.full(verdict.name),
            mechanism=self.mechanism)
        if fault:
            self.state.faults.drop(fault, self.conn, "before")
            if fault.get("challenge") and not await self.refuse_politely(
                    sasl.challenge(fault.get("challenge"))):
                return None
            if await self.state.faults.play(fault, self.conn):
                return None
        if not verdict.accepted:
            self.state.note("smtp", "auth-refused", self.conn, token=token,
                            name=verdict.name, why=verdict.reason,
                            mechanism=self.mechanism)
            return await self.refuse(verdict)
        now = self.state.count_login(self.conn, verdict.user,
                                     verdict.token)
        limit = self.settings["smtp_concurrency"]
        if limit and now > limit and (
                self.settings["smtp_concurrency_stage"] == "auth"):
            self.state.note("smtp", "concurrency", self.conn, now=now)
            self.reply("432 4.3.2 Concurrent connections limit exceeded")
            return False
        self.user, self.token = verdict.user, token
        self.state.note("smtp", "auth", self.conn, token=token,
                        mechanism=self.mechanism)
        self.reply("235 2.7.0 Authentication successful")
        return None

    def full(self, name):
        user = self.state.user(name)
        return user.address if user else name

    async def refuse(self, verdict):
        if self.settings["failure_shape"] == "direct":
            self.reply("535 5.7.3 Authentication unsuccessful")
            return
        if self.mechanism in ("XOAUTH2", "OAUTHBEARER"):
            if not await self.refuse_politely(sasl.failure(
                    self.state, self.mechanism, verdict.reason)):
                return
        self.reply("535 5.7.8 Authentication credentials invalid")

    async def refuse_politely(self, challenge):
        """The JSON challenge. False when the client got another reply."""
        line = await self.answer(challenge)
        if line is None:
            return False
        if not sasl.proper_dummy(self.mechanism, line):
            self.violation("wrong answer to the failure challenge",
                           mechanism=self.mechanism)
            self.reply("501 5.5.2 Unexpected response")
            return False
        return True
