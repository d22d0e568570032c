"""The control port: plain HTTP with JSON, on loopback. README.md lists it."""

import asyncio
import base64
import hashlib
import urllib.parse

import web
from state import BadRequest
from store import synthetic

KILLED = {"error": "invalid_grant",
          "error_description": "Token has been expired or revoked."}
LAST_WORDS = {"smtp": "421 4.7.0 Session ended\r\n",
              "imap": "* BYE Session invalidated\r\n", "oauth": ""}
HOW = ("bye", "close", "reset")


def digest(raw):
    return hashlib.sha256(raw).hexdigest()


class NotFound(Exception):
    pass


class Control:
    def __init__(self, state, oauth):
        self.state = state
        self.oauth = oauth
        self.background = set()
        self.routes = {
            ("GET", "/"): self.index,
            ("POST", "/reset"): self.reset,
            ("GET", "/settings"): self.get_settings,
            ("POST", "/settings"): self.set_settings,
            ("GET", "/users"): self.get_users,
            ("POST", "/users"): self.add_user,
            ("POST", "/clients"): self.add_client,
            ("POST", "/kill"): self.kill,
            ("POST", "/expire"): self.expire,
            ("POST", "/mint"): self.mint,
            ("POST", "/approve"): self.approve,
            ("POST", "/device"): self.device,
            ("POST", "/fault"): self.add_fault,
            ("GET", "/faults"): self.get_faults,
            ("POST", "/clear"): self.clear_faults,
            ("GET", "/presets"): self.get_presets,
            ("POST", "/drop"): self.drop,
            ("POST", "/outage"): self.outage,
            ("POST", "/create"): self.create,
            ("GET", "/mailbox"): self.mailbox,
            ("GET", "/messages"): self.messages,
            ("GET", "/log"): self.log,
            ("GET", "/tokens"): self.tokens,
            ("GET", "/connections"): self.connections,
            ("GET", "/violations"): self.violations,
            ("POST", "/wait"): self.wait,
        }

    async def handle(self, request):
        try:
            work = self.routes.get((request.method, request.path))
            if work is None and request.method == "GET":
                work = self.one_message
            if work is None:
                raise NotFound(request.path)
            data = (request.json() if request.method == "POST"
                    else request.query)
            if not isinstance(data, dict):
                raise BadRequest("a JSON object is wanted")
            answer = await work(data, request)
        except NotFound as exc:
            return web.json_response({"error": "not found: %s" % exc}, 404)
        except (BadRequest, LookupError, ValueError, TypeError,
                AttributeError) as exc:
            return web.json_response(
                {"error": "%s: %s" % (type(exc).__name__, exc)}, 400)
        if isinstance(answer, web.Response):
            return answer
        return web.json_response(answer)

    # -- helpers -----------------------------------------------------------

    def user(self, data, key="user"):
        user = self.state.user(data.get(key))
        if user is None:
            raise BadRequest("no such user: %s" % data.get(key))
        return user

    def dismiss(self, conns, how="bye"):
        """Ends these connections; with bye they get a last word."""
        for conn in conns:
            if how == "bye":
                task = asyncio.get_running_loop().create_task(conn.dismiss(
                    LAST_WORDS[conn.protocol], "ended by control"))
                self.background.add(task)
                task.add_done_callback(self.background.discard)
            else:
                conn.abort("cut by control", reset=how == "reset")
        return len(conns)

    async def index(self, _data, _request):
        return {"routes": ["%s %s" % key for key in self.routes]}

    # -- state -------------------------------------------------------------

    async def reset(self, data, _request):
        """Faults, settings, mail, log and counters go back to the start;
        with "tokens" all grants, with "users" made users and clients."""
        state = self.state
        state.faults.clear()
        for listener in state.listeners.values():
            if listener.sock is None:
                listener.open()
        state.reset_settings()
        state.reset_mail()
        state.reset_log()
        state.grants.reset_counters()
        if data.get("users"):
            state.reset_users()
            state.reset_clients()
        if data.get("tokens") or data.get("users"):
            state.grants.forget_all()
        return {"ok": True}

    async def get_settings(self, _data, _request):
        return self.state.settings

    async def set_settings(self, data, _request):
        self.state.change(data)
        return self.state.settings

    async def get_users(self, _data, _request):
        return [{"address": u.address, "name": u.name,
                 "password": u.password, "delegates": sorted(u.delegates),
                 "mailboxes": {n: len(b.mails)
                               for n, b in u.store.boxes.items()}}
                for u in self.state.users.values()]

    async def add_user(self, data, _request):
        known = self.state.user(data["address"])
        if known:
            known.delegates |= set(data.get("delegates", ()))
            known.password = data.get("password", known.password)
            return {"address": known.address, "password": known.password}
        user = self.state.add_user(**data)
        return {"address": user.address, "password": user.password}

    async def add_client(self, data, _request):
        self.state.add_client(**data)
        return {"ok": True}

    # -- grants ------------------------------------------------------------

    async def kill(self, data, _request):
        """The user's grants die. "access": access tokens too; "sessions":
        sessions that used them end too. Both unless said otherwise."""
        user, faults = self.user(data), self.state.faults
        body = dict(KILLED)
        if "aadsts" in data:
            body = faults.presets.entra(data["aadsts"])
        elif "preset" in data:
            body = faults.presets.get(data["preset"]).get("json", body)
        body.update(data.get("body", {}))
        access = data.get("access", True)
        killed = self.state.grants.kill_user(user, body, access)
        ended = 0
        if data.get("sessions", access):
            ended = self.dismiss([c for c in self.state.connections()
                                  if c.owner is user])
        self.state.note("control", "grant-killed", user=user.address,
                        grants=killed, sessions=ended,
                        error=body.get("error"))
        return {"grants": killed, "sessions": ended}

    async def expire(self, data, _request):
        """Access tokens (or "which": "refresh") expire now; "sessions" that
        used them end too if wanted."""
        user = self.user(data) if data.get("user") else None
        which = data.get("which", "access")
        if which not in ("access", "refresh"):
            raise BadRequest("which: access or refresh")
        count = self.state.grants.expire(
            lambda t: user is None or t.grant.user is user, which)
        ended = 0
        if data.get("sessions"):
            ended = self.dismiss([
                c for c in self.state.connections()
                if c.owner and user in (None, c.owner)])
        self.state.note("control", "expired", which=which, count=count)
        return {"expired": count, "sessions": ended}

    async def mint(self, data, _request):
        """Tokens without a sign-in, for benchmarks and bare tests."""
        grants, user = self.state.grants, self.user(data)
        grant = grants.new_grant(
            user, data.get("client_id", "sandbox"),
            data.get("scope", "openid offline_access mail"), True)
        return grants.answer(grant, grants.issue_refresh(grant))[0]

    async def approve(self, data, request):
        """Signs in on an authorization URL and consents (or "deny"); tells
        where the browser would be sent."""
        endpoint, _, text = data["url"].partition("?")
        if endpoint != self.state.issuer + "/authorize":
            raise BadRequest("not the authorization endpoint: " + endpoint)
        fields = web.one_each(text)
        name = data.get("user") or fields.get("login_hint")
        fields.update(username=name or "",
                      decision="deny" if data.get("deny") else "approve")
        inner = web.Request("POST", "/authorize", {},
                            urllib.parse.urlencode(fields).encode())
        inner.conn, inner.twice = request.conn, web.repeated(text)
        response = await self.oauth.handle(inner)
        location = response.headers.get("Location")
        if not location:
            raise BadRequest("no redirect: " + response.body.decode())
        return {"redirect": location}

    async def device(self, data, _request):
        decision = data.get("decision", "approve")
        if decision not in ("approve", "deny", "expire"):
            raise BadRequest("decision: approve, deny or expire")
        if not self.oauth.decide_device(data["user_code"], data.get(
                "user", "demo"), decision):
            raise BadRequest("no such pending user code, or no such user")
        return {"ok": True}

    # -- faults ------------------------------------------------------------

    async def add_fault(self, data, _request):
        return self.state.faults.add(data).as_json()

    async def get_faults(self, _data, _request):
        return [f.as_json() for f in self.state.faults.queue]

    async def clear_faults(self, data, _request):
        self.state.faults.clear(data.get("id"))
        return {"left": len(self.state.faults.queue)}

    async def get_presets(self, _data, _request):
        return {"presets": self.state.faults.presets.named,
                "aadsts": self.state.faults.presets.aadsts}

    async def drop(self, data, _request):
        """Ends open connections, chosen by protocol, user or id; how: bye,
        close (no goodbye) or reset."""
        how = data.get("how", "bye")
        if how not in HOW:
            raise BadRequest("how: " + ", ".join(HOW))
        user = self.user(data) if data.get("user") else None
        conns = [c for c in self.state.connections(data.get("protocol"), user)
                 if c.protocol != "control"
                 and data.get("conn") in (None, c.id)]
        return {"ended": self.dismiss(conns, how)}

    async def outage(self, data, _request):
        """Ports of the named protocols (all) stop listening, and open
        connections are reset; "on": false ends it."""
        wanted = data.get("protocols", ["smtp", "imap", "oauth"])
        for listener in self.state.listeners.values():
            if listener.protocol not in wanted or (
                    listener.protocol == "control"):
                continue
            if data.get("on", True):
                listener.close()
                listener.cut("outage")
            elif listener.sock is None:
                listener.open()
        self.state.note("control", "outage", on=data.get("on", True),
                        protocols=wanted)
        return {"ok": True}

    # -- mail --------------------------------------------------------------

    async def create(self, data, _request):
        """Puts mail into a mailbox: "raw" (base64), "text", or synthetic
        ones of "size" octets, "count" of them."""
        user = self.user(data)
        name, made = data.get("mailbox", "INBOX"), []
        for number in range(1, data.get("count", 1) + 1):
            if "raw" in data:
                raw = base64.b64decode(data["raw"], validate=True)
            elif "text" in data:
                raw = data["text"].encode()
            else:
                raw = synthetic(data.get("size", 1000),
                                data.get("subject", "Synthetic message"),
                                rcpt=user.address, number=number)
            mail = user.store.deliver(name, raw, data.get("flags", ()))
            made.append({"uid": mail.uid, "size": len(raw),
                         "sha256": digest(raw)})
        return made

    async def mailbox(self, data, _request):
        user = self.user(data)
        box = user.store.get(data.get("name", "INBOX"))
        if box is None:
            raise NotFound(data.get("name"))
        return box.as_json(digest)

    async def messages(self, data, _request):
        """Accepted messages in order; wait=N waits until there are N."""
        messages = self.state.messages
        if "wait" in data:
            await self.state.until(
                lambda: len(self.state.messages) >= int(data["wait"]),
                float(data.get("timeout", 30)))
            messages = self.state.messages
        return [m.as_json() for m in messages[int(data.get("from", 1)) - 1:]
                if "user" not in data or
                m.fields["user"] == self.user(data).address]

    async def one_message(self, _data, request):
        """/messages/N and /messages/N/raw"""
        parts = request.path.split("/")
        if parts[1] != "messages" or len(parts) not in (3, 4) or (
                not parts[2].isdigit()):
            raise NotFound(request.path)
        number = int(parts[2])
        if not 1 <= number <= len(self.state.messages):
            raise NotFound(request.path)
        message = self.state.messages[number - 1]
        if len(parts) == 3:
            return message.as_json()
        if parts[3] != "raw" or message.raw is None:
            raise NotFound(request.path)
        return web.Response(200, message.raw, "message/rfc822")

    # -- reports -----------------------------------------------------------

    def events(self, data):
        since = int(data.get("since", 0))
        wanted = {k: v for k, v in data.items()
                  if k not in ("since", "count", "timeout", "limit")}
        return [e for e in self.state.log if e["n"] > since and all(
            str(e.get(k)) == str(v) for k, v in wanted.items())]

    async def log(self, data, _request):
        found = self.events(data)
        limit = int(data.get("limit", 0))
        return found[-limit:] if limit else found

    async def wait(self, data, _request):
        """Waits until the log holds "count" events with these fields."""
        count = int(data.get("count", 1))
        met = await self.state.until(
            lambda: len(self.events(data)) >= count,
            float(data.get("timeout", 30)))
        return {"met": met, "events": self.events(data)}

    async def tokens(self, data, _request):
        return self.state.grants.report(bool(data.get("secrets")))

    async def connections(self, _data, _request):
        state = self.state
        return {
            "open": {k: n for k, n in state.open.items() if n},
            "total": dict(state.totals), "max": dict(state.most),
            "list": [{"id": c.id, "protocol": c.protocol, "peer": c.peer,
                      "listener": c.listener, "tls": c.tls,
                      "user": c.user.address if c.user else None}
                     for c in state.connections()
                     if c.protocol != "control"]}

    async def violations(self, _data, _request):
        return self.state.violations
