"""Judging XOAUTH2 and OAUTHBEARER messages (RFC 7628), and PLAIN."""

import base64
import binascii
import json


class Malformed(Exception):
    """The client's message is not of the mechanism's form."""


class Verdict:
    def __init__(self, user=None, token=None, reason=None, name=""):
        self.user = user            # the mailbox, when accepted
        self.token = token          # grants.Token, if one was recognised
        self.reason = reason        # why not
        self.name = name            # the mailbox asked for

    @property
    def accepted(self):
        return self.reason is None


def decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("bad base64") from None


def _pairs(parts):
    if parts[-2:] != ["", ""]:
        raise Malformed("does not end in two 0x01")
    pairs = {}
    for part in parts[:-2]:
        key, equals, value = part.partition("=")
        if not equals or not key.isalpha():
            raise Malformed("bad key=value pair")
        pairs[key.lower()] = value
    return pairs


def parse_xoauth2(message):
    """(mailbox, access token)"""
    pairs = _pairs(message.split("\x01"))
    if set(pairs) != {"user", "auth"}:
        raise Malformed("XOAUTH2 wants user and auth")
    return pairs["user"], bearer(pairs["auth"])


def parse_oauthbearer(message, port=None):
    """(mailbox, access token). The port, if the client says one, must be
    ours."""
    header, _, rest = message.partition("\x01")
    parts = header.split(",")
    if len(parts) != 3 or parts[0] not in ("n", "y") or parts[2]:
        raise Malformed("bad GS2 header")
    if not parts[1].startswith("a="):
        raise Malformed("GS2 header without authzid")
    pairs = _pairs(rest.split("\x01"))
    if "auth" not in pairs:
        raise Malformed("no auth pair")
    if port and pairs.get("port", str(port)) != str(port):
        raise Malformed("wrong port")
    name = parts[1][2:].replace("=2C", ",").replace("=3D", "=")
    return name, bearer(pairs["auth"])


def bearer(value):
    kind, space, token = value.partition(" ")
    if kind.lower() != "bearer" or not space:
        raise Malformed("not a bearer token")
    return token


def judge(state, mechanism, data, protocol, port):
    """Verdict for a decoded client message. Raises Malformed."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if mechanism == "PLAIN":
        parts = text.split("\0")
        if len(parts) != 3:
            raise Malformed("PLAIN wants three parts")
        return judge_password(state, parts[1], parts[2])
    if mechanism == "XOAUTH2":
        name, value = parse_xoauth2(text)
    else:
        name, value = parse_oauthbearer(text, port)
    user = state.user(name)
    token, reason = state.grants.check(value, user, protocol)
    return Verdict(user if reason is None else None, token, reason, name)


def judge_password(state, name, password):
    user = state.user(name)
    if user is None or user.password != password:
        return Verdict(reason="wrong password", name=name)
    return Verdict(user, name=name)


def failure(state, mechanism, reason):
    """The JSON of a failed exchange, base64, in the mechanism's own shape."""
    scope = reason == "insufficient scope"
    if mechanism == "XOAUTH2":
        body = {"status": "403" if scope else "401", "schemes": "bearer",
                "scope": "mail"}
    else:
        body = {"status": "insufficient_scope" if scope else "invalid_token",
                "scope": "mail", "openid-configuration":
                    state.issuer + "/.well-known/openid-configuration"}
    return challenge(body)


def challenge(body):
    return base64.b64encode(json.dumps(body).encode()).decode()


def proper_dummy(mechanism, line):
    """Is line (without CRLF) the right answer to the failure challenge?"""
    return line == (b"" if mechanism == "XOAUTH2" else b"AQ==")
