"""The scripted origin: every byte it sends is the test's choice, every request it gets is kept.

Two ways to use it. A path given to serve() is answered at once, as a table says. Any other request
waits for the test: next_request() hands it over as a Held, which the test answers, in pieces or
wrongly if it likes. What brink sends is read strictly: a malformed request fails the test.
"""

import queue
import select
import socket
import struct
import threading
import time

import h1
from client import DEADLINE_S, chunk
from ports import free_port

REASONS = {200: "OK", 206: "Partial Content", 304: "Not Modified", 404: "Not Found"}


def reply_head(status, fields=None):
    return b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, "Status").encode()) + \
        h1.field_lines(fields) + b"\r\n"


def reply_bytes(method, status, fields=None, body=b"", chunked=False):
    """A whole response. Content-Length or the coding is added, nothing else."""
    pairs = list(fields.items() if isinstance(fields, dict) else (fields or []))
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
        body = (chunk(body) if body else b"") + b"0\r\n\r\n"
    elif status not in (204, 304) and not any(n.lower() == "content-length" for n, _ in pairs):
        pairs.append(("Content-Length", len(body)))
    empty = method == "HEAD" or status in (204, 304)
    return reply_head(status, pairs) + (b"" if empty else body)


class Held:
    """One request, and the way to answer it. Its methods run on the caller's thread."""

    def __init__(self, conn, head, nth):
        line, _, rest = head.partition(b"\r\n")
        match = h1.REQUEST_LINE.fullmatch(line)
        if match is None:
            raise h1.Malformed(f"request line {line!r}")
        self.method = match[1].decode()
        self.target = match[2].decode()
        self.minor = int(match[3])
        self.fields = h1.parse_lines(rest)
        if len(self.fields.all("Host")) != 1:
            raise h1.Malformed(f"not exactly one Host: {self.fields}")
        self.head = head
        self.conn = conn
        self.nth = nth  # position on its connection, from 0
        self.at_s = time.monotonic()
        self._body = h1.Body(*h1.body_length(self.fields))
        self._whole = b""
        self._closing = False
        self.done = threading.Event()

    def __getitem__(self, name):
        return self.fields[name]

    def get(self, name):
        return self.fields.get(name)

    # --- the request body

    def read_body_some(self):
        """The next decoded bytes of the body; empty at its end."""
        while not self._body.done:
            data = self._body.feed(self.conn.buf)
            if data:
                return data
            if not self._body.done and not self.conn.receive():
                raise h1.Truncated("the request body ended early")
        return b""

    def body_parts(self):
        return iter(self.read_body_some, b"")

    @property
    def body(self):
        """The whole request body, read when first asked for."""
        self._whole += b"".join(self.body_parts())
        return self._whole

    # --- the answer

    def reply(self, status=200, fields=None, body=b"", chunked=False, close=False):
        """A whole response."""
        self.send(reply_bytes(self.method, status, fields, body, chunked))
        self.finish(close)

    def start(self, status=200, fields=None, length=None):
        """The head alone: with `length`, or chunked; bodies by send() or send_chunk()."""
        pairs = list(fields.items() if isinstance(fields, dict) else (fields or []))
        pairs.append(("Transfer-Encoding", "chunked") if length is None
                     else ("Content-Length", length))
        self.send(reply_head(status, pairs))

    def send(self, data):
        self.conn.sock.sendall(data)

    def send_chunk(self, data):
        self.send(chunk(data))

    def trickle(self, data, over_s, pieces):
        """`data` in `pieces`, evenly over `over_s` seconds."""
        began = time.monotonic()
        size = -(-len(data) // pieces)
        for i in range(pieces):
            pause = began + over_s * i / pieces - time.monotonic()
            if pause > 0:
                self.done.wait(pause)
            self.send(data[i * size:(i + 1) * size])

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def finish(self, close=False):
        """The answer is out; the connection serves the next request or ends with FIN."""
        self._closing = close
        self.done.set()

    def abort(self):
        """RST."""
        self.conn.reset()
        self.finish(close=True)

    def close(self):
        """FIN, whatever was sent so far."""
        self.finish(close=True)

    def is_abandoned(self, timeout=DEADLINE_S):
        """brink ended this connection (within the time)."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.conn.sock], [], [], left)[0]:
                return False
            try:
                if not self.conn.sock.recv(65536):
                    return True
            except OSError:
                return True

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields}>"


class Connection:
    """One connection from brink, served by a thread."""

    def __init__(self, origin, sock):
        self.origin = origin
        self.sock = sock
        self.buf = bytearray()
        self.requests = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def receive(self):
        """More bytes into buf; False at the end."""
        data = self.sock.recv(262144)
        self.buf += data
        return bool(data)

    def _run(self):
        try:
            while self._serve_one():
                pass
        except h1.Malformed as fault:
            self._blame(fault)
        except h1.Truncated as fault:
            if not self.ended.is_set():  # else it was the test that cut it
                self._blame(fault)
        except (OSError, ValueError):  # reset, or closed by stop()
            pass
        finally:
            self.close()

    def _blame(self, fault):
        self.origin.faults.append(f"{type(fault).__name__}: {fault}")

    def _serve_one(self):
        """One request answered; False when the connection is to end."""
        while (found := h1.split_head(self.buf)) is None:
            if not self.receive():
                return False
        del self.buf[: found[1]]
        held = Held(self, found[0], self.requests)
        self.requests += 1
        self.origin.take(held)
        held.done.wait()
        if held._closing:
            return False
        for _ in held.body_parts():
            pass
        return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        """FIN (or RST after reset()); a thread that waits for bytes wakes up."""
        try:
            if not self.ended.is_set():
                self.ended.set()
                lingers = struct.unpack("ii", self.sock.getsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, 8))[0]
                if not lingers:
                    self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Origin:
    """Listens on a free port of 127.0.0.1 until stop(); start() takes the same port again."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.requests = []  # everything that came, in order
        self.connections = []
        self.faults = []  # what brink sent wrongly
        self._waiting = queue.Queue()
        self._table = {}
        self._rules = []
        self._lock = threading.Lock()
        self._listener = None
        self.start()

    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def start(self):
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(1024)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self):
        """Refuse new connections and end the open ones."""
        if self._listener is None:
            return
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._listener = None
        for conn in self.connections:
            conn.close()
        for held in self.requests:
            held.finish(close=True)

    def close_idle(self):
        """End every connection that is open, as an origin does after its keep-alive time."""
        for conn in self.connections:
            conn.close()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Connection(self, sock)
            with self._lock:
                self.connections.append(conn)
            conn.thread.start()

    def serve(self, path, status=200, fields=None, body=b"", **how):
        """Answer `path` (or path?query) always like this, without asking the test."""
        self._table[path] = lambda held: held.reply(status, fields, body, **how)

    def serve_with(self, path, answer):
        """Answer `path` by answer(held), on the connection's thread."""
        self._table[path] = answer

    def serve_all(self, matches, answer):
        """Answer every target for which matches(target) is true by answer(held)."""
        self._rules.append((matches, answer))

    def forget(self, path):
        """`path` waits for the test again."""
        del self._table[path]

    def take(self, held):
        """A request came: answer it by the table or hand it to the test."""
        with self._lock:
            self.requests.append(held)
        path = held.target.partition("?")[0]
        answer = self._table.get(held.target) or self._table.get(path)
        for matches, rule in self._rules:
            if answer is None and matches(held.target):
                answer = rule
        if answer is None:
            self._waiting.put(held)
            return
        for part in held.body_parts():
            held._whole += part
        answer(held)

    def next_request(self, timeout=DEADLINE_S):
        """The next request that the table does not answer."""
        try:
            return self._waiting.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no request reached the origin; so far: {self.requests}") from None

    def targets(self):
        with self._lock:
            return [held.target for held in self.requests]

    def count(self, target=None):
        """How many requests came (for that target)."""
        return sum(1 for seen in self.targets() if target in (None, seen))
