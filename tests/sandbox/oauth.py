"""The authorization server: RFC 6749, 7636 (PKCE), 8628 (device), 7009,
8414 and OpenID Connect discovery, 9207 (iss)."""

import base64
import binascii
import hashlib
import hmac
import html
import json
import secrets
import time
import urllib.parse

import web
from grants import Refused

SCOPES = ("openid", "profile", "email", "offline_access", "mail", "smtp",
          "imap")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials",
               "urn:ietf:params:oauth:grant-type:device_code")
DEVICE_GRANT = GRANT_TYPES[3]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class PageError(Exception):
    """An error that must not be sent to the redirect URI."""


class OAuth:
    def __init__(self, state, signing_key):
        self.state = state
        self.grants = state.grants
        self.key = signing_key
        self.routes = {
            "/.well-known/openid-configuration": ("discovery", self.discovery),
            "/.well-known/oauth-authorization-server":
                ("discovery", self.discovery),
            "/jwks": ("jwks", self.jwks),
            "/authorize": ("authorize", self.authorize),
            "/adminconsent": ("adminconsent", self.admin_consent),
            "/token": ("token", self.token),
            "/device_authorization":
                ("device_authorization", self.device_authorization),
            "/device": ("device", self.device_page),
            "/revoke": ("revoke", self.revoke),
            "/userinfo": ("userinfo", self.userinfo),
        }

    # -- around every request ----------------------------------------------

    async def handle(self, request):
        stage, work = self.routes.get(request.path, ("unknown", None))
        user, facts = self.about(stage, request)
        if user and stage == "token":
            self.grants.begin(user)
        try:
            return await self.faulted(request, stage, work, facts)
        finally:
            if user and stage == "token":
                self.grants.end(user)

    def about(self, stage, request):
        """Who a token request is for, and what a fault may be matched by."""
        form = request.form() if request.method == "POST" else request.query
        facts = {"grant_type": form.get("grant_type"),
                 "client_id": form.get("client_id"),
                 "method": request.method}
        user = None
        if stage == "token":
            try:
                basic = basic_credentials(request)
            except Refused:
                basic = None        # client() will say so
            if basic:
                facts["client_id"] = basic[0]
            token = self.grants.refresh.get(form.get("refresh_token"))
            code = self.grants.codes.get(form.get("code"))
            if token:
                user = token.grant.user
                facts["token"] = token.name
            elif code:
                facts["user"] = code["user"].address
        if user:
            facts["user"] = user.address
        return user, facts

    async def faulted(self, request, stage, work, facts):
        conn, faults = request.conn, self.state.faults
        fault = faults.take("oauth", stage, **facts)
        note = {k: v for k, v in facts.items() if v is not None}
        self.state.note("oauth", "request", conn, endpoint=stage,
                        fault=fault.number if fault else None, **note)
        if fault:
            if fault.get("delay") or fault.get("stall"):
                await faults.stall(conn, fault.get("stall")
                                   or fault.get("delay"))
            faults.drop(fault, conn, "before")
            if fault.get("garbage") or fault.get("flood"):
                await faults.play(fault, conn)
                await conn.close("fault")
                raise web.Closed(conn.closed)
            if fault.get("status") or "json" in fault.fields \
                    or "body" in fault.fields:
                response = canned(fault)
                self.answered(conn, stage, response, note)
                return response
        response = await self.work(request, work)
        faults.drop(fault, conn, "after")
        self.answered(conn, stage, response, note)
        return response

    def answered(self, conn, stage, response, facts):
        error = None
        if response.status >= 400:
            try:
                error = json.loads(response.body).get("error")
            except (ValueError, AttributeError):
                pass
            if stage == "token" and facts.get("user"):
                self.grants.refused[facts["user"]] += 1
        self.state.note("oauth", "response", conn, endpoint=stage,
                        status=response.status, error=error,
                        user=facts.get("user"))

    async def work(self, request, work):
        if work is None:
            return web.page("Not found", "", 404)
        try:
            return await work(request)
        except Refused as refused:
            headers = dict(NO_STORE)
            if refused.status == 401:
                headers["WWW-Authenticate"] = 'Basic realm="sandbox"'
            return web.json_response(refused.body, refused.status, headers)
        except PageError as error:
            return web.page("Sign-in failed", "<p>%s</p>"
                            % html.escape(str(error)), 400)

    # -- metadata ----------------------------------------------------------

    async def discovery(self, _request):
        issuer = self.state.issuer
        return web.json_response({
            "issuer": issuer,
            "authorization_endpoint": issuer + "/authorize",
            "token_endpoint": issuer + "/token",
            "device_authorization_endpoint": issuer + "/device_authorization",
            "revocation_endpoint": issuer + "/revoke",
            "userinfo_endpoint": issuer + "/userinfo",
            "jwks_uri": issuer + "/jwks",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANT_TYPES),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported":
                self.state.settings["iss"],
        })

    async def jwks(self, _request):
        return web.json_response({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "sandbox",
            "n": b64url(self.key.modulus()), "e": "AQAB"}]})

    # -- authorization endpoint --------------------------------------------

    async def authorize(self, request):
        fields = request.form() if request.method == "POST" else request.query
        client = self.state.clients.get(fields.get("client_id"))
        if client is None:
            raise PageError("Unknown client_id.")
        if not redirect_allowed(client, fields.get("redirect_uri", "")):
            raise PageError("redirect_uri is not registered for this client.")
        error = self.authorize_error(request, fields)
        if error:
            return self.back(fields, error=error[0],
                             error_description=error[1])
        if request.method == "POST":
            return self.decide(fields, fields.get("username"),
                               fields.get("decision") == "approve")
        if self.state.settings["auto_approve"] and fields.get("login_hint"):
            return self.decide(fields, fields["login_hint"], True)
        return self.form(fields)

    def authorize_error(self, request, fields):
        if request.twice:
            return "invalid_request", "repeated parameter"
        if fields.get("response_type") != "code":
            return "unsupported_response_type", "only code"
        if not fields.get("scope"):
            return "invalid_scope", "scope is empty"
        wrong = [s for s in fields["scope"].split()
                 if s not in SCOPES and not s.startswith("https://")]
        if wrong:
            return "invalid_scope", "unknown scope " + wrong[0]
        if fields.get("code_challenge_method") != "S256" or len(
                fields.get("code_challenge", "")) != 43:
            return "invalid_request", "PKCE with S256 is required"
        if not fields.get("state"):
            return "invalid_request", "state is required"
        if fields.get("prompt") == "none":
            return "interaction_required", "nobody is signed in"
        return None

    def back(self, fields, **answer):
        if self.state.settings["iss"]:
            answer["iss"] = self.state.issuer
        return web.redirect(web.with_query(
            fields["redirect_uri"], state=fields.get("state"), **answer))

    def decide(self, fields, name, approved):
        user = self.state.user(name)
        if user is None:
            raise PageError("No such user: %s" % name)
        self.state.note("oauth", "sign-in", user=user.address,
                        client_id=fields["client_id"], approved=approved)
        if not approved:
            return self.back(fields, error="access_denied",
                             error_description="The user said no.")
        code = "sbx-code-" + secrets.token_urlsafe(32)
        self.grants.codes[code] = dict(
            fields, user=user, grant=None,
            expires=time.monotonic() + self.state.settings["code_ttl"])
        return self.back(fields, code=code)

    def form(self, fields):
        hidden = "".join(
            '<input type=hidden name="%s" value="%s">'
            % (html.escape(k), html.escape(v)) for k, v in fields.items())
        return web.page(
            "Sandbox sign-in",
            "<p>%s asks for: %s</p><form method=post action=/authorize>%s"
            "<p><label>Account <input name=username value=\"%s\"></label></p>"
            "<button name=decision value=approve>Approve</button> "
            "<button name=decision value=deny>Deny</button></form>"
            % (html.escape(fields["client_id"]), html.escape(fields["scope"]),
               hidden, html.escape(fields.get("login_hint", ""))))

    async def admin_consent(self, request):
        """As Entra's: an administrator approves the app for everybody."""
        self.state.faults.clear(cleared_by="adminconsent")
        self.state.note("oauth", "admin-consent")
        uri = request.query.get("redirect_uri")
        client = self.state.clients.get(request.query.get("client_id"))
        if not uri or not client or not redirect_allowed(client, uri):
            return web.page("Approved", "<p>Consent was recorded.</p>")
        return web.redirect(web.with_query(
            uri, admin_consent="True", state=request.query.get("state")))

    # -- token endpoint ----------------------------------------------------

    def client(self, request, form):
        """Authenticates the client; public ones only name themselves."""
        basic = basic_credentials(request)
        client_id, secret = basic or (form.get("client_id"),
                                      form.get("client_secret"))
        client = self.state.clients.get(client_id)
        if client is None:
            raise Refused("invalid_client", "Unknown client.", 401)
        if basic and form.get("client_secret") is not None:
            raise Refused("invalid_request", "Two client authentications.")
        if client["secret"] is None:
            if secret:
                raise Refused("invalid_client",
                              "A public client must not send a secret.", 401)
        elif not hmac.compare_digest(client["secret"], secret or ""):
            raise Refused("invalid_client", "Wrong client secret.", 401)
        return client

    async def token(self, request):
        if request.method != "POST":
            raise Refused("invalid_request", "POST only.", 405)
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if kind != "application/x-www-form-urlencoded":
            raise Refused("invalid_request", "Not a form.")
        form = request.form()
        if request.twice:
            raise Refused("invalid_request", "Repeated parameter.")
        client = self.client(request, form)
        work = {
            "authorization_code": self.redeem_code,
            "refresh_token": self.refresh,
            "client_credentials": self.client_credentials,
            DEVICE_GRANT: self.redeem_device,
        }.get(form.get("grant_type"))
        if work is None:
            raise Refused("unsupported_grant_type")
        return web.json_response(work(client, form, request), 200, NO_STORE)

    def redeem_code(self, client, form, request):
        code = self.grants.codes.get(form.get("code"))
        if code is None:
            raise Refused("invalid_grant", "Unknown code.")
        if code["grant"]:
            self.grants.revoke_family(code["grant"], "code used again")
            raise Refused("invalid_grant", "The code was redeemed already.")
        wrong = (code["client_id"] != client["client_id"] and "client"
                 or code["redirect_uri"] != form.get("redirect_uri")
                 and "redirect_uri"
                 or code["expires"] < time.monotonic() and "age of the code")
        if wrong:
            raise Refused("invalid_grant", "Wrong " + wrong + ".")
        verifier = form.get("code_verifier", "")
        digest = b64url(hashlib.sha256(verifier.encode()).digest())
        if not 43 <= len(verifier) <= 128 or digest != code["code_challenge"]:
            raise Refused("invalid_grant", "PKCE: wrong code_verifier.")
        prompt = (code.get("prompt", "") + " "
                  + ("consent" if code.get("access_type") == "offline"
                     else ""))
        body, grant = self.first_answer(
            code["user"], client, code["scope"], "consent" in prompt.split(),
            request, code.get("nonce"))
        code["grant"] = grant
        return body

    def first_answer(self, user, client, scope, consented, request, nonce):
        settings = self.state.settings
        granted = [s for s in scope.split()
                   if s not in settings["withhold_scopes"]]
        offline = (("offline_access" in granted
                    or "https://mail.google.com/" in granted)
                   and (consented or not settings["offline_needs_consent"]))
        if not offline and "offline_access" in granted:
            granted.remove("offline_access")
        grant = self.grants.new_grant(user, client["client_id"],
                                      " ".join(granted), offline)
        refresh = self.grants.issue_refresh(grant) if offline else None
        body, access = self.grants.answer(grant, refresh)
        if "openid" in granted:
            body["id_token"] = self.id_token(user, client, nonce)
        self.state.note("oauth", "tokens-issued", request.conn,
                        user=user.address, grant=grant.name,
                        access=access.name,
                        refresh=refresh.name if refresh else None)
        return body, grant

    def id_token(self, user, client, nonce):
        now = int(time.time())
        claims = {"iss": self.state.issuer, "sub": user.address,
                  "aud": client["client_id"], "iat": now, "exp": now + 3600,
                  "email": user.address, "email_verified": True,
                  "name": user.name}
        if nonce:
            claims["nonce"] = nonce
        head = {"alg": "RS256", "typ": "JWT", "kid": "sandbox"}
        signed = ".".join(b64url(json.dumps(part).encode())
                          for part in (head, claims))
        return signed + "." + b64url(self.key.sign(signed.encode()))

    def refresh(self, client, form, request):
        body, access, new = self.grants.refresh_with(
            form.get("refresh_token"), client["client_id"],
            form.get("scope"))
        self.state.note("oauth", "tokens-issued", request.conn,
                        user=access.grant.user.address,
                        grant=access.grant.name, access=access.name,
                        refresh=new.name if new else None)
        return body

    def client_credentials(self, client, form, request):
        if client["secret"] is None:
            raise Refused("unauthorized_client")
        grant = self.grants.new_grant(None, client["client_id"],
                                      form.get("scope") or "mail", False)
        body, access = self.grants.answer(grant, None)
        self.state.note("oauth", "tokens-issued", request.conn,
                        grant=grant.name, access=access.name)
        return body

    # -- device authorization ----------------------------------------------

    async def device_authorization(self, request):
        form = request.form()
        client = self.client(request, form)
        if not form.get("scope"):
            raise Refused("invalid_scope", "scope is empty")
        settings = self.state.settings
        letters = "BCDFGHJKLMNPQRSTVWXZ"
        word = "".join(secrets.choice(letters) for _ in range(8))
        device = {
            "user_code": word[:4] + "-" + word[4:], "user": None,
            "state": "pending", "client_id": client["client_id"],
            "scope": form["scope"], "interval": settings["device_interval"],
            "polled": None,
            "expires": time.monotonic() + settings["device_ttl"]}
        code = "sbx-dev-" + secrets.token_urlsafe(32)
        self.grants.devices[code] = device
        uri = self.state.issuer + "/device"
        body = {"device_code": code, "user_code": device["user_code"],
                "verification_uri": uri, "expires_in": settings["device_ttl"],
                "interval": device["interval"],
                "message": "Open %s and enter the code %s."
                           % (uri, device["user_code"])}
        if settings["device_complete_uri"]:
            body["verification_uri_complete"] = web.with_query(
                uri, user_code=device["user_code"])
        return web.json_response(body, 200, NO_STORE)

    def redeem_device(self, client, form, request):
        device = self.grants.devices.get(form.get("device_code"))
        if device is None or device["client_id"] != client["client_id"]:
            raise Refused("invalid_grant", "Unknown device_code.")
        now = time.monotonic()
        early = device["polled"] is not None and (
            now - device["polled"] < device["interval"] - 0.25)
        device["polled"] = now
        if now > device["expires"]:
            device["state"] = "expired"
        if device["state"] == "expired":
            raise Refused("expired_token")
        if device["state"] == "denied":
            raise Refused("access_denied")
        if device["state"] == "used":
            raise Refused("invalid_grant", "The code was redeemed already.")
        if early:
            device["interval"] += 5
            self.state.note("oauth", "slow-down", request.conn,
                            user_code=device["user_code"],
                            interval=device["interval"])
            raise Refused("slow_down")
        if device["state"] == "pending":
            raise Refused("authorization_pending")
        device["state"] = "used"
        return self.first_answer(device["user"], client, device["scope"],
                                 True, request, None)[0]

    def find_device(self, user_code):
        wanted = (user_code or "").replace("-", "").replace(" ", "").upper()
        for device in self.grants.devices.values():
            if device["user_code"].replace("-", "") == wanted:
                return device
        return None

    def decide_device(self, user_code, name, decision):
        """approve, deny or expire. False: no such code (or no such user)."""
        device, user = self.find_device(user_code), self.state.user(name)
        if device is None or device["state"] != "pending":
            return False
        if decision == "approve" and user is None:
            return False
        device["user"] = user
        device["state"] = {"approve": "approved", "deny": "denied",
                           "expire": "expired"}[decision]
        self.state.note("oauth", "device-" + device["state"],
                        user=user.address if user else None)
        return True

    async def device_page(self, request):
        if request.method != "POST":
            code = request.query.get("user_code", "")
            return web.page(
                "Connect a device",
                "<form method=post action=/device><p><label>Code <input "
                'name=user_code value="%s"></label></p><p><label>Account '
                "<input name=username></label></p>"
                "<button name=decision value=approve>Approve</button> "
                "<button name=decision value=deny>Deny</button></form>"
                % html.escape(code))
        form = request.form()
        decision = "deny" if form.get("decision") == "deny" else "approve"
        if not self.decide_device(form.get("user_code"),
                                  form.get("username"), decision):
            raise PageError("Unknown code or account.")
        return web.page("Done", "<p>You may close this window.</p>")

    # -- revocation, userinfo ----------------------------------------------

    async def revoke(self, request):
        form = request.form()
        client = self.client(request, form)
        if not form.get("token"):
            raise Refused("invalid_request", "token is missing")
        token = self.grants.revoke(form["token"], client["client_id"])
        if token:
            self.state.note("oauth", "revoked", request.conn,
                            token=token.name)
        return web.Response(200, headers=NO_STORE)

    async def userinfo(self, request):
        kind, _, value = request.headers.get("authorization",
                                             "").partition(" ")
        token = self.grants.access.get(value.strip())
        if kind.lower() != "bearer" or token is None or not token.live():
            return web.json_response(
                {"error": "invalid_token"}, 401,
                {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        user = token.grant.user
        if user is None or "openid" not in token.grant.scope.split():
            return web.json_response({"error": "insufficient_scope"}, 403)
        return web.json_response({
            "sub": user.address, "email": user.address,
            "email_verified": True, "name": user.name,
            "preferred_username": user.address})


def basic_credentials(request):
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused("invalid_client", "Bad basic credentials.",
                      401) from None
    name, _, secret = text.partition(":")
    return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)


def redirect_allowed(client, uri):
    """Exact match with a registered URI, or http on a loopback address with
    any port and path (RFC 8252 §7.3), unless switched off for the client."""
    if uri in client["redirect_uris"]:
        return True
    try:
        split = urllib.parse.urlsplit(uri)
        split.port
    except ValueError:
        return False
    return (client["loopback"] and split.scheme == "http"
            and split.hostname in LOOPBACK and split.username is None
            and not split.fragment)


def canned(fault):
    """The answer a fault prescribes."""
    status = fault.get("status", 200)
    headers = dict(fault.get("headers") or {})
    if "json" in fault.fields:
        return web.json_response(fault.get("json"), status, headers)
    return web.Response(status, fault.get("body", ""),
                        fault.get("content_type", "text/html"), headers)
