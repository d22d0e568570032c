"""Just enough MIME for FETCH: parts, ENVELOPE, BODYSTRUCTURE (RFC 3501 §7)."""

import email.utils
import re

from imap_parse import quote

WORD = r'("(?:[^"\\]|\\.)*"|[^\s;"]+)'
FOLD = re.compile(rb"\r?\n[ \t]")


class Part:
    """A message or one of its parts: header and body as exact octets."""

    def __init__(self, raw):
        self.raw = raw
        end = raw.find(b"\r\n\r\n")
        if raw.startswith(b"\r\n"):
            end = -2
        elif end < 0:
            end = len(raw) - 4 if raw.endswith(b"\r\n") else len(raw)
            end = max(end, 0)
        self.header = raw[:end + 4]
        self.start = end + 4
        self._fields = None

    @property
    def body(self):
        return self.raw[self.start:]

    @property
    def fields(self):
        if self._fields is None:
            self._fields = split_header(self.header)
        return self._fields

    def get(self, name):
        for key, value, _ in self.fields:
            if key == name:
                return value
        return None

    def content_type(self):
        return parse_type(self.get("content-type") or "text/plain")

    def children(self):
        kind, _, parameters = self.content_type()
        if kind != "multipart" or "boundary" not in parameters:
            return []
        mark = re.escape(parameters["boundary"].encode())
        pieces = re.split(rb"(?:^|\r\n)--" + mark + rb"(--)?[ \t]*(?:\r\n|$)",
                          self.body)
        # pieces: preamble, end mark or None, part, end mark or None, ...
        found = []
        for i in range(1, len(pieces) - 1, 2):
            if pieces[i]:
                break
            found.append(Part(pieces[i + 1]))
        return found

    def find(self, path):
        """The part of a section number like [1, 2]; None if there is none."""
        part = self
        for number in path:
            if part.content_type()[:2] == ("message", "rfc822"):
                part = Part(part.body)
            children = part.children()
            if not children:
                if number != 1:
                    return None
                continue
            if number > len(children):
                return None
            part = children[number - 1]
        return part


def split_header(header):
    """[(lower-case name, unfolded value, exact octets)]"""
    found = []
    for match in re.finditer(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*\r\n", header):
        name, colon, value = match.group().partition(b":")
        if colon:
            value = FOLD.sub(b" ", value).strip()
            found.append((name.strip().lower().decode("latin-1"),
                          value.decode("utf-8", "replace"), match.group()))
    return found


def parse_type(value):
    """(type, subtype, {parameter: value})"""
    head, _, rest = value.partition(";")
    kind, _, sub = head.strip().lower().partition("/")
    parameters = {}
    for key, word in re.findall(r"([^\s;=]+)\s*=\s*" + WORD, rest):
        if word.startswith('"'):
            word = re.sub(r"\\(.)", r"\1", word[1:-1])
        parameters[key.lower()] = word
    return kind or "text", sub or "plain", parameters


def addresses(value):
    if not value:
        return b"NIL"
    out = b""
    for name, address in email.utils.getaddresses([value]):
        local, _, domain = address.rpartition("@")
        if not local:
            local, domain = domain, ""
        out += b"(%s NIL %s %s)" % (quote(name or None), quote(local),
                                    quote(domain))
    return b"(%s)" % out if out else b"NIL"


def envelope(part):
    sender = part.get("from")
    return b"(%s)" % b" ".join([
        quote(part.get("date")), quote(part.get("subject")),
        addresses(sender), addresses(part.get("sender") or sender),
        addresses(part.get("reply-to") or sender),
        addresses(part.get("to")), addresses(part.get("cc")),
        addresses(part.get("bcc")), quote(part.get("in-reply-to")),
        quote(part.get("message-id"))])


def parameter_list(parameters):
    if not parameters:
        return b"NIL"
    return b"(%s)" % b" ".join(
        quote(k.upper()) + b" " + quote(v) for k, v in parameters.items())


def disposition(part):
    value = part.get("content-disposition")
    if not value:
        return b"NIL"
    kind, _, parameters = parse_type(value)
    return b"(%s %s)" % (quote(kind.upper()), parameter_list(parameters))


def lines(body):
    return body.count(b"\n")


def structure(part, extended):
    """BODYSTRUCTURE, or BODY when not extended."""
    kind, sub, parameters = part.content_type()
    children = part.children()
    if children:
        out = b"".join(structure(c, extended) for c in children)
        out += b" " + quote(sub.upper())
        if extended:
            out += b" " + parameter_list(parameters) + b" " + disposition(
                part) + b" NIL NIL"
        return b"(%s)" % out
    fields = [quote(kind.upper()), quote(sub.upper()),
              parameter_list(parameters), quote(part.get("content-id")),
              quote(part.get("content-description")),
              quote((part.get("content-transfer-encoding")
                     or "7bit").upper()), b"%d" % len(part.body)]
    if kind == "message" and sub == "rfc822":
        inner = Part(part.body)
        fields += [envelope(inner), structure(inner, extended),
                   b"%d" % lines(part.body)]
    elif kind == "text":
        fields.append(b"%d" % lines(part.body))
    if extended:
        fields += [b"NIL", disposition(part), b"NIL", b"NIL"]
    return b"(%s)" % b" ".join(fields)
