"""Responses in another coding than the origin's: quick forms of what comes in and of what is stored,
what is decoded, and what goes to the origin for that. RFC 9110 sections 8.4, 12.5.3, 13 and 14.

Which coding goes to whom, over all combinations: coding_test.py. Strong forms: variants_test.py.
"""

import pytest

import h1
from client import Client
from codings import bomb, coding_of, decode_part, encode, expect, text
from damage import damage
from pagecache import drop

FRESH = {"Cache-Control": "max-age=600"}
SCRIPT = {"Content-Type": "application/javascript", "ETag": '"v1"', **FRESH}
BODY = text(100_000)
ALL = "br, zstd, gzip"
QUICK = {"site.compress_max": "1KB"}  # no strong forms
pytestmark = pytest.mark.edge(settings=QUICK)


def accept(coding):
    return {"Accept-Encoding": coding}


def get_stored(origin, edge, fields=None, body=BODY, path="/a.js", request=None):
    before = edge.stats()["store_puts"]
    origin.serve(path, 200, SCRIPT if fields is None else fields, body)
    response = edge.get(path, request)
    edge.wait_for(store_puts=before + 1)
    origin.forget(path)
    return response


def assert_quick(response, coding, original, tag='"v1"'):
    """Made for this answer alone: a weak tag of its own, no length, Vary."""
    expect(response, original, coding)
    assert response.get("Content-Length") is None
    assert response.get("ETag") == f'W/{tag[:-1]}~{coding}"'
    assert "accept-encoding" in response["Vary"].lower()


def assert_as_stored(response, original, tag='"v1"'):
    expect(response, original, "identity")
    assert int(response["Content-Length"]) == len(original)
    assert response.get("ETag") == tag


# --- the quick form


@pytest.mark.tsan
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip"])
def test_first_answer_is_coded_while_it_comes_in(origin, edge, coding):
    origin.serve("/a.js", 200, SCRIPT, BODY)
    response = edge.get("/a.js", accept(coding))
    assert_quick(response, coding, BODY)
    assert len(response.body) < len(BODY) / 2
    edge.wait_stored(1)
    seen = edge.stats()
    assert seen[f"coded_{coding}_in_bytes"] == len(BODY)
    assert seen[f"coded_{coding}_out_bytes"] == len(response.body)


def test_without_accept_encoding_it_goes_as_it_is(origin, edge):
    response = get_stored(origin, edge)
    assert_as_stored(response, BODY)
    assert "accept-encoding" in response["Vary"].lower()
    assert_as_stored(edge.get("/a.js"), BODY)


def test_quick_form_of_what_is_stored(origin, edge):
    get_stored(origin, edge)
    response = edge.get("/a.js", accept("zstd"))
    assert response.cache_status.hit
    expect(response, BODY, "zstd")


@pytest.mark.edge(settings={**QUICK, "slow_turn": "100ms"})
@pytest.mark.parametrize("length", [1024, 16384, 16385, 65520, 65521, 300_000, 3_000_000])
def test_lengths(origin, edge, length):
    """Around the coder's step and the store's pieces; large ones are pinned and read over turns."""
    body = text(length)
    for coding in ("gzip", "br", "zstd"):
        path = f"/{coding}"
        first = get_stored(origin, edge, body=body, path=path, request=accept(coding))
        assert_quick(first, coding, body)
        expect(edge.get(path, accept(coding)), body, coding)
    assert edge.stats()["loop_slow_client"] == 0


def test_accept_encoding_does_not_split_the_cache(origin, edge):
    """One object, whoever asked first and whatever the origin says of Vary."""
    origin.serve("/a.js", 200, {**SCRIPT, "Vary": "Accept-Encoding"}, BODY)
    expect(edge.get("/a.js", accept("gzip")), BODY, "gzip")
    edge.wait_stored(1)
    for value in ("br", "zstd", "gzip;q=0.5, br;q=0.1", "identity", "x-unknown", "*"):
        response = edge.get("/a.js", accept(value))
        assert response.cache_status.hit, value
        expect(response, BODY)
        assert response["Vary"].lower().count("accept-encoding") == 1
    assert origin.count() == 1


def test_what_is_not_worth_it_or_not_allowed(origin, edge):
    cases = {
        "/short": ({**SCRIPT}, BODY[:1023]),
        "/image": ({**SCRIPT, "Content-Type": "image/png"}, BODY),
        "/untyped": ({"ETag": '"v1"', **FRESH}, BODY),
        "/no-transform": ({**SCRIPT, "Cache-Control": "max-age=600, no-transform"}, BODY),
        "/unknown": ({**SCRIPT, "Content-Encoding": "x-own"}, BODY),
    }
    for path, (fields, body) in cases.items():
        origin.serve(path, 200, fields, body)
        for _ in range(2):
            response = edge.get(path, accept(ALL))
            assert response.body == body and response["ETag"] == '"v1"', path
            assert response.get("Vary") is None, path
    expect(get_stored(origin, edge, path="/b.js", request=accept(ALL)), BODY, "br")
    response = edge.get("/b.js", {**accept(ALL), "Cache-Control": "no-transform"})
    assert_as_stored(response, BODY)


def test_what_passes_is_coded_too(origin, edge):
    """no-store, and the answer to a POST: RFC 9110 section 8.4 knows no methods."""
    origin.serve("/a.js", 200, {**SCRIPT, "Cache-Control": "no-store"}, BODY)
    origin.serve("/post", 200, {"Content-Type": "application/json"}, BODY)
    for _ in range(2):
        assert_quick(edge.get("/a.js", accept("br")), "br", BODY)
    expect(edge.request("POST", "/post", accept("gzip"), b"x"), BODY, "gzip")


def test_a_site_may_do_without(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.compress": "", "site.decompress": "no"})
    body = encode("gzip", BODY)
    origin.serve("/a.js", 200, SCRIPT, BODY)
    origin.serve("/b.js", 200, {**SCRIPT, "Content-Encoding": "gzip"}, body)
    for _ in range(2):
        response = edge.get("/a.js", accept(ALL))
        assert_as_stored(response, BODY)
        assert response.get("Vary") is None
        assert edge.get("/b.js").body == body
    assert origin.requests[0]["Accept-Encoding"] == ALL


def test_http_1_0_reads_until_the_end(origin, edge):
    get_stored(origin, edge)
    for coding in ("br", "gzip"):
        with Client(edge.port) as client:
            client.send(b"GET /a.js HTTP/1.0\r\nHost: site.test\r\nAccept-Encoding: %s\r\n\r\n"
                        % coding.encode())
            response = client.read_response()
        assert response.framing == "close"
        expect(response, BODY, coding)


def test_head_is_as_get_would_be(origin, edge):
    get_stored(origin, edge)
    response = edge.request("HEAD", "/a.js", accept("zstd"))
    assert response["Content-Encoding"] == "zstd" and response["ETag"] == 'W/"v1~zstd"'
    assert response.get("Content-Length") is None
    plain = edge.request("HEAD", "/a.js")
    assert plain["ETag"] == '"v1"' and int(plain["Content-Length"]) == len(BODY)


# --- as it comes


def test_first_byte_does_not_wait_for_the_origins_end(origin, edge):
    """What the origin has sent is with the client, decoded, while the rest is held back."""
    for coding in ("gzip", "br", "zstd"):
        client = edge.client()
        client.send_request("GET", f"/{coding}", accept(coding))
        held = origin.next_request()
        held.start(200, SCRIPT)
        for at in range(0, 30_000, 10_000):
            held.send_chunk(BODY[at:at + 10_000])
            wanted, got = BODY[:at + 10_000], b""
            while decode_part(coding, got) != wanted:
                got = client.read_body(len(got) + 1)
        held.send_chunk(BODY[30_000:])
        held.end_chunks()
        held.finish()
        expect(client.read_response(), BODY, coding)


def test_events_are_flushed_at_once(origin, edge):
    """text/event-stream: each event as it is said, whatever else the coder would like to see."""
    client = edge.client()
    client.send_request("GET", "/events", accept(ALL))
    held = origin.next_request()
    held.start(200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    coding = coding_of(client.read_head())
    assert coding == "br"
    said, got = b"", b""
    for n in range(20):
        event = b"data: %d\n\n" % n
        held.send_chunk(event)
        said += event
        while decode_part(coding, got) != said:
            got = client.read_body(len(got) + 1)
    held.end_chunks()
    held.finish()
    expect(client.read_response(), said, coding)


@pytest.mark.tsan
def test_one_fetch_for_clients_of_all_codings(origin, edge):
    """Who joins a fetch under way gets what he takes: from memory, and from its beginning."""
    asked = ["br", None, "gzip", "zstd", "identity", "br"]
    clients = [edge.client() for _ in asked]
    clients[0].send_request("GET", "/a.js", accept(asked[0]))
    held = origin.next_request()
    held.start(200, SCRIPT, length=len(BODY))
    held.send(BODY[:50_000])
    clients[0].read_head()
    for client, coding in zip(clients[1:], asked[1:]):
        client.send_request("GET", "/a.js", accept(coding) if coding else None)
        client.read_head()
    held.send(BODY[50_000:])
    held.finish()
    for client, coding in zip(clients, asked):
        expect(client.read_response(), BODY, coding or "identity")
    assert origin.count() == 1


@pytest.mark.tsan
@pytest.mark.edge(settings={**QUICK, "fill_window": "256KB"})
def test_a_laggard_goes_on_from_the_store(origin, edge):
    """Coded of blocks that the fill has dropped meanwhile."""
    body = text(4_000_000)
    slow = edge.client(rcvbuf=4096)
    slow.send_request("GET", "/a.js", accept("gzip"))
    held = origin.next_request()
    held.start(200, SCRIPT, length=len(body))
    held.send(body)
    held.finish()
    slow.read_head()
    edge.wait_stored(1)
    expect(slow.read_response(), body, "gzip")


@pytest.mark.tsan
@pytest.mark.edge(settings={**QUICK, "slow_turn": "100ms"}, workers=1)
def test_coders_take_turns(origin, edge):
    """Each gets on while all work at once, and no turn of the loop is theirs alone."""
    body = text(1_000_000)
    get_stored(origin, edge, body=body)
    clients = [edge.client() for _ in range(60)]
    for n, client in enumerate(clients):
        client.send_request("GET", "/a.js", accept(("br", "zstd", "gzip")[n % 3]))
    assert_as_stored(edge.get("/a.js"), body)  # meanwhile
    for n, client in enumerate(clients):
        expect(client.read_response(), body, ("br", "zstd", "gzip")[n % 3])
    seen = edge.stats()
    assert seen["coder_waits"] > 0
    assert seen["loop_slow_client"] == seen["loop_slow_message"] == 0


def test_a_slow_reader_has_nothing_coded_ahead(origin, edge):
    """The client's pace is the coder's."""
    body = text(8_000_000)
    get_stored(origin, edge, body=body)
    slow = edge.client(rcvbuf=4096)
    slow.send_request("GET", "/a.js", accept("gzip"))
    slow.read_head()
    expect(edge.get("/a.js", accept("gzip")), body, "gzip")  # others go on
    whole = edge.stats()["coded_gzip_in_bytes"]
    assert whole < 2 * len(body)
    expect(slow.read_response(), body, "gzip")


@pytest.mark.tsan
def test_a_client_that_leaves_midway(origin, edge):
    body = text(3_000_000)
    get_stored(origin, edge, body=body)
    for coding in ("br", "zstd", "gzip"):
        with Client(edge.port, rcvbuf=4096) as client:
            client.send_request("GET", "/a.js", accept(coding))
            client.read_body(1)
    edge.expect_stats(requests_active=0)
    expect(edge.get("/a.js", accept("gzip")), body, "gzip")


@pytest.mark.parametrize("how", ["close", "abort"])
def test_an_origin_that_fails_midway_is_seen(origin, edge, how):
    """A coded answer has no end when the origin's had none, and nothing is stored."""
    client = edge.client()
    client.send_request("GET", "/a.js", accept("gzip"))
    held = origin.next_request()
    held.start(200, SCRIPT, length=len(BODY))
    held.send(BODY[:60_000])
    client.read_body(1)
    getattr(held, how)()
    with pytest.raises(h1.Truncated):
        client.read_response()
    edge.expect_stats(requests_active=0, store_puts=0)


# --- what the origin coded


@pytest.mark.parametrize("theirs", ["gzip", "br", "zstd"])
def test_coded_bodies_go_as_they_came_or_decoded(origin, edge, theirs):
    body = encode(theirs, BODY)
    fields = {**SCRIPT, "Content-Encoding": theirs}
    response = get_stored(origin, edge, fields, body, request=accept(ALL))
    for _ in range(2):
        assert response.body == body and coding_of(response) == theirs
        assert response["ETag"] == '"v1"' and int(response["Content-Length"]) == len(body)
        response = edge.get("/a.js", accept(ALL))
    plain = edge.get("/a.js")
    expect(plain, BODY, "identity")
    assert plain["ETag"] == '"v1~identity"' and plain.get("Content-Length") is None
    other = "br" if theirs != "br" else "gzip"
    assert_quick(edge.get("/a.js", accept(f"{other}, identity;q=0")), other, BODY)
    assert origin.count() == 1
    seen = edge.stats()
    assert seen["decoded_in_bytes"] == len(body) and seen["decoded_out_bytes"] == len(BODY)


def test_the_first_client_has_it_decoded_too(origin, edge):
    origin.serve("/a", 200, {"Content-Type": "image/x", **FRESH, "Content-Encoding": "gzip"},
                 encode("gzip", BODY))
    for _ in range(2):
        response = edge.get("/a")
        expect(response, BODY, "identity")
        assert response.get("ETag") is None and response["Vary"] == "Accept-Encoding"


def get_bad(edge, path):
    """It is cut, or, when it proves bad before a byte of the answer is out, refused."""
    try:
        response = edge.get(path)
    except h1.Truncated as cut:
        assert cut.parser.response.received < 32 << 20
        return "cut"
    assert response.status == 502 and response.body.startswith(b"502 ")
    assert response.get("Content-Encoding") is None and response.get("ETag") is None
    return "refused"


def forgotten(edge, origin, path, counter):
    """It was counted, and is not stored: the next request reaches the origin."""
    edge.wait_for(**{counter: 1})
    edge.expect_stats(requests_active=0)
    before = origin.count()
    get_bad(edge, path)
    assert origin.count() == before + 1


@pytest.mark.edge(settings={**QUICK, "slow_turn": "100ms"})
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_bomb_is_cut_and_not_stored(origin, edge, coding):
    """On its way in: bounded by decompress_free and decompress_ratio."""
    origin.serve("/a", 200, {**SCRIPT, "Content-Encoding": coding}, bomb(coding, 64 << 20))
    get_bad(edge, "/a")
    forgotten(edge, origin, "/a", "decode_bombs")
    assert edge.stats()["loop_slow_client"] == 0


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("harm", ["no such coding", "garbage", "cut short", "more behind"])
def test_malformed_bodies_are_cut_and_not_stored(origin, edge, coding, harm):
    whole = encode(coding, BODY)
    body = {"no such coding": b"\xff" * 3000, "cut short": whole[:-20], "more behind": whole + b"more",
            "garbage": whole[:2000] + bytes(3000) + whole[5000:]}[harm]
    origin.serve("/a", 200, {**SCRIPT, "Content-Encoding": coding}, body)
    get_bad(edge, "/a")
    forgotten(edge, origin, "/a", "decode_failed")


@pytest.mark.parametrize("how, body", [("cut", encode("gzip", BODY)[:-30]), ("refused", BODY[:9000])])
def test_a_stored_one_is_forgotten_when_it_proves_bad(origin, edge, how, body):
    """Stored by who took it as it was; found out by who did not: at its end, or before a byte is out."""
    fields = {**SCRIPT, "Content-Encoding": "gzip"}
    assert get_stored(origin, edge, fields, body, request=accept("gzip")).body == body
    origin.serve("/a.js", 200, fields, body)
    assert edge.get("/a.js", accept("gzip")).cache_status.hit
    assert get_bad(edge, "/a.js") == how
    edge.wait_for(decode_failed=1)
    edge.wait_until(lambda: edge.stats()["store_objects"] == 0, "it is forgotten")
    assert not edge.get("/a.js", accept("gzip")).cache_status.hit


# --- the memory of coders


@pytest.mark.edge(settings={**QUICK, "coder_memory": "1KB"})
def test_without_memory_it_goes_as_it_is(origin, edge):
    response = get_stored(origin, edge, request=accept(ALL))
    assert_as_stored(response, BODY)
    assert_as_stored(edge.get("/a.js", accept(ALL)), BODY)
    refused = edge.get("/a.js", accept("br, identity;q=0"))
    assert refused.status == 503 and refused["Retry-After"] == "1"
    assert refused.get("Content-Encoding") is None
    edge.wait_for(coder_refused=3)


@pytest.mark.tsan
@pytest.mark.edge(settings={**QUICK, "coder_memory": "8MB"})
def test_memory_of_coders_is_bounded(origin, edge):
    """Many readers that do not read: some coded, the rest as they are, the memory below its bound."""
    body = text(2_000_000)
    get_stored(origin, edge, body=body)
    clients = [edge.client(rcvbuf=4096) for _ in range(40)]
    for client in clients:
        client.send_request("GET", "/a.js", accept("gzip"))
    kinds = [coding_of(client.read_head()) for client in clients]
    assert "gzip" in kinds and "identity" in kinds
    assert edge.stats()["coder_bytes"] <= 8 << 20
    for client, kind in zip(clients, kinds):
        expect(client.read_response(), body, kind)


# --- towards the origin


def test_the_origin_is_asked_for_what_the_site_says(origin, start_edge):
    plain = start_edge(origin=origin.url)
    coded = start_edge(origin=origin.url, settings={"site.origin_encoding": "gzip,br"})
    client = start_edge(origin=origin.url, settings={"site.origin_encoding": ""})
    keyed = start_edge(origin=origin.url, settings={"site.key_fields": "accept-encoding"})
    origin.serve("/a.js", 200, SCRIPT, BODY)
    wanted = {plain: "identity", coded: "gzip, br", client: "zstd", keyed: "zstd"}
    for edge, value in wanted.items():
        edge.get("/a.js", accept("zstd"))
        assert origin.requests[-1].fields.all("Accept-Encoding") == [value]
    plain.request("POST", "/a.js", accept("zstd"), b"x")
    assert origin.requests[-1].fields.all("Accept-Encoding") == ["zstd"]


@pytest.mark.edge(settings={**QUICK, "site.pass": "yes"})
def test_conditions_that_pass_name_the_origins_tag_too(origin, edge):
    """RFC 9110 section 13.1: the origin knows its own tags; section 15.4.5: the client has its own."""
    origin.serve("/a.js", 200, SCRIPT, BODY)
    tag = edge.get("/a.js", accept("br"))["ETag"]
    assert tag == 'W/"v1~br"'
    origin.serve("/a.js", 304, {"ETag": '"v1"', **FRESH})
    for method in ("GET", "HEAD"):
        response = edge.request(method, "/a.js", {**accept("br"), "If-None-Match": tag})
        seen = origin.requests[-1]["If-None-Match"]
        assert tag in seen and '"v1"' in seen.replace(tag, "")
        assert response.status == 304 and response["ETag"] == tag
        assert "Accept-Encoding" in response["Vary"]
        assert response.get("Content-Encoding") is None
    own = edge.get("/a.js", {**accept("br"), "If-None-Match": '"v1"'})
    assert own.status == 304 and own["ETag"] == '"v1"'


# --- conditions and ranges of clients


def test_any_representations_tag_is_answered_with_304(origin, edge):
    get_stored(origin, edge)
    for tag in ('"v1"', 'W/"v1"', 'W/"v1~br"', '"v1~br.AAAAAAAAAAA"'):
        response = edge.get("/a.js", {**accept(ALL), "If-None-Match": f'"other", {tag}'})
        assert response.status == 304 and response.cache_status.hit, tag
        assert response["ETag"].removeprefix("W/") == tag.removeprefix("W/")
        assert response.get("Content-Encoding") is None and "Accept-Encoding" in response["Vary"]
    for tag in ('"v2"', 'W/"v2~br"', '"v1~nonsense"'):
        expect(edge.get("/a.js", {**accept(ALL), "If-None-Match": tag}), BODY)


def test_ranges_are_of_what_is_stored(origin, edge):
    """No quick form has parts: RFC 9110 section 14.2 lets them be of the representation that is kept."""
    get_stored(origin, edge, {**SCRIPT, "Cache-Control": "max-age=600"})
    part = edge.get("/a.js", {"Range": "bytes=100-199"})
    assert part.status == 206 and part.body == BODY[100:200] and part["ETag"] == '"v1"'
    named = {"Range": "bytes=100-199", "If-Range": '"v1"', **accept(ALL)}
    part = edge.get("/a.js", named)
    assert part.status == 206 and part.body == BODY[100:200]
    assert part["ETag"] == '"v1"' and part.get("Content-Encoding") is None
    expect(edge.get("/a.js", {**named, "If-Range": 'W/"v1~br"'}), BODY, "br")
    expect(edge.get("/a.js", {**named, "Accept-Encoding": "br, identity;q=0",
                              "If-Range": '"v2"'}), BODY, "br")
    beyond = edge.get("/a.js", {"Range": "bytes=100000-"})
    assert beyond.status == 416 and beyond["Content-Range"] == f"bytes */{len(BODY)}"


# --- members: strong forms that are stored


WITH_MEMBERS = pytest.mark.edge(settings={})


def get_member(origin, edge, coding="br", body=BODY):
    """The strong form, once it is stored."""
    get_stored(origin, edge, body=body, request=accept(coding))
    edge.wait_for(store_members=1)
    response = edge.get("/a.js", accept(coding))
    expect(response, body, coding)
    assert response.cache_status.hit and int(response["Content-Length"]) == len(response.body)
    return response


@pytest.mark.tsan
@WITH_MEMBERS
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_later_hits_are_sent_from_the_store(origin, edge, coding):
    """No CPU for coding, a length, a strong tag of its own; the others are as before."""
    member = get_member(origin, edge, coding)
    coded = edge.stats()[f"coded_{coding}_in_bytes"]
    for _ in range(3):
        again = edge.get("/a.js", accept(coding))
        assert again.body == member.body and again["ETag"] == member["ETag"]
    assert member["ETag"].startswith(f'"v1~{coding}.') and "Accept-Encoding" in member["Vary"]
    seen = edge.stats()
    assert seen[f"coded_{coding}_in_bytes"] == coded
    assert seen[f"variant_{coding}_sent"] == 4
    assert seen[f"variant_{coding}_saved_bytes"] == 4 * (len(BODY) - len(member.body))
    assert_as_stored(edge.get("/a.js"), BODY)
    head = edge.request("HEAD", "/a.js", accept(coding))
    assert head["ETag"] == member["ETag"] and head["Content-Encoding"] == coding
    assert int(head["Content-Length"]) == len(member.body)
    assert origin.count() == 1


@WITH_MEMBERS
def test_members_have_ranges_of_their_own(origin, edge):
    """RFC 9110 sections 13.1.5 and 14: of the bytes that its tag names."""
    member = get_member(origin, edge)
    whole, tag = member.body, member["ETag"]
    part = edge.get("/a.js", {**accept("br"), "Range": "bytes=10-99"})
    assert part.status == 206 and part.body == whole[10:100] and part["ETag"] == tag
    assert part["Content-Range"] == f"bytes 10-99/{len(whole)}" and part["Content-Encoding"] == "br"
    beyond = edge.get("/a.js", {**accept("br"), "Range": f"bytes={len(whole)}-"})
    assert beyond.status == 416 and beyond["Content-Range"] == f"bytes */{len(whole)}"
    assert beyond.get("Content-Encoding") is None and beyond.get("ETag") is None
    several = edge.get("/a.js", {**accept("br"), "Range": "bytes=0-9,1000-1009"})
    assert several.status == 200 and several["Content-Encoding"] == "br" and several.body == whole


@WITH_MEMBERS
def test_if_range_says_of_which_representation(origin, edge):
    member = get_member(origin, edge)
    whole, tag = member.body, member["ETag"]
    ask = {"Range": "bytes=10-99"}
    for client in (accept("br"), accept("gzip"), {}):  # whatever it would be given today
        part = edge.get("/a.js", {**ask, **client, "If-Range": tag})
        assert part.status == 206 and part.body == whole[10:100] and part["ETag"] == tag
        part = edge.get("/a.js", {**ask, **client, "If-Range": '"v1"'})
        assert part.status == 206 and part.body == BODY[10:100] and part["ETag"] == '"v1"'
    for other in ('"v1~br.AAAAAAAAAAA"', 'W/"v1~br"', '"v2"', "Thu, 01 Jan 1970 00:00:00 GMT"):
        expect(edge.get("/a.js", {**ask, **accept("br"), "If-Range": other}), BODY, "br")


@WITH_MEMBERS
def test_a_members_tag_is_answered_with_304(origin, edge):
    tag = get_member(origin, edge)["ETag"]
    response = edge.get("/a.js", {**accept("br"), "If-None-Match": tag})
    assert response.status == 304 and response["ETag"] == tag
    assert response.get("Content-Encoding") is None and "Accept-Encoding" in response["Vary"]


@pytest.mark.tsan
@WITH_MEMBERS
def test_a_confirmed_body_keeps_its_members(origin, edge):
    """What is validated each time is sent from them all the same; 304s leave them as they are."""
    fields = {**SCRIPT, "Cache-Control": "no-cache"}
    get_stored(origin, edge, fields, request=accept("zstd"))
    edge.wait_for(store_members=1)
    origin.serve("/a.js", 304, {"ETag": '"v1"', "Cache-Control": "no-cache"})
    tags = set()
    for n in range(3):
        response = edge.get("/a.js", accept("zstd"))
        expect(response, BODY, "zstd")
        assert response.get("Content-Length") is not None
        tags.add(response["ETag"])
        edge.wait_for(cache_revalidated=n + 1)
    assert len(tags) == 1 and edge.stats()["store_members"] == 1


@WITH_MEMBERS
def test_what_does_not_pay_goes_as_it_is(origin, edge):
    """It is known once, and not tried again but for who takes nothing else."""
    body = encode("zstd", text(20_000), 19)
    fields = {**SCRIPT, "Content-Type": "text/plain"}
    get_stored(origin, edge, fields, body, request=accept("br"))
    edge.wait_for(variants_no_gain=1)
    edge.wait_for(store_members=1)
    response = edge.get("/a.js", accept("br"))
    assert_as_stored(response, body)
    coded = edge.stats()["coded_br_in_bytes"]
    assert_as_stored(edge.get("/a.js", accept(ALL)), body)
    expect(edge.get("/a.js", accept("br, identity;q=0")), body, "br")
    assert edge.stats()["coded_br_in_bytes"] == coded + len(body)


def restart_changed(edge, change):
    edge.stop()
    change()
    edge.start()


@WITH_MEMBERS
@pytest.mark.parametrize("length", [20_000, 600_000])
def test_a_damaged_member_is_as_good_as_none(origin, edge, length):
    """The quick form goes out, of the stored body, and the member is made anew: no word to the origin."""
    body = text(length)
    member = get_member(origin, edge, "gzip", body).body
    at = len(member) // 2 if length < 65_520 else 1000
    restart_changed(edge, lambda: damage(edge, member[at:at + 40], 7))
    response = edge.get("/a.js", accept("gzip"))
    assert response.cache_status.hit and response.get("Content-Length") is None
    expect(response, body, "gzip")
    edge.wait_for(variants_made_gzip=1)
    edge.wait_for(store_members=1)
    again = edge.get("/a.js", accept("gzip"))
    assert again.body == member
    assert origin.count() == 1


@WITH_MEMBERS
def test_a_cold_member_is_brought_in_by_others(origin, edge):
    """The loops do not wait for the disk: not for its record, nor for its first bytes."""
    bodies = {f"/{n}.js": text(30_000 * (n + 1), str(n)) for n in range(12)}
    for path, body in bodies.items():
        get_stored(origin, edge, body=body, path=path, request=accept("zstd"))
    edge.wait_for(store_members=len(bodies))
    edge.stop()
    if drop(edge.store / "data.mdb") > 0:
        pytest.skip("this file system keeps its files in memory")
    edge.start()
    for path, body in bodies.items():
        response = edge.get(path, accept("zstd"))
        expect(response, body, "zstd")
        assert response.cache_status.hit and response.get("Content-Length") is not None
    seen = edge.stats()
    assert seen["variant_zstd_sent"] == len(bodies) and seen["store_cold_reads"] > 0
    assert seen["store_cold_in_loop"] == seen["loop_disk_faults"] == 0
