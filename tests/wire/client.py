"""Clients: one that sends any bytes and reads strictly, and crowds of them.

Every wait has a deadline; none sleeps.
"""

import collections
import re
import selectors
import socket
import struct
import threading
import time

import h1

DEADLINE_S = 30.0


class CacheStatus:
    """One member of Cache-Status (RFC 9211): `brink; hit; ttl=30`."""

    def __init__(self, text):
        parts = [part.strip() for part in text.split(";")]
        self.text = text
        self.node = parts[0]
        self.params = {}
        for part in parts[1:]:
            key, equals, value = part.partition("=")
            self.params[key] = value.strip('"') if equals else True

    hit = property(lambda self: self.params.get("hit", False))
    fwd = property(lambda self: self.params.get("fwd"))
    stored = property(lambda self: self.params.get("stored", False))
    collapsed = property(lambda self: self.params.get("collapsed", False))
    detail = property(lambda self: self.params.get("detail"))

    @property
    def ttl(self):
        return int(self.params["ttl"]) if "ttl" in self.params else None

    @property
    def fwd_status(self):
        return int(self.params["fwd-status"]) if "fwd-status" in self.params else None

    def __repr__(self):
        return self.text


class Response:
    """A response head and, as it comes, its body."""

    def __init__(self, head):
        line, _, rest = head.partition(b"\r\n")
        match = h1.STATUS_LINE.fullmatch(line)
        if match is None:
            raise h1.Malformed(f"status line {line!r}")
        self.minor = int(match[1])
        self.status = int(match[2])
        self.reason = match[3].decode("latin-1")
        self.fields = h1.parse_lines(rest)
        self.head = head
        self.body = b""
        self.received = 0  # body bytes, kept or not
        self.framing = None
        self.trailers = h1.Fields()
        self.interim = []
        self.first_body_s = None  # when the first body byte was there, monotonic

    def __getitem__(self, name):
        return self.fields[name]

    def get(self, name):
        return self.fields.get(name)

    @property
    def cache_status(self):
        """The member of Cache-Status that brink wrote: the last one."""
        values = self.fields.all("Cache-Status")
        assert values, f"no Cache-Status in {self.fields}"
        return CacheStatus(re.split(r",\s*(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", ", ".join(values))[-1])

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.received} bytes>"


class ResponseParser:
    """Bytes to one final response, its interim ones collected before it."""

    def __init__(self, method="GET", sink=None):
        self.method = method
        self.sink = sink  # called with body bytes instead of keeping them
        self.response = None
        self.body = None
        self.interim = []
        self.parts = []

    @property
    def done(self):
        return self.body is not None and self.body.done

    def feed(self, buf):
        """Takes what belongs to this response out of the bytearray `buf`."""
        while self.response is None:
            found = h1.split_head(buf)
            if found is None:
                return
            del buf[: found[1]]
            self._on_head(Response(found[0]))
        data = self.body.feed(buf)
        if data:
            self._on_data(data)
        if self.body.done:
            self._finish()

    def _on_head(self, response):
        if 100 <= response.status < 200 and response.status != 101:
            self.interim.append(response)
            return
        framing, length = h1.body_length(response.fields)
        if self.method == "HEAD" or response.status in (101, 204, 304):
            framing = "none"
        elif framing == "none":
            framing = "close"
        if framing == "chunked" and response.minor == 0:
            raise h1.Malformed("chunked in an HTTP/1.0 response")
        response.framing = framing
        response.interim = self.interim
        self.response = response
        self.body = h1.Body(framing, length)

    def _on_data(self, data):
        if self.response.first_body_s is None:
            self.response.first_body_s = time.monotonic()
        self.response.received += len(data)
        if self.sink:
            self.sink(data)
        else:
            self.parts.append(data)

    def _finish(self):
        self.response.body = b"".join(self.parts)
        self.response.trailers = self.body.trailers

    def eof(self):
        """The connection ended."""
        if self.response is not None and self.response.framing == "close":
            self.body.done = True
            self._finish()
        elif not self.done:
            where = "before a head" if self.response is None else "inside a body"
            if self.response is not None:
                self._finish()
            raise h1.Truncated(f"the connection ended {where}", self)


def request_bytes(method, target, fields=None, body=None, host="site.test", chunked=False):
    """A whole request. `fields`: dict or pairs; a Host of its own replaces `host`."""
    pairs = list(fields.items() if isinstance(fields, dict) else (fields or []))
    if host is not None and not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", host))
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
        body = b"".join(chunk(part) for part in body) + b"0\r\n\r\n"
    elif body is not None:
        pairs.append(("Content-Length", len(body)))
    line = f"{method} {target} HTTP/1.1\r\n".encode("latin-1")
    return line + h1.field_lines(pairs) + b"\r\n" + (body or b"")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Client:
    """One connection. Requests may be pipelined; responses come in their order."""

    def __init__(self, port, address="127.0.0.1", source=None, rcvbuf=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(DEADLINE_S)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect((address, port))
        self.buf = bytearray()
        self.methods = collections.deque()
        self.parser = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Any bytes; `answers` is not known of them, so see expect()."""
        self.sock.settimeout(DEADLINE_S)
        self.sock.sendall(data)

    def expect(self, *methods):
        """Responses to these methods will come, for requests sent as bytes."""
        self.methods.extend(methods)

    def send_request(self, method, target, fields=None, body=None, **how):
        self.methods.append(method)
        self.send(request_bytes(method, target, fields, body, **how))

    def request(self, method, target, fields=None, body=None, **how):
        self.send_request(method, target, fields, body, **how)
        return self.read_response()

    def get(self, target, fields=None, **how):
        return self.request("GET", target, fields, **how)

    def _receive(self, deadline, most=262144):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer in time: {self.parser and self.parser.response}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(most)
        except ConnectionResetError:
            data = b""
        return data

    def _read_until(self, wanted, timeout, most=262144, sink=None):
        deadline = time.monotonic() + timeout
        if self.parser is None:
            self.parser = ResponseParser(self.methods.popleft() if self.methods else "GET", sink)
        parser = self.parser
        parser.feed(self.buf)
        while not wanted(parser) and not parser.done:
            data = self._receive(deadline, most)
            if not data:
                self.parser = None
                parser.eof()
                return parser.response
            self.buf += data
            parser.feed(self.buf)
        return parser.response

    def read_head(self, timeout=DEADLINE_S):
        """The head of the next final response; its body stays to be read."""
        return self._read_until(lambda parser: parser.response is not None, timeout)

    def read_interim(self, timeout=DEADLINE_S):
        """The next 1xx response."""
        self._read_until(lambda parser: parser.interim or parser.response is not None, timeout)
        assert self.parser and self.parser.interim, "a final response came instead of a 1xx"
        return self.parser.interim[-1]

    def read_body(self, at_least, most=262144, timeout=DEADLINE_S):
        """Until so many body bytes in all are there; what is there of the body."""
        response = self._read_until(
            lambda parser: parser.response is not None and parser.response.received >= at_least,
            timeout, most)
        return b"".join(self.parser.parts) if self.parser else response.body

    def read_response(self, timeout=DEADLINE_S, sink=None):
        """The next response whole. Truncated when the connection ends inside it."""
        response = self._read_until(lambda parser: parser.done, timeout, sink=sink)
        self.parser = None
        return response

    def read_into(self, parser, wanted, timeout=DEADLINE_S, most=262144):
        """The next response into a parser of the caller's, until wanted(parser) or its end."""
        if self.parser is not parser:
            self.methods.popleft()
            self.parser = parser
        self._read_until(wanted, timeout, most)
        if parser.done:
            self.parser = None

    def receive(self, timeout=DEADLINE_S):
        """The next bytes, whatever they are; none at the end of the connection."""
        return self._receive(time.monotonic() + timeout)

    def expect_closed(self, timeout=DEADLINE_S):
        """Nothing more comes and the connection ends."""
        deadline = time.monotonic() + timeout
        data = bytes(self.buf) or self._receive(deadline)
        assert not data, f"bytes instead of the end of the connection: {data[:200]!r}"

    def reset(self):
        """End with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Member:
    """One of a crowd: a connection with one GET, and what came of it."""

    def __init__(self, port, target, fields):
        self.target = target
        self.got = bytearray()
        self.parser = ResponseParser("GET")
        self.buf = bytearray()
        self.out = request_bytes("GET", target, fields)
        self.error = None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))

    response = property(lambda self: self.parser.response)
    done = property(lambda self: self.error is not None or self.parser.done)

    def on_ready(self, events):
        """What the socket is good for now; the events wanted next."""
        try:
            if self.out and events & selectors.EVENT_WRITE:
                self.out = self.out[self.sock.send(self.out):]
            elif events & selectors.EVENT_READ:
                data = self.sock.recv(262144)
                if data:
                    self.buf += data
                    self.parser.feed(self.buf)
                else:
                    self.parser.eof()
        except BlockingIOError:
            pass
        except (OSError, h1.Malformed, h1.Truncated) as error:
            self.error = error
        return selectors.EVENT_WRITE if self.out else selectors.EVENT_READ


class Crowd:
    """Many clients at once, each with a connection and one GET, driven by a thread of its own."""

    def __init__(self, port, targets, fields=None):
        self.port = port
        self.targets = targets
        self.fields = fields
        self.members = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.deadline = None

    def start(self, timeout=120.0):
        self.deadline = time.monotonic() + timeout
        self.thread.start()
        return self

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for target in self.targets:
                member = Member(self.port, target, self.fields)
                selector.register(member.sock, selectors.EVENT_WRITE, member)
                self.members.append(member)
            while selector.get_map() and time.monotonic() < self.deadline:
                for key, events in selector.select(timeout=1.0):
                    self._serve(selector, key, events)
        for member in self.members:
            member.sock.close()
            if not member.done:
                member.error = TimeoutError("not answered in time")

    @staticmethod
    def _serve(selector, key, events):
        member = key.data
        wanted = member.on_ready(events)
        if member.done:
            selector.unregister(member.sock)
            member.sock.close()
        elif wanted != key.events:
            selector.modify(member.sock, wanted, member)

    def join(self):
        """Everybody's outcome, in the order of the targets."""
        self.thread.join()
        return self.members


def load(port, targets, check, threads=8):
    """GET every target over `threads` keep-alive connections. `check(target, response)` asserts;
    the list of everything that went wrong, as (target, exception)."""
    todo = collections.deque(targets)
    faults = []

    def work():
        client = None
        while True:
            try:
                target = todo.popleft()
            except IndexError:
                break
            try:
                client = client or Client(port)
                response = client.get(target)
                check(target, response)
                if (response.get("Connection") or "").lower() == "close":
                    client.close()
                    client = None
            except Exception as fault:  # every kind is reported to the test
                faults.append((target, fault))
                if client:
                    client.close()
                client = None
        if client:
            client.close()

    pool = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    return faults
