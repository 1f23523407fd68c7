"""Interim responses: passed on to who asked, and no part of anything else. RFC 9110 section 15.2,
RFC 8297.

exchange_test.py has their order and HTTP/1.0; answers.py what is refused.
"""

import pytest

from origin import reply_head

BODY = b"0123456789" * 20
HINT = "hint-of-an-interim-response-4711"
# Each of these would change what becomes of the final response, were it part of it.
LINES = [("Link", f"</{HINT}.css>; rel=preload; as=style"), ("X-Hint", HINT), ("Cache-Control", "no-store"),
         ("Vary", "*"), ("Set-Cookie", f"a={HINT}"), ("ETag", f'"{HINT}"'), ("Age", "7200"),
         ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Surrogate-Key", HINT)]
STATUSES = [102, 103, 199]


def check(response):
    """None of the interim response's fields is in the final one."""
    assert (response.status, response.body) == (200, BODY)
    assert HINT not in str(response.fields)
    assert response["Cache-Control"] == "max-age=600" and response["ETag"] == '"v1"'
    for name in ("Vary", "Set-Cookie", "Expires", "Link"):
        assert name not in response.fields
    return response


def final():
    return [("Cache-Control", "max-age=600"), ("ETag", '"v1"')]


@pytest.mark.parametrize("status", STATUSES)
def test_9110_15_2_passed_on_never_stored_never_merged(origin, edge, status):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.send(reply_head(status, LINES))
    interim = client.read_interim()
    assert (interim.status, interim["X-Hint"]) == (status, HINT)
    assert interim["Link"] == LINES[0][1]
    held.reply(200, final(), BODY)
    check(client.read_response())
    edge.wait_stored(1)
    for _ in range(2):
        response = check(edge.get("/a"))
        assert response.cache_status.hit and response.interim == []
        assert int(response["Age"]) < 3600
    edge.purge(tags=[HINT])
    assert check(edge.get("/a")).cache_status.hit
    edge.stop()
    assert not any(HINT.encode() in path.read_bytes() for path in edge.store_files())


@pytest.mark.parametrize("status", STATUSES)
def test_9110_15_2_before_a_304_it_updates_nothing(origin, edge, status):
    """RFC 9111 section 4.3.4 speaks of the 304 alone."""
    origin.serve("/a", 200, {"Cache-Control": "max-age=10", "Age": "60", "ETag": '"v1"'}, BODY)
    edge.get("/a")
    edge.wait_stored(1)
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"v1"'
    held.send(reply_head(status, LINES))
    assert client.read_interim().status == status
    held.reply(304, final())
    check(client.read_response())
    edge.wait_for(store_updates=1)
    assert check(edge.get("/a")).cache_status.hit


def test_8297_2_a_background_fetchs_hints_are_for_nobody(origin, edge):
    """Who was answered with what is stale has gone on; who comes later was not there."""
    origin.serve("/a", 200, {"Cache-Control": "max-age=10, stale-while-revalidate=600", "Age": "60",
                             "ETag": '"v1"'}, BODY)
    edge.get("/a")
    edge.wait_stored(1)
    origin.forget("/a")
    client = edge.client()
    stale = client.get("/a")
    assert (stale.body, stale.interim) == (BODY, [])
    held = origin.next_request()
    held.send(reply_head(103, LINES))
    again = client.get("/a")
    assert (again.body, again.interim) == (BODY, [])
    held.reply(200, final(), BODY)
    edge.wait_stored(2)
    assert check(client.get("/a")).interim == []
    edge.expect_stats(responses_1xx=0)


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_9110_15_2_also_of_what_passes(origin, edge, method):
    client = edge.client()
    client.send_request(method, "/a")
    held = origin.next_request()
    held.send(reply_head(103, LINES))
    assert client.read_interim()["X-Hint"] == HINT
    held.reply(200, {"Content-Length": "0"} if method != "HEAD" else {"Cache-Control": "no-store"})
    response = client.read_response()
    assert response.status == 200 and HINT not in str(response.fields)


def test_9110_15_2_hints_and_then_no_answer(origin, edge):
    """A 103 promises nothing: the final answer is the gateway's."""
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.send(reply_head(103, LINES))
    assert client.read_interim().status == 103
    held.close()
    response = client.read_response()
    assert response.status == 502 and HINT not in str(response.fields)
    edge.expect_stats(store_puts=0)
