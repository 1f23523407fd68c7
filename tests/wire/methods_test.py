"""What the other methods mean for the cache: HEAD that updates, POST that is stored.

RFC 9110 section 9.3, RFC 9111 sections 3 and 4.3.5.
"""

import pytest

from caching_test import BODY, FRESH, STALE, asked, date, hit, stored

NEWER = {"Cache-Control": "max-age=600", "X-B": "2"}
CHANGED = date(-7200)


def head(origin, edge, answer, fields=None):
    """A HEAD that must reach the origin as HEAD: (what it saw, what the client got)."""
    held, response = asked(origin, edge, answer, fields=fields, method="HEAD")
    assert held.method == "HEAD" and response.body == b""
    return held, response


# --- RFC 9111 section 4.3.5: HEAD updates a stored GET


@pytest.mark.parametrize("validator", [{}, {"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last-Modified": CHANGED},
                                       {"ETag": '"v1"', "Last-Modified": CHANGED}])
def test_a_head_updates_the_stored_get(origin, edge, validator):
    """Fields that it has replace the stored ones, the others stay; the lifetime is new."""
    stored(origin, edge, {**STALE, **validator, "X-A": "1", "X-B": "1"})
    held, response = head(origin, edge, (200, {**NEWER, **validator}, BODY))
    assert held.get("If-None-Match") is None and held.get("If-Modified-Since") is None
    assert (response.status, response["X-A"], response["X-B"]) == (200, "1", "2")
    assert response["Content-Length"] == str(len(BODY))
    edge.wait_for(store_updates=1)
    response = hit(edge)
    assert (response.body, response["X-A"], response["X-B"]) == (BODY, "1", "2")
    edge.expect_stats(cache_revalidated=1, origin_requests=2, cache_invalidated=0)


def test_a_head_without_a_length_updates_too(origin, edge):
    stored(origin, edge, {**STALE, "X-A": "1"})
    client = edge.client()
    client.send_request("HEAD", "/a")
    held = origin.next_request()
    held.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n\r\n")
    held.finish()
    response = client.read_response()
    assert (response["X-A"], response["Content-Length"]) == ("1", str(len(BODY)))
    edge.wait_for(store_updates=1)
    assert hit(edge).body == BODY


@pytest.mark.parametrize("before, after, body", [
    ({"ETag": '"v1"'}, {"ETag": '"v2"'}, BODY),
    ({"ETag": '"v1"', "Last-Modified": CHANGED}, {"ETag": '"v1"', "Last-Modified": date(-60)}, BODY),
    ({"Last-Modified": CHANGED}, {"Last-Modified": date(-60)}, BODY),
    ({}, {"ETag": '"v1"'}, BODY),
    ({}, {}, BODY + b"x"),
    ({"ETag": '"v1"'}, {"ETag": '"v1"'}, BODY[1:]),
    ({}, {"Cache-Control": "no-store"}, BODY),
    ({}, {"Cache-Control": "private"}, BODY),
    ({}, {"Set-Cookie": "a=b"}, BODY),
    ({}, {"Vary": "X-New"}, BODY),
], ids=["ETag", "Last-Modified beside an ETag", "Last-Modified", "a validator at all", "longer", "shorter",
        "no-store", "private", "Set-Cookie", "another Vary"])
def test_a_head_that_speaks_of_another_updates_nothing(origin, edge, before, after, body):
    """It is passed on as it came, and the stored response is still asked about."""
    stored(origin, edge, {**STALE, **before, "X-A": "1"})
    _, response = head(origin, edge, (200, {**NEWER, **after}, body))
    assert response.get("X-A") is None and response["X-B"] == "2"
    assert response["Content-Length"] == str(len(body))
    _, response = asked(origin, edge, (200, FRESH, b"new"))
    assert response.body == b"new"
    edge.expect_stats(store_updates=0, cache_revalidated=0)


@pytest.mark.parametrize("status, fields, stays", [
    (200, {"ETag": '"v2"'}, False), (404, {}, False), (410, {}, False), (301, {"Location": "/b"}, False),
    (204, {}, False), (401, {}, True), (403, {}, True), (405, {}, True), (429, {}, True), (500, {}, True),
    (503, {}, True)])
def test_a_head_makes_what_it_contradicts_stale(origin, start_edge, status, fields, stays):
    """Here a client insists on asking about what is fresh. Refusals and errors say nothing of it."""
    edge = start_edge(origin=origin.url, settings={"site.client_no_cache": "yes"})
    stored(origin, edge, {**FRESH, "ETag": '"v1"'})
    _, response = head(origin, edge, (status, {**NEWER, **fields}, b""), {"Cache-Control": "no-cache"})
    assert response.status == status
    if stays:
        assert hit(edge).body == BODY
        edge.expect_stats(cache_invalidated=0)
        return
    edge.expect_stats(cache_invalidated=1)
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    assert (held["If-None-Match"], response.body) == ('"v1"', BODY)


def test_a_head_leaves_other_variants_alone(origin, edge):
    """RFC 9111 section 4.1: only what the request could have been answered with."""
    vary = {**STALE, "Vary": "Accept"}
    for accept in ("x/a", "x/b"):
        stored(origin, edge, {**vary, "X-A": accept}, request={"Accept": accept})
    head(origin, edge, (200, {**NEWER, "Vary": "Accept"}, BODY), {"Accept": "x/a"})
    edge.wait_for(store_updates=1)
    assert hit(edge, fields={"Accept": "x/a"})["X-A"] == "x/a"
    _, response = asked(origin, edge, (200, {**FRESH, "Vary": "Accept"}, b"b"), fields={"Accept": "x/b"})
    assert response.body == b"b"


def test_the_conditions_of_a_head_are_the_origins(origin, edge):
    stored(origin, edge, {**STALE, "ETag": '"v1"', "X-A": "1"})
    held, response = head(origin, edge, (304, {"ETag": '"v1"'}), {"If-None-Match": '"v1"'})
    assert (held["If-None-Match"], response.status) == ('"v1"', 304)
    _, response = head(origin, edge, (200, {**NEWER, "ETag": '"v1"'}, BODY), {"If-None-Match": '"v0"'})
    assert (response.status, response["X-A"]) == (200, "1")
    edge.wait_for(store_updates=1)


def test_a_stale_head_stands_in_for_a_failing_origin(origin, edge):
    """RFC 5861 section 4 and RFC 9111 section 4.2.4, for HEAD as for GET."""
    stored(origin, edge, {"Cache-Control": "max-age=10, stale-if-error=600", "Age": "60", "X-A": "1"})
    _, response = head(origin, edge, (503, {}))
    assert (response.status, response["X-A"]) == (200, "1")
    stored(origin, edge, {**STALE, "X-A": "2"}, path="/b")
    origin.serve_with("/b", lambda held: held.close())
    response = edge.request("HEAD", "/b")
    assert (response.status, response["X-A"], response["Content-Length"]) == (200, "2", str(len(BODY)))


def test_a_server_error_without_leave_is_passed_on(origin, edge):
    stored(origin, edge, STALE)
    _, response = head(origin, edge, (503, {}))
    assert response.status == 503
    edge.expect_stats(cache_invalidated=0, store_updates=0)


@pytest.mark.edge(settings={"store.batch_time": "2s"})
def test_what_a_head_updated_is_found_before_the_commit(origin, edge):
    stored(origin, edge, {**STALE, "X-A": "1"})
    head(origin, edge, (200, NEWER, BODY))
    response = hit(edge)
    assert (response.body, response["X-A"], response["X-B"]) == (BODY, "1", "2")
    assert hit(edge, method="HEAD")["X-B"] == "2"
    edge.expect_stats(store_updates=0, origin_requests=2)


@pytest.mark.edge(settings={"store.batch_time": "10s"})
def test_a_head_before_the_commit_is_answered_from_the_fill(origin, edge):
    origin.serve("/a", 200, {**FRESH, "ETag": '"v1"'}, BODY)
    assert edge.get("/a").body == BODY
    response = hit(edge, method="HEAD")
    assert (response["ETag"], response["Content-Length"]) == ('"v1"', str(len(BODY)))
    assert edge.request("HEAD", "/a", {"If-None-Match": '"v1"'}).status == 304
    assert origin.count() == 1


def test_a_head_of_an_object_on_its_way(origin, edge):
    """The head is there: no second request to the origin."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, {**FRESH, "X-A": "1"}, length=10)
    held.send(b"01234")
    first.read_body(5)
    response = edge.request("HEAD", "/a")
    assert (response["X-A"], response["Content-Length"]) == ("1", "10")
    held.send(b"56789")
    held.finish()
    assert first.read_response().body == b"0123456789"
    assert origin.count() == 1


# --- RFC 9110 section 9.3.3: what a POST brings may answer a later GET

RESULT = {**FRESH, "Content-Location": "/a"}


def post(origin, edge, fields, status=200, request=None, path="/a", body=b"result"):
    """A POST that reaches the origin with its body, and its answer."""
    client = edge.client()
    client.send_request("POST", path, request, b"x=1")
    held = origin.next_request()
    assert (held.method, held.body) == ("POST", b"x=1")
    held.reply(status, fields, body)
    response = client.read_response()
    assert (response.status, response.body) == (status, body)
    assert not response.cache_status.hit
    return response


@pytest.mark.parametrize("location", ["/a", "a", "", "http://site.test/a", "http://SITE.test:80/a#x"])
def test_a_post_with_its_own_location_is_stored(origin, edge, location):
    response = post(origin, edge, {**FRESH, "Content-Location": location, "X-A": "1"})
    assert response.cache_status.stored
    response = hit(edge)
    assert (response.body, response["X-A"]) == (b"result", "1")
    edge.wait_stored(1)
    response = hit(edge)
    assert (response.body, response["X-A"]) == (b"result", "1")
    assert hit(edge, method="HEAD")["Content-Length"] == "6"
    assert origin.count() == 1


def test_a_post_is_never_answered_from_the_cache(origin, edge):
    """RFC 9110 section 9.3.3: only GET and HEAD are."""
    for body in (b"one", b"two"):
        post(origin, edge, RESULT, body=body)
        edge.wait_stored(1)
        assert hit(edge).body == body


def test_a_post_replaces_what_a_get_stored(origin, edge):
    """What it invalidates goes first, and does not take the new one with it."""
    stored(origin, edge, FRESH)
    post(origin, edge, RESULT)
    assert hit(edge).body == b"result"
    edge.wait_stored(2)
    assert hit(edge).body == b"result"
    edge.restart()
    assert hit(edge).body == b"result"
    edge.expect_stats(store_objects=1)


@pytest.mark.parametrize("what", [{"files": ["http://site.test/a"]}, {"tags": ["t"]},
                                  {"hosts": ["site.test"]}], ids=["file", "tag", "host"])
def test_a_purge_names_what_a_post_is_about_to_bring(origin, edge, what):
    """It was acknowledged before the origin answered: the answer may be of before."""
    client = edge.client()
    client.send_request("POST", "/a", body=b"x")
    held = origin.next_request()
    edge.purge(**what)
    held.reply(200, {**RESULT, "Surrogate-Key": "t"}, b"result")
    response = client.read_response()
    assert response.body == b"result"
    assert not response.cache_status.stored and response.cache_status.detail == "purged"


def test_a_post_overtakes_a_get_under_way(origin, edge):
    """The older answer neither replaces it nor is given to who comes later."""
    early = edge.client()
    early.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=3)
    post(origin, edge, RESULT)
    held.send(b"old")
    held.finish()
    assert early.read_response().body == b"old"
    edge.wait_for(store_puts=1, store_puts_aborted=1)
    assert hit(edge).body == b"result"


@pytest.mark.parametrize("fields", [
    FRESH, {**FRESH, "Content-Location": "/b"}, {**FRESH, "Content-Location": "http://other.test/a"},
    {"Content-Location": "/a", "Last-Modified": date(-86400)}, {"Content-Location": "/a"},
    {**RESULT, "Cache-Control": "no-store, max-age=60"}, {**RESULT, "Cache-Control": "private, max-age=60"},
    {**RESULT, "Set-Cookie": "a=b"}, {**RESULT, "Vary": "*"},
], ids=["no location", "another", "another host", "heuristic", "no lifetime", "no-store", "private",
        "Set-Cookie", "Vary: *"])
def test_other_answers_to_post_are_not_stored(origin, edge, fields):
    response = post(origin, edge, fields)
    assert not response.cache_status.stored
    _, response = asked(origin, edge, (200, {}, b"got"))
    assert response.body == b"got"
    edge.expect_stats(store_puts=0)


@pytest.mark.parametrize("status", [201, 404])
def test_other_statuses_of_post_are_not_stored(origin, edge, status):
    assert not post(origin, edge, RESULT, status).cache_status.stored


@pytest.mark.parametrize("cc, kept", [("max-age=60", False), ("public, max-age=60", True)])
def test_a_post_with_credentials_is_stored_as_a_get_is(origin, edge, cc, kept):
    """RFC 9111 section 3.5."""
    response = post(origin, edge, {**RESULT, "Cache-Control": cc}, request={"Authorization": "Basic x"})
    assert response.cache_status.stored == kept


def test_a_post_varies_by_its_own_fields(origin, edge):
    """RFC 9111 section 4.1."""
    post(origin, edge, {**RESULT, "Vary": "Accept-Language"}, request={"Accept-Language": "de"})
    edge.wait_stored(1)
    assert hit(edge, fields={"Accept-Language": "de"}).body == b"result"
    _, response = asked(origin, edge, (200, FRESH, b"fr"), fields={"Accept-Language": "fr"})
    assert response.body == b"fr"


@pytest.mark.edge(settings={"site.key_fields": "X-Key"})
def test_a_post_is_stored_under_the_fields_of_the_key(origin, edge):
    post(origin, edge, RESULT, request={"X-Key": "1"})
    assert hit(edge, fields={"X-Key": "1"}).body == b"result"
    _, response = asked(origin, edge, (200, FRESH, b"other"), fields={"X-Key": "2"})
    assert response.body == b"other"


@pytest.mark.edge(settings={"site.pass": "yes"})
def test_a_site_that_is_passed_stores_no_post(origin, edge):
    assert not post(origin, edge, RESULT).cache_status.stored


def test_a_stored_post_is_validated_with_a_get(origin, edge):
    post(origin, edge, {**RESULT, **STALE, "ETag": '"v1"'})
    edge.wait_stored(1)
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}))
    assert (held.method, held["If-None-Match"], response.body) == ("GET", '"v1"', b"result")


def test_a_large_result_of_a_post_is_stored_whole(origin, edge):
    body = bytes(range(256)) * 4096
    post(origin, edge, RESULT, body=body)
    edge.wait_stored(1)
    assert hit(edge).body == body
