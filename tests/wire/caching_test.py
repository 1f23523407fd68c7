"""The rules: what is stored, how long it is fresh, what is validated, what a hit looks like.

RFC 9111, and RFC 9110 sections 13 to 15. Ages are set by the origin's Age field, so no test waits for
time to pass but the one that is about it.
"""

import email.utils
import time

import pytest

FRESH = {"Cache-Control": "max-age=600"}
STALE = {"Cache-Control": "max-age=10", "Age": "60"}  # stored, and stale from the start
BODY = b"0123456789" * 20


def date(offset_s=0):
    return email.utils.formatdate(time.time() + offset_s, usegmt=True)


def stored(origin, edge, fields, body=BODY, path="/a", request=None, status=200):
    """Fetch `path` once so that it is stored; the origin then waits for the test again."""
    before = edge.stats()["store_puts"]
    origin.serve(path, status, fields, body)
    response = edge.get(path, request)
    assert response.status == status and response.body == body
    edge.wait_for(store_puts=before + 1)
    origin.forget(path)
    return response


def hit(edge, path="/a", fields=None, method="GET"):
    """A response that must come from the store."""
    response = edge.request(method, path, fields)
    assert response.cache_status.hit, f"not a hit: {response.cache_status}"
    return response


def asked(origin, edge, answer, path="/a", fields=None, method="GET"):
    """A request that must reach the origin: (what it saw, what the client got)."""
    client = edge.client()
    client.send_request(method, path, fields)
    held = origin.next_request()
    held.reply(*answer)
    return held, client.read_response()


# --- freshness


FRESHNESS = [
    # why, response fields, fresh
    ("max-age", {"Cache-Control": "max-age=60"}, True),
    ("max-age in capitals", {"Cache-Control": "MAX-AGE=60"}, True),
    ("max-age quoted", {"Cache-Control": 'max-age="60"'}, True),
    ("s-maxage", {"Cache-Control": "s-maxage=60"}, True),
    ("s-maxage before max-age", {"Cache-Control": "max-age=0, s-maxage=60"}, True),
    ("s-maxage=0 before max-age", {"Cache-Control": "max-age=60, s-maxage=0"}, False),
    ("Expires", {"Date": date(), "Expires": date(3600)}, True),
    ("Expires without Date", {"Expires": date(3600)}, True),
    ("max-age before Expires", {"Cache-Control": "max-age=60", "Expires": date(-3600)}, True),
    ("max-age=0 before Expires", {"Cache-Control": "max-age=0", "Expires": date(3600)}, False),
    ("Expires of the past", {"Date": date(), "Expires": date(-3600)}, False),
    ("Expires: 0", {"Expires": "0"}, False),
    ("Expires unreadable", {"Expires": "tomorrow"}, False),
    ("Age below", {"Cache-Control": "max-age=60", "Age": "30"}, True),
    ("Age above", {"Cache-Control": "max-age=60", "Age": "61"}, False),
    ("an old Date counts as age", {"Cache-Control": "max-age=60", "Date": date(-3600)}, False),
    ("a Date of the future does not", {"Cache-Control": "max-age=60", "Date": date(3600)}, True),
    ("max-age=0", {"Cache-Control": "max-age=0"}, False),
    ("max-age unreadable", {"Cache-Control": "max-age=soon"}, False),
    ("max-age negative", {"Cache-Control": "max-age=-60"}, False),
    ("max-age beyond 31 bits", {"Cache-Control": "max-age=99999999999"}, True),
    ("no-cache", {"Cache-Control": "max-age=60, no-cache"}, False),
    ("the smaller max-age", {"Cache-Control": "max-age=60, max-age=0"}, False),
    ("in two fields", [("Cache-Control", "public"), ("Cache-Control", "max-age=60")], True),
    ("directive inside a quoted text", {"Cache-Control": 'x="no-store, private", max-age=60'}, True),
    ("unknown directives", {"Cache-Control": "foo, bar=1, max-age=60"}, True),
    ("a tenth since Last-Modified", {"Date": date(), "Last-Modified": date(-86400)}, True),
    ("nothing at all", {}, False),
]


@pytest.mark.parametrize("why, fields, fresh", FRESHNESS, ids=[row[0] for row in FRESHNESS])
def test_freshness(origin, edge, why, fields, fresh):
    """RFC 9111 section 4.2: fresh is a hit, anything else asks the origin."""
    origin.serve("/a", 200, fields, b"one")
    assert edge.get("/a").body == b"one"
    if fresh:
        edge.wait_stored(1)
    origin.serve("/a", 200, fields, b"two")
    assert edge.get("/a").body == (b"one" if fresh else b"two")


def test_freshness_ends(origin, edge):
    """The one test that waits: two seconds of freshness pass, and no old answer is given after them."""
    began = time.monotonic()
    stored(origin, edge, {"Cache-Control": "max-age=2", "ETag": '"v1"'})
    ended = time.monotonic() + 2.1  # clocks are coarse
    origin.serve("/a", 200, {"Cache-Control": "max-age=2"}, b"new")
    asked_s, response = time.monotonic(), edge.get("/a")
    while response.body != b"new":
        assert asked_s < ended, "a stale answer was taken for a fresh one"
        assert response.cache_status.hit and response.cache_status.ttl in (0, 1, 2)
        asked_s, response = time.monotonic(), edge.get("/a")
    assert time.monotonic() - began > 0.9  # ages are whole seconds
    assert origin.requests[1]["If-None-Match"] == '"v1"'


def test_the_operators_default_ttl(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.default_ttl": "60s"})
    stored(origin, edge, {})
    assert hit(edge).body == BODY


def test_the_operator_turns_the_heuristic_off(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.heuristic": "no"})
    origin.serve("/a", 200, {"Last-Modified": date(-86400)}, b"one")
    for _ in range(2):
        assert not edge.get("/a").cache_status.hit


# --- what is stored


NOT_STORED = [
    ("no-store", {}, 200, {"Cache-Control": "no-store, max-age=60"}),
    ("private", {}, 200, {"Cache-Control": "private, max-age=60"}),
    ("Vary: *", {}, 200, {**FRESH, "Vary": "*"}),
    ("Vary: * among others", {}, 200, {**FRESH, "Vary": "Accept, *"}),
    ("Set-Cookie", {}, 200, {**FRESH, "Set-Cookie": "id=1"}),
    ("credentials", {"Authorization": "Basic eDp5"}, 200, FRESH),
    ("500 without freshness", {}, 500, {}),
    ("302 without freshness", {}, 302, {"Location": "/b"}),
    ("must-understand of an unknown status", {}, 299,
     {"Cache-Control": "must-understand, max-age=60"}),
]


@pytest.mark.parametrize("why, request_fields, status, fields", NOT_STORED,
                         ids=[row[0] for row in NOT_STORED])
def test_what_may_not_be_stored(origin, edge, why, request_fields, status, fields):
    """RFC 9111 section 3."""
    origin.serve("/a", status, fields, b"one")
    for _ in range(2):
        response = edge.get("/a", request_fields)
        assert response.status == status
        assert not response.cache_status.hit and not response.cache_status.stored
    assert origin.count("/a") == 2
    edge.expect_stats(store_puts=0, store_objects=0)


STORED = [
    ("404 with freshness", {}, 404, FRESH),
    ("410 with freshness", {}, 410, FRESH),
    ("301 with freshness", {}, 301, {**FRESH, "Location": "/b"}),
    ("302 with freshness", {}, 302, {**FRESH, "Location": "/b"}),
    ("500 with freshness", {}, 500, FRESH),
    ("Set-Cookie, public", {}, 200, {"Cache-Control": "public, max-age=60", "Set-Cookie": "id=1"}),
    ("credentials, public", {"Authorization": "Basic eDp5"}, 200,
     {"Cache-Control": "public, max-age=60"}),
    ("credentials, s-maxage", {"Authorization": "Basic eDp5"}, 200, {"Cache-Control": "s-maxage=60"}),
    ("credentials, must-revalidate", {"Authorization": "Basic eDp5"}, 200,
     {"Cache-Control": "must-revalidate, max-age=60"}),
    ("a cookie in the request", {"Cookie": "id=1"}, 200, FRESH),
]


@pytest.mark.parametrize("why, request_fields, status, fields", STORED, ids=[r[0] for r in STORED])
def test_what_may_be_stored(origin, edge, why, request_fields, status, fields):
    """RFC 9111 sections 3 and 3.5."""
    first = stored(origin, edge, fields, request=request_fields, status=status)
    assert first.cache_status.stored and first.cache_status.fwd == "uri-miss"
    assert first.cache_status.fwd_status == status
    response = hit(edge, fields=request_fields)
    assert (response.status, response.body) == (status, BODY)


def test_credentials_never_get_anothers_answer(origin, edge):
    """RFC 9111 section 3.5: stored for nobody, so asked for each."""
    origin.serve_with("/a", lambda held: held.reply(200, FRESH, held["Authorization"].encode()))
    for user in ("Basic YTph", "Basic Yjpi"):
        assert edge.get("/a", {"Authorization": user}).body == user.encode()


def test_other_methods_are_not_stored(origin, edge):
    origin.serve("/a", 200, FRESH, b"one")
    for method in ("POST", "OPTIONS", "PUT"):
        for _ in range(2):
            response = edge.request(method, "/a", body=b"x")
            assert response.cache_status.fwd == "method"
    assert origin.count("/a") == 6
    edge.expect_stats(store_objects=0, cache_bypass=6)


def test_206_of_the_origin_is_not_stored_as_whole(origin, edge):
    """RFC 9111 section 3.3."""
    client = edge.client()
    client.send_request("GET", "/a", {"Range": "bytes=0-4"})
    held = origin.next_request()
    if "Range" in held.fields:
        held.reply(206, {**FRESH, "Content-Range": "bytes 0-4/200"}, BODY[:5])
    else:
        held.reply(200, FRESH, BODY)
    response = client.read_response()
    assert (response.status, response.body) == (206, BODY[:5])
    origin.serve("/a", 200, FRESH, BODY)
    assert edge.get("/a").body == BODY


def test_a_site_that_is_passed(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.pass": "yes"})
    origin.serve("/a", 200, FRESH, b"one")
    for _ in range(2):
        assert edge.get("/a").cache_status.fwd == "bypass"
    assert origin.count("/a") == 2


# --- the key


def test_host_and_query_are_in_the_key(origin, edge):
    stored(origin, edge, FRESH)
    origin.serve("/a", 200, FRESH, b"other")
    assert edge.get("/a", host="other.test").body == b"other"
    assert edge.get("/a?b=1").body == b"other"
    assert edge.get("/a?").body in (b"other", BODY)
    assert hit(edge).body == BODY


def test_the_hosts_case_and_default_port_are_not(origin, edge):
    """RFC 9110 section 4.2.3."""
    stored(origin, edge, FRESH)
    for host in ("SITE.test", "site.test:80"):
        assert edge.get("/a", host=host).cache_status.hit
    origin.serve("/a", 200, FRESH, b"other port")
    assert edge.get("/a", host="site.test:8080").body == b"other port"


def test_a_path_is_not_repaired(origin, edge):
    """Different bytes may mean different things to the origin; only dots could be equal."""
    origin.serve_all(lambda target: True, lambda held: held.reply(200, FRESH, held.target.encode()))
    for target in ("/a", "//a", "/a/", "/A", "/%2fa"):
        assert edge.get(target).body == target.encode()


# --- what a hit looks like


def test_a_hit_is_told_in_cache_status(origin, edge):
    """RFC 9211."""
    began = time.monotonic()
    first = stored(origin, edge, FRESH)
    assert first.cache_status.node == "brink"
    assert (first.cache_status.fwd, first.cache_status.stored) == ("uri-miss", True)
    second = hit(edge)
    assert 599 - (time.monotonic() - began) <= second.cache_status.ttl <= 600
    assert second.cache_status.fwd is None
    edge.expect_stats(cache_hit=1, cache_miss=1, origin_requests=1)


def test_cache_status_of_others_is_kept_before_ours(origin, edge):
    """RFC 9211 section 2: each cache appends."""
    stored(origin, edge, {**FRESH, "Cache-Status": "inner; hit"})
    text = ", ".join(hit(edge).fields.all("Cache-Status"))
    assert text.startswith("inner; hit, brink; hit")


def test_age_of_a_hit(origin, edge):
    """RFC 9111 section 5.1: the origin's age counts on."""
    began = time.monotonic()
    assert "Age" not in stored(origin, edge, FRESH, path="/young").fields
    assert 0 <= int(hit(edge, "/young")["Age"]) <= time.monotonic() - began + 1
    stored(origin, edge, {**FRESH, "Age": "100"})
    assert 100 <= int(hit(edge)["Age"]) <= time.monotonic() - began + 101


def test_a_hit_has_the_fields_of_the_origin(origin, edge):
    fields = [("Cache-Control", "max-age=600"), ("Content-Type", "text/plain"), ("X-Two", "1"),
              ("X-Two", "2"), ("Server", "own"), ("ETag", '"v1"'), ("Last-Modified", date(-100))]
    stored(origin, edge, fields)
    response = hit(edge)
    for name in ("Cache-Control", "Content-Type", "Server", "ETag", "Last-Modified"):
        assert response[name] == dict(fields)[name]
    assert response.fields.all("X-Two") == ["1", "2"]
    assert response["Content-Length"] == str(len(BODY))


def test_why_nothing_is_stored_is_told(origin, edge):
    for path, fields, detail in (("/a", {"Cache-Control": "no-store"}, "no-store"),
                                 ("/b", {"Cache-Control": "private"}, "private"),
                                 ("/c", {**FRESH, "Set-Cookie": "a=b"}, "set-cookie")):
        origin.serve(path, 200, fields, b"x")
        status = edge.get(path).cache_status
        assert (status.detail, status.stored) == (detail, False)


# --- Vary


def test_variants_are_stored_side_by_side(origin, edge):
    """RFC 9111 section 4.1."""
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": "Accept-Language"}, (held.get("Accept-Language") or "none").encode()))
    wants = [{"Accept-Language": "de"}, {"Accept-Language": "fr"}, {}]
    assert edge.get("/a", wants[0]).cache_status.fwd == "uri-miss"
    edge.wait_stored(1)
    assert edge.get("/a", wants[1]).cache_status.fwd == "vary-miss"
    assert edge.get("/a", wants[2]).cache_status.fwd == "vary-miss"
    edge.wait_stored(3)
    for want in wants:
        assert hit(edge, fields=want).body == want.get("Accept-Language", "none").encode()
    assert origin.count("/a") == 3


def test_vary_minds_every_field_it_names(origin, edge):
    origin.serve_with("/a", lambda held: held.reply(
        200, [*FRESH.items(), ("Vary", "X-One"), ("Vary", "x-two")],
        f"{held.get('X-One')} {held.get('X-Two')}".encode()))
    pairs = [{"X-One": a, "X-Two": b} for a in "ab" for b in "ab"]
    for pair in pairs:
        edge.get("/a", pair)
    edge.wait_stored(4)
    for pair in pairs:
        assert hit(edge, fields=pair).body == f"{pair['X-One']} {pair['X-Two']}".encode()


def test_blanks_do_not_make_a_variant(origin, edge):
    """RFC 9111 section 4.1: fields that differ only in blanks match."""
    stored(origin, edge, {**FRESH, "Vary": "Accept"}, request={"Accept": "text/html,text/plain"})
    response = edge.get("/a", {"Accept": "  text/html,text/plain  "})
    assert response.cache_status.hit


# --- validation towards the origin


def test_a_304_makes_a_stale_response_fresh(origin, edge):
    """RFC 9111 sections 4.3.3 and 4.3.4: stored body, fields updated."""
    modified = date(-1000)
    stored(origin, edge, {**STALE, "ETag": '"v1"', "Last-Modified": modified, "X-Old": "1", "X-Both": "old"})
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"', "X-Both": "new"}))
    assert (held["If-None-Match"], held["If-Modified-Since"]) == ('"v1"', modified)
    assert (response.status, response.body) == (200, BODY)
    status = response.cache_status
    assert (status.fwd, status.fwd_status) == ("stale", 304)
    assert (response["X-Old"], response["X-Both"]) == ("1", "new")
    edge.wait_for(store_updates=1)
    again = hit(edge)
    assert (again.body, again["X-Both"], again["Cache-Control"]) == (BODY, "new", "max-age=600")
    edge.expect_stats(cache_revalidated=1, origin_requests=2)


def test_a_304_answers_many_requests_after_it(origin, edge):
    """The validated object survives a restart with its new lifetime."""
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    edge.wait_for(store_updates=1)
    edge.restart()
    assert hit(edge).body == BODY


def test_a_200_replaces_a_stale_response(origin, edge):
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    _, response = asked(origin, edge, (200, {**FRESH, "ETag": '"v2"'}, b"new"))
    assert (response.body, response.cache_status.fwd) == (b"new", "stale")
    edge.wait_stored(2)
    assert (hit(edge).body, hit(edge)["ETag"]) == (b"new", '"v2"')


def test_without_a_validator_a_stale_response_is_fetched_anew(origin, edge):
    origin.serve("/a", 200, STALE, b"one")
    edge.get("/a")
    origin.forget("/a")
    held, response = asked(origin, edge, (200, FRESH, b"two"))
    assert "If-None-Match" not in held.fields and "If-Modified-Since" not in held.fields
    assert response.body == b"two"


def test_last_modified_alone_validates(origin, edge):
    modified = date(-1000)
    stored(origin, edge, {**STALE, "Last-Modified": modified})
    held, response = asked(origin, edge, (304, {}))
    assert held["If-Modified-Since"] == modified and "If-None-Match" not in held.fields
    assert response.body == BODY


@pytest.mark.parametrize("directive", ["no-cache", "max-age=0", "no-cache, max-age=600"])
def test_what_must_be_validated_is_stored_and_validated(origin, edge, directive):
    """RFC 9111 section 5.2.2.4."""
    fields = {"Cache-Control": directive, "ETag": '"v1"'}
    stored(origin, edge, fields)
    for _ in range(2):
        held, response = asked(origin, edge, (304, fields))
        assert held["If-None-Match"] == '"v1"'
        assert (response.status, response.body) == (200, BODY)


def test_concurrent_validations_are_one(origin, edge):
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    clients = [edge.client() for _ in range(5)]
    for client in clients:
        client.send_request("GET", "/a")
    held = origin.next_request()
    edge.wait_for(cache_collapsed=4)
    held.reply(304, {**FRESH, "ETag": '"v1"'})
    assert all(client.read_response().body == BODY for client in clients)
    assert origin.count("/a") == 2


def test_a_304_for_nobody_is_not_passed_to_a_client_without_conditions(origin, edge):
    """The 304 was brink's own; the client asked for a response."""
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    _, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    assert response.status == 200


def test_a_clients_condition_and_ours(origin, edge):
    """The client has the newer one, we the older: both get what suits."""
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    _, response = asked(origin, edge, (200, {**FRESH, "ETag": '"v2"'}, b"new"),
                        fields={"If-None-Match": '"v2"'})
    assert response.status in (200, 304)
    assert response.status == 304 or response.body == b"new"
    edge.wait_stored(2)
    assert hit(edge).body == b"new"


def test_a_failing_origin_does_not_replace_what_is_stored(origin, edge):
    """RFC 9111 section 4.3.3: a 5xx is passed on, and the stored response stays."""
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    _, response = asked(origin, edge, (500, {}, b"broken"))
    assert (response.status, response.body) in ((500, b"broken"), (200, BODY))
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    assert held["If-None-Match"] == '"v1"' and response.body == BODY


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=10"])
def test_must_revalidate_never_serves_stale(origin, edge, directive):
    """RFC 9111 section 5.2.2.2: an error when the origin cannot be asked."""
    stored(origin, edge, {"Cache-Control": f"max-age=10, {directive}", "Age": "60", "ETag": '"v1"'})
    origin.stop()
    response = edge.get("/a")
    assert response.status in (502, 504)
    assert BODY not in response.body


def test_stale_if_error(origin, edge):
    """RFC 5861 section 4."""
    stored(origin, edge, {"Cache-Control": "max-age=10, stale-if-error=600", "Age": "60",
                          "ETag": '"v1"'})
    _, response = asked(origin, edge, (503, {}, b"broken"))
    assert (response.status, response.body) == (200, BODY)
    assert response.cache_status.detail == "stale-if-error"
    origin.stop()
    assert edge.get("/a").body == BODY


def test_stale_while_revalidate(origin, edge):
    """RFC 5861 section 3: served at once, validated behind it, once."""
    stored(origin, edge, {"Cache-Control": "max-age=10, stale-while-revalidate=600", "Age": "60",
                          "ETag": '"v1"'})
    for _ in range(3):
        response = edge.get("/a")
        assert response.body == BODY
        assert response.cache_status.hit and response.cache_status.ttl < 0
        assert int(response["Age"]) >= 60
    held = origin.next_request()
    assert held["If-None-Match"] == '"v1"'
    held.reply(200, {**FRESH, "ETag": '"v2"'}, b"new")
    edge.wait_stored(2)
    assert hit(edge).body == b"new"
    assert origin.count("/a") == 2


# --- conditions of clients


MODIFIED = "Tue, 15 Nov 2016 12:45:26 GMT"
CONDITIONS = [
    ("the tag", {"If-None-Match": '"v1"'}, 304),
    ("the tag, weak", {"If-None-Match": 'W/"v1"'}, 304),
    ("another tag", {"If-None-Match": '"v2"'}, 200),
    ("among others", {"If-None-Match": '"x", "v1", "y"'}, 304),
    ("any", {"If-None-Match": "*"}, 304),
    ("not modified", {"If-Modified-Since": MODIFIED}, 304),
    ("modified since", {"If-Modified-Since": "Tue, 15 Nov 2016 12:45:25 GMT"}, 200),
    ("unreadable date", {"If-Modified-Since": "yesterday"}, 200),
    ("the tag decides", {"If-None-Match": '"v2"', "If-Modified-Since": MODIFIED}, 200),
    ("the tag decides again",
     {"If-None-Match": '"v1"', "If-Modified-Since": "Tue, 15 Nov 2016 12:45:25 GMT"}, 304),
]


@pytest.mark.parametrize("why, fields, status", CONDITIONS, ids=[row[0] for row in CONDITIONS])
def test_conditions_are_answered_from_the_store(origin, edge, why, fields, status):
    """RFC 9110 section 13.2.2, RFC 9111 section 4.3.2."""
    stored(origin, edge, {**FRESH, "ETag": '"v1"', "Last-Modified": MODIFIED, "X-Big": "1",
                          "Content-Type": "text/plain", "Vary": "Accept"})
    client = edge.client()
    response = client.get("/a", fields)
    assert response.status == status and response.cache_status.hit
    assert response.body == (b"" if status == 304 else BODY)
    if status == 304:
        assert response["ETag"] == '"v1"'
        for name in ("Cache-Control", "Date", "Vary"):
            assert name in response.fields, f"RFC 9110 section 15.4.5 wants {name}"
    assert client.get("/a").body == BODY
    assert origin.count("/a") == 1


def test_a_condition_on_a_miss_fetches_the_whole(origin, edge):
    """Either the origin's 304 is passed on, or the whole is fetched and judged here."""
    client = edge.client()
    client.send_request("GET", "/a", {"If-None-Match": '"v1"'})
    held = origin.next_request()
    if "If-None-Match" in held.fields:
        held.reply(304, {**FRESH, "ETag": '"v1"'})
    else:
        held.reply(200, {**FRESH, "ETag": '"v1"'}, BODY)
    assert client.read_response().status == 304
    origin.serve("/a", 200, {**FRESH, "ETag": '"v1"'}, BODY)
    response = edge.get("/a")
    assert (response.status, response.body) == (200, BODY)


# --- HEAD


def test_head_is_answered_from_a_stored_get(origin, edge):
    """RFC 9110 section 9.3.2, RFC 9111 section 4."""
    stored(origin, edge, {**FRESH, "ETag": '"v1"', "Content-Type": "text/plain"})
    client = edge.client()
    response = client.request("HEAD", "/a")
    assert response.cache_status.hit and response.body == b""
    assert (response["Content-Length"], response["ETag"]) == (str(len(BODY)), '"v1"')
    assert client.get("/a").body == BODY
    assert client.request("HEAD", "/a", {"If-None-Match": '"v1"'}).status == 304


def test_a_head_is_no_get(origin, edge):
    """An answer to HEAD has no body to be stored."""
    origin.serve("/a", 200, FRESH, BODY)
    assert edge.request("HEAD", "/a").status == 200
    response = edge.get("/a")
    assert response.body == BODY


# --- ranges


RANGES = [
    # Range, status, first, last
    ("bytes=0-0", 206, 0, 0),
    ("bytes=0-99", 206, 0, 99),
    ("bytes=1000-1999", 206, 1000, 1999),
    ("bytes=65511-65512", 206, 65511, 65512),
    ("bytes=65000-140000", 206, 65000, 140000),
    ("bytes=199999-", 206, 199999, 199999),
    ("bytes=199990-300000", 206, 199990, 199999),
    ("bytes=-5", 206, 199995, 199999),
    ("bytes=-300000", 206, 0, 199999),
    ("bytes=200000-", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
    ("bytes=5-1", 200, 0, 0),
    ("bytes=a-b", 200, 0, 0),
    ("pages=1-2", 200, 0, 0),
]


@pytest.mark.parametrize("text, status, first, last", RANGES, ids=[row[0] for row in RANGES])
def test_a_single_range_of_a_stored_response(origin, edge, text, status, first, last):
    """RFC 9110 sections 14.2, 15.3.7 and 15.5.17."""
    body = bytes(i * 7 % 251 for i in range(200000))
    stored(origin, edge, {**FRESH, "ETag": '"v1"'}, body)
    client = edge.client()
    response = client.get("/a", {"Range": text})
    assert response.status == status
    if status == 206:
        assert response["Content-Range"] == f"bytes {first}-{last}/200000"
        assert response["ETag"] == '"v1"'
        assert response.body == body[first:last + 1]
    elif status == 416:
        assert response["Content-Range"] == "bytes */200000"
    else:
        assert response.body == body
    assert client.get("/a").body == body
    assert origin.count("/a") == 1


IF_RANGE = [
    ("the tag", {"ETag": '"v1"'}, '"v1"', 206),
    ("another tag", {"ETag": '"v1"'}, '"v2"', 200),
    ("weak tags never match", {"ETag": 'W/"v1"'}, 'W/"v1"', 200),
    ("the date", {"Last-Modified": MODIFIED}, MODIFIED, 206),
    ("another date", {"Last-Modified": MODIFIED}, "Tue, 15 Nov 2016 12:45:27 GMT", 200),
]


@pytest.mark.parametrize("why, validator, text, status", IF_RANGE, ids=[row[0] for row in IF_RANGE])
def test_if_range(origin, edge, why, validator, text, status):
    """RFC 9110 section 13.1.5: compared strongly."""
    stored(origin, edge, {**FRESH, **validator})
    response = hit(edge, fields={"Range": "bytes=0-4", "If-Range": text})
    assert (response.status, response.body) == (status, BODY[:5] if status == 206 else BODY)


def test_a_range_of_a_head_is_ignored(origin, edge):
    """RFC 9110 section 14.2: Range is for GET alone."""
    stored(origin, edge, FRESH)
    response = hit(edge, fields={"Range": "bytes=0-4"}, method="HEAD")
    assert (response.status, response["Content-Length"]) == (200, str(len(BODY)))


def test_a_range_after_a_condition(origin, edge):
    """RFC 9110 section 13.2.2: the condition comes first."""
    stored(origin, edge, {**FRESH, "ETag": '"v1"'})
    assert hit(edge, fields={"Range": "bytes=0-4", "If-None-Match": '"v1"'}).status == 304


# --- unsafe methods


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("status", [200, 204, 303])
def test_an_unsafe_method_that_succeeds_invalidates(origin, edge, method, status):
    """RFC 9111 section 4.4."""
    stored(origin, edge, FRESH)
    origin.serve("/a", status, {})
    assert edge.request(method, "/a", body=b"x").status == status
    origin.serve("/a", 200, FRESH, b"new")
    assert edge.get("/a").body == b"new"
    edge.expect_stats(cache_invalidated=1)


@pytest.mark.parametrize("method, status", [("POST", 404), ("POST", 500), ("OPTIONS", 200), ("HEAD", 200)])
def test_safe_methods_and_errors_invalidate_nothing(origin, edge, method, status):
    stored(origin, edge, FRESH)
    origin.serve("/a", status, {})
    edge.request(method, "/a")
    assert hit(edge).body == BODY


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("value, taken", [("/b", True), ("http://site.test/b", True), ("b", True),
                                          ("http://other.test/b", False)])
def test_an_unsafe_method_invalidates_what_its_answer_names(origin, edge, name, value, taken):
    """RFC 9111 section 4.4: of the same origin only."""
    for host in ("site.test", "other.test"):
        origin.serve("/b", 200, FRESH, b"old b")
        edge.get("/b", host=host)
    edge.wait_stored(2)
    origin.serve("/b", 200, FRESH, b"new b")
    origin.serve("/a", 201, {name: value})
    edge.request("POST", "/a", body=b"x")
    assert edge.get("/b").body == (b"new b" if taken else b"old b")
    assert edge.get("/b", host="other.test").body == b"old b"


def test_an_unsafe_method_invalidates_every_variant(origin, edge):
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": "Accept"}, (held.get("Accept") or held.method).encode()))
    for accept in ("x/a", "x/b"):
        edge.get("/a", {"Accept": accept})
    edge.wait_stored(2)
    edge.request("POST", "/a", body=b"x")
    for accept in ("x/a", "x/b"):
        assert not edge.get("/a", {"Accept": accept}).cache_status.hit


# --- directives of clients


def test_only_if_cached(origin, edge):
    """RFC 9111 section 5.2.1.7."""
    wish = {"Cache-Control": "only-if-cached"}
    assert edge.get("/a", wish).status == 504
    assert origin.count() == 0
    stored(origin, edge, FRESH)
    assert hit(edge, fields=wish).body == BODY


def test_only_if_cached_of_a_stale_response(origin, edge):
    stored(origin, edge, {**STALE, "ETag": '"v1"'})
    assert edge.get("/a", {"Cache-Control": "only-if-cached"}).status == 504
    assert origin.count() == 1


@pytest.mark.parametrize("wish", ["no-cache", "max-age=0", "no-store"])
def test_clients_cannot_force_a_fetch_by_default(origin, edge, wish):
    """Only when the operator says so: else anybody could aim load at the origin."""
    stored(origin, edge, FRESH)
    assert hit(edge, fields={"Cache-Control": wish, "Pragma": "no-cache"}).body == BODY


def test_clients_force_a_fetch_when_the_operator_lets_them(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.client_no_cache": "yes"})
    stored(origin, edge, {**FRESH, "ETag": '"v1"'})
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}),
                           fields={"Cache-Control": "no-cache"})
    assert held["If-None-Match"] == '"v1"'
    assert (response.body, response.cache_status.fwd) == (BODY, "request")


# --- at the seams


def test_a_get_with_a_body_is_not_shared(origin, edge):
    """RFC 9110 section 9.3.1: its body has no meaning to a cache, so its answer is for it alone."""
    origin.serve_with("/a", lambda held: held.reply(200, FRESH, b"about " + held.body))
    assert edge.request("GET", "/a", body=b"one").body == b"about one"
    assert edge.request("GET", "/a", body=b"two").body == b"about two"
    assert edge.get("/a").body == b"about "


@pytest.mark.parametrize("host", ["[::1]:8080", "127.0.0.1", "xn--bcher-kva.example", "a_b.test",
                                  "site.test.", "1.2.3.4.5"])
def test_odd_hosts_are_keys_of_their_own(origin, edge, host):
    origin.serve_with("/a", lambda held: held.reply(200, FRESH, held["Host"].encode()))
    edge.get("/a")
    response = edge.get("/a", host=host)
    assert response.status in (200, 400)
    if response.status == 200:
        assert response.body == host.encode()


def test_a_validated_variant_is_the_clients(origin, edge):
    """Of two stale variants each is validated by its own tag."""
    origin.serve_with("/a", lambda held: held.reply(
        200, {**STALE, "Vary": "Accept", "ETag": f'"{held["Accept"]}"'}, held["Accept"].encode()))
    for accept in ("x/a", "x/b"):
        edge.get("/a", {"Accept": accept})
    edge.wait_stored(2)
    origin.forget("/a")
    for i, accept in enumerate(("x/a", "x/b")):
        held, response = asked(origin, edge, (304, {**FRESH, "Vary": "Accept", "ETag": f'"{accept}"'}),
                               fields={"Accept": accept})
        assert held["If-None-Match"] == f'"{accept}"'
        assert response.body == accept.encode()
        edge.wait_for(store_updates=i + 1)


def test_the_origin_sees_no_conditions_or_ranges_of_who_fetches_for_all(origin, edge):
    """What is fetched to be stored is the whole, whatever the first client wanted of it."""
    client = edge.client()
    client.send_request("GET", "/a", {"Range": "bytes=2-3", "If-Range": '"v1"',
                                      "If-Modified-Since": date(-100)})
    held = origin.next_request()
    for name in ("Range", "If-Range", "If-Modified-Since", "If-None-Match"):
        assert name not in held.fields
    held.reply(200, {**FRESH, "ETag": '"v1"', "Last-Modified": date(-50)}, b"0123456789")
    response = client.read_response()
    assert (response.status, response.body) in ((206, b"23"), (200, b"0123456789"))
    edge.wait_stored(1)
    assert hit(edge).body == b"0123456789"


def test_an_object_replaced_while_it_is_read(origin, edge):
    """A reader of the old one gets the old one, whole."""
    old, new = b"o" * 6_000_000, b"n" * 6_000_000
    stored(origin, edge, {**FRESH, "ETag": '"v1"'}, old)
    slow = edge.client(rcvbuf=16384)
    slow.send_request("GET", "/a")
    assert slow.read_head().cache_status.hit
    edge.purge(files=["http://site.test/a"], soft=True)
    origin.serve("/a", 200, {**FRESH, "ETag": '"v2"'}, new)
    assert edge.get("/a").body == new
    edge.wait_stored(2)
    assert hit(edge).body == new
    assert slow.read_response().body == old


def test_many_variants_of_one_url(origin, edge):
    """More than any fixed table holds: each request gets its own answer."""
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": "X-V"}, held["X-V"].encode()))
    client = edge.client()
    for i in range(60):
        assert client.get("/a", {"X-V": f"v{i}"}).body == f"v{i}".encode()
    edge.wait_stored(60)
    seen = [client.get("/a", {"X-V": f"v{i}"}) for i in range(60)]
    assert [response.body for response in seen] == [f"v{i}".encode() for i in range(60)]
    edge.purge(files=["http://site.test/a"])
    assert not any(client.get("/a", {"X-V": f"v{i}"}).cache_status.hit for i in range(60))


def test_fields_of_many_bytes_are_stored_whole(origin, edge):
    """A head larger than a page."""
    fields = [*FRESH.items(), *((f"X-{i}", "y" * 700) for i in range(50))]
    stored(origin, edge, fields)
    response = hit(edge)
    assert all(response[f"X-{i}"] == "y" * 700 for i in range(50))
    edge.kill()
    edge.start()
    assert hit(edge)["X-49"] == "y" * 700


def test_a_url_of_many_bytes_is_a_key(origin, edge):
    paths = ["/" + "a" * 6000 + end for end in ("x", "y")]
    for path in paths:
        stored(origin, edge, FRESH, path.encode(), path=path)
    for path in paths:
        assert hit(edge, path).body == path.encode()
    assert edge.request("PURGE", paths[0]).status == 200
    assert edge.request("PURGE", paths[0]).status == 404
    assert hit(edge, paths[1]).body == paths[1].encode()
