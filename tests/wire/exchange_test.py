"""One exchange at its edges: half-closed clients, odd moments of an end, bodies against time, interim
responses, stale answers for an absent origin, and gauges that come back to 0.
"""

import socket
import threading

import pytest

from client import chunk, request_bytes
from edge import counter_names
from h1 import Truncated
from origin import reply_head

FRESH = {"Cache-Control": "max-age=600"}
NO_STORE = {"Cache-Control": "no-store"}
KIB = 1024
MIB = 1024 * 1024


# --- the client sends no more


def test_a_half_closed_client_gets_every_pipelined_answer(origin, edge):
    """RFC 9112 section 9.6: what was sent before the end counts."""
    client = edge.client()
    client.send(b"".join(request_bytes("GET", path) for path in ("/a", "/b", "/c")))
    client.sock.shutdown(socket.SHUT_WR)
    for path in ("/a", "/b", "/c"):
        held = origin.next_request()
        edge.wait_until(lambda: edge.stats()["client_bytes_in"] > 0, "the requests are read")
        assert held.target == path
        held.reply(200, NO_STORE, path.encode())
    assert [client.read_response().body for _ in range(3)] == [b"/a", b"/b", b"/c"]
    client.expect_closed()


def test_a_half_closed_client_with_a_body_gets_its_answer(origin, edge):
    client = edge.client()
    client.send(request_bytes("POST", "/a", body=b"x" * 300000))
    client.sock.shutdown(socket.SHUT_WR)
    held = origin.next_request()
    assert len(held.body) == 300000
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"
    client.expect_closed()


def test_half_a_request_and_the_end_is_closed(edge):
    client = edge.client()
    client.send(b"GET / HTTP/1.1\r\nHost: site.t")
    client.sock.shutdown(socket.SHUT_WR)
    client.expect_closed()
    edge.expect_stats(connections_open=0, requests_active=0)


def test_an_empty_line_in_pieces_is_skipped(origin, edge):
    """RFC 9112 section 2.2."""
    origin.serve("/a", 200, NO_STORE, b"hello")
    client = edge.client()
    client.send(b"\r")
    edge.wait_until(lambda: edge.stats()["client_bytes_in"] == 1, "one byte is read")
    client.send(b"\n" + request_bytes("GET", "/a"))
    assert client.read_response().body == b"hello"


def test_a_head_as_large_as_configured(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"head_max": "256KB", "line_max": "64KB",
                                                   "head_timeout": "3s"})
    fields = [(f"X-{i}", "y" * 8000) for i in range(25)]
    origin.serve("/a", 200, NO_STORE, b"hello")
    origin.serve("/b", 200, NO_STORE, b"next")
    client = edge.client()
    assert client.get("/a", fields).status in (200, 502)
    assert client.get("/b").body == b"next"


# --- request bodies


def test_a_length_of_0_behind_an_unstorable_fetch(origin, start_edge):
    """Who waited in vain fetches for itself; a body of no bytes is whole, so the answer has a time."""
    edge = start_edge(origin=origin.url, settings={"origin.first_byte_timeout": "2s"})
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a", {"Content-Length": "0"})
    edge.wait_for(cache_collapsed=1)
    held.reply(200, NO_STORE, b"one")
    assert first.read_response().body == b"one"
    assert origin.next_request().body == b""
    assert second.read_response().status == 504


@pytest.mark.parametrize("method, fields", [("GET", {"Content-Length": "0"}), ("HEAD", {})],
                         ids=["length 0", "HEAD"])
def test_any_request_brings_a_stale_object_up_to_date(origin, edge, method, fields):
    """RFC 5861 section 3: what is fetched in the background is the object, whatever asked."""
    origin.serve("/a", 200, {"Cache-Control": "max-age=10, stale-while-revalidate=600",
                             "Age": "60"}, b"old")
    edge.get("/a")
    edge.wait_stored(1)
    origin.serve("/a", 200, FRESH, b"new")
    assert edge.request(method, "/a", fields).status == 200
    edge.wait_stored(2)
    response = edge.get("/a")
    assert response.cache_status.hit and response.body == b"new"
    assert origin.requests[1].method == "GET"


def test_a_whole_body_ends_its_deadline(origin, start_edge):
    """The time between bytes of a body is not that of the answer."""
    edge = start_edge(origin=origin.url, settings={"read_timeout": "1s"})
    client = edge.client()
    whole = request_bytes("POST", "/a", body=b"0123456789")
    client.send(whole[:-5])
    held = origin.next_request()
    assert held.read_body_some() == b"01234"
    client.send(whole[-5:])
    assert held.body == b"56789"
    held.done.wait(1.5)
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"


def test_an_origin_slower_than_the_client_is_no_fault_of_the_client(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"read_timeout": "1s"})
    client, size = edge.client(), 24 * MIB
    sender = threading.Thread(target=lambda: client.send(request_bytes(
        "POST", "/a", body=bytes(size))))
    sender.start()
    held = origin.next_request()
    held.done.wait(1.5)
    assert len(held.body) == size
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"
    sender.join()


def test_a_chunked_body_counts_once_against_its_limit(origin, start_edge):
    """Bytes that wait for the origin are not counted again."""
    edge = start_edge(origin=origin.url, settings={"request_body_max": "20200000"})
    client, parts = edge.client(), [bytes(1000)] * 20000
    sender = threading.Thread(target=lambda: client.send(request_bytes(
        "POST", "/a", body=parts, chunked=True)))
    sender.start()
    held = origin.next_request()
    total = 0
    for part in held.body_parts():
        total += len(part)
        if total < 8 * MIB:
            held.done.wait(0.02)
    assert total == 20000000
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().status == 200
    sender.join()


def test_a_chunked_body_beyond_its_limit_is_413(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"request_body_max": "10KB"})
    client = edge.client()
    client.send(request_bytes("POST", "/a", fields={"Transfer-Encoding": "chunked"}))
    held = origin.next_request()
    client.send(chunk(bytes(11 * KIB)))
    assert client.read_response().status == 413
    assert held.is_abandoned()


def test_a_chunked_body_in_single_bytes(origin, edge):
    client = edge.client()
    whole = request_bytes("POST", "/a", body=[b"hello, ", b"world", b"!" * 300], chunked=True)
    for i in range(len(whole)):
        client.send(whole[i:i + 1])
    held = origin.next_request()
    assert held.body == b"hello, world" + b"!" * 300
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"


def test_no_100_for_a_body_that_is_coming(origin, edge):
    """RFC 9110 section 10.1.1: content that came already needs no 100 (Continue)."""
    client = edge.client()
    whole = request_bytes("POST", "/a", {"Expect": "100-continue"}, b"0123456789")
    client.send(whole[:-5])
    held = origin.next_request()
    assert held.read_body_some() == b"01234"
    client.send(whole[-5:])
    assert held.body == b"56789"
    held.reply(200, NO_STORE, b"done")
    response = client.read_response()
    assert (response.body, response.interim) == (b"done", [])


# --- interim responses


def test_several_interim_responses_come_in_order(origin, edge):
    """RFC 9110 section 15.2: each is passed on, without fields that end here; 100 is not."""
    client = edge.client()
    client.send(request_bytes("GET", "/a") + request_bytes("GET", "/b"))
    held = origin.next_request()
    held.send(reply_head(100) + reply_head(102) +
              reply_head(103, {"Link": "</a.css>", "Connection": "X-Hop", "X-Hop": "1"}) +
              reply_head(103, {"Link": "</b.css>"}))
    held.reply(200, NO_STORE, b"hello")
    response = client.read_response()
    assert [(i.status, i.get("Link"), i.get("X-Hop"), i.get("Connection"))
            for i in response.interim] == \
        [(102, None, None, None), (103, "</a.css>", None, None), (103, "</b.css>", None, None)]
    assert response.body == b"hello"
    origin.next_request().reply(200, NO_STORE, b"next")
    assert client.read_response().body == b"next"
    edge.expect_stats(responses_1xx=3)


def test_http_10_gets_no_interim_response(origin, edge):
    """RFC 9110 section 15.2."""
    client = edge.client()
    client.send(b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
    held = origin.next_request()
    held.send(reply_head(103, {"Link": "</a.css>"}))
    held.reply(200, NO_STORE, b"hello")
    response = client.read_response()
    assert (response.body, response.interim) == (b"hello", [])


def test_interim_responses_go_to_the_starter_alone(origin, edge):
    """Who joined later was not there."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.send(reply_head(103, {"Link": "</a.css>"}))
    assert first.read_interim().status == 103
    held.reply(200, FRESH, b"hello")
    assert first.read_response().body == b"hello"
    response = second.read_response()
    assert (response.body, response.interim) == (b"hello", [])


# --- origins that fail


def test_a_body_that_fails_before_its_first_byte_is_502(origin, edge):
    """No client has seen a head yet: an answer is better than a cut."""
    client = edge.client()
    client.send_request("POST", "/a")
    held = origin.next_request()
    held.send(reply_head(200, {**NO_STORE, "Transfer-Encoding": "chunked"}) + b"no chunk\r\n")
    assert client.read_response().status == 502
    held.close()


@pytest.mark.parametrize("blocks, extra", [(1, 0), (2, 0), (1, 1), (1, -1), (0, 1)])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_origin_that_dies_at_the_border_of_a_block(origin, edge, blocks, extra, chunked):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=None if chunked else 10 * 65512)
    body = b"x" * (blocks * 65512 + extra)
    held.send(chunk(body) if chunked else body)
    assert client.read_body(len(body)) == body
    held.close()
    with pytest.raises(Truncated):
        client.read_response()
    edge.expect_stats(fills_open=0, fill_bytes=0, fill_waiters=0, store_puts=0)


def stale(origin, edge, cache_control):
    origin.serve("/a", 200, {"Cache-Control": cache_control, "Age": "60", "ETag": '"1"'}, b"old")
    edge.get("/a")
    edge.wait_stored(1)


def test_a_stale_object_stands_in_for_an_origin_that_is_off(origin, edge):
    """RFC 9111 section 4.2.4: disconnected, and nothing forbids it."""
    stale(origin, edge, "max-age=10")
    origin.stop()
    response = edge.get("/a")
    assert (response.status, response.body) == (200, b"old")
    assert not response.cache_status.hit


def test_a_5xx_is_an_answer(origin, edge):
    """Without stale-if-error what the origin says is passed on."""
    stale(origin, edge, "max-age=10")
    origin.serve("/a", 503, NO_STORE, b"sorry")
    response = edge.get("/a")
    assert (response.status, response.body) == (503, b"sorry")


@pytest.mark.parametrize("directive", ["must-revalidate", "no-cache", "s-maxage=10"])
def test_no_stale_object_where_it_is_forbidden(origin, edge, directive):
    stale(origin, edge, f"max-age=10, {directive}")
    origin.stop()
    assert edge.get("/a").status == 502


def test_a_5xx_in_the_background_replaces_nothing(origin, edge):
    """RFC 5861 section 4: also one that could be stored."""
    stale(origin, edge, "max-age=10, stale-while-revalidate=600, stale-if-error=600")
    origin.serve("/a", 503, FRESH, b"sorry")
    assert edge.get("/a").body == b"old"
    edge.wait_for(origin_requests=2)
    edge.expect_stats(fills_open=0)
    response = edge.get("/a")
    assert (response.status, response.body) == (200, b"old")


# --- the end of the daemon


def test_a_kept_connection_ends_with_its_answer_when_brink_stops(origin, start_edge):
    """The answer began before SIGTERM and promised to keep the connection."""
    edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "60s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, NO_STORE, length=10)
    held.send(b"01234")
    assert client.read_body(5) == b"01234"
    edge.process.terminate()
    edge.wait_log("event=stopping")
    held.send(b"56789")
    assert client.read_response().body == b"0123456789"
    client.expect_closed()
    client.close()
    assert edge.wait_exit() == 0
    edge.process = None


# --- gauges


GAUGES = ("connections_open", "requests_active", "fills_open", "fill_bytes", "fill_waiters")


@pytest.mark.tsan
@pytest.mark.edge(settings={"origin.idle_timeout": "1s", "fill_window": "256KB"})
def test_gauges_come_back_to_0(origin, edge):
    """After hits, misses, passes, bodies, refusals, broken answers and clients that leave."""
    assert set(GAUGES) <= {name for name, kind in counter_names() if kind == "GAUGE"}
    origin.serve("/hit", 200, FRESH, b"hit")
    origin.serve("/large", 200, FRESH, b"l" * 3 * MIB)
    origin.serve("/pass", 200, NO_STORE, b"p" * 3 * MIB, chunked=True)
    origin.serve("/post", 200, NO_STORE, b"done")
    origin.serve_with("/broken", lambda held: (held.start(200, FRESH, length=200000),
                                               held.send(b"b" * 70000), held.abort()))
    origin.serve_with("/refused", lambda held: held.abort())
    edge.get("/hit")
    for _ in range(3):
        busy_round(edge)
    edge.expect_stats(origin_connections_idle=0, **dict.fromkeys(GAUGES, 0))


def busy_round(edge):
    clients = [edge.client(rcvbuf=8192) for _ in range(24)]
    for i, client in enumerate(clients):
        path = ("/hit", "/large", "/pass", "/broken", "/refused", "/large?" + str(i))[i % 6]
        client.send(request_bytes("GET", path) + request_bytes("GET", "/hit") +
                    request_bytes("POST", "/post", body=b"x" * 100000))
    clients[0].send(b"garbage\r\n\r\n")
    for i, client in enumerate(clients):
        if i % 4 == 1:
            client.reset()
        elif i % 4 == 2:
            client.sock.shutdown(socket.SHUT_WR)
    for i, client in enumerate(clients):
        if i % 4 == 0:
            try:
                client.read_response()
            except Truncated:
                pass
        client.close()


@pytest.mark.edge(workers=1)
def test_a_thousand_readers_of_one_fill(origin, edge):
    """More than are kept for reuse, each to its last byte."""
    clients = [edge.client() for _ in range(400)]
    for client in clients:
        client.send_request("GET", "/a")
    held = origin.next_request()
    edge.wait_for(fill_waiters=400)
    held.start(200, FRESH, length=200000)
    held.send(b"a" * 100000)
    clients[0].read_body(100000)
    held.send(b"b" * 100000)
    for client in clients:
        assert client.read_response().body == b"a" * 100000 + b"b" * 100000
    assert origin.count() == 1
    edge.expect_stats(requests_active=0, fill_waiters=0)


def test_a_long_node_name_is_cut(origin, start_edge):
    """It stands in every reply, whose own fields have a bounded place."""
    edge = start_edge(origin=origin.url, settings={"node_name": "n" * 3000})
    origin.serve("/a", 200, FRESH, b"hello")
    response = edge.get("/a")
    assert response.body == b"hello"
    assert response["Via"] == "1.1 " + "n" * 96


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_slow_client_gets_many_pieces(origin, edge, chunked):
    """Blocked again and again, with a head, a chunk line or its end half written."""
    origin.serve("/a", 200, FRESH, b"small")
    body = bytes(range(256)) * 4096
    origin.serve("/b", 200, NO_STORE, body, chunked=chunked)
    client = edge.client(rcvbuf=2048)
    for _ in range(8):
        client.send(request_bytes("GET", "/b") + request_bytes("GET", "/a"))
    for _ in range(8):
        client.read_body(1, most=700)
        client.read_body(60000, most=700)
        assert client.read_response().body == body
        assert client.read_response().body == b"small"


def test_a_client_that_leaves_after_an_unsafe_request_still_invalidates(origin, edge):
    """RFC 9111 section 4.4: the request had its effect, whoever waits for the answer."""
    origin.serve("/a", 200, FRESH, b"old")
    edge.get("/a")
    edge.wait_stored(1)
    origin.forget("/a")
    client = edge.client()
    client.send_request("POST", "/a", body=b"change")
    held = origin.next_request()
    assert held.body == b"change"
    client.reset()
    edge.expect_stats(requests_active=0)
    held.reply(200, NO_STORE, b"done")
    edge.wait_for(cache_invalidated=1, store_removals=1)
    origin.serve("/a", 200, FRESH, b"new")
    assert edge.get("/a").body == b"new"
    edge.expect_stats(fills_open=0, fill_waiters=0, requests_active=0)


def test_a_304_that_nobody_asked_for_is_no_answer(origin, edge):
    """RFC 9110 section 15.4.5: a 304 answers a condition, and brink sent none."""
    origin.serve("/a", 304, {"ETag": '"v"'}, b"")
    response = edge.get("/a")
    assert response.status == 502
    assert edge.get("/a").status == 502  # and nothing of it was kept
