"""SEARCH (RFC 3501 §6.4.4): keys are compiled to functions of (seq, mail)."""

import datetime
import email.utils

import mime
from imap_parse import Atom, Bad, number_set, text_of, within

FLAGS = {"ANSWERED": "\\Answered", "DELETED": "\\Deleted",
         "DRAFT": "\\Draft", "FLAGGED": "\\Flagged", "SEEN": "\\Seen"}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
          "oct", "nov", "dec")
FIELDS = ("FROM", "TO", "CC", "BCC", "SUBJECT")


def parse_date(text):
    try:
        day, month, year = text.strip('"').split("-")
        return datetime.date(int(year), MONTHS.index(month.lower()) + 1,
                             int(day))
    except ValueError:
        raise Bad("bad date") from None


def header_has(name, text):
    name, text = name.lower(), text.lower()

    def test(_seq, mail):
        part = mime.Part(mail.raw)
        return any(key == name and text in value.lower()
                   for key, value, _ in part.fields)
    return test


def sent_date(mail):
    try:
        return email.utils.parsedate_to_datetime(
            mime.Part(mail.raw).get("date") or "").date()
    except (TypeError, ValueError):
        return mail.date.date()


class Search:
    def __init__(self, arguments, largest_seq, largest_uid):
        self.arguments = list(arguments)
        self.largest_seq = largest_seq
        self.largest_uid = largest_uid

    def compile(self):
        if (len(self.arguments) > 1 and isinstance(self.arguments[0], Atom)
                and self.arguments[0].upper() == "CHARSET"):
            charset = text_of(self.arguments[1]).upper()
            if charset not in ("UTF-8", "US-ASCII"):
                raise Bad("charset")
            del self.arguments[:2]
        if not self.arguments:
            raise Bad("search key expected")
        return self.all_of(self.arguments)

    def all_of(self, keys):
        keys, tests = list(keys), []
        while keys:
            tests.append(self.key(keys))
        return lambda seq, mail: all(test(seq, mail) for test in tests)

    def key(self, keys):
        """Takes one search key off the front of keys."""
        if not keys:
            raise Bad("search key expected")
        key = keys.pop(0)
        if isinstance(key, list):
            return self.all_of(key)
        name = text_of(key).upper()
        if name[:1].isdigit() or name[:1] == "*":
            ranges = number_set(name, self.largest_seq)
            return lambda seq, mail: within(seq, ranges)
        if name == "NOT":
            test = self.key(keys)
            return lambda seq, mail: not test(seq, mail)
        if name == "OR":
            one, two = self.key(keys), self.key(keys)
            return lambda seq, mail: one(seq, mail) or two(seq, mail)
        simple = self.simple(name)
        return simple or self.with_argument(name, keys)

    @staticmethod
    def simple(name):
        if name == "ALL":
            return lambda seq, mail: True
        if name in FLAGS:
            return lambda seq, mail: FLAGS[name] in mail.flags
        if name[:2] == "UN" and name[2:] in FLAGS:
            return lambda seq, mail: FLAGS[name[2:]] not in mail.flags
        if name == "RECENT":
            return lambda seq, mail: mail.recent
        if name == "OLD":
            return lambda seq, mail: not mail.recent
        if name == "NEW":
            return lambda seq, mail: (mail.recent
                                      and "\\Seen" not in mail.flags)
        return None

    def with_argument(self, name, keys):
        if not keys:
            raise Bad("unknown search key " + name)
        value = text_of(keys.pop(0))
        if name in FIELDS:
            return header_has(name, value)
        if name == "HEADER" and keys:
            return header_has(value, text_of(keys.pop(0)))
        if name in ("TEXT", "BODY"):
            needle = value.lower().encode()
            return lambda seq, mail: needle in (
                mail.raw if name == "TEXT"
                else mime.Part(mail.raw).body).lower()
        if name in ("LARGER", "SMALLER") and value.isdigit():
            sign = 1 if name == "LARGER" else -1
            return lambda seq, mail: (len(mail.raw) - int(value)) * sign > 0
        if name in ("KEYWORD", "UNKEYWORD"):
            return lambda seq, mail: (value in mail.flags) == (
                name == "KEYWORD")
        if name == "UID":
            ranges = number_set(value, self.largest_uid)
            return lambda seq, mail: within(mail.uid, ranges)
        return self.dated(name, value)

    @staticmethod
    def dated(name, value):
        sent = name.startswith("SENT")
        compare = {
            "BEFORE": lambda have, want: have < want,
            "ON": lambda have, want: have == want,
            "SINCE": lambda have, want: have >= want,
        }.get(name[4:] if sent else name)
        if compare is None:
            raise Bad("unknown search key " + name)
        want = parse_date(value)
        return lambda seq, mail: compare(
            sent_date(mail) if sent else mail.date.date(), want)
