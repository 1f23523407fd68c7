"""An origin that keeps every byte it was sent and answers each whole request with a text of its own.

For requests that are odd on purpose: nothing here depends on what a test expects. A request counts
as seen when it is whole; what a connection ended in the middle of is kept as broken.
"""

import socket
import threading

import h1


class Seen:
    """One whole request as brink wrote it."""

    def __init__(self, head, body, chunk_lines):
        self.head = head  # without the empty line
        self.body = body
        self.chunk_lines = chunk_lines  # of chunked coding, else None

    @property
    def line(self):
        return self.head.partition(b"\r\n")[0]

    def __repr__(self):
        return f"{self.head!r} + {self.body[:200]!r}"


def answer_to(method, target, host, body=b""):
    """What the recorder answers: it names the request, so that a mixed-up answer is noticed."""
    return b"%s %s at %s with %d bytes" % (method, target, host, len(body))


class Recorder:
    """Listens on a free port until stop()."""

    def __init__(self):
        self.seen = []  # whole requests, in their order
        self.broken = []  # bytes of requests that were cut off
        self.faults = []  # what was no HTTP/1.1
        self._lock = threading.Lock()
        self._conns = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def stop(self):
        """No more connections; returns when every thread has seen the end of its own."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock, thread in self._conns:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            thread.join(10)
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._conns.append((sock, thread))
            thread.start()

    def _serve(self, sock):
        reader = Reader(sock)
        try:
            while (seen := reader.read_request()) is not None:
                with self._lock:
                    self.seen.append(seen)
                sock.sendall(self._answer(seen))
        except h1.Malformed as fault:
            self.faults.append(str(fault))
        except OSError:
            pass
        if reader.raw:
            self.broken.append(bytes(reader.raw))
        try:
            sock.shutdown(socket.SHUT_RDWR)  # close() alone would leave it to stop()
        except OSError:
            pass

    @staticmethod
    def _answer(seen):
        method, target, _ = seen.line.split(b" ")
        host = h1.parse_lines(seen.head.partition(b"\r\n")[2])["Host"].encode()
        body = answer_to(method, target, host, seen.body)
        head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n" % len(body)
        return head if method == b"HEAD" else head + body


class Reader:
    """Requests off a socket, read strictly; `raw` is what came of an unfinished one."""

    def __init__(self, sock):
        self.sock = sock
        self.raw = bytearray()

    def _until(self, find):
        """The position that find(raw) gives once there are bytes enough; None at the end."""
        while (at := find(self.raw)) < 0:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.raw += data
        return at

    def read_request(self):
        end = self._until(lambda raw: raw.find(b"\r\n\r\n"))
        if end is None:
            return None
        head = bytes(self.raw[:end])
        if h1.REQUEST_LINE.fullmatch(head.partition(b"\r\n")[0]) is None:
            raise h1.Malformed(f"request line of {head!r}")
        fields = h1.parse_lines(head.partition(b"\r\n")[2])
        framing, length = h1.body_length(fields)
        if framing == "chunked":
            return self._read_chunks(head, end + 4)
        length = length or 0
        if self._until(lambda raw: 0 if len(raw) >= end + 4 + length else -1) is None:
            return None
        body = bytes(self.raw[end + 4:end + 4 + length])
        del self.raw[:end + 4 + length]
        return Seen(head, body, None)

    def _read_chunks(self, head, at):
        body, lines = [], []
        while True:
            end = self._until(lambda raw, at=at: raw.find(b"\r\n", at))
            if end is None:
                return None
            lines.append(bytes(self.raw[at:end]))
            if h1.CHUNK_LINE.fullmatch(lines[-1]) is None:
                raise h1.Malformed(f"chunk line {lines[-1]!r}")
            size, at = int(lines[-1].partition(b";")[0], 16), end + 2
            if self._until(lambda raw, to=at + size + 2: 0 if len(raw) >= to else -1) is None:
                return None
            if self.raw[at + size:at + size + 2] != b"\r\n":
                raise h1.Malformed("no CRLF after chunk data, or a trailer")
            body.append(bytes(self.raw[at:at + size]))
            at += size + 2
            if size == 0:
                del self.raw[:at]
                return Seen(head, b"".join(body), lines)
