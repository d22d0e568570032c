"""The IMAP commands that work on mailboxes; imap.Session inherits them."""

import asyncio
import datetime
import email.utils
import re

import imap_fetch
from conn import Closed
from imap_parse import (Atom, Bad, String, number_set, quote, text_of,
                        within)
from imap_search import Search
from store import SPECIAL

PERMANENT = "\\Answered \\Deleted \\Draft \\Flagged \\Seen \\*"
SYSTEM = {f.lower(): f for f in
          ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")}
LARGE = 65536


class No(Exception):
    """A command that cannot be done: tagged NO."""


class Boxes:
    SELECTED = {"CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH", "FETCH",
                "STORE", "COPY", "MOVE", "UID"}

    def __init__(self, conn, state):
        self.conn = conn
        self.state = state
        self.user = None
        self.box = None
        self.readonly = False
        self.view = []              # the mails by sequence number
        self.versions = []          # of their flags, as the client has them
        self.last_uid = 0
        self.changes = 0
        self.idling = False

    def boxes(self):
        return self.user.store

    def find(self, argument):
        box = self.boxes().get(text_of(argument))
        if box is None:
            raise No("[NONEXISTENT] No such mailbox")
        return box

    # -- seeing what changed -----------------------------------------------

    def watch(self):
        """The mailbox changed: an idling client hears of it at once."""
        if self.idling:
            asyncio.get_running_loop().create_task(self.push())

    async def push(self):
        try:
            self.sync(True)
            await self.conn.flush()
        except Closed:
            pass

    def sync(self, expunges):
        """Tells the client what has changed since the last time."""
        if self.box is None or self.changes == self.box.changes:
            return
        complete = expunges or not any(m.expunged for m in self.view)
        if expunges:
            self.sync_expunged()
        self.sync_new()
        for i, mail in enumerate(self.view):
            if self.versions[i] != mail.version and not mail.expunged:
                self.versions[i] = mail.version
                self.conn.put(imap_fetch.flags_update(i + 1, mail, True))
        if complete:
            self.changes = self.box.changes

    def sync_expunged(self):
        i = 0
        while i < len(self.view):
            if self.view[i].expunged:
                del self.view[i], self.versions[i]
                self.conn.put("* %d EXPUNGE\r\n" % (i + 1))
            else:
                i += 1

    def sync_new(self):
        new = []
        for mail in reversed(self.box.mails):
            if mail.uid <= self.last_uid:
                break
            new.append(mail)
        if new:
            self.view += reversed(new)
            self.versions += [m.version for m in reversed(new)]
            self.last_uid = new[0].uid
            self.conn.put("* %d EXISTS\r\n" % len(self.view))
            self.conn.put("* %d RECENT\r\n" % sum(
                m.recent for m in self.view))

    # -- selecting ---------------------------------------------------------

    def deselect(self):
        if self.box:
            self.box.watchers.discard(self.watch)
            if not self.readonly:
                for mail in self.view:
                    mail.recent = False
        self.box, self.view, self.versions = None, [], []

    async def do_select(self, args, readonly=False):
        self.deselect()
        box = self.find(args[0])
        self.box, self.readonly = box, readonly
        self.view = list(box.mails)
        self.versions = [m.version for m in self.view]
        self.last_uid, self.changes = box.uidnext - 1, box.changes
        box.watchers.add(self.watch)
        first = next((i for i, m in enumerate(self.view, 1)
                      if "\\Seen" not in m.flags), None)
        put = self.conn.put
        put("* FLAGS (%s)\r\n" % PERMANENT.replace(" \\*", ""))
        put("* OK [PERMANENTFLAGS (%s)] Ok\r\n"
            % ("" if readonly else PERMANENT))
        put("* %d EXISTS\r\n* %d RECENT\r\n"
            % (len(self.view), sum(m.recent for m in self.view)))
        if first:
            put("* OK [UNSEEN %d] First unseen\r\n" % first)
        put("* OK [UIDVALIDITY %d] Ok\r\n" % box.uidvalidity)
        put("* OK [UIDNEXT %d] Ok\r\n" % box.uidnext)
        return ("OK [READ-ONLY] EXAMINE completed" if readonly
                else "OK [READ-WRITE] SELECT completed")

    async def do_examine(self, args):
        return await self.do_select(args, True)

    async def do_close(self, _args):
        if not self.readonly:
            self.box.expunge(lambda m: "\\Deleted" in m.flags)
        self.deselect()
        return "OK CLOSE completed"

    async def do_unselect(self, _args):
        self.deselect()
        return "OK UNSELECT completed"

    async def do_check(self, _args):
        return "OK CHECK completed"

    # -- mailboxes ---------------------------------------------------------

    async def do_namespace(self, _args):
        self.conn.put('* NAMESPACE (("" "/")) NIL NIL\r\n')
        return "OK NAMESPACE completed"

    def listing(self, verb, args, chosen):
        pattern = text_of(args[0]) + text_of(args[1])
        if not text_of(args[1]):
            self.conn.put('* %s (\\Noselect) "/" ""\r\n' % verb)
            return "OK %s completed" % verb
        expression = re.escape(pattern).replace("\\*", ".*").replace(
            "%", "[^/]*")
        test = re.compile(expression + "$", re.S | re.I if
                          pattern.upper() == "INBOX" else re.S)
        names = sorted(self.boxes().boxes)
        for name in names:
            box = self.boxes().boxes[name]
            if not test.match(name) or not chosen(box):
                continue
            below = any(n.startswith(name + "/") for n in names)
            flags = ["\\HasChildren" if below else "\\HasNoChildren"]
            if name in SPECIAL and self.state.settings["special_use"]:
                flags.append(SPECIAL[name])
            self.conn.put(b'* %s (%s) "/" %s\r\n' % (
                verb.encode(), " ".join(flags).encode(), quote(name)))
        return "OK %s completed" % verb

    async def do_list(self, args):
        return self.listing("LIST", args, lambda box: True)

    async def do_lsub(self, args):
        return self.listing("LSUB", args, lambda box: box.subscribed)

    async def do_status(self, args):
        box = self.find(args[0])
        known = {"MESSAGES": len(box.mails), "UIDNEXT": box.uidnext,
                 "RECENT": sum(m.recent for m in box.mails),
                 "UIDVALIDITY": box.uidvalidity,
                 "UNSEEN": len(box.unseen())}
        names = [text_of(a).upper() for a in args[1]]
        if not set(names) <= set(known):
            raise Bad("unknown status item")
        self.conn.put(b"* STATUS %s (%s)\r\n" % (
            quote(box.name),
            " ".join("%s %d" % (n, known[n]) for n in names).encode()))
        return "OK STATUS completed"

    async def do_create(self, args):
        if self.boxes().create(text_of(args[0]).rstrip("/")) is None:
            raise No("[ALREADYEXISTS] Mailbox exists")
        return "OK CREATE completed"

    async def do_delete(self, args):
        box = self.find(args[0])
        if box.name == "INBOX":
            raise No("INBOX stays")
        self.boxes().delete(box.name)
        return "OK DELETE completed"

    async def do_rename(self, args):
        box, new = self.find(args[0]), text_of(args[1])
        if box.name == "INBOX" or self.boxes().get(new):
            raise No("Cannot rename")
        self.boxes().rename(box.name, new)
        return "OK RENAME completed"

    async def do_subscribe(self, args):
        self.find(args[0]).subscribed = True
        return "OK SUBSCRIBE completed"

    async def do_unsubscribe(self, args):
        self.find(args[0]).subscribed = False
        return "OK UNSUBSCRIBE completed"

    async def do_append(self, args):
        box = self.boxes().get(text_of(args[0]))
        if box is None:
            raise No("[TRYCREATE] No such mailbox")
        if not isinstance(args[-1], String) or len(args) < 2:
            raise Bad("literal expected")
        flags, date = set(), None
        for argument in args[1:-1]:
            if isinstance(argument, list):
                flags = flags_of(argument)
            else:
                date = internal_date(text_of(argument))
        mail = box.add(bytes(args[-1]), flags, date)
        self.state.note("imap", "append", self.conn, mailbox=box.name,
                        size=len(mail.raw))
        return "OK [APPENDUID %d %d] APPEND completed" % (
            box.uidvalidity, mail.uid)

    async def do_idle(self, _args):
        self.sync(True)
        self.conn.put("+ idling\r\n")
        self.idling = True
        self.state.note("imap", "idle", self.conn)
        try:
            line = await self.conn.readline(1024)
        finally:
            self.idling = False
        if line.strip().upper() != b"DONE":
            raise Bad("DONE expected")
        return "OK IDLE completed"

    # -- messages ----------------------------------------------------------

    async def do_uid(self, args):
        verb = text_of(args[0]).upper()
        if verb not in ("FETCH", "STORE", "SEARCH", "COPY", "MOVE",
                        "EXPUNGE"):
            raise Bad("unknown UID command")
        return await getattr(self, "do_" + verb.lower())(args[1:], True)

    def chosen(self, argument, uid):
        """[(index, mail)] of a sequence or UID set."""
        text = text_of(argument)
        if uid:
            ranges = number_set(text, self.last_uid_seen())
            return [(i, m) for i, m in enumerate(self.view)
                    if within(m.uid, ranges)]
        found = []
        for low, high in number_set(text, len(self.view)):
            if not 1 <= low <= high <= len(self.view):
                raise Bad("no such message")
            found += range(low - 1, high)
        return [(i, self.view[i]) for i in sorted(set(found))]

    def last_uid_seen(self):
        return self.view[-1].uid if self.view else 0

    async def do_fetch(self, args, uid=False):
        items = imap_fetch.parse_items(args[1])
        if uid and "UID" not in items:
            items.insert(0, Atom("UID"))
        seen = imap_fetch.marks_seen(items) and not self.readonly
        for i, mail in self.chosen(args[0], uid):
            also = items
            if seen and "\\Seen" not in mail.flags:
                self.reflag(i, mail.flags | {"\\Seen"})
                if "FLAGS" not in items:
                    also = items + [Atom("FLAGS")]
            await self.send_fetch(i + 1, imap_fetch.render(mail, also))
        return "OK FETCH completed"

    async def send_fetch(self, number, pieces):
        fault = self.state.faults.take_for(self.conn, "fetch")
        if fault:
            whole = b"* %d FETCH (" % number + b"".join(pieces)
            await self.conn.send(whole[:fault.get("after_bytes", 1)])
            self.state.faults.drop(fault, self.conn, "before")
            await self.state.faults.play(fault, self.conn)
            await self.conn.send(
                whole[fault.get("after_bytes", 1):] + b")\r\n")
            return
        self.conn.put(b"* %d FETCH (" % number)
        for piece in pieces:
            if len(piece) > LARGE:
                await self.conn.send(piece)
            else:
                self.conn.put(piece)
        self.conn.put(b")\r\n")
        if len(self.conn.out) > LARGE:
            await self.conn.flush()

    def reflag(self, i, flags):
        """Changes flags; this client learns of it from us, not by sync."""
        mail = self.view[i]
        quiet = self.changes == self.box.changes
        before = mail.version
        mail.change_flags(flags)
        if mail.version != before:
            self.versions[i] = mail.version
            self.box.changed()
            if quiet:
                self.changes = self.box.changes

    async def do_store(self, args, uid=False):
        if self.readonly:
            raise No("[READ-ONLY] Mailbox is read-only")
        action, _, silent = text_of(args[1]).upper().partition(".")
        given = args[2] if isinstance(args[2], list) else args[2:]
        flags = flags_of(given)
        if action not in ("FLAGS", "+FLAGS", "-FLAGS") or (
                silent not in ("", "SILENT")):
            raise Bad("bad STORE item")
        for i, mail in self.chosen(args[0], uid):
            new = {"FLAGS": flags, "+FLAGS": mail.flags | flags,
                   "-FLAGS": mail.flags - flags}[action]
            self.reflag(i, set(new))
            if not silent:
                self.conn.put(imap_fetch.flags_update(i + 1, mail, uid))
        return "OK STORE completed"

    async def do_search(self, args, uid=False):
        test = Search(args, len(self.view), self.last_uid_seen()).compile()
        found = [mail.uid if uid else i
                 for i, mail in enumerate(self.view, 1) if test(i, mail)]
        self.conn.put("* SEARCH%s\r\n" % "".join(" %d" % n for n in found))
        return "OK SEARCH completed"

    def copy(self, args, uid):
        target = self.boxes().get(text_of(args[1]))
        if target is None:
            raise No("[TRYCREATE] No such mailbox")
        chosen = self.chosen(args[0], uid)
        pairs = [(m, target.add(m.raw, m.flags, m.date)) for _, m in chosen]
        code = "[COPYUID %d %s %s] " % (
            target.uidvalidity,
            ",".join(str(old.uid) for old, _ in pairs),
            ",".join(str(new.uid) for _, new in pairs)) if pairs else ""
        return code, pairs

    async def do_copy(self, args, uid=False):
        return "OK %sCOPY completed" % self.copy(args, uid)[0]

    async def do_move(self, args, uid=False):
        if self.readonly:
            raise No("[READ-ONLY] Mailbox is read-only")
        code, pairs = self.copy(args, uid)
        if code:
            self.conn.put("* OK %sMoved\r\n" % code)
        moved = {id(old) for old, _ in pairs}
        self.box.expunge(lambda m: id(m) in moved)
        self.sync(True)
        return "OK MOVE completed"

    async def do_expunge(self, args, uid=False):
        if self.readonly:
            raise No("[READ-ONLY] Mailbox is read-only")
        among = None
        if uid:
            among = {m.uid for _, m in self.chosen(args[0], True)}
        self.box.expunge(lambda m: "\\Deleted" in m.flags and (
            among is None or m.uid in among))
        self.sync(True)
        return "OK EXPUNGE completed"


def flags_of(argument):
    """System flags in their usual case; \\Recent cannot be set."""
    flags = set()
    for flag in argument:
        flag = text_of(flag)
        flags.add(SYSTEM.get(flag.lower(), flag))
    if any(f.startswith("\\") and f not in SYSTEM.values() for f in flags):
        raise Bad("unknown system flag")
    return flags


def internal_date(text):
    parsed = email.utils.parsedate_tz(text.strip().replace("-", " ", 2))
    if parsed is None:
        raise Bad("bad date-time")
    zone = datetime.timezone(datetime.timedelta(seconds=parsed[9] or 0))
    return datetime.datetime(*parsed[:6], tzinfo=zone)
