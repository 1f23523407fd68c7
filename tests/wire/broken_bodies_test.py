"""Request bodies that break off, and origins that answer before they have the whole of one.

RFC 9112 sections 8 and 9.6, RFC 9110 sections 9.2.2 and 10.1.1. What is not whole for the client must not be
whole for the origin: no last chunk, fewer bytes than announced, and a reset instead of an end.
"""

import socket

import pytest

from client import chunk, request_bytes
from h1 import Truncated
from origin import reply_bytes, reply_head

KIB = 1024
MIB = 1024 * 1024
NO_STORE = {"Cache-Control": "no-store"}
PIECE = b"a piece of the body"


def head_of(framing, method="POST", fields=()):
    """A request head whose body is announced and not there."""
    how = ("Transfer-Encoding", "chunked") if framing == "chunked" else ("Content-Length", 1000)
    return request_bytes(method, "/upload", [*fields, how])


def piece_of(framing, data=PIECE):
    return chunk(data) if framing == "chunked" else data


def read_to_end(held):
    """(what came of the body as it was framed, how the connection ended)."""
    data = bytes(held.conn.buf)
    while True:
        try:
            more = held.conn.sock.recv(262144)
        except ConnectionResetError:
            return data, "reset"
        if not more:
            return data, "closed"
        data += more


def first_piece(held, framing):
    """Waits until the first piece is at the origin, as it was framed."""
    want = piece_of(framing)
    while len(held.conn.buf) < len(want):
        assert held.conn.receive()
    assert bytes(held.conn.buf) == want


def is_cut(held, framing):
    """The origin cannot take what it got for a whole request."""
    data, end = read_to_end(held)
    held.close()
    assert data.startswith(piece_of(framing)) and end == "reset"
    if framing == "chunked":
        assert b"0\r\n" not in data.replace(chunk(PIECE), b"")
    else:
        assert len(data) < 1000


def all_is_well(origin, edge):
    """Nothing is left of it, no connection is kept, and others are served on fresh ones."""
    edge.expect_stats(requests_active=0, fills_open=0, origin_connections_idle=0)
    opened = edge.stats()["origin_connections_opened"]
    origin.serve("/bystander", 200, NO_STORE, b"mine")
    assert edge.get("/bystander").body == b"mine"
    edge.expect_stats(origin_connections_opened=opened + 1, origin_connections_reused=0)


# --- the client breaks off


@pytest.mark.tsan
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["close", "half-close", "reset", "within a chunk line"])
def test_9112_8_a_client_that_leaves(origin, edge, framing, how):
    client = edge.client()
    client.send(head_of(framing) + piece_of(framing))
    held = origin.next_request()
    first_piece(held, framing)
    if how == "half-close":
        client.sock.shutdown(socket.SHUT_WR)
        client.expect_closed()
    elif how == "reset":
        client.reset()
    else:
        if how == "within a chunk line":
            client.send(b"1")
        client.close()
    is_cut(held, framing)
    all_is_well(origin, edge)
    edge.expect_stats(requests_aborted=1, connections_open=0)


@pytest.mark.edge(settings={"read_timeout": "1s"})
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_9112_9_5_a_client_that_stops_sending(origin, edge, framing):
    client = edge.client()
    client.send(head_of(framing) + piece_of(framing))
    held = origin.next_request()
    is_cut(held, framing)
    edge.wait_for(connection_timeouts=1)
    all_is_well(origin, edge)


@pytest.mark.parametrize("bad", [
    pytest.param(b"x\r\n", id="9112-7.1 a size of no digits"),
    pytest.param(b"\r\n", id="9112-7.1 no size"),
    pytest.param(b"-1\r\n", id="9112-7.1 a sign"),
    pytest.param(b"0x5\r\nhello\r\n", id="9112-7.1 a prefix"),
    pytest.param(b" 5\r\nhello\r\n", id="9112-7.1 a blank before the size"),
    pytest.param(b"10000000000000000\r\n", id="9112-7.1 a size past 64 bits"),
    pytest.param(b"5\nhello\r\n", id="9112-7.1 a bare LF"),
    pytest.param(b"5\r\nhelloX\r\n", id="9112-7.1 a chunk longer than its size"),
    pytest.param(b"5\r\nhello\n0\r\n\r\n", id="9112-7.1 a bare LF behind a chunk"),
    pytest.param(b"0\r\nBad Name: x\r\n\r\n", id="9112-7.1.2 a trailer that is none"),
    pytest.param(b"0\r\n folded\r\n\r\n", id="9112-7.1.2 a folded trailer"),
    pytest.param(b"0\r\n\n", id="9112-7.1.2 a bare LF as the end"),
])
def test_a_malformed_chunk_is_400_and_a_cut_for_the_origin(origin, edge, bad):
    client = edge.client()
    client.send(head_of("chunked") + piece_of("chunked"))
    held = origin.next_request()
    first_piece(held, "chunked")
    client.send(bad)
    data, end = read_to_end(held)  # before the client has read its answer
    held.close()
    assert data in (chunk(PIECE), chunk(PIECE) + chunk(b"hello")) and end == "reset"
    response = client.read_response()
    assert response.status == 400 and response["Connection"] == "close"
    client.expect_closed()
    all_is_well(origin, edge)
    edge.expect_stats(requests_refused=1)


@pytest.mark.edge(settings={"request_body_max": "100"})
def test_9110_15_5_14_a_body_that_grows_too_large(origin, edge):
    client = edge.client()
    client.send(head_of("chunked") + piece_of("chunked"))
    held = origin.next_request()
    first_piece(held, "chunked")
    client.send(chunk(b"x" * 100))
    is_cut(held, "chunked")
    assert client.read_response().status == 413
    client.expect_closed()
    all_is_well(origin, edge)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_reaches_an_origin_that_does_not_read(origin, edge, framing):
    """Much is under way when the client leaves; the origin reads it late."""
    client = edge.client()
    body = b"x" * (8 * MIB)
    how = ("Transfer-Encoding", "chunked") if framing == "chunked" else \
        ("Content-Length", 2 * len(body))
    client.send(request_bytes("POST", "/upload", [how]))
    held = origin.next_request()
    client.sock.settimeout(0.5)
    try:
        client.sock.sendall(chunk(body) if framing == "chunked" else body)
    except TimeoutError:
        pass
    edge.wait_for(origin_bytes_out=100 * KIB)
    client.reset()
    data, end = read_to_end(held)
    held.close()
    assert end == "reset" and not data.endswith(b"0\r\n\r\n") and len(data) < len(body) + 64 * KIB
    edge.expect_stats(requests_active=0, origin_connections_idle=0)


# --- a request whose body was begun is not sent again


@pytest.mark.edge(workers=1)  # that has the kept connection
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_9110_9_2_2_no_retry_once_a_body_was_begun(origin, edge, method, framing):
    origin.serve("/warm", 200, NO_STORE, b"warm")
    edge.get("/warm")
    edge.expect_stats(origin_connections_idle=1)
    client = edge.client()
    client.send(head_of(framing, method) + piece_of(framing))
    held = origin.next_request()
    assert held.nth == 1, "the kept connection is used"
    first_piece(held, framing)
    held.abort()
    response = client.read_response()
    assert response.status == 502 and response["Connection"] == "close"
    client.expect_closed()
    edge.expect_stats(origin_retries=0, origin_requests=2)
    assert origin.count("/upload") == 1


# --- the origin answers early


def test_9112_9_3_an_answer_before_the_last_bytes_have_left(origin, edge):
    """brink has the whole body, the origin does not: its end in brink's buffer is never sent."""
    origin._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = edge.client()
    client.send(head_of("chunked"))
    held = origin.next_request()
    sent = fill_the_way(client, edge)
    client.send(b"0\r\n\r\n")
    edge.wait_until(lambda: edge.stats()["client_bytes_in"] >= sent + 5, "brink has the end")
    held.send(reply_bytes("POST", 200, NO_STORE, b"enough"))
    assert client.read_response().body == b"enough"
    data, end = read_to_end(held)
    held.close()
    assert end == "reset" and not data.endswith(b"0\r\n\r\n")
    all_is_well(origin, edge)


def fill_the_way(client, edge):
    """Sends chunks until the kernel takes no more from brink and some of them wait there, in its
    buffer of 64 KiB; the bytes sent, with the head. Once brink has read the small chunk, what came
    before was written as far as it goes."""
    head_len, before = len(head_of("chunked")), edge.stats()["origin_bytes_out"]
    sent = head_len
    small = chunk(b"y")
    while True:
        for piece in (chunk(b"x" * (24 * KIB)), small):
            client.send(piece)
            sent += len(piece)
            edge.wait_for(client_bytes_in=sent)
        written = edge.stats()["origin_bytes_out"] - before
        if sent - head_len - len(small) - written > KIB:
            return sent


@pytest.mark.tsan
@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 413, 417, 503])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_9112_9_3_an_origin_that_answers_early_loses_the_connection(origin, edge, status, framing):
    client = edge.client()
    client.send(head_of(framing) + piece_of(framing))
    held = origin.next_request()
    first_piece(held, framing)
    body = b"" if status == 204 else b"enough"
    held.send(reply_bytes("POST", status, NO_STORE, body))
    response = client.read_response()
    assert (response.status, response.body) == (status, body)
    assert response["Connection"] == "close"
    client.send(piece_of(framing, b"the rest"))
    data, end = read_to_end(held)
    held.close()
    assert data == piece_of(framing) and end == "reset"
    client.expect_closed()
    all_is_well(origin, edge)


def test_9112_9_3_nothing_behind_the_unread_body_is_a_request(origin, edge):
    """What follows an unread body could be anything: no byte of it is interpreted."""
    client = edge.client()
    client.send(head_of("length") + PIECE)
    held = origin.next_request()
    held.send(reply_bytes("POST", 413, NO_STORE, b"enough"))
    assert client.read_response().status == 413
    client.send(request_bytes("GET", "/smuggled"))
    client.expect_closed()
    held.close()
    all_is_well(origin, edge)
    assert origin.count("/smuggled") == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_early_answer_without_an_end_cuts_nothing(origin, edge, framing):
    """The answer is streamed while the client still sends; it arrives whole."""
    client = edge.client()
    client.send(head_of(framing) + piece_of(framing))
    held = origin.next_request()
    first_piece(held, framing)
    held.start(200, NO_STORE)
    assert client.read_head()["Connection"] == "close"
    for i in range(5):
        held.send_chunk(b"part %d " % i)
        client.read_body(7 * (i + 1))
        client.send(piece_of(framing, b"more"))
    held.end_chunks()
    assert client.read_response().body == b"part 0 part 1 part 2 part 3 part 4 "
    assert read_to_end(held)[1] == "reset"
    held.close()
    client.expect_closed()
    all_is_well(origin, edge)


def test_an_early_answer_that_breaks_off_is_cut(origin, edge):
    client = edge.client()
    client.send(head_of("length") + PIECE)
    held = origin.next_request()
    first_piece(held, "length")
    held.send(reply_head(200, [("Content-Length", 100)]) + b"half")
    assert client.read_body(4) == b"half"
    held.close()
    with pytest.raises(Truncated):
        client.read_response()
    all_is_well(origin, edge)


@pytest.mark.parametrize("status", [413, 417])
def test_9110_10_1_1_a_refusal_after_100(origin, edge, status):
    """brink answers the expectation, the origin refuses what it sees of the body."""
    client = edge.client()
    client.send(head_of("length", fields=[("Expect", "100-continue")]))
    held = origin.next_request()
    assert client.read_interim().status == 100
    assert "Expect" not in held.fields
    held.send(reply_bytes("POST", status, NO_STORE, b"no"))
    response = client.read_response()
    assert response.status == status and response["Connection"] == "close"
    assert read_to_end(held) == (b"", "reset")
    held.close()
    client.expect_closed()
    all_is_well(origin, edge)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_in_the_middle_of_a_large_body(origin, edge, framing):
    """The client sends all of it before it reads: the answer survives what nobody takes."""
    client = edge.client()
    body = b"x" * (600 * KIB)
    how = [("Transfer-Encoding", "chunked")] if framing == "chunked" else \
        [("Content-Length", len(body))]
    client.send(request_bytes("POST", "/upload", how))
    held = origin.next_request()
    held.send(reply_bytes("POST", 413, NO_STORE, b"no"))
    client.send(chunk(body) + b"0\r\n\r\n" if framing == "chunked" else body)
    assert client.read_response().body == b"no"
    client.expect_closed()
    read_to_end(held)
    held.close()
    all_is_well(origin, edge)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_9112_9_3_1_a_whole_body_keeps_both_connections(origin, edge, framing):
    """The counterpart: nothing is lost when the answer comes in time."""
    client = edge.client()
    for i in range(3):
        client.send_request("POST", f"/{i}", None, [PIECE] if framing == "chunked" else PIECE,
                            chunked=framing == "chunked")
        held = origin.next_request()
        assert held.body == PIECE
        held.reply(200, NO_STORE, b"done")
        response = client.read_response()
        assert response.body == b"done" and "Connection" not in response.fields
    edge.expect_stats(origin_connections_opened=1, connections_accepted=1)
