"""Grants and tokens: codes, access tokens, refresh token families, device
codes. Time is the monotonic clock. Tokens have names (A7, R3) for the log;
their values leave only through the OAuth endpoints and GET /tokens?secrets=1.
"""

import collections
import secrets
import time

MAIL_SCOPES = {
    "smtp": ("mail", "smtp", "https://mail.google.com/"),
    "imap": ("mail", "imap", "https://mail.google.com/"),
}
MAIL_SUFFIX = {
    "smtp": ("/SMTP.Send", "-smtp", "/.default"),
    "imap": ("/IMAP.AccessAsUser.All", "-imap", "/.default"),
}


def scope_serves(scope, protocol):
    return any(s in MAIL_SCOPES[protocol] or s.endswith(MAIL_SUFFIX[protocol])
               for s in scope.split())


class Refused(Exception):
    """An OAuth error answer: status and JSON body."""

    def __init__(self, error, description=None, status=400, body=None):
        super().__init__(error)
        self.status = status
        self.body = dict(body) if body else {"error": error}
        if description and not body:
            self.body["error_description"] = description


class Grant:
    """One consent of one user to one client: a family of tokens."""

    def __init__(self, number, user, client_id, scope, offline):
        self.name = "G%d" % number
        self.user = user
        self.client_id = client_id
        self.scope = scope
        self.offline = offline
        self.dead = None            # the error body for its refresh tokens
        self.current = None
        self.refreshes = 0
        self.made = time.time()

    def as_json(self):
        return {"grant": self.name, "client_id": self.client_id,
                "user": self.user.address if self.user else None,
                "scope": self.scope, "dead": self.dead,
                "refreshes": self.refreshes,
                "refresh_token": self.current.name if self.current else None}


class Token:
    def __init__(self, name, value, grant, ttl):
        self.name = name
        self.value = value
        self.grant = grant
        self.expires = time.monotonic() + ttl if ttl else None
        self.revoked = False
        self.used = False

    def live(self):
        return (not self.revoked
                and (self.expires is None or time.monotonic() < self.expires))

    def as_json(self, with_value):
        entry = {"name": self.name, "grant": self.grant.name,
                 "live": self.live(), "used": self.used}
        if self.expires is not None:
            entry["expires_in"] = round(self.expires - time.monotonic(), 3)
        if with_value:
            entry["value"] = self.value
        return entry


class Grants:
    def __init__(self, state):
        self.state = state
        self.forget_all()

    def forget_all(self):
        self.grants = []
        self.access = {}
        self.refresh = {}
        self.codes = {}
        self.devices = {}
        self.reset_counters()

    def reset_counters(self):
        self.refreshes = collections.Counter()
        self.refused = collections.Counter()
        self.in_flight = collections.Counter()
        self.most_in_flight = collections.Counter()
        self.issued = collections.Counter()
        self.family_revocations = collections.Counter()

    # -- issuing -----------------------------------------------------------

    def new_grant(self, user, client_id, scope, offline):
        grant = Grant(len(self.grants) + 1, user, client_id, scope, offline)
        self.grants.append(grant)
        return grant

    def issue_access(self, grant):
        settings = self.state.settings
        self.issued["access"] += 1
        size = max(settings["access_token_bytes"], 40)
        value = "sbx-at-" + secrets.token_urlsafe(size)[:size - 7]
        token = Token("A%d" % self.issued["access"], value, grant,
                      settings["access_ttl"])
        self.access[value] = token
        return token

    def issue_refresh(self, grant):
        self.issued["refresh"] += 1
        token = Token("R%d" % self.issued["refresh"],
                      "sbx-rt-" + secrets.token_urlsafe(48), grant,
                      self.state.settings["refresh_ttl"])
        self.refresh[token.value] = token
        grant.current = token
        return token

    def answer(self, grant, refresh):
        """The token endpoint's answer: a new access token, and refresh if
        there is one to tell."""
        settings = self.state.settings
        access = self.issue_access(grant)
        body = {"access_token": access.value, "token_type": "Bearer",
                "scope": grant.scope}
        ttl = settings["access_ttl"]
        if settings["expires_in"] != "omit":
            body["expires_in"] = (
                str(ttl) if settings["expires_in"] == "string" else ttl)
        if refresh:
            body["refresh_token"] = refresh.value
        return body, access

    # -- refreshing --------------------------------------------------------

    def refresh_with(self, value, client_id, scope):
        """The refresh_token grant. Raises Refused."""
        settings = self.state.settings
        token = self.refresh.get(value)
        if token is None:
            raise Refused("invalid_grant", "Unknown refresh token.")
        grant = token.grant
        if grant.client_id != client_id:
            raise Refused("invalid_grant", "Token of another client.")
        if grant.dead:
            raise Refused("invalid_grant", body=grant.dead)
        if token.used and settings["reuse"] == "revoke":
            self.revoke_family(grant, "reuse of " + token.name)
            raise Refused("invalid_grant", body=grant.dead)
        if not token.live():
            raise Refused("invalid_grant", "The refresh token has expired.")
        if scope and not set(scope.split()) <= set(grant.scope.split()):
            raise Refused("invalid_scope", "Scope was never granted.")
        grant.refreshes += 1
        self.refreshes[grant.user.address] += 1
        if not settings["rotate"]:
            return self.answer(grant, None) + (None,)
        token.used = True
        new = self.issue_refresh(grant)
        return self.answer(grant, new) + (new,)

    def begin(self, user):
        """A refresh of this user is being worked on, until end(user)."""
        self.in_flight[user.address] += 1
        self.most_in_flight[user.address] = max(
            self.most_in_flight[user.address], self.in_flight[user.address])

    def end(self, user):
        self.in_flight[user.address] -= 1

    # -- dying -------------------------------------------------------------

    def revoke_family(self, grant, why):
        self.family_revocations[grant.user.address] += 1
        self.state.note("oauth", "family-revoked", user=grant.user.address,
                        grant=grant.name, why=why)
        self.kill(grant, {
            "error": "invalid_grant",
            "error_description": "Token has been expired or revoked."})

    def kill(self, grant, body, access=True):
        grant.dead = body
        if access:
            self.expire(lambda token: token.grant is grant)

    def kill_user(self, user, body, access=True):
        killed = 0
        for grant in self.grants:
            if grant.user is user and not grant.dead:
                self.kill(grant, body, access)
                killed += 1
        return killed

    def expire(self, chosen, which="access"):
        tokens = self.access if which == "access" else self.refresh
        count = 0
        for token in tokens.values():
            if token.live() and chosen(token):
                token.revoked = True
                count += 1
        return count

    def revoke(self, value, client_id):
        """RFC 7009: unknown tokens are no error."""
        token = self.refresh.get(value) or self.access.get(value)
        if token is None or token.grant.client_id != client_id:
            return None
        if value in self.refresh:
            self.kill(token.grant, {
                "error": "invalid_grant",
                "error_description": "Token has been expired or revoked."})
        token.revoked = True
        return token

    # -- judging an access token -------------------------------------------

    def check(self, value, mailbox, protocol):
        """May this access token open mailbox (a User or None) over protocol?
        Returns (token or None, None or the reason it may not)."""
        token = self.access.get(value)
        if token is None:
            return None, "unknown token"
        if not token.live():
            return token, "token expired or revoked"
        owner = token.grant.user
        if not scope_serves(token.grant.scope, protocol):
            return token, "insufficient scope"
        if mailbox is None:
            return token, "no such mailbox"
        if owner not in (None, mailbox) and (
                owner.address not in mailbox.delegates):
            return token, "token of another user"
        return token, None

    # -- reporting ---------------------------------------------------------

    def report(self, with_values=False):
        tokens = {"access": self.access, "refresh": self.refresh}
        live = {which: sum(t.live() and not t.used and not t.grant.dead
                           or which == "access" and t.live()
                           for t in table.values())
                for which, table in tokens.items()}
        return {
            "refreshes": dict(self.refreshes),
            "refused": dict(self.refused),
            "in_flight": {u: n for u, n in self.in_flight.items() if n},
            "max_in_flight": dict(self.most_in_flight),
            "family_revocations": dict(self.family_revocations),
            "issued": dict(self.issued),
            "live": live,
            "dead": {which: len(table) - live[which]
                     for which, table in tokens.items()},
            "grants": [grant.as_json() for grant in self.grants],
            "tokens": {which: [t.as_json(with_values)
                               for t in list(table.values())[-200:]]
                       for which, table in tokens.items()},
        }
