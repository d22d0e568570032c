"""Reading IMAP commands (RFC 3501 §9, RFC 7888 literals) and writing strings.

A command's arguments become a list of Atom, String and (nested) list.
"""

import re

LINE_LIMIT = 65536
NAKED = re.compile(rb"\{(\d+)(\+?)\}\r\n$")
MARK = re.compile(rb"\{\d+\+?\}$")
ATOM_END = b' ()"\r\n'


class Bad(Exception):
    """A syntax error: tagged BAD."""


class Atom(str):
    pass


class String(bytes):
    pass


class Parser:
    """Over one command whose literals stand apart."""

    def __init__(self, texts, literals):
        self.texts = texts
        self.literals = literals
        self.text = texts[0]
        self.index = 0
        self.at = 0

    def peek(self):
        return self.text[self.at:self.at + 1]

    def arguments(self):
        values = self.sequence(b"")
        if self.index != len(self.literals):
            raise Bad("stray literal")
        return values

    def sequence(self, end):
        values = []
        while True:
            while self.peek() == b" ":
                self.at += 1
            if self.peek() == end:
                self.at += 1
                return values
            if not self.peek():
                raise Bad("missing parenthesis")
            values.append(self.value())

    def value(self):
        first = self.peek()
        if first == b"(":
            self.at += 1
            return self.sequence(b")")
        if first == b")":
            raise Bad("stray parenthesis")
        if first == b'"':
            return self.quoted()
        if MARK.match(self.text, self.at):
            return self.literal()
        return self.atom()

    def quoted(self):
        out = bytearray()
        self.at += 1
        while True:
            char = self.peek()
            self.at += 1
            if char == b'"':
                return String(out)
            if char == b"\\":
                char = self.peek()
                self.at += 1
            if not char:
                raise Bad("unterminated string")
            out += char

    def literal(self):
        value = self.literals[self.index]
        self.index += 1
        self.text = self.texts[self.index]
        self.at = 0
        return String(value)

    def atom(self):
        start, depth = self.at, 0
        while True:
            char = self.peek()
            if not char or depth == 0 and char in ATOM_END:
                break
            depth += (char == b"[") - (char == b"]")
            self.at += 1
        if self.at == start:
            raise Bad("empty atom")
        return Atom(self.text[start:self.at].decode("utf-8", "replace"))


async def read_command(conn, literal_limit):
    """(tag, name, Parser for the rest). Raises Bad with .tag set, conn's
    LineTooLong and Closed."""
    texts, literals = [], []
    while True:
        line = await conn.readline(LINE_LIMIT)
        if not line.endswith(b"\r\n") or b"\0" in line:
            raise failed(texts or [line], "lines end in CRLF")
        match = NAKED.search(line)
        if not match:
            texts.append(line[:-2])
            break
        size = int(match.group(1))
        if size > literal_limit:
            bad = failed(texts or [line], "literal too large")
            bad.swallow = bool(match.group(2))
            raise bad
        if not match.group(2):
            conn.put(b"+ Ready\r\n")
        texts.append(line[:-2])
        literals.append(await conn.read_exactly(size))
    tag, _, rest = texts[0].partition(b" ")
    name, _, rest = rest.partition(b" ")
    texts[0] = rest
    if not tag or not name or re.search(rb'[(){%*"\\+]', tag):
        raise failed([tag], "bad tag or no command")
    return tag.decode("utf-8", "replace"), name.decode(
        "ascii", "replace").upper(), Parser(texts, literals)


def failed(texts, why):
    bad = Bad(why)
    bad.swallow = False
    tag = texts[0].partition(b" ")[0].strip()
    bad.tag = tag.decode("ascii", "replace") if tag.isalnum() else "*"
    return bad


def text_of(value):
    """An astring argument as str."""
    if isinstance(value, String):
        return value.decode("utf-8", "replace")
    if isinstance(value, Atom):
        return str(value)
    raise Bad("string expected")


def quote(value):
    """A str or bytes as quoted string or literal; None as NIL."""
    if value is None:
        return b"NIL"
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if len(value) > 500 or re.search(rb"[\r\n\x80-\xff\0]", value):
        return b"{%d}\r\n" % len(value) + value
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def number_set(text, largest):
    """A sequence set as a list of (low, high)."""
    ranges = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        ends = []
        for end in (low, high if colon else low):
            if end == "*":
                ends.append(largest)
            elif end.isdigit():
                ends.append(int(end))
            else:
                raise Bad("bad sequence set")
        ranges.append((min(ends), max(ends)))
    return ranges


def within(number, ranges):
    return any(low <= number <= high for low, high in ranges)
