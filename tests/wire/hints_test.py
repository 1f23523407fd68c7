"""103 (Early Hints) of brink's own: RFC 8297. Links of a stored response go out while the origin is
asked about it."""

import pytest

from caching_test import BODY, FRESH, STALE, stored
from origin import reply_head

ON = pytest.mark.edge(settings={"site.early_hints": "yes"})
LINKS = '</a.css>; rel=preload; as=style, </next>; rel=next, <https://c.test>; rel="preconnect"'
HINTED = ["</a.css>; rel=preload; as=style", '<https://c.test>; rel="preconnect"']
TAGGED = {**STALE, "ETag": '"v1"', "Link": LINKS}


def links(interim):
    return interim.fields.all("Link")


@ON
@pytest.mark.parametrize("fields", [TAGGED, {**STALE, "Link": LINKS},
                                    {**TAGGED, "Cache-Control": "no-cache, max-age=600"}],
                         ids=["stale", "no validator", "no-cache"])
def test_links_go_out_while_the_origin_is_asked(origin, edge, fields):
    """Before it answers, and the answer comes as ever; links that are no hints stay behind."""
    stored(origin, edge, fields)
    client = edge.client()
    client.send_request("GET", "/a")
    interim = client.read_interim()
    assert (interim.status, links(interim)) == (103, HINTED)
    assert set(interim.fields.names()) == {"link"}
    origin.next_request().reply(200, FRESH, b"new")
    response = client.read_response()
    assert (response.status, response.body, len(response.interim)) == (200, b"new", 1)
    assert response.get("Link") is None
    edge.expect_stats(early_hints=1, responses_1xx=1)


@ON
def test_the_origins_own_interim_responses_follow(origin, edge):
    """They are passed on, but neither stored nor merged: RFC 8297 section 2."""
    stored(origin, edge, TAGGED)
    for _ in range(2):
        client = edge.client()
        client.send_request("GET", "/a")
        assert links(client.read_interim()) == HINTED
        held = origin.next_request()
        held.send(reply_head(103, {"Link": "</b.css>; rel=preload", "X-Hint": "1"}))
        held.reply(304, {**STALE, "ETag": '"v1"'})
        response = client.read_response()
        assert [links(i) for i in response.interim] == [HINTED, ["</b.css>; rel=preload"]]
        assert response.body == BODY
        assert (response["Link"], response.get("X-Hint")) == (LINKS, None)
        edge.wait_for(store_updates=1)


@ON
def test_who_shares_the_fetch_is_hinted_once(origin, edge):
    stored(origin, edge, TAGGED)
    clients = [edge.client(), edge.client()]
    for client in clients:
        client.send_request("GET", "/a")
        assert links(client.read_interim()) == HINTED
    edge.wait_for(cache_collapsed=1)
    origin.next_request().reply(304, {**FRESH, "ETag": '"v1"'})
    for client in clients:
        response = client.read_response()
        assert (response.body, len(response.interim)) == (BODY, 1)
    edge.expect_stats(early_hints=2)


@ON
def test_several_requests_of_a_connection_are_hinted_each(origin, edge):
    stored(origin, edge, TAGGED)
    client = edge.client()
    for _ in range(3):
        client.send_request("GET", "/a")
        assert links(client.read_interim()) == HINTED
        origin.next_request().reply(503, {}, b"x")
        assert client.read_response().status == 503


@ON
def test_pipelined_requests_are_answered_in_order(origin, edge):
    stored(origin, edge, TAGGED)
    client = edge.client()
    client.send(b"GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n" * 2)
    client.expect("GET", "GET")
    for i in range(2):
        origin.next_request().reply(503, {}, b"%d" % i)
        response = client.read_response()
        assert (response.status, response.body) == (503, b"%d" % i)
        assert [links(interim) for interim in response.interim] == [HINTED]


@ON
def test_what_is_answered_at_once_has_no_hints(origin, edge):
    """A hit, a stale response that may be sent, one that is refused, and what is not stored."""
    stored(origin, edge, {**FRESH, "Link": LINKS})
    assert edge.get("/a").interim == []
    stored(origin, edge, {**TAGGED, "Cache-Control": "max-age=10, stale-while-revalidate=600"}, path="/b")
    origin.serve("/b", 304, {"ETag": '"v1"'})
    assert edge.get("/b").interim == []
    stored(origin, edge, TAGGED, path="/c")
    assert edge.get("/c", {"Cache-Control": "only-if-cached"}).interim == []
    origin.serve("/d", 200, {**FRESH, "Link": LINKS}, b"d")
    assert edge.get("/d").interim == []
    edge.expect_stats(early_hints=0)


@ON
def test_http_10_and_head_get_none(origin, edge):
    """RFC 9110 section 15.2."""
    stored(origin, edge, TAGGED)
    origin.serve("/a", 503, {}, b"x")
    with edge.client() as client:
        client.send(b"GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n")
        client.expect("GET")
        assert client.read_response().interim == []
    assert edge.request("HEAD", "/a").interim == []


@ON
def test_links_that_are_no_hints_give_none(origin, edge):
    stored(origin, edge, {**TAGGED, "Link": "</a>; rel=next, </b>; rel=preload; anchor=\"/x\", broken"})
    origin.serve("/a", 304, {"ETag": '"v1"'})
    assert edge.get("/a").interim == []


def test_without_leave_there_are_none(origin, edge):
    stored(origin, edge, TAGGED)
    origin.serve("/a", 304, {"ETag": '"v1"'})
    assert edge.get("/a").interim == []


@ON
def test_hints_survive_a_restart(origin, edge):
    stored(origin, edge, TAGGED)
    edge.restart()
    client = edge.client()
    client.send_request("GET", "/a")
    assert links(client.read_interim()) == HINTED
    origin.next_request().reply(304, {**FRESH, "ETag": '"v1"'})
    assert client.read_response().body == BODY
