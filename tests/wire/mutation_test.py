"""Messages with faults, thousands of them: brink lives, and what it writes stays HTTP/1.1.

Valid requests and responses are damaged at random (with a fixed seed; BRINK_MUTATIONS sets how many
of each, 1500). The strict client and the strict origin judge what comes out at the other side.
"""

import os
import random
import socket

import h1
from client import Client

COUNT = int(os.environ.get("BRINK_MUTATIONS", "1500"))
NO_STORE = {"Cache-Control": "no-store"}

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: site.test\r\nAccept: */*\r\n\r\n",
    b"GET http://site.test/b?c=d HTTP/1.1\r\nHost: site.test\r\nConnection: close, X-One\r\nX-One: 1\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"HEAD /a HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: site.test\r\nRange: bytes=0-3\r\nIf-None-Match: \"a\", W/\"b\"\r\n"
    b"If-Modified-Since: Tue, 15 Nov 2016 12:45:26 GMT\r\nCache-Control: only-if-cached, max-age=5\r\n\r\n",
    b"PURGE /a HTTP/1.1\r\nHost: site.test\r\nSurrogate-Key: a b\r\nSoft-Purge: 1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: site.test\r\n\r\nGET /b HTTP/1.1\r\nHost: site.test\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\nVary: Accept\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nExpires: Tue, 15 Nov 2044 12:45:26 GMT\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nAge: 5\r\n\r\n",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/10\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-One\r\nX-One: 1\r\nSet-Cookie: a=b\r\n"
    b"Surrogate-Key: a b\r\nCache-Tag: c,d\r\nDate: Tue, 15 Nov 2016 12:45:26 GMT\r\n\r\nhello",
]
BITS = [b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"\"", b"\\", b"\xff", b"0", b"-1",
        b"99999999999999999999", b"\r\n\r\n", b"\r\n ", b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Host: other.test\r\n", b"%", b"/../", b"\x7f", b"#", b"="]


def damage(dice, text):
    """One to four faults: a piece lost, doubled, put in, or changed."""
    text = bytearray(text)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(text) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            del text[at:at + dice.randrange(1, 8)]
        elif kind == 1:
            text[at:at] = text[at:at + dice.randrange(1, 40)]
        elif kind == 2:
            text[at:at] = dice.choice(BITS)
        elif at < len(text):
            text[at] = dice.randrange(256)
    return bytes(text)


def read_all(client):
    """Every response until the end of the connection; only whole ones and one cut are right."""
    responses = []
    try:
        while True:
            responses.append(client.read_response())
    except h1.Truncated:
        return responses


def assert_alive(edge, origin):
    origin.serve("/alive", 200, NO_STORE, b"yes")
    assert edge.get("/alive").body == b"yes"
    edge.expect_stats(requests_active=0, connections_open=0, fills_open=0, fill_waiters=0)


def test_damaged_requests(origin, edge):
    """The origin reads strictly: any damage that got through fails this test."""
    dice = random.Random(20)
    origin.serve_all(lambda target: True, lambda held: held.reply(200, {"Cache-Control": "max-age=1"}, b"ok"))
    for i in range(COUNT):
        raw = damage(dice, dice.choice(REQUESTS))
        with Client(edge.port) as client:
            try:
                cut = dice.randrange(len(raw) + 1)
                client.send(raw[:cut])
                client.send(raw[cut:])
                client.sock.shutdown(socket.SHUT_WR)
                drain(client)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert edge.process.poll() is None, f"brink died of {raw!r}"
    origin.faults[:] = [fault for fault in origin.faults if not fault.startswith("Truncated")]
    seen = edge.stats()
    assert seen["requests_refused"] > COUNT // 10 and seen["origin_requests"] > COUNT // 10
    assert_alive(edge, origin)


def drain(client):
    """To the end: whose answer is whose is not known of damaged requests."""
    while client.receive():
        pass


def test_damaged_responses(origin, start_edge):
    """The client reads strictly: an answer is right, or an error, or visibly cut."""
    edge = start_edge(origin=origin.url, settings={"origin.between_bytes_timeout": "200ms",
                                                   "origin.first_byte_timeout": "200ms"})
    dice = random.Random(21)
    current = [b""]
    origin.serve_all(lambda target: True, lambda held: (held.send(current[0]), held.close()))
    for i in range(COUNT):
        current[0] = damage(dice, dice.choice(RESPONSES))
        client = Client(edge.port)
        client.send_request("GET", f"/r{dice.randrange(50)}", {"Connection": "close"})
        try:
            read_all(client)
        except h1.Malformed as fault:
            raise AssertionError(f"{fault} after {current[0]!r}") from None
        finally:
            client.close()
        assert edge.process.poll() is None, f"brink died of {current[0]!r}"
    assert_alive(edge, origin)
