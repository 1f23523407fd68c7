"""HTTP/1.1 framing as strictly as the RFCs write it, for the scripted origin and the client.

Nothing is repaired: whatever brink sends that is not exactly right raises Malformed and so fails the
test that saw it. RFC 9112 sections 2 to 7.
"""

import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e]*)?")
HEAD_MAX = 256 * 1024


class Malformed(Exception):
    """The peer sent what HTTP/1.1 does not allow."""


class Truncated(Exception):
    """The connection ended inside a message. `parser` holds what came."""

    def __init__(self, text, parser=None):
        super().__init__(text)
        self.parser = parser


class Fields:
    """The field lines of a head, in the order received, names compared without case."""

    def __init__(self, items=()):
        self.items = [(str(name), str(value)) for name, value in items]

    def all(self, name):
        """Every value of the fields of that name."""
        return [value for key, value in self.items if key.lower() == name.lower()]

    def get(self, name):
        """The value of the only field of that name; None when there is none."""
        values = self.all(name)
        if len(values) > 1:
            raise Malformed(f"{len(values)} fields named {name}: {values}")
        return values[0] if values else None

    def names(self):
        return [name.lower() for name, _ in self.items]

    def __contains__(self, name):
        return bool(self.all(name))

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(f"no field {name} in {self.items}")
        return value

    def __repr__(self):
        return repr(self.items)


def field_lines(fields):
    """A dict or a list of pairs as field lines in bytes."""
    pairs = fields.items() if isinstance(fields, dict) else (fields or [])
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in pairs)


def parse_lines(text):
    """Field lines without the empty line at the end."""
    items = []
    for line in text.split(b"\r\n") if text else []:
        if b"\n" in line or b"\r" in line:
            raise Malformed(f"bare CR or LF in {line!r}")
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed(f"field line {line!r}")
        value = value.strip(b" \t")
        if not FIELD_VALUE.fullmatch(value):
            raise Malformed(f"field value {value!r}")
        items.append((name.decode("latin-1"), value.decode("latin-1")))
    return Fields(items)


def split_head(buf):
    """(head, length with the empty line) once it is whole, else None."""
    end = buf.find(b"\r\n\r\n")
    if end < 0:
        if len(buf) > HEAD_MAX:
            raise Malformed("a head without an end")
        return None
    return bytes(buf[:end]), end + 4


def body_length(fields):
    """("length", n), ("chunked", None) or ("none", None) from the fields. RFC 9112 section 6.3."""
    lengths = fields.all("Content-Length")
    codings = fields.all("Transfer-Encoding")
    if codings and lengths:
        raise Malformed("Transfer-Encoding beside Content-Length")
    if codings:
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise Malformed(f"Transfer-Encoding {codings}")
        return "chunked", None
    if lengths:
        if len(lengths) > 1 or not re.fullmatch("[0-9]+", lengths[0]):
            raise Malformed(f"Content-Length {lengths}")
        return "length", int(lengths[0])
    return "none", None


class Body:
    """Decodes one body. feed() returns the decoded bytes; `done`; unread bytes stay in the buffer."""

    def __init__(self, framing, length=None):
        self.framing = framing  # "none", "length", "chunked", "close"
        self.left = length if framing == "length" else 0
        self.state = "size"
        self.trailers = Fields()
        self.chunks = 0
        self.done = framing == "none" or (framing == "length" and length == 0)

    def feed(self, buf):
        """Takes what belongs to the body out of the bytearray `buf`."""
        if self.done:
            return b""
        if self.framing == "close":
            return self._take(buf, len(buf))
        if self.framing == "length":
            data = self._take(buf, self.left)
            self.left -= len(data)
            self.done = self.left == 0
            return data
        return b"".join(iter(lambda: self._chunked_step(buf), None))

    @staticmethod
    def _take(buf, n):
        data = bytes(buf[:n])
        del buf[:n]
        return data

    def _chunked_step(self, buf):
        """One step; None when more input is needed or the body is whole."""
        if self.done or not buf:
            return None
        if self.state == "data":
            data = self._take(buf, self.left)
            self.left -= len(data)
            if self.left == 0:
                self.state = "data-end"
            return data
        if self.state == "data-end":
            if len(buf) < 2:
                return None
            if self._take(buf, 2) != b"\r\n":
                raise Malformed("no CRLF after chunk data")
            self.state = "size"
            return b""
        if self.state == "size":
            return self._chunk_size(buf)
        return self._trailer_part(buf)

    def _chunk_size(self, buf):
        end = buf.find(b"\r\n")
        if end < 0:
            if len(buf) > 4096:
                raise Malformed("a chunk-size line without an end")
            return None
        line = CHUNK_LINE.fullmatch(self._take(buf, end + 2)[:-2])
        if line is None:
            raise Malformed("chunk-size line")
        self.left = int(line[1], 16)
        self.state = "data" if self.left else "trailers"
        self.chunks += 1
        return b""

    def _trailer_part(self, buf):
        if buf[:2] == b"\r\n":
            self._take(buf, 2)
            self.done = True
            return b""
        head = split_head(buf)
        if head is None:
            return None
        self.trailers = parse_lines(head[0])
        self._take(buf, head[1])
        self.done = True
        return b""
