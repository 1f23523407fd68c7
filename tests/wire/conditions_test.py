"""Conditions that are the origin's: If-Match and If-Unmodified-Since. RFC 9110 section 13, RFC 9111
section 4.3.2: a cache answers 412 to nobody, and what may not hold is asked of the origin."""

import pytest

from caching_test import BODY, FRESH, STALE, asked, hit, stored

CHANGED = "Tue, 15 Nov 2016 12:45:26 GMT"
EARLIER = "Tue, 15 Nov 2016 12:45:25 GMT"
LATER = "Tue, 15 Nov 2016 12:45:27 GMT"
TAGGED = {**FRESH, "ETag": '"v1"', "Last-Modified": CHANGED}

HOLD = [{"If-Match": '"v1"'}, {"If-Match": '"v0", "v1"'}, {"If-Match": "*"}, {"If-Unmodified-Since": CHANGED},
        {"If-Unmodified-Since": LATER}, {"If-Match": '"v1"', "If-Unmodified-Since": EARLIER}]
FAIL = [{"If-Match": '"v2"'}, {"If-Match": 'W/"v1"'}, {"If-Unmodified-Since": EARLIER},
        {"If-Unmodified-Since": "soon"}, {"If-Match": '"v2"', "If-Unmodified-Since": LATER}]


@pytest.mark.parametrize("fields", HOLD, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_holds_for_the_stored_response_is_a_hit(origin, edge, fields, method):
    stored(origin, edge, TAGGED)
    assert hit(edge, fields=fields, method=method).status == 200
    assert origin.count() == 1


@pytest.mark.parametrize("fields", FAIL, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_anything_else_is_for_the_origin_to_evaluate(origin, edge, fields, method):
    """It gets the request as it came, its 412 goes to the client, and nothing stored changes."""
    stored(origin, edge, TAGGED)
    held, response = asked(origin, edge, (412, {}, b"changed"), fields=fields, method=method)
    assert response.status == 412 and held.method == method
    assert {name: held.get(name) for name in fields} == fields
    assert held.get("If-None-Match") is None
    assert (response.cache_status.fwd, response.cache_status.detail) == ("request", "precondition")
    assert hit(edge).body == BODY


def test_an_answer_that_was_passed_for_a_condition_is_not_stored(origin, edge):
    stored(origin, edge, TAGGED)
    _, response = asked(origin, edge, (200, {**FRESH, "ETag": '"v2"'}, b"new"), fields={"If-Match": '"v2"'})
    assert response.body == b"new"
    assert hit(edge).body == BODY


def test_what_is_no_representation_is_matched_by_nothing(origin, edge):
    """RFC 9110 section 13.1.1: `*` means that there is one; a stored 404 says there was none."""
    stored(origin, edge, FRESH, status=404)
    _, response = asked(origin, edge, (412, {}), fields={"If-Match": "*"})
    assert response.status == 412


@pytest.mark.parametrize("cc", ["max-age=10", "max-age=10, stale-while-revalidate=600"])
def test_what_is_stale_shows_nothing(origin, edge, cc):
    stored(origin, edge, {**TAGGED, **STALE, "Cache-Control": cc})
    held, response = asked(origin, edge, (412, {}), fields={"If-Match": '"v1"'})
    assert (held["If-Match"], response.status) == ('"v1"', 412)


def test_only_if_cached_is_stronger(origin, edge):
    """RFC 9111 section 5.2.1.7."""
    stored(origin, edge, TAGGED)
    wish = {"Cache-Control": "only-if-cached", "If-Match": '"v2"'}
    assert edge.get("/a", wish).status == 504
    assert hit(edge, fields={**wish, "If-Match": '"v1"'}).body == BODY
    assert origin.count() == 1


def test_a_condition_does_not_wait_for_another_fetch(origin, edge):
    """Nor does a HEAD with one take the head of an object on its way."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, TAGGED, length=6)
    held.send(b"one")
    first.read_body(3)
    for method in ("GET", "HEAD"):
        _, response = asked(origin, edge, (412, {}), fields={"If-Match": '"v0"'}, method=method)
        assert response.status == 412
    held.send(b"two")
    held.finish()
    assert first.read_response().body == b"onetwo"


def test_a_condition_that_holds_beside_one_of_ours(origin, edge):
    """RFC 9110 section 13.2.2: If-None-Match and Range come after it."""
    stored(origin, edge, TAGGED)
    assert hit(edge, fields={"If-Match": '"v1"', "If-None-Match": '"v1"'}).status == 304
    response = hit(edge, fields={"If-Match": '"v1"', "Range": "bytes=0-3"})
    assert (response.status, response.body) == (206, BODY[:4])
