"""Refusals that hang on what happened before: a body in its middle, a stored answer, one that waits."""

import socket

import pytest

import h1
from strict_cases import chunked, get, post

FRESH = {"Cache-Control": "max-age=600"}
NO_STORE = {"Cache-Control": "no-store"}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n"

MIDWAY = [
    ("RFC 9112 section 7.1: a malformed size", b"zz\r\n", 400, "refused_bad_request"),
    ("RFC 9112 section 7.1: no CRLF after the data", b"1\r\nxXX", 400, "refused_bad_request"),
    ("RFC 9112 section 7.1.1: a line too long", b"1;" + b"a" * 1100, 413, "refused_chunks_too_large"),
    ("RFC 9112 section 7.1.2: a malformed trailer", b"0\r\nX : 1\r\n\r\n", 400, "refused_bad_request"),
    ("RFC 9112 section 7.1.2: trailers too large", b"0\r\nX: " + b"y" * 9000, 431,
     "refused_trailers_too_large"),
    ("RFC 9110 section 15.5.14: too much data", b"5\r\nworld\r\n", 413, "refused_body_too_large"),
]


def begin_body(origin, edge, head=chunked(b"5\r\nhello\r\n")):
    """A request whose first body bytes are at the origin."""
    client = edge.client()
    client.send(head)
    held = origin.next_request()
    got = b""
    while len(got) < 5:
        got += held.read_body_some()
    assert got == b"hello"
    return client, held


@pytest.mark.edge(settings={"request_body_max": "9"})
@pytest.mark.parametrize("bad, status, counter", [row[1:] for row in MIDWAY], ids=[row[0] for row in MIDWAY])
def test_a_body_refused_midway(origin, edge, bad, status, counter):
    """The origin's request is cut off, not ended, and what follows is not read."""
    client, held = begin_body(origin, edge)
    client.send(bad + SMUGGLED)
    response = client.read_response()
    assert (response.status, response["Connection"].lower()) == (status, "close")
    client.expect_closed()
    with pytest.raises((h1.Truncated, OSError)):
        held.body
    held.close()
    edge.expect_stats(**{counter: 1}, requests_refused=1, requests_active=0)
    assert origin.count() == 1


def test_a_body_malformed_behind_an_early_answer(origin, edge):
    """Whatever the client gets is whole or visibly cut; the rest is not read as a request."""
    client, held = begin_body(origin, edge)
    held.start(200, NO_STORE, length=10)
    held.send(b"12345")
    client.read_body(5)
    client.send(b"zz\r\n" + SMUGGLED)
    try:
        held.send(b"67890")
        assert client.read_response().body == b"1234567890"
        client.expect_closed()
    except (h1.Truncated, OSError):
        pass
    held.finish(close=True)
    edge.expect_stats(requests_active=0)
    assert origin.count() == 1


def test_a_body_refused_by_its_length_never_starts(origin, start_edge):
    """RFC 9110 section 15.5.14."""
    edge = start_edge(origin=origin.url, settings={"request_body_max": "9"})
    client = edge.client()
    client.send(post(b"Content-Length: 10"))  # no byte of the body is needed
    assert client.read_response().status == 413
    client.expect_closed()
    edge.expect_stats(refused_body_too_large=1)
    assert origin.count() == 0


UNREAD = [
    ("RFC 9110 section 9.3.1: a length", get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    ("RFC 9110 section 9.3.1: chunks",
     get(b"Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    ("RFC 9110 section 9.3.1: malformed chunks", get(b"Transfer-Encoding: chunked") + b"zz\r\n" + SMUGGLED),
    ("RFC 9110 section 9.3.1: a body that does not come", get(b"Content-Length: 5")),
]


@pytest.mark.parametrize("raw", [row[1] for row in UNREAD], ids=[row[0] for row in UNREAD])
def test_a_get_with_a_body_beside_a_stored_answer(origin, edge, raw):
    """Whoever answers it: the body is never read as a request, and /a keeps its stored answer."""
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    client = edge.client()
    client.send(raw)
    client.sock.shutdown(socket.SHUT_WR)
    try:
        client.read_response()
        client.expect_closed()
    except (h1.Truncated, OSError):
        pass  # cut is fine too: the body is not whole
    assert "/smuggled" not in origin.targets()
    hit = edge.get("/a")
    assert hit.cache_status.hit and hit.body == b"hello"


def test_a_refusal_waits_for_the_answer_before_it(origin, edge):
    """RFC 9112 section 9.3.2."""
    client = edge.client()
    client.send(get() + get(b"X : 1") + SMUGGLED)
    origin.next_request().reply(200, NO_STORE, b"slow")
    assert client.read_response().body == b"slow"
    assert client.read_response().status == 400
    client.expect_closed()
    assert origin.count() == 1


def test_an_unknown_expectation_is_refused_before_the_body(origin, edge):
    """RFC 9110 section 10.1.1."""
    client = edge.client()
    client.send(post(b"Expect: a-miracle", b"Content-Length: 5"))
    assert client.read_response().status == 417
    client.expect_closed()
    assert origin.count() == 0


def test_a_body_that_was_asked_for_and_is_malformed(origin, edge):
    """RFC 9110 section 10.1.1: 100, then 400, then nothing."""
    client = edge.client()
    client.send(post(b"Expect: 100-continue", b"Transfer-Encoding: chunked"))
    assert client.read_interim().status == 100
    client.send(b"5\nhello\r\n0\r\n\r\n" + SMUGGLED)
    response = client.read_response()
    assert (response.status, response["Connection"].lower()) == (400, "close")
    client.expect_closed()
    edge.expect_stats(refused_bad_request=1, requests_active=0)
    assert "/smuggled" not in origin.targets()


@pytest.mark.parametrize("raw, status", [
    (get(b"Content-Length: 5", first=b"PURGE /a HTTP/1.1") + b"hello", 404),
    (get(b"Transfer-Encoding: chunked", first=b"PURGE /a HTTP/1.1") + b"zz\r\n" + SMUGGLED, 404)],
    ids=["RFC 9112 section 9.6: a length", "RFC 9112 section 9.6: malformed chunks"])
def test_a_body_that_nobody_reads(origin, edge, raw, status):
    """The answer comes, also to who has half closed, and the connection ends: where the body does is
    not known."""
    client = edge.client()
    client.send(raw)
    client.sock.shutdown(socket.SHUT_WR)
    response = client.read_response()
    assert (response.status, response["Connection"].lower()) == (status, "close")
    client.expect_closed()
    assert origin.count() == 0


def test_the_reason_is_in_the_log_without_the_clients_bytes(origin, edge):
    client = edge.client()
    client.send(b"GET /a HTTP/1.1\r\nHost: \x1b[31mevil\"\r\n\r\n")
    assert client.read_response().status == 400
    edge.wait_log("event=request_refused")
    line = edge.log_events("request_refused")[0]
    assert line["reason"] == "BAD_REQUEST" and line["why"]
    assert "evil" not in edge.log_text() and "\x1b" not in edge.log_text()


def test_a_body_of_one_byte_chunks_is_taken(origin, edge):
    """Its coding outweighs it five times, which is allowed: no extension is in it."""
    client = edge.client()
    client.send(chunked(b"1\r\nx\r\n" * 50000 + b"0\r\n\r\n"))
    held = origin.next_request()
    assert held.body == b"x" * 50000
    held.reply(200, NO_STORE, b"ok")
    assert client.read_response().body == b"ok"


CODING_LIMITS = {"chunk_line_max": "32", "chunk_extensions_max": "40", "trailers_max": "32"}
AT_LIMIT = [
    ("a line that fits", b"1;" + b"a" * 29 + b"\r\nx\r\n0\r\n\r\n", None),
    ("a line one byte too long", b"1;" + b"a" * 30 + b"\r\nx\r\n0\r\n\r\n", 413),
    ("extensions that fit", b"1;" + b"a" * 18 + b"\r\nx\r\n1;" + b"a" * 18 + b"\r\nx\r\n0\r\n\r\n", None),
    ("extensions too long", b"1;" + b"a" * 22 + b"\r\nx\r\n1;" + b"a" * 22 + b"\r\nx\r\n0\r\n\r\n", 413),
    ("trailers that fit", b"0\r\nX: " + b"a" * 25 + b"\r\n\r\n", None),
    ("trailers one byte too long", b"0\r\nX: " + b"a" * 26 + b"\r\n\r\n", 431),
]


@pytest.mark.edge(settings=CODING_LIMITS)
@pytest.mark.parametrize("body, status", [row[1:] for row in AT_LIMIT], ids=[row[0] for row in AT_LIMIT])
def test_limits_of_chunked_requests(origin, edge, body, status):
    """RFC 9112 section 7.1.1: each is a directive."""
    origin.serve("/a", 200, NO_STORE, b"ok")
    client = edge.client()
    client.send(chunked(body))
    assert client.read_response().status == (status or 200)
    if status:
        client.expect_closed()


@pytest.mark.edge(settings={f"origin.{name}": value for name, value in CODING_LIMITS.items()})
@pytest.mark.parametrize("body, refused", [(row[1], row[2] is not None) for row in AT_LIMIT],
                         ids=[row[0] for row in AT_LIMIT])
def test_limits_of_chunked_responses(origin, edge, body, refused):
    """Past them nothing is stored and the client sees no whole answer."""
    origin.serve_with("/a", lambda held: (
        held.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n" + body),
        held.finish()))
    client = edge.client()
    client.send(get())
    try:
        whole = client.read_response().status == 200
    except h1.Truncated:
        whole = False
    assert whole != refused
    edge.expect_stats(store_puts=0 if refused else 1, origin_failures=1 if refused else 0)
