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
