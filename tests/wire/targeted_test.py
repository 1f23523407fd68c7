"""Targeted fields: CDN-Cache-Control and its like before Cache-Control and Expires. RFC 9213."""

import email.utils
import time

import pytest

DAY = email.utils.formatdate(time.time() + 86400, usegmt=True)
PAST = email.utils.formatdate(time.time() - 86400, usegmt=True)
LONG, SHORT = "max-age=3600", "max-age=1"

CASES = [
    # why, response fields, is the second request a hit
    ("2.2: max-age", {"CDN-Cache-Control": "max-age=3600"}, True),
    ("2.2: the largest max-age", {"CDN-Cache-Control": "max-age=2147483648"}, True),
    ("2.2: a larger one", {"CDN-Cache-Control": "max-age=99999999999"}, True),
    ("2.2: Age above it", {"CDN-Cache-Control": LONG, "Age": "7200"}, False),
    ("2.1: a blank before =", {"CDN-Cache-Control": "max-age =100", "Cache-Control": SHORT, "Age": "9"}, False),
    ("2.1: a blank after =", {"CDN-Cache-Control": "max-age= 100", "Cache-Control": SHORT, "Age": "9"}, False),
    ("2.2: max-age=0", {"CDN-Cache-Control": "max-age=0"}, False),
    ("2.2: max-age=0 and Expires", {"CDN-Cache-Control": "max-age=0", "Expires": DAY}, False),
    ("2.2: max-age and a past Expires", {"CDN-Cache-Control": LONG, "Expires": PAST}, True),
    ("2.2: max-age and an invalid Expires", {"CDN-Cache-Control": LONG, "Expires": "0"}, True),
    ("2.2: an unknown directive", {"CDN-Cache-Control": f"foobar, {LONG}"}, True),
    ("2.1: capitals", {"CDN-Cache-Control": "MaX-aGe=3600"}, False),
    ("2.2: long before short", {"CDN-Cache-Control": LONG, "Cache-Control": SHORT, "Age": "9"}, True),
    ("2.2: short before long", {"CDN-Cache-Control": SHORT, "Cache-Control": LONG, "Age": "9"}, False),
    ("2.2: private", {"CDN-Cache-Control": "private", "Cache-Control": LONG, "Expires": DAY}, False),
    ("2.2: no-cache", {"CDN-Cache-Control": "no-cache", "Cache-Control": LONG, "Expires": DAY}, False),
    ("2.2: no-store", {"CDN-Cache-Control": "no-store", "Cache-Control": LONG, "Expires": DAY}, False),
    ("2.2: before no-store", {"CDN-Cache-Control": LONG, "Cache-Control": "no-store"}, True),
    ("2.1: invalid", {"CDN-Cache-Control": "max-age=10000, &&&&&", "Cache-Control": "no-store"}, False),
    ("2.1: invalid, so Cache-Control", {"CDN-Cache-Control": "no-store, &", "Cache-Control": LONG}, True),
    ("2.1: a wrong type", {"CDN-Cache-Control": 'max-age="10000"', "Cache-Control": "no-store"}, False),
    ("2.1: empty", {"CDN-Cache-Control": "", "Cache-Control": LONG}, True),
    ("2.1: parameters", {"CDN-Cache-Control": "max-age=3600;x=1"}, True),
    ("2.2: another's field", {"Other-Cache-Control": "no-store", "Cache-Control": LONG}, True),
]


def is_hit(origin, edge, fields):
    """Two requests for one URL, one after the other: is the second answered from the store?"""
    before = edge.stats()["store_puts"]
    origin.serve("/a", 200, fields, b"one")
    first = edge.get("/a")
    assert first.body == b"one"
    for name, value in fields.items():
        assert first[name] == value  # forwarded as it came
    if first.cache_status.stored:
        edge.wait_for(store_puts=before + 1)
    second = edge.get("/a")
    assert second.body == b"one"
    assert second.cache_status.hit == (origin.count("/a") == 1)
    return second.cache_status.hit


@pytest.mark.parametrize("why, fields, hit", CASES, ids=[row[0] for row in CASES])
def test_cdn_cache_control(origin, edge, why, fields, hit):
    """RFC 9213: it decides when it is a valid dictionary with a member."""
    assert is_hit(origin, edge, fields) == hit


@pytest.mark.edge(settings={"site.targeted_fields": "Surrogate-Control,CDN-Cache-Control"})
@pytest.mark.parametrize("fields, hit", [
    ({"Surrogate-Control": "max-age=3600;something", "CDN-Cache-Control": "no-store"}, True),
    ({"Surrogate-Control": "no-store", "CDN-Cache-Control": LONG}, False),
    ({"Surrogate-Control": 'content="ESI/1.0', "CDN-Cache-Control": LONG}, True),
    ({"Surrogate-Control": "", "CDN-Cache-Control": "no-store", "Cache-Control": LONG}, False),
])
def test_the_first_of_the_list_counts(origin, edge, fields, hit):
    """RFC 9213 section 2.2: in the operator's order; what is invalid or empty is passed over."""
    assert is_hit(origin, edge, fields) == hit


@pytest.mark.edge(settings={"site.targeted_fields": ""})
def test_none_is_honoured_when_none_is_named(origin, edge):
    assert is_hit(origin, edge, {"CDN-Cache-Control": "no-store", "Cache-Control": LONG})


def test_the_304_decides_by_it_too(origin, edge):
    """RFC 9111 section 4.3.4: the merged head's field says how long it is fresh now."""
    origin.serve("/a", 200, {"CDN-Cache-Control": "max-age=10", "Age": "60", "ETag": '"1"'}, b"one")
    edge.get("/a")
    edge.wait_stored(1)
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"1"'
    held.reply(304, {"ETag": '"1"', "CDN-Cache-Control": LONG, "Cache-Control": "no-store"})
    assert client.read_response().body == b"one"
    edge.wait_for(store_updates=1)
    again = edge.get("/a")
    assert again.cache_status.hit and again["CDN-Cache-Control"] == LONG
