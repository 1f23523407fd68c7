"""What a case of the strict suite is: raw bytes of a client, and what must become of them."""

GET = b"GET "
HOST = b"Host: site.test"


class Ask:
    """A request as the origin must see it."""

    def __init__(self, method=b"GET", target=b"/a", host=b"site.test", fields=(), body=b"", length=None,
                 chunked=False, minor=1):
        self.method, self.target, self.host = method, target, host
        self.fields, self.body = list(fields), body
        self.length, self.chunked, self.minor = length, chunked, minor

    @property
    def may_be_stored(self):
        """Content makes a GET one that is passed."""
        return self.method == b"GET" and not self.chunked and not self.length

    def head(self, loop_id):
        """Byte for byte, without the empty line. `loop_id`: the daemon's own in CDN-Loop."""
        lines = [b"%s %s HTTP/1.1" % (self.method, self.target), b"Host: " + self.host]
        lines += [name + b": " + value for name, value in self.fields]
        if self.may_be_stored:  # asked for in the coding that the site says
            lines.append(b"Accept-Encoding: identity")
        lines += [b"Via: 1.%d brink" % self.minor, b"CDN-Loop: brink; id=" + loop_id,
                  b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http",
                  b"X-Forwarded-Host: " + self.host]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.length is not None:
            lines.append(b"Content-Length: %d" % self.length)
        return b"\r\n".join(lines)


ask = Ask


class Case:
    """`raw` from a client. `asks`: what the origin must see of it, each answered in turn; `status`:
    brink's own answer after those. `closed`: the connection ends then. `broken`: the origin may have
    seen the start of a request, never a whole one."""

    def __init__(self, name, raw, asks=(), status=None, closed=False, broken=False):
        self.name, self.raw, self.asks = name, raw, list(asks)
        self.status, self.closed, self.broken = status, closed, broken

    @property
    def refused(self):
        return self.status is not None and self.closed


def refused(section, why, status, raw):
    return Case(f"{section}: {why}", raw, status=status, closed=True)


def broken(section, why, raw, status=400):
    """Refused in the middle of its body."""
    return Case(f"{section}: {why}", raw, status=status, closed=True, broken=True)


def sent(section, why, raw, *asks, closed=False):
    return Case(f"{section}: {why}", raw, asks, closed=closed)


def sent_then_refused(section, why, raw, asks, status):
    """Answers to what is right, then the refusal of what is not, then nothing."""
    return Case(f"{section}: {why}", raw, asks, status=status, closed=True)


def local(section, why, raw, status):
    """Answered by brink alone; the connection is kept."""
    return Case(f"{section}: {why}", raw, status=status)


def get(*fields, first=b"GET /a HTTP/1.1"):
    """A head with a Host and these field lines."""
    return b"\r\n".join([first, HOST, *fields, b"", b""])


def post(*fields, body=b""):
    return get(*fields, first=b"POST /a HTTP/1.1") + body


def chunked(body, *fields):
    return post(b"Transfer-Encoding: chunked", *fields, body=body)
