"""The queue of faults, and how they are carried out.

A fault names a protocol and a stage, may be narrowed by match, counts down
times (0: until it is cleared) and lets the first skip events pass. The first
fault in the queue that fits is used. README.md lists fields and stages.
"""

import asyncio
import json
import os
import secrets

from conn import Closed
from state import BadRequest

PROTOCOLS = ("smtp", "imap", "oauth")
FIELDS = {
    "preset", "aadsts", "protocol", "stage", "match", "times", "skip",
    "reply", "close", "reset", "delay", "drop", "record", "stall", "garbage",
    "flood", "challenge", "inject", "status", "headers", "body", "json",
    "content_type", "after_bytes", "note", "cleared_by", "cut_after_read",
    "cut_after_written", "pause",
}
ACTIONS = FIELDS - {"preset", "aadsts", "protocol", "stage", "match", "times",
                    "skip", "note", "cleared_by", "record"}

LIMITS = {"cut_after_read", "cut_after_written", "pause"}


class Presets:
    def __init__(self, path=None):
        path = path or os.path.join(os.path.dirname(
            os.path.abspath(__file__)), "replies.json")
        with open(path) as file:
            data = json.load(file)
        self.named = {row["name"]: row for row in data["presets"]}
        self.aadsts = data["aadsts"]

    def get(self, name):
        if name not in self.named:
            raise BadRequest("no such preset: %s" % name)
        row = dict(self.named[name])
        row.pop("name")
        row.pop("about", None)
        return row

    def entra(self, code):
        """The token endpoint's error body for one AADSTS code."""
        row = self.aadsts.get(str(code))
        if row is None:
            raise BadRequest("no such AADSTS code: %s" % code)
        error, text = row
        return {
            "error": error,
            "error_description":
                "AADSTS%s: %s Trace ID: 00000000-0000-4000-8000-000000000001"
                " Correlation ID: 00000000-0000-4000-8000-000000000002"
                " Timestamp: 2026-01-01 00:00:00Z" % (code, text),
            "error_codes": [int(code)],
            "timestamp": "2026-01-01 00:00:00Z",
            "trace_id": "00000000-0000-4000-8000-000000000001",
            "correlation_id": "00000000-0000-4000-8000-000000000002",
            "error_uri":
                "https://login.microsoftonline.com/error?code=%s" % code,
        }


class Fault:
    def __init__(self, number, fields):
        self.number = number
        self.fields = fields
        self.match = fields.get("match", {})
        self.left = fields.get("times", 1) or None
        self.skip = fields.get("skip", 0)
        self.hits = 0

    def get(self, key, default=None):
        return self.fields.get(key, default)

    def fits(self, protocol, stage, facts):
        wanted = self.fields["stage"]
        if self.fields["protocol"] != protocol or wanted not in (stage, "any"):
            return False
        for key, value in self.match.items():
            have = facts.get(key)
            if have is None or str(have).lower() != str(value).lower():
                return False
        return True

    def as_json(self):
        return dict(self.fields, id=self.number, left=self.left,
                    skip=self.skip, hits=self.hits)


class Faults:
    def __init__(self, state):
        self.state = state
        self.presets = Presets()
        self.queue = []
        self.number = 0
        self.generation = 0

    def add(self, request):
        fields = {}
        if "aadsts" in request:
            fields = {"protocol": "oauth", "stage": "token", "status": 400,
                      "json": self.presets.entra(request["aadsts"])}
        if "preset" in request:
            fields = self.presets.get(request["preset"])
        fields.update(request)
        unknown = set(fields) - FIELDS
        if unknown:
            raise BadRequest("no such field: " + ", ".join(sorted(unknown)))
        if fields.get("protocol") not in PROTOCOLS or not fields.get("stage"):
            raise BadRequest("a fault needs a protocol (%s) and a stage"
                             % ", ".join(PROTOCOLS))
        if not set(fields) & ACTIONS:
            raise BadRequest("a fault needs something to do: "
                             + ", ".join(sorted(ACTIONS)))
        self.number += 1
        fault = Fault(self.number, fields)
        self.queue.append(fault)
        return fault

    def clear(self, number=None, cleared_by=None):
        """All, or one by its number, or those that an act clears. Whoever is
        stalled goes on."""
        kept = [f for f in self.queue
                if (number is not None and f.number != number)
                or (cleared_by and f.get("cleared_by") != cleared_by)]
        self.queue = kept
        self.generation += 1

    def take(self, protocol, stage, **facts):
        """The fault for this event, or None."""
        for fault in self.queue:
            if not fault.fits(protocol, stage, facts):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.hits += 1
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self.queue.remove(fault)
            return fault
        return None

    def take_for(self, conn, stage, **facts):
        """take() for a mail connection, with its user; writes the log."""
        if not self.queue:
            return None
        if conn.user:
            facts.setdefault("user", conn.user.address)
        facts.setdefault("port", conn.listener)
        fault = self.take(conn.protocol, stage, **facts)
        if fault:
            self.state.note(conn.protocol, "fault", conn, stage=stage,
                            fault=fault.number, preset=fault.get("preset"))
        return fault

    # -- carrying out, on a mail connection ---------------------------------

    async def stall(self, conn, seconds):
        """Says and reads nothing for that time (true: until cleared)."""
        generation = self.generation
        loop = asyncio.get_running_loop()
        end = loop.time() + (3600 if seconds is True else seconds)
        while loop.time() < end and self.generation == generation:
            if conn.peer_gone():
                conn.abort("peer left while stalled")
                raise Closed(conn.closed)
            await asyncio.sleep(0.05)

    async def play(self, fault, conn, tag=None):
        """Carries out everything but drop and record. True when the peer
        has had its answer; False when work should go on as if nothing was.
        Raises Closed when the connection is over."""
        if set(fault.fields) & LIMITS:
            conn.limit(fault.get("cut_after_read"),
                       fault.get("cut_after_written"),
                       bool(fault.get("reset")), fault.get("pause", 0))
            if fault.get("reply") is None:
                return False
            conn.put(wire_reply(fault.get("reply"), tag))
            return True
        if fault.get("delay"):
            await conn.flush()
            await self.stall(conn, fault.get("delay"))
        if fault.get("stall"):
            await conn.flush()
            await self.stall(conn, fault.get("stall"))
        answered = False
        if fault.get("garbage"):
            await conn.send(secrets.token_bytes(fault.get("garbage")))
            answered = True
        if fault.get("flood"):
            await self.flood(conn, fault.get("flood"))
            answered = True
        if fault.get("reply") is not None:
            conn.put(wire_reply(fault.get("reply"), tag))
            answered = True
        if fault.get("reset"):
            await conn.flush()
            conn.abort("fault", reset=True)
            raise Closed(conn.closed)
        if fault.get("close"):
            await conn.close("fault")
            raise Closed(conn.closed)
        return answered

    @staticmethod
    async def flood(conn, count):
        """count bytes, no line feed among them."""
        block = b"flood " * 10923
        while count > 0:
            await conn.send(block[:min(count, len(block))])
            count -= len(block)

    @staticmethod
    def drop(fault, conn, when):
        """Cuts the connection if the fault says so for this moment."""
        if fault and fault.get("drop") == when:
            conn.abort("fault", reset=bool(fault.get("reset")))
            raise Closed(conn.closed)


def wire_reply(reply, tag=None):
    """Lines as they go out. With a tag (IMAP), a line that is neither
    untagged nor a continuation gets it."""
    lines = reply if isinstance(reply, list) else [reply]
    out = []
    for line in lines:
        if tag is not None and not line.startswith(("* ", "+ ")):
            line = "%s %s" % (tag, line)
        out.append(line + "\r\n")
    return "".join(out)
