"""HTTP/1.1 to clients and to the origin: framing, connections, fields, bodies, failures, refusals.

RFC 9110 and RFC 9112. What a client sent reaches the origin only as brink wrote it anew.
"""

import hashlib
import random
import socket
import threading

import pytest

import content
import h1
from client import Client, request_bytes
from origin import Origin, reply_head
from ports import free_port

FRESH = {"Cache-Control": "max-age=600"}
NO_STORE = {"Cache-Control": "no-store"}
MIB = 1024 * 1024


def forwarded(origin, edge, method, target, fields=None, body=None, **how):
    """What the origin sees of a request; the client's answer is read and 200."""
    client = edge.client()
    client.send_request(method, target, fields, body, **how)
    held = origin.next_request()
    assert held.body is not None
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().status == 200
    return held


# --- connections to clients


def test_keep_alive_serves_many_requests(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    for _ in range(50):
        assert client.get("/a").body == b"hello"
    edge.expect_stats(connections_open=1, requests=50)


def test_pipelined_requests_are_answered_in_order(origin, edge):
    """RFC 9112 section 9.3.2: misses, hits and an error mixed."""
    origin.serve("/a", 200, FRESH, b"a")
    origin.serve("/b", 404, FRESH, b"no b")
    origin.serve("/c", 200, NO_STORE, b"c", chunked=True)
    edge.get("/a")
    edge.wait_stored(1)
    client = edge.client()
    client.send(b"".join(request_bytes("GET", path) for path in ("/c", "/a", "/b", "/a", "/c")))
    answers = [client.read_response() for _ in range(5)]
    assert [answer.body for answer in answers] == [b"c", b"a", b"no b", b"a", b"c"]


def test_a_pipelined_request_waits_for_its_turn(origin, edge):
    """The second answer may be ready long before the first: it is not sent first."""
    origin.serve("/quick", 200, FRESH, b"quick")
    edge.get("/quick")
    edge.wait_stored(1)
    client = edge.client()
    client.send(request_bytes("GET", "/slow") + request_bytes("GET", "/quick"))
    origin.next_request().reply(200, NO_STORE, b"slow")
    assert [client.read_response().body for _ in range(2)] == [b"slow", b"quick"]


def test_a_request_pipelined_after_a_body(origin, edge):
    client = edge.client()
    client.send(request_bytes("POST", "/a", body=b"one") +
                request_bytes("PUT", "/b", body=[b"two", b"three"], chunked=True) +
                request_bytes("GET", "/c"))
    for path, body in (("/a", b"one"), ("/b", b"twothree"), ("/c", b"")):
        held = origin.next_request()
        assert (held.target, held.body) == (path, body)
        held.reply(200, NO_STORE, path.encode())
    assert [client.read_response().body for _ in range(3)] == [b"/a", b"/b", b"/c"]


def test_a_request_in_single_bytes(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    for i in request_bytes("GET", "/a", {"X-Long": "y" * 100}):
        client.send(bytes([i]))
    assert client.read_response().body == b"hello"


def test_empty_lines_before_a_request_are_skipped(origin, edge):
    """RFC 9112 section 2.2: at least one CRLF."""
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    client.send(b"\r\n" + request_bytes("GET", "/a"))
    assert client.read_response().body == b"hello"


def test_connection_close_is_obeyed_and_said(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    response = client.get("/a", {"Connection": "close"})
    assert (response.body, response["Connection"].lower()) == (b"hello", "close")
    client.expect_closed()


def test_idle_connections_end_after_their_time(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"idle_timeout": "1s"})
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    client.get("/a")
    client.expect_closed()
    edge.expect_stats(connections_open=0)


def test_a_head_that_does_not_come_is_408(start_edge, origin):
    edge = start_edge(origin=origin.url, settings={"head_timeout": "200ms"})
    client = edge.client()
    client.send(b"GET /a HTTP/1.1\r\nHost: si")
    assert client.read_response().status == 408
    client.expect_closed()
    edge.expect_stats(connection_timeouts=1)


def test_a_half_closed_client_is_answered(origin, edge):
    """As with `printf ... | nc`: it has sent all it has to say."""
    origin.serve("/a", 200, FRESH, b"a")
    client = edge.client()
    client.send(request_bytes("GET", "/a") + request_bytes("GET", "/b"))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.read_response().body == b"a"
    origin.next_request().reply(200, FRESH, b"b")
    assert client.read_response().body == b"b"
    client.expect_closed()


def test_who_asks_without_reading_is_held_back(origin, edge):
    """Thousands of pipelined requests whose answers nobody takes: brink stops reading."""
    origin.serve("/a", 200, FRESH, bytes(100_000))
    edge.get("/a")
    edge.wait_stored(1)
    before = edge.memory_kib()
    client = edge.client(rcvbuf=16384)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    one, asked = request_bytes("GET", "/a", {"X-Fill": "y" * 1000}), 0
    client.sock.settimeout(0.5)
    try:
        while asked < 20000:
            client.sock.sendall(one)
            asked += 1
    except TimeoutError:
        pass
    assert asked < 20000, "everything was taken in"
    assert edge.memory_kib() - before < 8 * 1024
    for _ in range(asked):
        assert client.read_response().received == 100_000


def test_clients_that_leave_at_any_moment_leave_nothing_behind(origin, edge):
    """Resets while sending, waiting, reading: every gauge comes back to zero."""
    dice = random.Random(1)

    def answer(held):
        held.start(200, dice.choice([FRESH, NO_STORE]), length=200_000)
        held.send(bytes(100_000))
        held.send(bytes(100_000))
        held.finish()

    origin.serve_all(lambda target: True, answer)
    for i in range(300):
        client = Client(edge.port)
        whole = request_bytes("GET", f"/leave/{dice.randrange(60)}")
        moment = dice.randrange(5)
        client.send(whole[: dice.randrange(len(whole))] if moment == 0 else whole)
        if moment >= 2:
            client.read_body(dice.randrange(1, 150_000), most=16384)
        if moment == 3:
            client.sock.shutdown(socket.SHUT_RDWR)
        client.reset()
    edge.expect_stats(connections_open=0, requests_active=0, fills_open=0, fill_bytes=0,
                      fill_waiters=0, store_queue_bytes=0)
    assert edge.get("/leave/1").status == 200


def test_too_few_descriptors_do_not_stop_it(origin, start_edge):
    """Connections that cannot be accepted wait or fail; later ones are served."""
    edge = start_edge(origin=origin.url, files_limit=60)
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    crowd = [Client(edge.port) for _ in range(100)]
    for client in crowd:
        client.close()
    edge.wait_until(lambda: served(edge), "it serves again")


def served(edge):
    try:
        return edge.get("/a").body == b"hello"
    except (OSError, h1.Truncated):
        return False


# --- HTTP/1.0


def old_request(edge, raw):
    client = edge.client()
    client.send(raw)
    response = client.read_response()
    return client, response


def test_http_10_is_answered_and_closed(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    client, response = old_request(edge, b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
    assert (response.status, response.body) == (200, b"hello")
    client.expect_closed()


@pytest.mark.parametrize("fields", [FRESH, NO_STORE], ids=["stored", "unstorable"])
def test_http_10_gets_no_chunks(origin, edge, fields):
    """RFC 9112 section 6.1: no Transfer-Encoding to who may not know it."""
    origin.serve("/a", 200, fields, b"hello", chunked=True)
    client, response = old_request(edge, b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
    assert response.body == b"hello"
    assert response.framing in ("close", "length")
    client.expect_closed()


def test_http_10_keep_alive_on_request(origin, edge):
    """RFC 9112 section 9.3, appendix C.2.2: kept only when both sides say so."""
    origin.serve("/a", 200, FRESH, b"hello")
    raw = b"GET /a HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n"
    client, response = old_request(edge, raw)
    assert response.framing == "length"
    if (response.get("Connection") or "").lower() == "keep-alive":
        client.send(raw)
        assert client.read_response().body == b"hello"
    else:
        client.expect_closed()


def test_http_10_reaches_the_origin_as_http_11(origin, edge):
    client = edge.client()
    client.send(b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
    held = origin.next_request()
    assert (held.minor, held["Host"], held["Via"]) == (1, "site.test", "1.0 brink")
    held.reply(200, NO_STORE)
    client.read_response()


def test_an_http_10_origin_that_closes(origin, edge):
    """RFC 9112 section 6.3, item 8: the end of the connection ends the body."""
    origin.serve_with("/a", lambda held: (
        held.send(b"HTTP/1.0 200 OK\r\nCache-Control: no-store\r\n\r\nhello"), held.close()))
    client = edge.client()
    for _ in range(2):
        response = client.get("/a")
        assert response.body == b"hello"
    assert all(held.nth == 0 for held in origin.requests)


# --- request targets


def test_absolute_form_names_the_host(origin, edge):
    """RFC 9112 section 3.2.2: the target's authority, not Host; the origin gets origin-form."""
    held = forwarded(origin, edge, "GET", "http://Real.test/a?b=c", host="other.test")
    assert (held.target, held["Host"].lower()) == ("/a?b=c", "real.test")


def test_absolute_form_and_origin_form_are_one_key(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    assert edge.get("http://site.test/a", host="other.test").cache_status.hit


def test_absolute_form_with_an_empty_path(origin, edge):
    held = forwarded(origin, edge, "GET", "http://site.test")
    assert held.target == "/"


def test_options_asterisk_is_forwarded(origin, edge):
    """RFC 9112 section 3.2.4."""
    held = forwarded(origin, edge, "OPTIONS", "*")
    assert (held.method, held.target) == ("OPTIONS", "*")


def test_target_and_query_are_forwarded_as_they_are(origin, edge):
    target = "/a%20b/%C3%A4/..%2fx;p=1?q=%41&r=a+b&empty=&&z?"
    held = forwarded(origin, edge, "GET", target)
    assert held.target == target


def test_an_unknown_method_is_forwarded(origin, edge):
    held = forwarded(origin, edge, "BREW", "/pot", {"Accept": "*/*"}, b"beans")
    assert (held.method, held.body) == ("BREW", b"beans")


# --- fields


def test_hop_by_hop_fields_end_here(origin, edge):
    """RFC 9110 section 7.6.1: towards the origin."""
    held = forwarded(origin, edge, "GET", "/a", [
        ("Connection", "close, X-Mine"), ("Connection", "x-two"), ("X-Mine", "1"), ("X-Two", "2"),
        ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "websocket"), ("X-Kept", "3")])
    for name in ("X-Mine", "X-Two", "Keep-Alive", "TE", "Proxy-Connection", "Upgrade"):
        assert name not in held.fields, f"{name} went to the origin: {held.fields}"
    assert held["X-Kept"] == "3"
    assert (held.get("Connection") or "keep-alive").lower() == "keep-alive"


@pytest.mark.parametrize("freshness", [FRESH, NO_STORE], ids=["stored", "unstorable"])
def test_hop_by_hop_fields_of_the_origin_end_here(origin, edge, freshness):
    """RFC 9110 section 7.6.1: towards the client, on a miss and on a hit."""
    origin.serve("/a", 200, {**freshness, "Connection": "X-Mine, keep-alive", "X-Mine": "1",
                             "Keep-Alive": "timeout=5", "Proxy-Connection": "keep-alive",
                             "X-Kept": "3"}, b"hello")
    for _ in range(2):
        response = edge.get("/a")
        for name in ("X-Mine", "Keep-Alive", "Proxy-Connection"):
            assert name not in response.fields, f"{name} went to the client: {response.fields}"
        assert response["X-Kept"] == "3"


@pytest.mark.parametrize("name", ["Content-Length", "Host", "Cache-Control"])
def test_what_matters_cannot_be_nominated_away(origin, edge, name):
    """RFC 9110 section 7.6.1: fields meant for all recipients are not connection options."""
    client = edge.client()
    client.send(request_bytes("POST", "/a", {"Connection": name, "Cache-Control": "no-cache"}, b"x"))
    assert client.read_response().status == 400
    client.expect_closed()
    assert origin.count() == 0


def test_via_names_both_hops(origin, edge):
    """RFC 9110 section 7.6.3."""
    held = forwarded(origin, edge, "GET", "/a")
    assert held["Via"] == "1.1 brink"
    origin.serve("/b", 200, FRESH, b"b")
    for _ in range(2):
        assert edge.get("/b")["Via"] == "1.1 brink"


def test_via_of_others_is_kept_before_ours(origin, edge):
    held = forwarded(origin, edge, "GET", "/a", {"Via": "1.0 fred"})
    assert ", ".join(held.fields.all("Via")) == "1.0 fred, 1.1 brink"
    origin.serve("/b", 200, {**FRESH, "Via": "1.1 inner"}, b"b")
    for _ in range(2):
        assert ", ".join(edge.get("/b").fields.all("Via")) == "1.1 inner, 1.1 brink"


def test_forwarded_fields_are_ours_alone(origin, edge):
    """What a client claims of itself does not reach the origin."""
    held = forwarded(origin, edge, "GET", "/a", {
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"})
    assert held["X-Forwarded-For"] == "127.0.0.1"
    assert held["X-Forwarded-Proto"] == "http"
    assert held["X-Forwarded-Host"] == "site.test"


def test_a_request_is_written_anew(origin, edge):
    """Blanks and tabs around values do not survive; end-to-end fields do, in order."""
    client = edge.client()
    client.send(b"GET /a HTTP/1.1\r\nHost:   site.test  \r\nX-One:\t 1 \t\r\nX-One: 2\r\nx-empty:\r\n\r\n")
    held = origin.next_request()
    held.reply(200, NO_STORE)
    assert client.read_response().status == 200
    assert held["Host"] == "site.test"
    assert held.fields.all("X-One") == ["1", "2"]
    assert held["X-Empty"] == ""
    assert b"X-One: 1\r\n" in held.head and b"\t" not in held.head


def test_the_operators_host_is_sent(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"origin.host": "app.internal"})
    held = forwarded(origin, edge, "GET", "/a")
    assert (held["Host"], held["X-Forwarded-Host"]) == ("app.internal", "site.test")


def test_a_date_is_added_when_missing(origin, edge):
    """RFC 9110 section 6.6.1."""
    origin.serve("/a", 200, FRESH, b"a")
    assert edge.get("/a")["Date"].endswith("GMT")
    origin.serve("/b", 200, {**FRESH, "Date": "Tue, 15 Nov 2044 08:12:31 GMT"}, b"b")
    assert edge.get("/b")["Date"] == "Tue, 15 Nov 2044 08:12:31 GMT"


# --- response bodies


@pytest.mark.parametrize("freshness", [FRESH, NO_STORE], ids=["stored", "unstorable"])
@pytest.mark.parametrize("size", [0, 1, 1499, 1500, 1501, 4096, 65511, 65512, 65513, 131024, 1000000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_bodies_of_every_size(shared_edge, freshness, size, chunked):
    edge, origin = shared_edge
    target = content.path_of(size, f"{freshness is FRESH}/{chunked}")
    body = content.body_of(target)
    origin.serve(target, 200, freshness, body, chunked=chunked)
    before = edge.stats()["store_puts"]
    client = edge.client()
    response = client.get(target)
    assert response.body == body
    if freshness is FRESH:
        edge.wait_for(store_puts=before + 1)
        response = client.get(target)
        assert response.cache_status.hit and response.body == body
        assert response["Content-Length"] == str(size)
    client.close()


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory):
    """One brink and origin for tests that need no fresh one."""
    from edge import Edge
    origin = Origin()
    edge = Edge(tmp_path_factory.mktemp("shared"), origin=origin.url)
    edge.start()
    yield edge, origin
    faults = edge.finish()
    origin.stop()
    assert not faults and not origin.faults, faults + origin.faults


def test_a_chunked_response_in_small_chunks(origin, edge):
    def answer(held):
        held.start(200, NO_STORE)
        for i in range(500):
            held.send_chunk(b"%d," % i)
        held.send(b"0;ext=1\r\nX-Trailer: t\r\n\r\n")
        held.finish()

    origin.serve_with("/a", answer)
    client = edge.client()
    for _ in range(2):
        assert client.get("/a").body == b"".join(b"%d," % i for i in range(500))


def test_head_is_answered_without_a_body(origin, edge):
    origin.serve("/a", 200, NO_STORE, b"hello")
    client = edge.client()
    response = client.request("HEAD", "/a")
    assert (response.status, response["Content-Length"], response.body) == (200, "5", b"")
    assert client.get("/a").body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(origin, edge, status):
    """RFC 9112 section 6.3, item 1. A 304 answers a condition that was passed on, as with HEAD: a GET
    for the store is asked without the client's conditions."""
    origin.serve("/a", status, {"ETag": '"x"'})
    origin.serve("/b", 200, NO_STORE, b"next")
    client = edge.client()
    if status == 304:
        response = client.request("HEAD", "/a", {"If-None-Match": '"x"'})
    else:
        response = client.get("/a")
    assert response.status == status
    assert "Transfer-Encoding" not in response.fields
    assert client.get("/b").body == b"next"


def test_interim_responses_are_passed_on(origin, edge):
    """RFC 9110 section 15.2: such as 103, before the final one."""
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.send(reply_head(103, {"Link": "</style.css>; rel=preload"}))
    interim = client.read_interim()
    assert (interim.status, interim["Link"]) == (103, "</style.css>; rel=preload")
    held.reply(200, NO_STORE, b"hello")
    assert client.read_response().body == b"hello"


def test_interim_responses_are_not_for_http_10(origin, edge):
    client = edge.client()
    client.send(b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
    held = origin.next_request()
    held.send(reply_head(103, {"Link": "</style.css>; rel=preload"}))
    held.reply(200, NO_STORE, b"hello")
    response = client.read_response()
    assert (response.status, response.body, response.interim) == (200, b"hello", [])


def test_several_interim_responses_keep_their_order(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    for i in range(5):
        held.send(reply_head(103, {"Link": f"</{i}.css>", "Connection": "X-Mine", "X-Mine": "1"}))
    held.reply(200, FRESH, b"hello")
    response = client.read_response()
    assert [interim["Link"] for interim in response.interim] == [f"</{i}.css>" for i in range(5)]
    assert all("X-Mine" not in interim.fields for interim in response.interim)
    assert response.body == b"hello"


def test_an_unstorable_response_is_paced_by_its_reader(origin, edge):
    """A slow client slows the origin; it does not fill brink's memory."""
    total, sent = 128 * MIB, [0]

    def pour(held):
        held.start(200, NO_STORE, length=total)
        block = bytes(MIB)
        while sent[0] < total:
            held.send(block)
            sent[0] += MIB
        held.finish()

    before = edge.memory_kib()
    origin.serve_with("/a", pour)
    client = edge.client(rcvbuf=65536)
    client.send_request("GET", "/a")
    client.read_body(MIB, most=65536)
    wait_until_still(lambda: sent[0])
    assert sent[0] < 64 * MIB, "the origin was not held back"
    assert edge.memory_kib() - before < 32 * 1024
    assert client.read_response(timeout=60).received == total


def wait_until_still(read, rounds=20):
    """Until a number has not moved for a while (there is no event for what does not happen)."""
    last, still, pause = read(), 0, threading.Event()
    while still < rounds:
        pause.wait(0.025)
        now = read()
        still = still + 1 if now == last else 0
        last = now


# --- request bodies


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_large_upload_is_streamed_with_back_pressure(origin, edge, chunked):
    """100 MB while the origin does not read: the client is stopped, memory stays bounded."""
    size, step = 100_000_000, 250_000
    sent = [0]
    client = edge.client()
    fields = [("Host", "site.test"),
              ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", size)]
    wanted = hashlib.sha256()

    def upload():
        client.send(b"POST /up HTTP/1.1\r\n" + h1.field_lines(fields) + b"\r\n")
        for i in range(size // step):
            data = bytes([i % 256]) * step
            wanted.update(data)
            client.send(b"%x\r\n%s\r\n" % (step, data) if chunked else data)
            sent[0] += step
        if chunked:
            client.send(b"0\r\n\r\n")

    before = edge.memory_kib()
    sender = threading.Thread(target=upload, daemon=True)
    sender.start()
    held = origin.next_request()
    wait_until_still(lambda: sent[0])
    assert sent[0] < size // 2, "the client was not held back"
    assert edge.memory_kib() - before < 16 * 1024
    got, length = hashlib.sha256(), 0
    for data in held.body_parts():
        got.update(data)
        length += len(data)
    sender.join()
    held.reply(200, NO_STORE, b"thanks")
    assert client.read_response().body == b"thanks"
    assert (length, got.digest()) == (size, wanted.digest())
    assert edge.memory_kib() - before < 32 * 1024


def test_a_body_is_forwarded_before_it_is_whole(origin, edge):
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 6\r\n\r\none")
    held = origin.next_request()
    assert held.read_body_some() == b"one"
    client.send(b"two")
    assert held.body == b"two"
    held.reply(200, NO_STORE, b"ok")
    assert client.read_response().body == b"ok"


def test_an_answer_before_the_body_is_whole(origin, edge):
    """RFC 9110 section 10.1.1, RFC 9112 section 9.3: an early refusal reaches the client."""
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1000000\r\n\r\nstart")
    held = origin.next_request()
    assert held.read_body_some() == b"start"
    held.reply(403, {**NO_STORE, "Connection": "close"}, b"no", close=True)
    response = client.read_response()
    assert (response.status, response.body) == (403, b"no")


def test_a_client_that_leaves_in_its_body_ends_the_fetch(origin, edge):
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhal")
    held = origin.next_request()
    assert held.read_body_some() == b"hal"
    client.reset()
    assert held.is_abandoned(), "half a request was left waiting at the origin"
    held.finish(close=True)
    edge.expect_stats(requests_active=0)


def test_a_body_that_stops_is_cut_off(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"read_timeout": "1s"})
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhal")
    held = origin.next_request()
    assert held.read_body_some() == b"hal"
    assert held.is_abandoned()
    held.finish(close=True)
    try:
        assert client.read_response().status == 408
    except h1.Truncated:
        pass
    edge.expect_stats(requests_active=0, connections_open=0)


def test_a_body_beyond_the_limit_is_413(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"request_body_max": "10"})
    client = edge.client()
    client.send_request("POST", "/a", body=b"x" * 11)
    assert client.read_response().status == 413
    client.expect_closed()
    assert origin.count() == 0


def test_expect_100_continue_gets_its_100(origin, edge):
    """RFC 9110 section 10.1.1: the body is sent after the 100 only."""
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n"
                b"Expect: 100-continue\r\n\r\n")
    answered = []

    def act():
        held = origin.next_request()
        if "Expect" in held.fields:
            held.send(reply_head(100))
        answered.append(held.body)
        held.reply(200, NO_STORE, b"ok")

    actor = threading.Thread(target=act, daemon=True)
    actor.start()
    assert client.read_interim().status == 100
    client.send(b"hello")
    response = client.read_response()
    actor.join()
    assert (response.body, answered) == (b"ok", [b"hello"])


def test_expect_100_continue_of_a_body_too_large(origin, start_edge):
    """RFC 9110 section 10.1.1: a final status instead of 100 spares the body."""
    edge = start_edge(origin=origin.url, settings={"request_body_max": "10"})
    client = edge.client()
    client.send(b"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 11\r\n"
                b"Expect: 100-continue\r\n\r\n")
    response = client.read_response()
    assert (response.status, response.interim) == (413, [])


def test_expect_anything_else_is_417(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a", {"Expect": "miracles"})
    assert client.read_response().status == 417
    assert origin.count() == 0


# --- when the origin fails


def assert_told(response, status, word):
    """A failure is answered with its status and a reason for people."""
    assert response.status == status
    assert word in response.body.decode().lower(), f"no reason in {response.body!r}"


def test_a_refused_connection_is_502(origin, edge):
    origin.stop()
    client = edge.client()
    assert_told(client.get("/a"), 502, "refused")
    assert_told(client.get("/a"), 502, "refused")
    edge.expect_stats(origin_failures=2)


def test_a_failure_is_not_stored(origin, edge):
    origin.stop()
    assert edge.get("/a").status == 502
    origin.start()
    origin.serve("/a", 200, FRESH, b"back")
    assert edge.get("/a").body == b"back"


@pytest.mark.parametrize("end", ["close", "abort"])
def test_an_origin_that_closes_early_is_502(origin, edge, end):
    origin.serve_with("/a", lambda held: getattr(held, end)())
    assert_told(edge.get("/a"), 502, "closed")


def test_an_origin_that_closes_in_its_head_is_502(origin, edge):
    origin.serve_with("/a", lambda held: (held.send(b"HTTP/1.1 200 OK\r\nX: 1"), held.close()))
    assert edge.get("/a").status == 502


def test_no_first_byte_in_time_is_504(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"origin.first_byte_timeout": "1s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert_told(client.read_response(), 504, "in time")
    assert held.is_abandoned()
    held.finish(close=True)
    edge.expect_stats(origin_timeouts=1)


def test_a_pause_in_the_head_is_504(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"origin.first_byte_timeout": "1s",
                                                   "origin.between_bytes_timeout": "1s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.send(b"HTTP/1.1 200 OK\r\nX:")
    assert_told(client.read_response(), 504, "in time")
    held.finish(close=True)


@pytest.mark.parametrize("freshness", [FRESH, NO_STORE], ids=["stored", "unstorable"])
def test_a_pause_in_the_body_cuts_the_response(origin, start_edge, freshness):
    edge = start_edge(origin=origin.url, settings={"origin.between_bytes_timeout": "1s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, freshness, length=10)
    held.send(b"12345")
    with pytest.raises(h1.Truncated):
        client.read_response()
    assert held.is_abandoned()
    held.finish(close=True)
    edge.expect_stats(origin_timeouts=1, store_objects=0)


def test_a_connection_not_accepted_in_time_is_504(start_edge):
    """A listener whose queue is full does not answer."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(0)
    port = silent.getsockname()[1]
    queued = []
    for _ in range(8):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        queued.append(sock)
    edge = start_edge(origin=f"http://127.0.0.1:{port}",
                      settings={"origin.connect_timeout": "200ms"})
    assert_told(edge.get("/a"), 504, "connection")
    for sock in [silent, *queued]:
        sock.close()


def test_a_name_that_does_not_resolve_is_502(start_edge):
    edge = start_edge(origin="http://no-such-host.invalid:80", settings={"dns_timeout": "3s"})
    assert_told(edge.get("/a"), 502, "no-such-host.invalid")


def test_an_origin_by_name(origin, start_edge):
    """localhost may have an IPv6 address first, where nobody listens."""
    edge = start_edge(origin=f"http://localhost:{origin.port}")
    origin.serve("/a", 200, FRESH, b"hello")
    assert edge.get("/a").body == b"hello"


BAD_RESPONSES = [
    ("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("no status", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    ("status out of range", b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
    ("other version", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("length and chunked",
     b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("length not a number", b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello"),
    ("negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    ("huge length", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
    ("chunked not last", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("blank before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("folded field", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("NUL", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"),
    ("switching without being asked", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"),
]


@pytest.mark.parametrize("why, raw", BAD_RESPONSES, ids=[why for why, _ in BAD_RESPONSES])
def test_an_unclear_response_is_502(origin, edge, why, raw):
    """RFC 9112 section 6.3: refused, never repaired, and the connection is not used again."""
    origin.serve_with("/a", lambda held: (held.send(raw), held.finish()))
    origin.serve("/b", 200, FRESH, b"fine")
    assert edge.get("/a").status == 502
    assert edge.get("/b").body == b"fine"
    assert origin.requests[-1].nth == 0
    edge.expect_stats(store_puts=1)


def test_a_bad_chunk_of_the_origin_cuts_the_response(origin, edge):
    origin.serve_with("/a", lambda held: (
        held.start(200, FRESH), held.send_chunk(b"hello"), held.send(b"zz\r\n"), held.finish()))
    client = edge.client()
    client.send_request("GET", "/a")
    try:
        assert client.read_response().status == 502
    except h1.Truncated:
        pass
    edge.expect_stats(store_objects=0, store_puts=0)


def test_a_head_too_large_is_502(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"origin.line_max": "1KB",
                                                   "origin.head_max": "4KB"})
    origin.serve("/a", 200, {**FRESH, "X-Large": "y" * 8000}, b"hello")
    assert edge.get("/a").status == 502


def test_bytes_after_a_response_spoil_it(origin, edge):
    """RFC 9112 section 6.3: they answer nothing, and an answer that ends before them is not to be
    trusted (a head split by somebody's line break looks like this)."""
    origin.serve_with("/a", lambda held: (
        held.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok"
                  b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), held.finish()))
    origin.serve("/b", 200, NO_STORE, b"good")
    client = edge.client()
    assert client.get("/a").status == 502
    for _ in range(5):
        assert client.get("/b").body == b"good"
    edge.expect_stats(store_puts=0, origin_refused_framing=1)


# --- the pool of origin connections


def test_origin_connections_are_used_again(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve("/a", 200, NO_STORE, b"hello")
    for _ in range(10):
        assert edge.get("/a").body == b"hello"
    assert len(origin.connections) == 1
    edge.expect_stats(origin_requests=10, origin_connections_opened=1,
                      origin_connections_reused=9, origin_connections_idle=1)


def test_a_connection_the_origin_wants_closed_is_not_kept(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve("/a", 200, {**NO_STORE, "Connection": "close"}, b"hello", close=True)
    for _ in range(3):
        assert edge.get("/a").body == b"hello"
    assert len(origin.connections) == 3
    edge.expect_stats(origin_connections_idle=0, origin_retries=0)


def test_a_kept_connection_that_ended_is_noticed(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve("/a", 200, NO_STORE, b"hello")
    edge.get("/a")
    edge.expect_stats(origin_connections_idle=1)
    origin.close_idle()
    edge.expect_stats(origin_connections_idle=0)
    assert edge.get("/a").body == b"hello"


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_kept_connection_that_dies_under_a_get_is_retried(origin, start_edge, end):
    """RFC 9112 section 9.3.1: the request may go again on a new connection."""
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve("/a", 200, NO_STORE, b"hello")
    edge.get("/a")
    origin.serve_with("/b", lambda held: (
        getattr(held, end)() if held.nth else held.reply(200, NO_STORE, b"again")))
    assert edge.get("/b").body == b"again"
    edge.expect_stats(origin_retries=1)


def test_a_post_is_not_sent_twice(origin, start_edge):
    """RFC 9110 section 9.2.2: what is not idempotent is not repeated by a proxy."""
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve("/a", 200, NO_STORE, b"hello")
    edge.get("/a")
    origin.serve_with("/b", lambda held: held.close())
    assert edge.request("POST", "/b", body=b"order").status == 502
    assert origin.count("/b") == 1


def test_a_fresh_connection_that_dies_is_not_retried_forever(origin, edge):
    origin.serve_with("/a", lambda held: held.close())
    assert edge.get("/a").status == 502
    assert origin.count("/a") <= 2


def test_idle_connections_of_the_pool_are_limited(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1, settings={"origin.idle_max": "2"})
    clients = [edge.client() for _ in range(5)]
    for i, client in enumerate(clients):
        client.send_request("GET", f"/{i}")
    for held in [origin.next_request() for _ in clients]:
        held.reply(200, NO_STORE, b"ok")
    assert all(client.read_response().body == b"ok" for client in clients)
    edge.expect_stats(origin_connections_idle=2)


def test_idle_connections_of_the_pool_end_after_their_time(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1, settings={"origin.idle_timeout": "200ms"})
    origin.serve("/a", 200, NO_STORE, b"hello")
    edge.get("/a")
    edge.expect_stats(origin_connections_idle=0)
    assert edge.get("/a").body == b"hello"


def test_a_client_that_leaves_ends_an_unstorable_fetch(origin, edge):
    """Nobody else can use it, so the origin is spared the rest."""
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, NO_STORE, length=10)
    held.send(b"12345")
    client.read_body(5)
    client.reset()
    assert held.is_abandoned()
    held.finish(close=True)
    edge.expect_stats(requests_active=0, fills_open=0)


# --- what is refused: the grammar itself is strict_requests_test.py's


def get(*lines, target=b"/a", version=b"HTTP/1.1"):
    return b"\r\n".join([b"GET " + target + b" " + version, *lines, b"", b""])


def post(*lines, body=b""):
    return b"\r\n".join([b"POST /a HTTP/1.1", b"Host: site.test", *lines, b"", b""]) + body


@pytest.mark.parametrize("method, target", [("CONNECT", "site.test:80"), ("TRACE", "/a")])
def test_methods_that_have_no_place_here(origin, edge, method, target):
    """A tunnel, and an echo of the request's fields: RFC 9110 sections 9.3.6 and 9.3.8."""
    response = edge.request(method, target)
    assert response.status == 405
    assert "GET" in response["Allow"]
    assert origin.count() == 0


def test_chunk_extensions_and_trailers_are_read_over(origin, edge):
    """RFC 9112 section 7.1.1: ignored, and not passed on."""
    client = edge.client()
    client.send(post(b"Transfer-Encoding: chunked",
                     body=b"5;a=b;c=\"d e\"\r\nhello\r\n0005\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n"))
    held = origin.next_request()
    assert held.body == b"helloworld"
    held.reply(200, NO_STORE, b"ok")
    assert client.read_response().body == b"ok"


def test_an_error_page_carries_no_word_of_the_client(edge, origin):
    """No reflection, and no store: errors are brink's own text."""
    client = edge.client()
    client.send(get(b"Host: <script>", target=b"/<script>"))
    response = client.read_response()
    assert response.status == 400
    assert b"script" not in response.body
    assert "Content-Type" in response.fields


def test_answers_before_a_refusal_are_sent(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    client.send(request_bytes("GET", "/a") + b"BAD\r\n\r\n")
    assert client.read_response().body == b"hello"
    assert client.read_response().status == 400
    client.expect_closed()


def test_an_origin_that_starts_later_is_used(start_edge):
    """No failure is remembered."""
    port = free_port()
    edge = start_edge(origin=f"http://127.0.0.1:{port}")
    assert edge.get("/a").status == 502
    late = Origin(port=port)
    try:
        late.serve("/a", 200, FRESH, b"late")
        assert edge.get("/a").body == b"late"
    finally:
        late.stop()
