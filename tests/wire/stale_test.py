"""Stale responses: when one is sent, and what happens behind it. RFC 5861, RFC 9111 sections 4.2.4 and
5.2.1.2.

Every stored response has a lifetime of 10 seconds and an Age that tells how stale it is; the windows
are wide enough that the time a test takes makes no difference.
"""

import pytest

BODY = b"old" * 50
TAG = '"v1"'


def stored(origin, edge, directives="", age=60, more=None):
    """Stored with `age` of which 10 seconds are fresh; then the origin waits for the test."""
    control = ", ".join(["max-age=10", *([directives] if directives else [])])
    origin.serve("/a", 200, {"Cache-Control": control, "Age": str(age), "ETag": TAG, **(more or {})}, BODY)
    assert edge.get("/a").body == BODY
    edge.wait_for(store_puts=1)
    origin.forget("/a")


def asked(origin, edge, answer, fields=None):
    """A request that reaches the origin, answered so; what the client got."""
    client = edge.client()
    client.send_request("GET", "/a", fields)
    held = origin.next_request()
    assert held["If-None-Match"] == TAG
    held.reply(*answer)
    return client.read_response()


def is_stale(response):
    return (response.status, response.body) == (200, BODY) and response.cache_status.ttl < 0


def is_stale_hit(response):
    """Without the origin: it was not waited for, as it is before a stale response stands in for it."""
    return is_stale(response) and response.cache_status.hit


# --- stale-while-revalidate

SWR = "stale-while-revalidate=600"


def test_5861_3_the_background_fetch_carries_the_triggering_requests_fields(origin, edge):
    """The origin may pick by any of them. What asks for a part or for news is brink's own business."""
    stored(origin, edge, SWR)
    response = edge.get("/a", {"X-Trace": "17", "Cookie": "a=b", "Accept-Language": "de",
                               "User-Agent": "trigger", "Range": "bytes=0-1",
                               "Connection": "X-Hop", "X-Hop": "1", "X-Forwarded-Host": "evil.test"})
    assert (response.status, response.body) == (206, BODY[:2])
    assert response.cache_status.hit and response.cache_status.ttl < 0
    held = origin.next_request()
    assert (held.method, held["If-None-Match"]) == ("GET", TAG)
    assert [held[name] for name in ("X-Trace", "Cookie", "Accept-Language", "User-Agent")] == \
        ["17", "a=b", "de", "trigger"]
    for name in ("Range", "X-Hop"):
        assert name not in held.fields
    assert held["X-Forwarded-Host"] == "site.test"
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG})
    edge.wait_for(store_updates=1)
    assert edge.get("/a").cache_status.hit


@pytest.mark.parametrize("method, fields, status", [("GET", {"If-None-Match": TAG}, 304),
                                                    ("HEAD", {}, 200)], ids=["condition", "HEAD"])
def test_5861_3_whatever_triggers_it_a_whole_response_is_asked_for(origin, edge, method, fields, status):
    stored(origin, edge, SWR)
    assert edge.request(method, "/a", fields).status == status
    held = origin.next_request()
    assert (held.method, held["If-None-Match"]) == ("GET", TAG)
    held.reply(200, {"Cache-Control": "max-age=600", "ETag": '"v2"'}, b"new")
    edge.wait_for(store_puts=2)
    response = edge.get("/a")
    assert response.cache_status.hit and response.body == b"new"


@pytest.mark.edge(workers=2)
def test_5861_3_there_is_one_background_fetch(origin, edge):
    """However many are answered while it is under way, on whichever worker."""
    stored(origin, edge, SWR)
    for _ in range(20):  # each on a connection of its own
        assert is_stale_hit(edge.get("/a"))
    held = origin.next_request()
    for _ in range(20):
        assert is_stale_hit(edge.get("/a"))
    assert origin.count("/a") == 2
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG})
    edge.wait_for(store_updates=1)
    assert edge.get("/a").cache_status.ttl > 0
    edge.expect_stats(origin_requests=2, cache_stale=40)


@pytest.mark.parametrize("age, within", [(11, True), (300, True), (611, False), (9999, False)])
def test_5861_3_the_window_ends(origin, edge, age, within):
    """600 seconds after 10: beyond them the client waits for the origin."""
    stored(origin, edge, SWR, age)
    client = edge.client()
    client.send_request("GET", "/a")
    if within:
        assert is_stale_hit(client.read_response())
    held = origin.next_request()
    held.reply(200, {"Cache-Control": "max-age=600"}, b"new")
    edge.wait_for(store_puts=2)
    response = client.get("/a") if within else client.read_response()
    assert response.body == b"new"
    edge.expect_stats(cache_stale=1 if within else 0)


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"])
def test_9111_4_2_4_no_window_where_it_is_forbidden(origin, edge, directive):
    """Neither of the two; the client waits, and gets what the origin says."""
    stored(origin, edge, f"{SWR}, stale-if-error=600, {directive}")
    response = asked(origin, edge, (503, {"Cache-Control": "no-store"}, b"sorry"))
    assert (response.status, response.body) == (503, b"sorry")
    edge.expect_stats(cache_stale=0)


@pytest.mark.parametrize("failure", ["close", "abort"])
def test_5861_3_a_background_fetch_that_fails_leaves_what_there_is(origin, edge, failure):
    stored(origin, edge, SWR)
    assert is_stale_hit(edge.get("/a"))
    for _ in range(2):
        held = origin.next_request()
        getattr(held, failure)()
        if held.nth > 0:  # a kept connection may have ended before the request: asked once more
            getattr(origin.next_request(), failure)()
        edge.expect_stats(fills_open=0)
        assert is_stale_hit(edge.get("/a"))  # and the next fetch begins
    held = origin.next_request()
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG})
    edge.wait_for(store_updates=1)
    assert edge.get("/a").cache_status.ttl > 0


@pytest.mark.parametrize("directive", ["", SWR], ids=["waited for", "behind it"])
def test_9111_3_5_credentials_take_nothing_away(origin, edge, directive):
    """What a 304 says to them is for them alone: neither stored, nor a reason to forget anything."""
    stored(origin, edge, directive)
    client = edge.client()
    client.send_request("GET", "/a", {"Authorization": "Basic eDp5"})
    held = origin.next_request()
    assert (held["Authorization"], held["If-None-Match"]) == ("Basic eDp5", TAG)
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG, "X-Who": "eDp5"})
    response = client.read_response()
    assert (response.status, response.body) == (200, BODY)
    assert response.get("X-Who") == (None if directive else "eDp5")
    edge.expect_stats(fills_open=0)
    second = edge.client()
    second.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == TAG  # it is still there
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG})
    response = second.read_response()
    assert response.body == BODY and "X-Who" not in response.fields
    edge.expect_stats(cache_invalidated=0)


def test_9111_3_5_a_304_to_credentials_is_shared_with_nobody(origin, edge):
    stored(origin, edge)
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a", {"Authorization": "Basic eDp5"})
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.reply(304, {"Cache-Control": "max-age=600", "ETag": TAG, "X-Who": "eDp5"})
    assert first.read_response()["X-Who"] == "eDp5"
    held = origin.next_request()
    assert "Authorization" not in held.fields
    held.reply(200, {"Cache-Control": "max-age=600", "ETag": TAG}, BODY)
    response = second.read_response()
    assert response.body == BODY and "X-Who" not in response.fields


# --- stale-if-error

ERRORS = [500, 502, 503, 504]
OTHERS = [400, 403, 404, 410, 429, 501, 505, 599]


@pytest.mark.parametrize("status", ERRORS)
def test_5861_4_stale_instead_of_each_of_its_errors(origin, edge, status):
    stored(origin, edge, "stale-if-error=600")
    for _ in range(2):  # the error took nothing away
        response = asked(origin, edge, (status, {"Cache-Control": "max-age=600"}, b"broken"))
        assert is_stale(response)
        assert response.cache_status.detail == "stale-if-error"
    assert asked(origin, edge, (304, {"Cache-Control": "max-age=600", "ETag": TAG})).body == BODY


@pytest.mark.parametrize("status", OTHERS)
def test_5861_4_no_other_status_is_an_error(origin, edge, status):
    """Such as 501: it speaks of the request, not of the origin's health."""
    stored(origin, edge, "stale-if-error=600")
    response = asked(origin, edge, (status, {"Cache-Control": "no-store"}, b"the answer"))
    assert (response.status, response.body) == (status, b"the answer")
    edge.expect_stats(cache_stale=0)


@pytest.mark.parametrize("status", ERRORS)
def test_5861_4_its_window_ends(origin, edge, status):
    stored(origin, edge, "stale-if-error=600", age=611)
    response = asked(origin, edge, (status, {"Cache-Control": "no-store"}, b"broken"))
    assert (response.status, response.body) == (status, b"broken")


@pytest.mark.parametrize("status", ERRORS + OTHERS)
def test_9111_4_2_4_a_plain_error_is_never_replaced(origin, edge, status):
    """Without stale-if-error the origin's answer is the answer."""
    stored(origin, edge)
    response = asked(origin, edge, (status, {"Cache-Control": "no-store"}, b"the answer"))
    assert (response.status, response.body) == (status, b"the answer")
    edge.expect_stats(cache_stale=0)


@pytest.mark.edge(settings={"site.stale_if_error": "600s"})
@pytest.mark.parametrize("status", ERRORS)
def test_5861_4_the_operators_window(origin, edge, status):
    stored(origin, edge)
    assert is_stale(asked(origin, edge, (status, {}, b"broken")))


# --- what clients say of stale responses


WISHES = ["max-stale", "max-stale=600", "stale-if-error=600"]


@pytest.mark.parametrize("wish", WISHES)
def test_9111_5_2_1_2_clients_get_nothing_stale_by_asking(origin, edge, wish):
    """They would take the origin's answer from each other."""
    stored(origin, edge)
    response = asked(origin, edge, (503, {"Cache-Control": "no-store"}, b"sorry"),
                     {"Cache-Control": wish})
    assert (response.status, response.body) == (503, b"sorry")


MAX_STALE = [
    ("any", "max-stale", True),
    ("more than enough", "max-stale=600", True),
    ("not enough", "max-stale=20", False),
    ("malformed", "max-stale=many", False),
]


@pytest.mark.edge(settings={"site.client_no_cache": "yes"})
@pytest.mark.parametrize("why, wish, stale", MAX_STALE, ids=[case[0] for case in MAX_STALE])
def test_9111_5_2_1_2_max_stale_on_the_operators_word(origin, edge, why, wish, stale):
    """Stale for 50 seconds."""
    stored(origin, edge)
    if stale:
        response = edge.get("/a", {"Cache-Control": wish})
        assert is_stale_hit(response), why
    else:
        response = asked(origin, edge, (200, {"Cache-Control": "max-age=600"}, b"new"),
                         {"Cache-Control": wish})
        assert response.body == b"new", why


@pytest.mark.edge(settings={"site.client_no_cache": "yes"})
@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"])
def test_9111_5_2_1_2_max_stale_opens_nothing_that_the_origin_closed(origin, edge, directive):
    stored(origin, edge, directive)
    response = asked(origin, edge, (200, {"Cache-Control": "max-age=600"}, b"new"),
                     {"Cache-Control": "max-stale"})
    assert response.body == b"new"
