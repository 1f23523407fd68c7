"""What origins and operators say beyond plain freshness: fields that are for one client alone,
lifetimes by status, what a site allows, how long stale is kept, preferences that say the same.

RFC 9111 sections 3, 4 and 5.2, RFC 9110 section 12.5. Ages are set by the origin's Age field.
"""

import email.utils
import time

import pytest

FRESH = {"Cache-Control": "max-age=600"}
BODY = b"0123456789"


def date(offset_s=0):
    return email.utils.formatdate(time.time() + offset_s, usegmt=True)


def fetched(origin, edge, fields, path="/a", request=None, status=200):
    """One request that the origin answers so."""
    client = edge.client()
    client.send_request("GET", path, request)
    origin.next_request().reply(status, fields, BODY)
    response = client.read_response()
    assert response.status == status
    return response


# --- fields that are for one client alone


WITHHELD = [
    ("9111-5.2.2.4 no-cache with a field", {"Cache-Control": 'no-cache="X-A", max-age=600'}),
    ("9111-5.2.2.4 the token form", {"Cache-Control": "no-cache=x-a, max-age=600"}),
    ("9111-5.2.2.4 among others", {"Cache-Control": 'max-age=600, no-cache="b, X-A ,c"'}),
    ("9111-5.2.2.7 private with a field", {"Cache-Control": 'private="X-A", max-age=600'}),
]


@pytest.mark.parametrize("why, fields", WITHHELD, ids=[row[0] for row in WITHHELD])
def test_named_fields_are_for_who_asked_alone(origin, edge, why, fields):
    """Whoever began the fetch gets them; followers and hits, whole or in part, do not."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.reply(200, {**fields, "X-A": "1", "X-B": "2"}, BODY)
    response = first.read_response()
    assert response["X-A"] == "1" and response["X-B"] == "2"
    response = second.read_response()
    assert response.get("X-A") is None and response["X-B"] == "2"
    assert response["Cache-Control"] == fields["Cache-Control"]
    edge.wait_stored(1)
    for request in ({}, {"Range": "bytes=0-1"}):
        response = edge.get("/a", request)
        assert response.cache_status.hit
        assert response.get("X-A") is None and response["X-B"] == "2"
    edge.stop()
    edge.start()
    assert edge.get("/a").get("X-A") is None


def test_a_304_renews_what_is_withheld(origin, edge):
    """RFC 9111 sections 3.2 and 5.2.2.4: a field that came with the 304 is for who asked then."""
    stale = {"Cache-Control": 'no-cache="X-A", max-age=10', "Age": "60", "ETag": '"1"'}
    assert fetched(origin, edge, {**stale, "X-A": "1", "X-B": "1"})["X-A"] == "1"
    edge.wait_stored(1)
    client = edge.client()
    client.send_request("GET", "/a")
    fresh = {"Cache-Control": 'no-cache="X-A", max-age=600', "ETag": '"1"'}
    origin.next_request().reply(304, {**fresh, "X-A": "2", "X-B": "2"})
    response = client.read_response()
    assert (response.status, response["X-A"], response["X-B"]) == (200, "2", "2")
    edge.wait_for(store_updates=1)
    response = edge.get("/a")
    assert response.cache_status.hit
    assert (response.get("X-A"), response["X-B"], response.body) == (None, "2", BODY)


WHOLE = [
    ("a field that says what the content is", 'no-cache="Content-Type", max-age=600'),
    ("a field that it is judged by", 'no-cache="Vary", max-age=600'),
    ("no name at all", 'no-cache="", max-age=600'),
    ("what is no name", 'no-cache="a b", max-age=600'),
]


@pytest.mark.parametrize("why, value", WHOLE, ids=[row[0] for row in WHOLE])
def test_what_cannot_be_left_out_restricts_all(origin, edge, why, value):
    """RFC 9111 section 5.2.2.4: then the whole response is validated before it is reused."""
    fetched(origin, edge, {"Cache-Control": value, "ETag": '"1"', "Vary": "A"})
    edge.wait_stored(1)
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"1"'
    held.reply(304, {"ETag": '"1"'})
    assert client.read_response().body == BODY


def test_a_cookie_that_is_left_out_does_not_hinder(origin, edge):
    """RFC 9111 section 7.3: the usual way to store a page that greets its first visitor."""
    fields = {"Cache-Control": 'no-cache="Set-Cookie", max-age=600', "Set-Cookie": "id=1"}
    assert fetched(origin, edge, fields)["Set-Cookie"] == "id=1"
    edge.wait_stored(1)
    response = edge.get("/a")
    assert response.cache_status.hit and response.get("Set-Cookie") is None


def test_a_cookie_is_stored_when_the_operator_says_so(origin, start_edge):
    """RFC 9111 section 7.3; by default it is not (caching_test)."""
    edge = start_edge(origin=origin.url, settings={"site.store_set_cookie": "yes"})
    fetched(origin, edge, {**FRESH, "Set-Cookie": "a=b"})
    edge.wait_stored(1)
    assert edge.get("/a")["Set-Cookie"] == "a=b"
    fetched(origin, edge, {"Last-Modified": date(-86400), "Set-Cookie": "a=b"}, "/guessed")
    edge.wait_stored(2)
    client = edge.client()
    client.send_request("GET", "/guessed")
    held = origin.next_request()  # section 4.2.2: kept, but not guessed about
    assert held.get("If-Modified-Since") is not None
    held.reply(304, {})
    client.read_response()


# --- lifetimes that the response does not state


GUESSED = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]


@pytest.mark.parametrize("status", GUESSED)
def test_a_tenth_of_the_time_since_last_modified(origin, edge, status):
    """RFC 9111 section 4.2.2, RFC 9110 section 15.1: every status that may be guessed about."""
    origin.serve("/a", status, {"Date": date(), "Last-Modified": date(-86400)},
                 b"" if status == 204 else BODY)
    edge.get("/a")
    edge.wait_stored(1)
    response = edge.get("/a")
    assert response.status == status and response.cache_status.hit
    assert 8000 < response.cache_status.ttl <= 8640
    assert origin.count() == 1


@pytest.mark.parametrize("status", [201, 202, 302, 307, 506, 599])
def test_other_statuses_are_guessed_about_when_public(origin, edge, status):
    """RFC 9111 section 5.2.2.9."""
    fields = {"Date": date(), "Last-Modified": date(-86400)}
    response = fetched(origin, edge, fields, "/plain", status=status)
    assert not response.cache_status.stored and response.cache_status.detail == "status"
    fetched(origin, edge, {**fields, "Cache-Control": "public"}, "/public", status=status)
    edge.wait_stored(1)
    assert edge.get("/public").cache_status.hit


@pytest.mark.parametrize("status", [400, 401, 403, 406, 409, 415, 422, 451, 500, 502, 503, 504, 505])
def test_errors_that_a_request_provokes_are_not_guessed_about(origin, edge, status):
    """RFC 9111 section 4.2.2: even if public, as servers mark all that they send."""
    fields = {"Date": date(), "Last-Modified": date(-86400), "Cache-Control": "public"}
    response = fetched(origin, edge, fields, status=status)
    assert not response.cache_status.stored and response.cache_status.detail == "status"


def test_queries_are_guessed_about_only_when_allowed(origin, start_edge):
    """RFC 9111 section 4.2.2: what a query asks for is often made anew."""
    fields = {"Date": date(), "Last-Modified": date(-86400)}
    careful = start_edge(origin=origin.url)
    fetched(origin, careful, fields, "/a?q")
    careful.wait_stored(1)
    client = careful.client()
    client.send_request("GET", "/a?q")
    held = origin.next_request()
    assert held.get("If-Modified-Since") is not None
    held.reply(304, {})
    client.read_response()
    bold = start_edge(origin=origin.url, settings={"site.heuristic_query": "yes"})
    fetched(origin, bold, fields, "/a?q")
    bold.wait_stored(1)
    assert bold.get("/a?q").cache_status.hit


def test_lifetimes_by_status(origin, start_edge):
    """Negative caching: a status's own before its class, and after what the response states."""
    edge = start_edge(origin=origin.url, settings={
        "site.status_ttl": "404=60s,4xx=10s,503=5s,410=0s", "site.default_ttl": "30s"})
    wanted = [(404, 60), (403, 10), (503, 5), (200, 30)]
    for n, (status, ttl) in enumerate(wanted):
        response = fetched(origin, edge, {}, f"/{status}", status=status)
        assert response.cache_status.stored and response.cache_status.ttl == ttl
        edge.wait_stored(n + 1)
        assert edge.get(f"/{status}").cache_status.hit
    assert not fetched(origin, edge, {}, "/410", status=410).cache_status.stored
    assert not fetched(origin, edge, {}, "/500", status=500).cache_status.stored
    response = fetched(origin, edge, {"Cache-Control": "max-age=7"}, "/stated", status=404)
    assert response.cache_status.ttl == 7
    response = fetched(origin, edge, {"Cache-Control": "no-store"}, "/not", status=404)
    assert not response.cache_status.stored


# --- how long stale is kept


def test_what_is_stale_for_too_long_is_as_good_as_gone(origin, start_edge):
    """Neither validated nor a stand-in for an origin that closes: RFC 9111 section 4.2.4."""
    edge = start_edge(origin=origin.url, settings={
        "site.keep": "1m", "origin.idle_max": "0"})  # a kept connection would be tried again
    fields = {"Cache-Control": "max-age=10", "ETag": '"1"'}
    fetched(origin, edge, {**fields, "Age": "65"}, "/kept")
    fetched(origin, edge, {**fields, "Age": "600"}, "/gone")
    edge.wait_stored(2)
    client = edge.client()
    client.send_request("GET", "/kept")
    held = origin.next_request()
    assert held["If-None-Match"] == '"1"'
    held.close()
    response = client.read_response()
    assert response.status == 200 and response.body == BODY
    client = edge.client()
    client.send_request("GET", "/gone")
    held = origin.next_request()
    assert held.get("If-None-Match") is None
    held.close()
    assert client.read_response().status == 502


# --- preferences


def test_preferences_that_say_the_same_share_a_variant(origin, edge):
    """RFC 9110 section 12.5: weights alone order them."""
    fields = {**FRESH, "Vary": "Accept-Language"}
    fetched(origin, edge, fields, request={"Accept-Language": "en, de;q=0.50"})
    edge.wait_stored(1)
    for same in ("en, de;q=0.5", "de;q=0.5, en", "DE;Q=0.5 , EN;q=1.0", "de;q=0.5,,en"):
        assert edge.get("/a", {"Accept-Language": same}).cache_status.hit, same
    for n, other in enumerate(("en, de;q=0.6", "en", "en, de;q=0.5, fr", None)):
        request = {} if other is None else {"Accept-Language": other}
        assert not fetched(origin, edge, fields, request=request).cache_status.hit
        edge.wait_stored(n + 2)


def test_an_operator_may_go_by_the_order(origin, start_edge):
    """Some origins take the first of several for the one that is wanted."""
    edge = start_edge(origin=origin.url, settings={"site.vary_normalise": "no"})
    fields = {**FRESH, "Vary": "Accept-Language"}
    fetched(origin, edge, fields, request={"Accept-Language": "en, de"})
    edge.wait_stored(1)
    assert edge.get("/a", {"Accept-Language": "en ,de"}).cache_status.hit
    assert not fetched(origin, edge, fields,
                       request={"Accept-Language": "de, en"}).cache_status.hit


# --- what describes the stored bytes


def test_fields_that_describe_the_bytes_stay_after_a_304(origin, edge):
    """RFC 9111 section 3.2: the bytes are the ones that came with them."""
    about = {"Content-Encoding": "br", "Content-MD5": "old", "Content-Range": "old", "X-A": "old"}
    fetched(origin, edge, {"Cache-Control": "max-age=10", "Age": "60", "ETag": '"1"', **about})
    edge.wait_stored(1)
    client = edge.client()
    client.send_request("GET", "/a")
    origin.next_request().reply(304, {"ETag": '"1"', **FRESH,
                                      **{name: "new" for name in about}})
    response = client.read_response()
    edge.wait_for(store_updates=1)
    for answer in (response, edge.get("/a")):
        got = {name: answer[name] for name in about}
        assert got == {**about, "X-A": "new"}


def test_a_stray_content_range_is_not_beside_ours(origin, edge):
    """RFC 9110 section 14.4: it means nothing in a 200, and would contradict a 206 made of it."""
    fetched(origin, edge, {**FRESH, "Content-Range": "bytes 5-6/7"})
    edge.wait_stored(1)
    assert edge.get("/a")["Content-Range"] == "bytes 5-6/7"
    response = edge.get("/a", {"Range": "bytes=0-1"})
    assert response.status == 206
    assert response.fields.all("Content-Range") == ["bytes 0-1/10"]
