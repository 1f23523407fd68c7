"""Strict towards origins: hundreds of raw answers (answers.py), one brink before one origin.

After each refusal: everybody who waited has 502 or a visibly cut body, at once; nothing is stored, for
the next request reaches the origin; the connection is closed, for that request comes on another; the
counter of its kind has risen; and a bystander gets its own answer.
"""

import itertools

import pytest

import answers
from answers import BODY, FRESH, LAST, LENGTH, OK, PASS, head, with_field, with_line
from client import Client
from edge import Edge
from h1 import TOKEN, Truncated
from origin import Origin

STORED = {"Cache-Control": "max-age=600"}
NO_STORE = {"Cache-Control": "no-store"}
CUT = "cut"
numbers = itertools.count()


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """One brink with one worker, so that which origin connection is next is certain."""
    origin = Origin()
    origin.serve_all(lambda target: target.startswith("/by/"),
                     lambda held: held.reply(200, NO_STORE, held.target.encode()))
    edge = Edge(tmp_path_factory.mktemp("strict"), origin=origin.url, workers=1)
    edge.start()
    yield edge, origin
    faults = edge.finish()
    origin.stop()
    assert not faults and not origin.faults, faults + origin.faults


def fresh_target(name):
    return f"/{name}/{next(numbers)}"


def outcome(client):
    """(status, body) of a whole answer, or CUT."""
    try:
        response = client.read_response()
        return response.status, response.body
    except Truncated as fault:
        assert fault.parser.response is not None, "cut before a head: nobody was told anything"
        return CUT


def give(held, raw, end):
    """`raw` and the end of it, whatever brink does meanwhile."""
    try:
        held.send(raw)
    except OSError:
        pass
    {"keep": held.finish, "close": held.close, "reset": held.abort}[end]()


def check_bystander(edge):
    target = fresh_target("by")
    assert edge.get(target).body == target.encode()


def asked_anew(edge, origin, case, target, first):
    """Nothing was stored, and the connection is not used again."""
    assert first.conn.ended.wait(10), "the connection is still open"
    with Client(edge.port) as client:
        client.send_request(case.method, target, PASS if "If-Match" in case.fields else {})
        held = origin.next_request()
        assert (held.target, held.conn is first.conn) == (target, False)
        held.reply(200, STORED, b"again")
        response = client.read_response()
        assert (response.status, response.body) == (200, b"" if case.method == "HEAD" else b"again")


def drop_idle(edge, origin):
    """On a kept connection that ends without a byte a request is repeated (RFC 9112 section 9.3.1),
    and a reset may swallow the bytes before it."""
    origin.close_idle()
    edge.expect_stats(origin_connections_idle=0)


def refuse(arena, case, allowed):
    edge, origin = arena
    if case.end != "keep":
        drop_idle(edge, origin)
    before = edge.stats()
    target = fresh_target("answer")
    with Client(edge.port) as first, Client(edge.port) as second:
        clients = [first]
        first.send_request(case.method, target, case.fields)
        held = origin.next_request()
        if case.shared:
            clients.append(second)
            second.send_request("GET", target)
            edge.wait_for(cache_collapsed=before["cache_collapsed"] + 1)
        give(held, case.raw, case.end)
        for client in clients:
            seen = outcome(client)
            assert (CUT if seen == CUT else seen[0]) in allowed, f"a client got {seen}"
    asked_anew(edge, origin, case, target, held)
    check_bystander(edge)
    edge.expect_stats(**{case.kind: before[case.kind] + 1,
                         "origin_failures": before["origin_failures"] + 1})


@pytest.mark.parametrize("case", answers.REFUSED, ids=lambda case: case.id)
def test_refused(arena, case):
    refuse(arena, case, {502})


@pytest.mark.parametrize("case", answers.CUT, ids=lambda case: case.id)
def test_cut(arena, case):
    """Its head is good: 502 while nobody has it, else a visible end in the middle."""
    refuse(arena, case, {502, CUT})


@pytest.mark.parametrize("case", answers.GOOD, ids=lambda case: case.id)
def test_good(arena, case):
    edge, origin = arena
    target = fresh_target("good")
    before = edge.stats()
    with Client(edge.port) as client:
        client.send_request(case.method, target, case.fields)
        held = origin.next_request()
        give(held, case.raw, case.end)
        response = client.read_response()
    assert (response.status, response.body) == (case.status, case.body)
    assert len(response.interim) == case.interim
    assert not response.trailers.items
    if case.stored:
        edge.wait_for(store_puts=before["store_puts"] + 1)
        response = edge.get(target)
        assert (response.status, response.body) == (case.status, case.body)
        assert origin.count(target) == 1
    check_bystander(edge)
    assert (origin.requests[-1].conn is held.conn) == case.kept
    if not case.kept:
        assert held.conn.ended.wait(10)
    after = edge.stats()
    assert after["origin_failures"] == before["origin_failures"]


# --- the same in single bytes

SPLIT = [case for case in answers.REFUSED
         if len(case.raw) < 300 and case.shared and case.end == "keep"
         and case.id not in {f"9112-6.3: {name}" for name, _ in answers.AFTER}]


@pytest.mark.parametrize("case", SPLIT, ids=lambda case: case.id)
def test_refused_in_single_bytes(arena, case):
    """The verdict does not hang on how the bytes were cut."""
    edge, origin = arena
    target = fresh_target("split")
    before = edge.stats()
    with Client(edge.port) as client:
        client.send_request("GET", target)
        held = origin.next_request()
        try:
            for byte in case.raw:
                held.send(bytes([byte]))
        except OSError:
            pass  # refused before it was whole
        held.finish()
        assert client.read_response().status == 502
    assert held.conn.ended.wait(10)
    edge.expect_stats(**{case.kind: before[case.kind] + 1})
    check_bystander(edge)


# --- every byte in every place

CTL = set(range(0x20)) | {0x7f}
VALUE = set(range(256)) - CTL | {0x09}
TOKENS = {c for c in range(256) if TOKEN.fullmatch(bytes([c]))}
DIGITS = set(b"0123456789")
HEX = set(b"0123456789abcdefABCDEF")


def chunk_of(c):
    """A body whose first size is this byte."""
    size = int(bytes([c]), 16) if c in HEX else 5
    data = b"" if size == 0 else b"x" * size + b"\r\n" + LAST
    return answers.chunks(bytes([c]) + b"\r\n" + (data or b"\r\n"))


PLACES = [
    ("9112-4: the first of all", lambda c: c + with_line(OK)[1:], set(b"H")),
    ("9112-2.3: the dot of the version", lambda c: with_line(b"HTTP/1" + c + b"1 200 OK"), set(b".")),
    ("9112-2.3: the major version", lambda c: with_line(b"HTTP/" + c + b".1 200 OK"), set(b"1")),
    ("9112-2.3: the minor version", lambda c: with_line(b"HTTP/1." + c + b" 200 OK"), DIGITS),
    ("9112-4: before the code", lambda c: with_line(b"HTTP/1.1" + c + b"200 OK"), set(b" ")),
    ("9110-15: the code's first digit", lambda c: with_line(b"HTTP/1.1 " + c + b"00 OK"), set(b"2345")),
    ("9112-4: the code's last digit", lambda c: with_line(b"HTTP/1.1 29" + c + b" OK"), DIGITS),
    ("9112-4: behind the code", lambda c: with_line(b"HTTP/1.1 200" + c + b"OK"), set(b" ")),
    ("9112-4: the reason", lambda c: with_line(b"HTTP/1.1 200 O" + c + b"K"), VALUE),
    ("9112-2.2: the CR of the status line", lambda c: with_line(OK).replace(b"\r", c, 1), set(b"\r")),
    ("9112-2.2: the LF of the status line", lambda c: with_line(OK).replace(b"\n", c, 1), set(b"\n")),
    ("9112-2.2: the CR of a field", lambda c: with_field(b"X: y").replace(b"y\r", b"y" + c), set(b"\r")),
    ("9112-2.2: the CR of the empty line",
     lambda c: with_line(OK).replace(b"\r\n\r", b"\r\n" + c), set(b"\r")),
    ("9110-5.1: in a name", lambda c: with_field(b"X" + c + b"Y: z"), TOKENS | set(b":")),
    ("9110-5.1: a name's first", lambda c: with_field(c + b"Y: z"), TOKENS),
    ("9110-5.1: a name's last", lambda c: with_field(b"X" + c + b": z"), TOKENS | set(b":")),
    ("9112-5: the colon", lambda c: with_field(b"X" + c + b" z"), set(b":")),
    ("9110-5.5: in a value", lambda c: with_field(b"X: y" + c + b"z"), VALUE),
    ("9110-5.5: a value's first", lambda c: with_field(b"X:" + c + b"z"), VALUE),
    ("9110-5.5: a value's last", lambda c: with_field(b"X: y" + c), VALUE),
    ("9110-8.6: in a length", lambda c: answers.framed(b"Content-Length: 0" + c + b"5", body=b"x" * (
        10 * (c[0] - 48) + 5 if c[0] in DIGITS else 5)), DIGITS),
    ("9110-8.6: before a length", lambda c: answers.framed(b"Content-Length:" + c + b"5", body=b"x" * (
        10 * (c[0] - 48) + 5 if c[0] in DIGITS else 5)), DIGITS | set(b" \t")),
    ("9112-6.1: behind chunked",
     lambda c: answers.framed(b"Transfer-Encoding: chunked" + c, body=LAST), set(b" \t")),
    ("9112-7.1: a chunk's size", lambda c: chunk_of(c[0]), HEX),
    ("9112-7.1: behind a chunk's size",
     lambda c: answers.chunks(b"5" + c + b"\nhello\r\n" + LAST), set(b"\r")),
    ("9112-7.1: the LF of a chunk's size",
     lambda c: answers.chunks(b"5\r" + c + b"hello\r\n" + LAST), set(b"\n")),
    ("9112-7.1: behind a chunk's data",
     lambda c: answers.chunks(b"5\r\nhello" + c + b"\n" + LAST), set(b"\r")),
    ("9112-7.1.1: in an extension's name",
     lambda c: answers.chunks(b"5;a" + c + b"b\r\nhello\r\n" + LAST), TOKENS | set(b";=")),
    ("9112-7.1.1: in an extension's value",
     lambda c: answers.chunks(b"5;a=b" + c + b"c\r\nhello\r\n" + LAST), TOKENS | set(b";")),
    ("9112-7.1.1: in a quoted value",
     lambda c: answers.chunks(b'5;a="b' + c + b' "\r\nhello\r\n' + LAST), VALUE - set(b'"')),
    ("9112-7.1.2: in a trailer's name",
     lambda c: answers.chunks(b"5\r\nhello\r\n0\r\nX" + c + b"Y: z\r\n\r\n"), TOKENS | set(b":")),
    ("9112-7.1.2: in a trailer's value",
     lambda c: answers.chunks(b"5\r\nhello\r\n0\r\nX: y" + c + b"z\r\n\r\n"), VALUE),
]


@pytest.mark.parametrize("name, make, allowed", PLACES, ids=[row[0] for row in PLACES])
def test_every_byte(arena, name, make, allowed):
    """All 256 in this place: 200 to those that the grammar allows, 502 or a cut body to the rest."""
    edge, origin = arena
    prefix = fresh_target("byte") + "/"
    origin.serve_all(lambda target: target.startswith(prefix), lambda held: give(
        held, make(bytes([int(held.target[len(prefix):])])), "keep"))
    wrong = []
    for c in range(256):
        with Client(edge.port) as client:
            client.send_request("GET", f"{prefix}{c}")
            seen = outcome(client)
        if (seen != CUT and seen[0] != 502) != (c in allowed):
            wrong.append((c, seen))
    assert not wrong
    check_bystander(edge)


# --- connections that speak out of turn

EVIL = with_line(OK).replace(BODY, b"evil!")


@pytest.mark.parametrize("raw", [EVIL, b"\r\n", b"\n", b"\0", b"H", EVIL * 100],
                         ids=["a response", "CRLF", "LF", "NUL", "one byte", "many responses"])
@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "at once"])
def test_9112_9_2_bytes_on_an_idle_connection(arena, raw, noticed):
    """Whatever a kept connection says before it is asked is nobody's answer."""
    edge, origin = arena
    target = fresh_target("by")
    with Client(edge.port) as client:
        assert client.get(target).body == target.encode()
        spoiled = origin.requests[-1].conn
        spoiled.sock.sendall(raw)
        if noticed:
            assert spoiled.ended.wait(10)
        for _ in range(3):
            target = fresh_target("by")
            assert client.get(target).body == target.encode()
            assert origin.requests[-1].conn is not spoiled
    assert spoiled.ended.wait(10)


def test_9112_6_3_bytes_that_come_later_answer_nothing(arena):
    """The response is whole and stored before they come: it stands, the connection does not."""
    edge, origin = arena
    target = fresh_target("later")
    with Client(edge.port) as client:
        client.send_request("GET", target)
        held = origin.next_request()
        held.send(with_line(OK))
        assert client.read_response().body == BODY
        held.send(EVIL)
        held.finish()
        assert held.conn.ended.wait(10)
        for _ in range(2):
            other = fresh_target("by")
            assert client.get(other).body == other.encode()
        assert client.get(target).body == BODY
    assert origin.count(target) == 1


# --- 304


def stored_for_validation(edge, origin, fields=()):
    """An object that is validated each time."""
    target = fresh_target("validated")
    with Client(edge.port) as client:
        client.send_request("GET", target)
        origin.next_request().reply(200, {"Cache-Control": "no-cache", "ETag": '"a"', "X-Kept": "1",
                                          "Content-Type": "text/plain", **dict(fields)}, BODY)
        assert client.read_response().body == BODY
    # Of this object, for the counter may be that of one before it.
    inspect = "/inspect?url=http%3A%2F%2Fsite.test" + target.replace("/", "%2F")
    edge.wait_until(lambda: edge.admin("GET", inspect).status == 200, f"{target} stored")
    return target


def validated(edge, origin, target, *lines):
    """The client's answer when the origin says 304 with these fields; the update is on disk then."""
    updates = edge.stats()["store_updates"]
    with Client(edge.port) as client:
        client.send_request("GET", target)
        held = origin.next_request()
        assert held["If-None-Match"] == '"a"'
        give(held, head(b"HTTP/1.1 304 Not Modified", *lines), "keep")
        response = client.read_response()
    edge.wait_for(store_updates=updates + 1)
    return response


NOT_MERGED = [
    ("9111-3.2: Content-Length", b"Content-Length: 99", "Content-Length", "5"),
    ("9111-3.2: Content-Length of 0", b"Content-Length: 0", "Content-Length", "5"),
    ("9111-3.2: Content-Encoding", b"Content-Encoding: gzip", "Content-Encoding", None),
    ("9111-3.2: Content-Range", b"Content-Range: bytes 0-1/2", "Content-Range", None),
    ("9111-3.1: Transfer-Encoding", b"Transfer-Encoding: chunked", "Transfer-Encoding", None),
    ("9111-3.1: Trailer", b"Trailer: X", "Trailer", None),
    ("9111-3.1: Keep-Alive", b"Keep-Alive: timeout=5", "Keep-Alive", None),
    ("9111-3.1: Upgrade", b"Upgrade: h2c", "Upgrade", None),
    ("9111-3.1: a nominated field", b"Connection: X-Kept\r\nX-Kept: 2", "X-Kept", "1"),
]


@pytest.mark.parametrize("name, line, field, want", NOT_MERGED, ids=[row[0] for row in NOT_MERGED])
def test_a_304_leaves_alone(arena, name, line, field, want):
    """Now, and when it is served again."""
    edge, origin = arena
    target = stored_for_validation(edge, origin)
    for lines in ([b'ETag: "a"', line, b"X-New: 1"], [b'ETag: "a"']):
        response = validated(edge, origin, target, *lines)
        assert (response.status, response.body, response.get(field)) == (200, BODY, want)
        assert response["X-New"] == "1"


def test_9111_3_2_a_304_replaces_other_fields(arena):
    """Content-Type too: brink keeps the bytes as they came, so no field of theirs depends on it."""
    edge, origin = arena
    target = stored_for_validation(edge, origin)
    for lines in ([b'ETag: "a"', b"Content-Type: text/html", b"X-Kept: 2"], [b'ETag: "a"']):
        response = validated(edge, origin, target, *lines)
        assert (response["Content-Type"], response["X-Kept"]) == ("text/html", "2")


OTHER_VALIDATORS = [
    ("another strong tag", [b'ETag: "b"']),
    ("another weak tag", [b'ETag: W/"b"']),
    ("two tags", [b'ETag: "a"', b'ETag: "b"']),
    ("another tag and the same date", [b'ETag: "b"', b"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("another date", [b"Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"]),
]


@pytest.mark.parametrize("lines", [row[1] for row in OTHER_VALIDATORS],
                         ids=[f"9111-4.3.4: {row[0]}" for row in OTHER_VALIDATORS])
@pytest.mark.parametrize("then", ["200", "304"])
def test_a_304_for_another_response(arena, lines, then):
    """It updates nothing: brink asks again without conditions, and 304 to that is no answer."""
    edge, origin = arena
    target = stored_for_validation(edge, origin,
                                   {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}.items())
    with Client(edge.port) as client, Client(edge.port) as second:
        collapsed = edge.stats()["cache_collapsed"]
        client.send_request("GET", target)
        held = origin.next_request()
        second.send_request("GET", target)
        edge.wait_for(cache_collapsed=collapsed + 1)
        give(held, head(b"HTTP/1.1 304 Not Modified", b"X-Kept: 2", *lines), "keep")
        anew = origin.next_request()
        assert "If-None-Match" not in anew.fields and "If-Modified-Since" not in anew.fields
        if then == "200":
            anew.reply(200, {**STORED, "ETag": '"b"'}, b"new")
            for each in (client, second):
                assert each.read_response().body == b"new"
            return
        give(anew, head(b"HTTP/1.1 304 Not Modified", *lines), "keep")
        for each in (client, second):
            assert each.read_response().status == 502
    response = validated(edge, origin, target, b'ETag: "a"')
    assert (response.body, response["X-Kept"]) == (BODY, "1")  # what was stored is as it was


SPOILED = [
    ("9112-6.3: a body behind it", head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"', LENGTH) + BODY),
    ("9112-6.3: a response behind it",
     head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"') + with_line(OK)),
    ("9110-8.6: two lengths", head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"', LENGTH, LENGTH)),
    ("9112-6.1: another coding",
     head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"', b"Transfer-Encoding: gzip")),
    ("9110-5.5: NUL in a value", head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"', b"X: \0")),
    ("9110-15.3.7: 206 to a validation", answers.part(FRESH, answers.PART, LENGTH)),
    ("9110-13.1.2: 412 to a validation", answers.framed(LENGTH, line=b"HTTP/1.1 412 Failed")),
    ("9110-15.5.17: 416 to a validation", answers.framed(LENGTH, line=b"HTTP/1.1 416 Range")),
    ("9112-8: half a head", b"HTTP/1.1 304 Not"),
]


@pytest.mark.parametrize("raw", [row[1] for row in SPOILED], ids=[row[0] for row in SPOILED])
def test_a_validation_that_is_refused(arena, raw):
    """What is stored stays as it was, and is validated again."""
    edge, origin = arena
    target = stored_for_validation(edge, origin)
    with Client(edge.port) as client:
        client.send_request("GET", target)
        held = origin.next_request()
        give(held, raw, "keep" if raw.endswith((b"\r\n\r\n", BODY)) else "close")
        assert client.read_response().status == 502
    assert held.conn.ended.wait(10)
    response = validated(edge, origin, target, b'ETag: "a"')
    assert (response.body, response["X-Kept"]) == (BODY, "1")
    check_bystander(edge)


def test_9110_14_4_content_range_of_a_200_means_nothing(arena):
    """It goes on as it came; in a 206 that brink makes of it there is one, its own."""
    edge, origin = arena
    target = fresh_target("range")
    puts = edge.stats()["store_puts"]
    with Client(edge.port) as client:
        client.send_request("GET", target)
        give(origin.next_request(), with_field(b"Content-Range: bytes 7-9/10"), "keep")
        assert client.read_response()["Content-Range"] == "bytes 7-9/10"
        edge.wait_for(store_puts=puts + 1)
        response = client.get(target, {"Range": "bytes=1-2"})
    assert (response.status, response["Content-Range"], response.body) == (206, "bytes 1-2/5", b"el")


# --- with a brink of their own


def test_the_log_says_why_without_a_byte_of_it(origin, start_edge):
    """One line for each, in brink's words."""
    edge = start_edge(origin=origin.url)
    origin.serve_with("/esc", lambda held: give(held, with_field(b"X: \x1b[2Jforged"), "keep"))
    origin.serve_with("/two", lambda held: give(held, answers.framed(LENGTH, LENGTH), "keep"))
    origin.serve_with("/101", lambda held: give(held, head(b"HTTP/1.1 101 S"), "keep"))
    for target in ("/esc", "/two", "/101"):
        assert edge.get(target).status == 502
    edge.wait_until(lambda: len(edge.log_events("origin_refused")) == 3, "three lines")
    assert [(line["reason"], line["why"]) for line in edge.log_events("origin_refused")] == [
        ("ORIGIN_SYNTAX", "a control byte in a field value"),
        ("ORIGIN_FRAMING", "repeated Content-Length"),
        ("ORIGIN_UNASKED", "101 without being asked")]
    assert "forged" not in edge.log_text() and "\x1b" not in edge.log_text()


def test_the_log_is_limited(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1)
    origin.serve_all(lambda target: True, lambda held: give(held, with_line(b"ICY 200 OK"), "keep"))
    with Client(edge.port) as client:
        for i in range(200):
            assert client.get(f"/{i}").status == 502
    edge.expect_stats(origin_refused_syntax=200)
    assert len(edge.log_events("origin_refused")) <= 120  # sixty a minute, and a minute may turn
    assert edge.stats()["log_suppressed"] >= 80


@pytest.mark.parametrize("cache_control", ["max-age=600", "no-store"])
def test_a_trickled_body_ends(origin, start_edge, cache_control):
    """No wait between two bytes is long, the whole is: followers are told too."""
    edge = start_edge(origin=origin.url, settings={"origin.body_timeout": "300ms",
                                                   "origin.body_rate_min": "1KB"})
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    shared = cache_control != "no-store"
    if shared:
        second.send_request("GET", "/a")
        edge.wait_for(cache_collapsed=1)
    held.start(200, {"Cache-Control": cache_control}, length=100000)
    try:
        for _ in range(2000):
            held.send(b"x")
            if held.is_abandoned(0.02):
                break
        else:
            pytest.fail("it may trickle for ever")
    except OSError:
        pass
    for client in (first, second) if shared else (first,):
        with pytest.raises(Truncated):
            client.read_response()
    edge.expect_stats(origin_slow=1, store_puts=0, fills_open=0, fill_bytes=0)
    held.close()


def test_more_connections_than_an_origin_may_have(origin, start_edge):
    """503 with a reason, over all workers; what waits already goes on."""
    edge = start_edge(origin=origin.url, workers=2, settings={"origin.max_connections": "2"})
    waiting = []
    for target in ("/a", "/b"):
        client = edge.client()
        client.send_request("GET", target)
        waiting.append((client, origin.next_request()))
    for i in range(8):  # some on either worker
        response = edge.get(f"/more/{i}")
        assert response.status == 503
        assert b"max_connections" in response.body
    edge.expect_stats(origin_busy=8, origin_exchanges=2)
    origin.serve("/more/9", 200, STORED, b"more")
    client, held = waiting.pop()
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"
    edge.expect_stats(origin_exchanges=1)
    assert edge.get("/more/9").body == b"more"
    client, held = waiting.pop()
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().body == b"done"
    edge.expect_stats(origin_exchanges=0)


def test_followers_on_another_worker_are_told(origin, start_edge):
    """Sixteen of them, on two workers, of an answer that is refused and of one that is cut."""
    edge = start_edge(origin=origin.url, workers=2)
    for target, raw, allowed in (("/a", answers.framed(LENGTH, LENGTH), {502}),
                                 ("/b", answers.chunks(b"5\r\nhello\r\nx"), {502, CUT})):
        clients = [edge.client() for _ in range(17)]
        collapsed = edge.stats()["cache_collapsed"]
        for client in clients:
            client.send_request("GET", target)
        held = origin.next_request()
        edge.wait_for(cache_collapsed=collapsed + 16)
        give(held, raw, "keep")
        for client in clients:
            seen = outcome(client)
            assert (CUT if seen == CUT else seen[0]) in allowed
        assert origin.count(target) == 1
    edge.expect_stats(fills_open=0, fill_waiters=0, fill_bytes=0)
