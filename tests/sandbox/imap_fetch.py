"""FETCH: from the items asked for to the response's pieces."""

import re

import mime
from imap_parse import Atom, Bad

MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}
BODY = re.compile(r"BODY(\.PEEK)?\[(.*)\](?:<(\d+)\.(\d+)>)?$",
                  re.I | re.S)
SECTION = re.compile(r"((?:\d+\.)*\d+)?(?:^|\.|$)(.*)$", re.S)
FIELDS = re.compile(r"HEADER\.FIELDS(\.NOT)? \((.*)\)$", re.I | re.S)
SIMPLE = ("FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY",
          "BODYSTRUCTURE", "RFC822", "RFC822.HEADER", "RFC822.TEXT")


def parse_items(argument):
    """The items as upper-case names, or matches for BODY[...]."""
    names = argument if isinstance(argument, list) else [argument]
    if len(names) == 1 and str(names[0]).upper() in MACROS:
        names = MACROS[str(names[0]).upper()]
    items = []
    for name in names:
        if not isinstance(name, str):
            raise Bad("fetch item expected")
        match = BODY.match(name)
        if match:
            items.append(match)
        elif name.upper() in SIMPLE:
            items.append(Atom(name.upper()))
        else:
            raise Bad("unknown fetch item " + name)
    if not items:
        raise Bad("no fetch items")
    return items


def marks_seen(items):
    return any(item in ("RFC822", "RFC822.TEXT") if isinstance(item, str)
               else not item.group(1) for item in items)


def flag_list(mail):
    flags = sorted(mail.flags) + (["\\Recent"] if mail.recent else [])
    return ("(%s)" % " ".join(flags)).encode()


def render(mail, items):
    """The bytes objects between the parentheses of one FETCH response."""
    pieces = []
    for item in items:
        if pieces:
            pieces.append(b" ")
        pieces += (one(mail, item) if isinstance(item, str)
                   else section(mail, item))
    return pieces


def one(mail, item):
    name = item.encode() + b" "
    if item == "FLAGS":
        return [name + flag_list(mail)]
    if item == "UID":
        return [name + b"%d" % mail.uid]
    if item == "RFC822.SIZE":
        return [name + b"%d" % len(mail.raw)]
    if item == "INTERNALDATE":
        return [name + mail.date.strftime(
            '"%d-%b-%Y %H:%M:%S %z"').encode()]
    if item == "RFC822":
        return literal(name, mail.raw)
    part = mime.Part(mail.raw)
    if item == "ENVELOPE":
        return [name + mime.envelope(part)]
    if item in ("BODY", "BODYSTRUCTURE"):
        return [name + mime.structure(part, item == "BODYSTRUCTURE")]
    return literal(name, part.header if item == "RFC822.HEADER"
                   else part.body)


def literal(name, data):
    return [name + b"{%d}\r\n" % len(data), data]


def section(mail, match):
    wanted = match.group(2)
    data = select(mail.raw, wanted)
    name = b"BODY[" + wanted.encode("utf-8", "replace") + b"]"
    if match.group(3):
        start = int(match.group(3))
        data = None if data is None else data[
            start:start + int(match.group(4))]
        name += b"<%d>" % start
    if data is None:
        return [name + b" NIL"]
    return literal(name + b" ", data)


def select(raw, wanted):
    """The octets of BODY[wanted], None if there is no such part."""
    if not wanted:
        return raw
    numbers, rest = SECTION.match(wanted).groups()
    rest = rest.strip()
    whole = mime.Part(raw)
    if numbers:
        path = [int(n) for n in numbers.split(".")]
        part = whole.find(path)
        if part is None:
            return None
        if not rest:
            return part.body
        if rest.upper() == "MIME":
            return part.header
        if part.content_type()[:2] != ("message", "rfc822"):
            return None
        whole = mime.Part(part.body)
    return text_part(whole, rest)


def text_part(part, rest):
    name = rest.upper()
    if name == "HEADER":
        return part.header
    if name == "TEXT":
        return part.body
    match = FIELDS.match(rest)
    if not match:
        raise Bad("bad section")
    names = {n.strip('"').lower() for n in match.group(2).split()}
    keep = [octets for key, _, octets in part.fields
            if (key in names) != bool(match.group(1))]
    return b"".join(keep) + b"\r\n"


def flags_update(number, mail, with_uid):
    uid = b"UID %d " % mail.uid if with_uid else b""
    return b"* %d FETCH (%sFLAGS %s)\r\n" % (number, uid, flag_list(mail))
