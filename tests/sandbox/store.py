"""The mailboxes of one user, in memory."""

import datetime
import itertools

SPECIAL = {"Sent": "\\Sent", "Drafts": "\\Drafts", "Trash": "\\Trash"}
validity = itertools.count(1)


class Mail:
    """A message in a mailbox. raw may be shared with other mailboxes."""

    __slots__ = ("raw", "uid", "flags", "date", "version", "expunged",
                 "recent")

    def __init__(self, raw, uid, flags, date):
        self.raw = raw
        self.uid = uid
        self.flags = set(flags)
        self.date = date
        self.version = 0
        self.expunged = False
        self.recent = True

    def change_flags(self, flags):
        if flags != self.flags:
            self.flags = flags
            self.version += 1


class Mailbox:
    def __init__(self, name):
        self.name = name
        self.uidvalidity = next(validity)
        self.uidnext = 1
        self.mails = []
        self.subscribed = True
        self.changes = 0
        self.watchers = set()       # called with no argument on each change

    def add(self, raw, flags=(), date=None):
        date = date or datetime.datetime.now().astimezone()
        mail = Mail(raw, self.uidnext, flags, date)
        self.uidnext += 1
        self.mails.append(mail)
        self.changed()
        return mail

    def expunge(self, chosen):
        """Removes the mails that chosen(mail) picks."""
        gone = [mail for mail in self.mails if chosen(mail)]
        for mail in gone:
            mail.expunged = True
        if gone:
            self.mails = [m for m in self.mails if not m.expunged]
            self.changed()
        return gone

    def changed(self):
        self.changes += 1
        for watcher in list(self.watchers):
            watcher()

    def unseen(self):
        return [m for m in self.mails if "\\Seen" not in m.flags]

    def as_json(self, digest):
        return [{"uid": m.uid, "size": len(m.raw), "sha256": digest(m.raw),
                 "flags": sorted(m.flags)} for m in self.mails]


class Store:
    def __init__(self):
        self.boxes = {}
        self.reset()

    def reset(self):
        old = self.boxes
        self.boxes = {name: Mailbox(name) for name in ("INBOX", *SPECIAL)}
        for box in old.values():
            box.expunge(lambda mail: True)

    @staticmethod
    def canonical(name):
        return "INBOX" if name.upper() == "INBOX" else name

    def get(self, name):
        return self.boxes.get(self.canonical(name))

    def create(self, name):
        name = self.canonical(name)
        if name in self.boxes or not name:
            return None
        self.boxes[name] = Mailbox(name)
        return self.boxes[name]

    def deliver(self, name, raw, flags=()):
        box = self.get(name) or self.create(name)
        return box.add(raw, flags)

    def delete(self, name):
        box = self.boxes.pop(name)
        box.expunge(lambda mail: True)

    def rename(self, old, new):
        box = self.boxes.pop(old)
        box.name = new
        self.boxes[new] = box


def synthetic(size, subject="Synthetic message", sender=None, rcpt=None,
              number=1):
    """A valid message of exactly size octets (at least its header)."""
    head = ("From: %s\r\nTo: %s\r\nSubject: %s\r\n"
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
            "Message-ID: <synthetic-%d@example.test>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
            % (sender or "alice@example.test", rcpt or "demo@example.test",
               subject, number)).encode()
    left = size - len(head)
    if left < 2:
        return head
    line = b"The quick brown fox jumps over the lazy dog, and over again" \
           b" it jumps now.\r\n"
    body = line * (left // len(line))
    rest = left - len(body)
    if rest == 1:
        body = body[:-2] + b".\r\n"
    elif rest:
        body += b"x" * (rest - 2) + b"\r\n"
    return head + body
