"""A small HTTP/1.1 server: enough for OAuth clients and the control port.

A handler takes a Request and returns a Response; connections are kept open
when the client allows it.
"""

import email.utils
import html
import json
import time
import urllib.parse

from conn import Closed, LineTooLong

MAX_HEADER = 65536
MAX_BODY = 64 << 20
REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 302: "Found",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    413: "Content Too Large", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout",
    511: "Network Authentication Required",
}


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        self.headers = headers
        self.body = body
        split = urllib.parse.urlsplit(target)
        self.path = split.path
        self.query = one_each(split.query)
        self.twice = repeated(split.query)

    def form(self):
        """The posted form; a repeated parameter is left in self.twice."""
        text = self.body.decode("utf-8", "replace")
        self.twice |= repeated(text)
        return one_each(text)

    def json(self):
        return json.loads(self.body) if self.body else {}


class Response:
    def __init__(self, status=200, body=b"", content_type=None, headers=()):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers)
        if content_type:
            self.headers.setdefault("Content-Type", content_type)


def one_each(text):
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


def repeated(text):
    names = [k for k, _ in
             urllib.parse.parse_qsl(text, keep_blank_values=True)]
    return {name for name in names if names.count(name) > 1}


def json_response(value, status=200, headers=()):
    return Response(status, json.dumps(value) + "\n", "application/json",
                    headers)


def redirect(url):
    return Response(302, headers={"Location": url, "Cache-Control":
                                  "no-store"})


def with_query(url, **fields):
    pairs = [(k, v) for k, v in fields.items() if v is not None]
    joint = "&" if urllib.parse.urlsplit(url).query else "?"
    return url + joint + urllib.parse.urlencode(pairs)


def page(title, inside, status=200):
    return Response(
        status,
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<title>%s</title><h1>%s</h1>%s</html>\n"
        % (html.escape(title), html.escape(title), inside),
        "text/html; charset=utf-8", {"Cache-Control": "no-store"})


class Bad(Exception):
    """The request cannot be read; status says how."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


async def read_head(conn):
    try:
        first = (await conn.readline(MAX_HEADER)).decode("latin-1").split()
        headers = {}
        while True:
            line = (await conn.readline(MAX_HEADER)).decode("latin-1").strip()
            if not line:
                break
            name, colon, value = line.partition(":")
            if not colon or len(headers) > 200:
                raise Bad(400)
            headers[name.lower()] = value.strip()
    except LineTooLong:
        raise Bad(413) from None
    if len(first) != 3 or not first[2].startswith("HTTP/1."):
        raise Bad(400)
    return first, headers


async def read_request(conn):
    (method, target, version), headers = await read_head(conn)
    if "transfer-encoding" in headers:
        raise Bad(400)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise Bad(413)
    if headers.get("expect", "").lower() == "100-continue":
        await conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    request = Request(method, target, headers,
                      await conn.read_exactly(int(length)))
    wish = headers.get("connection", "").lower()
    request.keep = wish != "close" and (version != "HTTP/1.0"
                                        or wish == "keep-alive")
    return request


def encode(response, keep, date_offset=0):
    lines = ["HTTP/1.1 %d %s" % (response.status,
                                 REASONS.get(response.status, "Status")),
             "Date: " + email.utils.formatdate(time.time() + date_offset,
                                               usegmt=True),
             "Content-Length: %d" % len(response.body),
             "Connection: " + ("keep-alive" if keep else "close")]
    lines += ["%s: %s" % item for item in response.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body


async def serve(conn, handler, state):
    """Requests of one connection, until either side has enough. handler may
    raise Closed after cutting the connection."""
    while True:
        try:
            request = await read_request(conn)
        except Bad as bad:
            conn.put(encode(Response(bad.status), False))
            await conn.close("bad request")
            return
        request.conn = conn
        response = await handler(request)
        offset = state.settings["date_offset"]
        head_only = request.method == "HEAD"
        data = encode(response, request.keep, offset)
        if head_only:
            data = data[:len(data) - len(response.body)]
        await conn.send(data)
        if not request.keep:
            await conn.close("done")
            raise Closed("done")
