"""The rules about representations, seen through the daemon: when Vary says so, what digests and tags
each has, whose conditions hold, and what a 304 changes. RFC 9110 sections 8.8.3, 12.5.5 and 13, RFC 9111
sections 4.1 and 4.3, RFC 9530.

Coding itself: compress_test.py. Which coding goes to whom: coding_test.py.
"""

import email.utils
import time

import pytest

from codings import encode, expect, text

FRESH = {"Cache-Control": "max-age=600"}
STALE = {"Cache-Control": "max-age=10", "Age": "60"}  # stored, and stale from the start
SCRIPT = {"Content-Type": "application/javascript", "ETag": '"v1"', "Vary": "Foo"}
BODY = text(20_000)
BR = {"Accept-Encoding": "br"}
GZIP = {"Accept-Encoding": "gzip"}
HASH = "AbCd0123-_z"
pytestmark = pytest.mark.edge(settings={"site.compress_max": "1KB"})  # no strong forms


def stored(origin, edge, fields, body=BODY, request=None):
    """Fetched once, so that it is stored; the origin then waits for the test again."""
    before = edge.stats()["store_puts"]
    origin.serve("/a.js", 200, fields, body)
    response = edge.get("/a.js", request)
    edge.wait_for(store_puts=before + 1)
    origin.forget("/a.js")
    return response


def asked(origin, edge, answer, fields=None, method="GET"):
    """A request that must reach the origin: (what it saw, what the client got)."""
    client = edge.client()
    client.send_request(method, "/a.js", fields)
    held = origin.next_request()
    held.reply(*answer)
    return held, client.read_response()


def hit(edge, fields=None):
    response = edge.get("/a.js", fields)
    assert response.cache_status.hit, f"not a hit: {response.cache_status}"
    return response


VARY = {
    "codable": ({}, "Foo, Accept-Encoding"),
    "said by the origin": ({"Vary": "accept-encoding , Foo"}, "accept-encoding , Foo"),
    "of another type": ({"Content-Type": "image/png"}, "Foo"),
    "no-transform": ({"Cache-Control": "max-age=600, no-transform"}, "Foo"),
    "short": ({"body": BODY[:100]}, "Foo"),
    "coded": ({"Content-Type": "image/png", "Content-Encoding": "gzip", "body": encode("gzip", BODY)},
              "Foo, Accept-Encoding"),
    "in two codings": ({"Content-Encoding": "gzip, br", "body": b"whatever" * 200}, "Foo"),
    "not stored": ({"Cache-Control": "no-store"}, "Foo, Accept-Encoding"),
    "an error": ({"status": 404}, "Foo, Accept-Encoding"),
}


@pytest.mark.parametrize("fields,wanted", VARY.values(), ids=VARY)
def test_vary_says_exactly_whether_the_answer_could_differ(origin, edge, fields, wanted):
    """RFC 9110 section 12.5.5: whoever asks, and whatever is sent to him."""
    fields = {**SCRIPT, **FRESH, **fields}
    body, status = fields.pop("body", BODY), fields.pop("status", 200)
    origin.serve("/a.js", status, fields, body)
    for method in ("GET", "HEAD"):
        for request in ({}, BR, GZIP):
            response = edge.request(method, "/a.js", request)
            assert response.status == status
            assert response.fields.all("Vary") == [wanted]


def test_digests_are_those_of_the_bytes_that_are_sent(origin, edge):
    """RFC 9530: what is made of a response has none of its digests, for its bytes are others."""
    digests = {"Repr-Digest": "sha-256=:AAAA:", "Content-Digest": "sha-256=:BBBB:",
               "Content-MD5": "CCCC", "Digest": "sha-256=DDDD"}
    first = stored(origin, edge, {**SCRIPT, **FRESH, **digests})
    for response in (first, hit(edge), edge.request("HEAD", "/a.js")):
        assert {name: response.get(name) for name in digests} == digests
    for method in ("GET", "HEAD"):
        response = edge.request(method, "/a.js", BR)
        assert response["Content-Encoding"] == "br"
        assert not [name for name in digests if response.get(name) is not None]


# --- conditions of clients


def test_a_tag_counts_in_a_coding_that_the_request_takes(origin, edge):
    """RFC 9111 section 4.3.2: a cache behind us lists the tags of all that it has, and gives its client
    the one that we name."""
    stored(origin, edge, {**SCRIPT, **FRESH})
    br, gzip = f'"v1~br.{HASH}"', 'W/"v1~gzip"'
    for request, named, wanted in [
        (BR, f'"v1", {gzip}, {br}', br),
        (GZIP, f"{br}, {gzip}", gzip),
        ({}, f'{br}, {gzip}, "v1"', '"v1"'),
        ({"Accept-Encoding": "br, gzip;q=0.5"}, f"{gzip}, {br}", br),
    ]:
        response = edge.get("/a.js", {**request, "If-None-Match": named})
        assert (response.status, response["ETag"], response.body) == (304, wanted, b"")
        assert response["Vary"] == "Foo, Accept-Encoding"
    expect(hit(edge, {"If-None-Match": f"{br}, {gzip}"}), BODY)
    expect(hit(edge, {**GZIP, "If-None-Match": br}), BODY, "gzip")


def test_a_304_without_a_named_tag_has_that_of_what_would_be_sent(origin, edge):
    """RFC 9110 section 15.4.5: as a 200 would have had it."""
    modified = email.utils.formatdate(time.time() - 1000, usegmt=True)
    stored(origin, edge, {**SCRIPT, **FRESH, "Last-Modified": modified})
    for request, wanted in ((BR, 'W/"v1~br"'), (GZIP, 'W/"v1~gzip"'), ({}, '"v1"')):
        for condition in ({"If-Modified-Since": modified}, {"If-None-Match": "*"}):
            response = edge.get("/a.js", {**request, **condition})
            assert (response.status, response["ETag"]) == (304, wanted)
            assert response.get("Content-Encoding") is None


def test_if_match_names_a_representation(origin, edge):
    """RFC 9110 section 13.1.1: what is stored is sent as it is to who names it; any other tag is for the
    origin, which knows its own alone. Beside a range the bytes are meant, so that stays as it is."""
    stored(origin, edge, {**SCRIPT, **FRESH})
    response = hit(edge, {**BR, "If-Match": '"v1"'})
    expect(response, BODY)
    assert response["ETag"] == '"v1"'
    ours = f'"v1~br.{HASH}"'
    held, response = asked(origin, edge, (412, {}, b"no"), {**BR, "If-Match": ours})
    assert held["If-Match"] == f'{ours}, "v1"' and response.status == 412
    held, response = asked(origin, edge, (412, {}, b"no"),
                           {**BR, "If-Match": ours, "Range": "bytes=0-9"})
    assert held["If-Match"] == ours and response.status == 412


# --- conditions of ours


def test_a_304_may_forbid_and_allow_it_again(origin, edge):
    """RFC 9111 sections 4.3.4 and 5.2.2.6: judged by what the response says by now, Vary with it."""
    stored(origin, edge, {**SCRIPT, **STALE})
    forbids = {"Cache-Control": "max-age=10, no-transform", "Age": "60", "ETag": '"v1"'}
    held, response = asked(origin, edge, (304, forbids), BR)
    assert held["If-None-Match"] == '"v1"'
    expect(response, BODY)
    assert (response["Vary"], response["ETag"]) == ("Foo", '"v1"')
    edge.wait_for(store_updates=1)
    held, response = asked(origin, edge, (304, {**FRESH, "ETag": '"v1"'}), BR)
    expect(response, BODY, "br")
    edge.wait_for(store_updates=2)
    again = hit(edge, BR)
    expect(again, BODY, "br")
    assert (again["Vary"], again["ETag"]) == ("Foo, Accept-Encoding", 'W/"v1~br"')


def test_what_was_not_codable_stays_as_it_is(origin, edge):
    """Without a place for strong forms it would be coded for each client anew."""
    stored(origin, edge, {**SCRIPT, **STALE, "Content-Type": "image/png"})
    _, response = asked(origin, edge, (304, {**FRESH, "Content-Type": "text/css"}), BR)
    expect(response, BODY)
    edge.wait_for(store_updates=1)
    again = hit(edge, BR)
    expect(again, BODY)
    assert (again["Content-Type"], again["Vary"]) == ("text/css", "Foo")


@pytest.mark.edge(settings={"site.origin_encoding": ""})
def test_a_coding_that_is_no_longer_undone_is_for_who_asked_for_it(origin, edge):
    """RFC 9111 section 4.1: while brink decodes it, one response serves all. From when it may not, each
    client is given what the origin has for it."""
    coded = {**SCRIPT, "Vary": "Accept-Encoding", "Content-Encoding": "gzip"}
    stored(origin, edge, {**coded, **STALE}, encode("gzip", BODY), GZIP)
    _, response = asked(origin, edge, (304, STALE))
    expect(response, BODY)
    edge.wait_for(store_updates=1)
    forbids = {"Cache-Control": "max-age=600, no-transform"}
    _, response = asked(origin, edge, (304, forbids), GZIP)
    expect(response, BODY, "gzip")
    edge.wait_for(cache_invalidated=1)
    body, before = encode("gzip", BODY), edge.stats()["store_puts"]
    _, response = asked(origin, edge, (200, {**coded, **forbids}, body), GZIP)
    expect(response, BODY, "gzip")
    edge.wait_for(store_puts=before + 1)
    expect(hit(edge, GZIP), BODY, "gzip")
    plain = {name: value for name, value in coded.items() if name != "Content-Encoding"}
    _, response = asked(origin, edge, (200, {**plain, **forbids}, BODY))
    expect(response, BODY)


def test_a_head_asks_about_what_is_stored(origin, edge):
    """RFC 9111 section 4.3.5: its answer may update that, and must not contradict it for being about
    another representation."""
    stored(origin, edge, {**SCRIPT, **STALE})
    answer = (200, {**SCRIPT, **FRESH, "Content-Length": str(len(BODY))})
    held, response = asked(origin, edge, answer, BR, "HEAD")
    assert held["Accept-Encoding"] == "identity"
    assert response["Content-Encoding"] == "br"
    edge.wait_for(store_updates=1)
    expect(hit(edge, BR), BODY, "br")
