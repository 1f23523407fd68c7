"""QUERY: a GET with content, which is part of what a response is stored under. RFC 10008."""

import pytest

from caching_test import FRESH, STALE, stored

pytestmark = pytest.mark.limit(60)
JSON = {"Content-Type": "application/json"}
ONE, TWO = b'{"q":1}', b'{"q":2}'


def send(edge, body=ONE, fields=None, path="/a", chunked=False, method="QUERY"):
    client = edge.client()
    fields = {**JSON, **(fields or {})}
    if chunked:
        client.send_request(method, path, {**fields, "Transfer-Encoding": "chunked"})
        client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    else:
        client.send_request(method, path, fields, body)
    return client


def query(edge, *args, **how):
    return send(edge, *args, **how).read_response()


def asked(origin, edge, answer, body=ONE, fields=None, **how):
    """A QUERY that must reach the origin, with its content: (what it saw, what the client got)."""
    client = send(edge, body, fields, **how)
    held = origin.next_request()
    assert (held.method, held.body) == ("QUERY", body)
    held.reply(*answer)
    return held, client.read_response()


def kept(origin, edge, fields=None, answer=b"result", body=ONE, request=None, **how):
    before = edge.stats()["store_puts"]
    _, response = asked(origin, edge, (200, fields or FRESH, answer), body, request, **how)
    assert response.body == answer and response.cache_status.stored
    edge.wait_for(store_puts=before + 1)


def hit(edge, *args, **how):
    response = query(edge, *args, **how)
    assert response.cache_status.hit, f"not a hit: {response.cache_status}"
    return response


# --- section 2.7: caching


@pytest.mark.parametrize("chunked", [False, True])
def test_the_same_content_is_a_hit(origin, edge, chunked):
    """However it is framed: the origin gets a length."""
    held, response = asked(origin, edge, (200, FRESH, b"result"), chunked=chunked)
    assert (held["Content-Length"], held["Content-Type"]) == ("7", "application/json")
    assert (response.status, response.cache_status.stored) == (200, True)
    for again in (False, True):
        assert hit(edge, chunked=again).body == b"result"
    edge.wait_stored(1)
    assert hit(edge).body == b"result"
    edge.restart()
    assert hit(edge).body == b"result"
    assert origin.count() == 1


@pytest.mark.parametrize("why, body, fields", [
    ("content", TWO, {}), ("its end", ONE + b" ", {}), ("its start", ONE[:-1], {}), ("type", ONE, {"Content-Type": "text/plain"}),
    ("coding", ONE, {"Content-Encoding": "gzip"}), ("language", ONE, {"Content-Language": "de"}),
    ("location", ONE, {"Content-Location": "/q"})])
def test_other_content_is_another_response(origin, edge, why, body, fields):
    """The content and what describes it, RFC 9110 section 8."""
    kept(origin, edge)
    _, response = asked(origin, edge, (200, FRESH, b"other"), body, fields)
    assert response.body == b"other"
    assert response.cache_status.fwd == "vary-miss"
    assert hit(edge, body, fields).body == b"other"
    assert hit(edge).body == b"result"


def test_content_that_looks_like_the_text_of_a_key(origin, edge):
    """Bytes that could end a line of it, or stand for others, tell two of them apart."""
    bodies = [b"a\n=?: a", b"a", b"a\n", b"a%0a", b"a%", b"a%25", b"a\x00", b"a\x1f", b"\xff\xfe", b"\n", b"%0a",
              b"a\nx-new: 1\n"]
    for i, body in enumerate(bodies):
        kept(origin, edge, answer=b"%d" % i, body=body)
    for i, body in enumerate(bodies):
        assert hit(edge, body).body == b"%d" % i
    assert origin.count() == len(bodies)


def test_a_get_and_a_query_are_never_taken_for_each_other(origin, edge):
    kept(origin, edge)
    client = edge.client()
    client.send_request("GET", "/a")
    origin.next_request().reply(200, FRESH, b"got")
    assert client.read_response().body == b"got"
    edge.wait_stored(2)
    assert edge.get("/a").body == b"got" and edge.request("HEAD", "/a")["Content-Length"] == "3"
    assert hit(edge).body == b"result"
    assert origin.count() == 2


def test_a_purge_takes_every_result(origin, edge):
    for body in (ONE, TWO):
        kept(origin, edge, body=body)
    edge.purge(files=["http://site.test/a"])
    for body in (ONE, TWO):
        asked(origin, edge, (200, FRESH, b"new"), body)


def test_an_unsafe_method_invalidates_every_result_and_a_query_none(origin, edge):
    """RFC 9111 section 4.4; QUERY is safe."""
    stored(origin, edge, FRESH)
    kept(origin, edge)
    assert edge.get("/a").cache_status.hit
    client = edge.client()
    client.send_request("POST", "/a", None, b"x")
    origin.next_request().reply(200, {})
    assert client.read_response().status == 200
    asked(origin, edge, (200, FRESH, b"new"))


@pytest.mark.edge(settings={"store.variants_max": "3"})
def test_results_of_one_url_are_bounded(origin, edge):
    for i in range(6):
        kept(origin, edge, body=b"q%d" % i)
    edge.expect_stats(store_objects=3, store_variants_dropped=3)


@pytest.mark.edge(settings={"site.key_fields": "X-Key"})
def test_fields_of_the_key_count_too(origin, edge):
    kept(origin, edge, request={"X-Key": "1"})
    assert hit(edge, fields={"X-Key": "1"}).body == b"result"
    asked(origin, edge, (200, FRESH, b"other"), fields={"X-Key": "2"})


def test_vary_counts_too(origin, edge):
    kept(origin, edge, {**FRESH, "Vary": "X-Lang"}, request={"X-Lang": "de"})
    assert hit(edge, fields={"X-Lang": "de"}).body == b"result"
    asked(origin, edge, (200, FRESH, b"other"), fields={"X-Lang": "fr"})


@pytest.mark.parametrize("fields", [{"Cache-Control": "no-store"}, {"Cache-Control": "private"}, {},
                                    {**FRESH, "Set-Cookie": "a=b"}])
def test_what_may_not_be_stored_is_not(origin, edge, fields):
    for body in (b"one", b"two"):
        _, response = asked(origin, edge, (200, fields, body))
        assert response.body == body


def test_an_unstorable_result_does_not_speak_for_others(origin, edge):
    """Hit-for-miss is remembered of the content, not of the URL."""
    asked(origin, edge, (200, {"Cache-Control": "no-store"}, b"x"))
    _, response = asked(origin, edge, (200, FRESH, b"two"), TWO)
    assert response.cache_status.detail is None
    _, response = asked(origin, edge, (200, {}, b"x"))
    assert response.cache_status.fwd == "uri-miss" or response.cache_status.fwd == "vary-miss"


# --- one fetch for everyone, and validation


def test_the_same_content_shares_a_fetch(origin, edge):
    first = send(edge)
    held = origin.next_request()
    assert held.body == ONE
    second = send(edge)
    edge.wait_for(cache_collapsed=1)
    other = send(edge, TWO)
    own = origin.next_request()
    assert own.body == TWO
    own.reply(200, FRESH, b"two")
    held.reply(200, FRESH, b"one")
    assert [c.read_response().body for c in (first, second, other)] == [b"one", b"one", b"two"]
    assert origin.count() == 2


def test_a_stale_result_is_validated_with_its_content(origin, edge):
    kept(origin, edge, {**STALE, "ETag": '"v1"'})
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    assert (held["If-None-Match"], response.body) == ('"v1"', b"result")
    edge.wait_for(store_updates=1)
    assert hit(edge).body == b"result"


def test_a_304_that_does_not_match_is_asked_again_with_the_content(origin, edge):
    """RFC 9111 section 4.3.3."""
    kept(origin, edge, {**STALE, "ETag": '"v1"'})
    client = send(edge)
    held = origin.next_request()
    assert held.body == ONE
    held.reply(304, {"ETag": '"v2"'})
    held = origin.next_request()
    assert (held.get("If-None-Match"), held.body) == (None, ONE)
    held.reply(200, FRESH, b"new")
    assert client.read_response().body == b"new"


def test_a_stale_result_is_validated_in_the_background(origin, edge):
    """RFC 5861 section 3."""
    kept(origin, edge, {**STALE, "Cache-Control": "max-age=10, stale-while-revalidate=600", "ETag": '"v1"'})
    assert query(edge).body == b"result"
    held = origin.next_request()
    assert (held.method, held.body, held["If-None-Match"]) == ("QUERY", ONE, '"v1"')
    held.reply(200, FRESH, b"new")
    edge.wait_for(store_puts=2)
    assert hit(edge).body == b"new"


def test_conditions_and_ranges_are_answered_as_for_get(origin, edge):
    kept(origin, edge, {**FRESH, "ETag": '"v1"'})
    assert hit(edge, fields={"If-None-Match": '"v1"'}).status == 304
    response = hit(edge, fields={"Range": "bytes=0-1"})
    assert (response.status, response.body) == (206, b"re")


def test_a_stale_result_stands_in_for_an_origin_that_is_gone(origin, edge):
    kept(origin, edge, STALE)
    origin.serve_with("/a", lambda held: held.close())
    assert query(edge).body == b"result"


def test_a_kept_connection_that_had_gone_is_no_failure(origin, edge):
    """RFC 9110 section 9.2.2: QUERY is idempotent; the content goes again."""
    origin.serve("/warm", 200, FRESH, b"warm")
    edge.get("/warm")
    client = send(edge)
    held = origin.next_request()
    assert held.body == ONE
    if held.nth > 0:
        held.close()
        held = origin.next_request()
        assert held.body == ONE
    held.reply(200, FRESH, b"result")
    assert client.read_response().body == b"result"


# --- what is passed


@pytest.mark.edge(settings={"site.query_body_max": "16"})
@pytest.mark.parametrize("chunked", [False, True])
def test_larger_content_is_passed(origin, edge, chunked):
    body = b"x" * 17
    for answer in (b"one", b"two"):
        _, response = asked(origin, edge, (200, FRESH, answer), body, chunked=chunked)
        assert response.body == answer
        assert (response.cache_status.fwd, response.cache_status.detail) == ("request", "query-content")
    kept(origin, edge, body=body[1:])
    edge.expect_stats(store_puts=1, queries_too_large=2)


def test_what_was_collected_goes_before_the_rest(origin, edge):
    """The content becomes too large on its way, in pieces; it streams, whatever its length."""
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Transfer-Encoding": "chunked"})
    pieces = [b"%07d." % i * 64 for i in range(400)]
    for piece in pieces[:4]:
        client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    for piece in pieces[4:]:
        client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    client.send(b"0\r\n\r\n")
    held = origin.next_request()
    assert held["Transfer-Encoding"] == "chunked"
    assert held.body == b"".join(pieces)
    held.reply(200, {}, b"done")
    assert client.read_response().body == b"done"


@pytest.mark.edge(settings={"site.query_body_max": "64KB"})
def test_the_largest_content_is_kept_whole(origin, edge):
    body = bytes(range(256)) * 256
    kept(origin, edge, body=body)
    assert hit(edge, body, chunked=True).body == b"result"
    asked(origin, edge, (200, FRESH, b"other"), body[:-1] + b"\x00")


def test_a_query_without_content_is_the_origins_to_refuse(origin, edge):
    """RFC 10008 section 2."""
    for body, fields in ((b"", JSON), (ONE, {"Content-Type": None})):
        client = edge.client()
        given = {name: value for name, value in fields.items() if value}
        client.send_request("QUERY", "/a", given, body)
        held = origin.next_request()
        assert (held.method, held.body, held.get("Content-Type")) == ("QUERY", body, given.get("Content-Type"))
        held.reply(400, {}, b"no")
        assert client.read_response().status == 400


def test_chunks_of_nothing_are_no_content(origin, edge):
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Transfer-Encoding": "chunked"})
    client.send(b"0\r\n\r\n")
    held = origin.next_request()
    assert held.body == b""
    held.reply(400, {}, b"no")
    assert client.read_response().status == 400


@pytest.mark.edge(settings={"site.pass": "yes"})
def test_a_site_that_is_passed_collects_nothing(origin, edge):
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Content-Length": "7"})
    client.send(ONE[:3])
    held = origin.next_request()  # before the rest is there
    client.send(ONE[3:])
    assert held.body == ONE
    held.reply(200, FRESH, b"x")
    assert client.read_response().body == b"x"


# --- the client while its content is awaited


def test_the_content_may_be_waited_for(origin, edge):
    """RFC 9110 section 10.1.1: it is asked for, and the connection serves further requests."""
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Content-Length": "7", "Expect": "100-continue"})
    assert client.read_interim().status == 100
    client.send(ONE)
    origin.next_request().reply(200, FRESH, b"result")
    assert client.read_response().body == b"result"
    client.send_request("QUERY", "/a", JSON, ONE)
    assert client.read_response().cache_status.hit
    assert client.get("/a", {"Cache-Control": "only-if-cached"}).status == 504


def test_pipelined_queries_are_answered_in_order(origin, edge):
    for body in (ONE, TWO):
        kept(origin, edge, answer=body, body=body)
    client = edge.client()
    request = (b"QUERY /a HTTP/1.1\r\nHost: site.test\r\nContent-Type: application/json\r\n"
               b"Content-Length: 7\r\n\r\n")
    client.send(request + ONE + request + TWO + request + ONE)
    for body in (ONE, TWO, ONE):
        client.expect("QUERY")
        assert client.read_response().body == body


def test_malformed_chunks_are_refused(origin, edge):
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Transfer-Encoding": "chunked"})
    client.send(b"x\r\n")
    assert client.read_response().status == 400
    assert origin.count() == 0


def test_a_client_that_leaves_within_its_content_is_forgotten(origin, edge):
    client = edge.client()
    client.send_request("QUERY", "/a", {**JSON, "Content-Length": "7"})
    client.send(ONE[:3])
    edge.wait_for(requests_active=1)
    client.reset()
    edge.expect_stats(requests_active=0, connections_open=0)
    assert origin.count() == 0


def test_allow_names_it(edge):
    assert "QUERY" in edge.request("OPTIONS", "/a", {"Max-Forwards": "0"})["Allow"]
