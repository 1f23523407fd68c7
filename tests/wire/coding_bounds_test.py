"""Where compression ends: what is left as it is, what is coded on its way through, and what comes out
at once. coding_test.py has the rest."""

import pytest

import codings
import h1
from client import request_bytes

ALL = {"Accept-Encoding": "gzip, br, zstd"}
TEXT = codings.text(5000, "bounds")
SCRIPT = {"Cache-Control": "max-age=600", "Content-Type": "text/javascript", "ETag": '"v1"'}
STEPS = [b"data: one\n\n", b"data: two, and more of it\n\n", b"data: " + b"3" * 40_000 + b"\n\n"]


def but(**more):
    """SCRIPT with other fields; None: without that one."""
    fields = {**SCRIPT, **{name.replace("_", "-"): value for name, value in more.items()}}
    return {name: value for name, value in fields.items() if value is not None}


UNTOUCHED = {
    "a type that is compressed already": (200, but(Content_Type="image/png"), TEXT),
    "no type at all": (200, but(Content_Type=None), TEXT),
    "shorter than compress_min": (200, SCRIPT, TEXT[:1023]),
    "no-transform": (200, but(Cache_Control="max-age=600, no-transform"), TEXT),
    "no-transform, coded": (200, but(Cache_Control="max-age=600, no-transform", Content_Encoding="gzip"),
                            codings.encode("gzip", TEXT)),
    "a coding that nobody knows": (200, but(Content_Encoding="lzw"), TEXT),
    "two codings": (200, but(Content_Encoding="gzip, br"),
                    codings.encode("br", codings.encode("gzip", TEXT))),
    "a coding named twice": (200, but(Content_Encoding="gzip, gzip"),
                             codings.encode("gzip", codings.encode("gzip", TEXT))),
    "no content": (204, SCRIPT, b""),
    "an entity tag of great length": (200, but(ETag='"' + "t" * 300 + '"'), TEXT),
}


@pytest.mark.parametrize("status, fields, body", UNTOUCHED.values(), ids=UNTOUCHED)
@pytest.mark.parametrize("accept", [ALL, {}, {"Accept-Encoding": "identity;q=0, br"}], ids=str)
def test_what_is_left_alone_does_not_vary(origin, edge, status, fields, body, accept):
    """RFC 9110 sections 7.7 and 12.5.5; Vary says Accept-Encoding only where the answer could differ."""
    origin.serve("/a", status, fields, body)
    for hit in (False, True):
        response = edge.get("/a", accept)
        assert (response.status, response.body, response.cache_status.hit) == (status, body, hit)
        assert response.get("ETag") == fields.get("ETag") and "Vary" not in response.fields
        assert response.get("Content-Encoding") == fields.get("Content-Encoding")
        assert edge.request("HEAD", "/a", accept).get("Content-Encoding") == fields.get("Content-Encoding")
        edge.wait_stored(1)


def test_the_length_that_is_long_enough(origin, edge):
    for length, coding in ((1023, "identity"), (1024, "br")):
        origin.serve(f"/{length}", 200, SCRIPT, TEXT[:length])
        codings.expect(edge.get(f"/{length}", ALL), TEXT[:length], coding)


def test_a_client_that_wants_no_transformation(origin, edge):
    """RFC 9111 section 5.2.1.6. It gets what is stored; others do not suffer."""
    origin.serve("/a", 200, SCRIPT, TEXT)
    for _ in range(2):
        response = edge.get("/a", {**ALL, "Cache-Control": "no-transform"})
        codings.expect(response, TEXT, "identity")
        assert (response["ETag"], response["Vary"].lower()) == ('"v1"', "accept-encoding")
        edge.wait_stored(1)
    codings.expect(edge.get("/a", ALL), TEXT, "br")


@pytest.mark.parametrize("vary, wanted", [
    ("Accept-Language", {"accept-language", "accept-encoding"}), ("accept-ENCODING", {"accept-encoding"}),
    ("X-A, Accept-Encoding , X-B", {"x-a", "x-b", "accept-encoding"})])
def test_vary_names_it_once(origin, edge, vary, wanted):
    origin.serve("/a", 200, {**SCRIPT, "Vary": vary}, TEXT)
    for hit in (False, True):
        response = edge.get("/a", ALL)
        codings.expect(response, TEXT, "br")
        names = [name.strip().lower() for name in ",".join(response.fields.all("Vary")).split(",")]
        assert (set(names), len(names)) == (wanted, len(wanted))
        assert response.cache_status.hit == hit
        edge.wait_stored(1)
    origin_requests = origin.count()
    for accept in ("gzip", "zstd;q=0.5", "x"):
        assert edge.get("/a", {"Accept-Encoding": accept}).cache_status.hit
    assert origin.count() == origin_requests == 1


# --- what passes

@pytest.mark.parametrize("coding", codings.CODINGS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_stored_is_coded_as_well(origin, edge, coding, method):
    origin.serve("/a", 200, {**SCRIPT, "Cache-Control": "no-store"}, TEXT)
    response = edge.request(method, "/a", {"Accept-Encoding": coding}, b"x" if method == "POST" else None)
    codings.expect(response, TEXT, coding)
    assert (response["ETag"], response["Vary"].lower()) == (f'W/"v1~{coding}"', "accept-encoding")


@pytest.mark.edge(settings={"site.pass": "yes"})
def test_what_passes_keeps_the_clients_wish(origin, edge):
    """The origin may have coded forms of its own."""
    def answer(held):
        coding = held.get("Accept-Encoding") or "identity"
        fields = SCRIPT if coding == "identity" else but(Content_Encoding=coding)
        held.reply(200, fields, codings.encode(coding, TEXT))

    origin.serve_with("/a", answer)
    for coding in codings.CODINGS:
        response = edge.get("/a", {"Accept-Encoding": coding})
        codings.expect(response, TEXT, coding)
        assert response.body == codings.encode(coding, TEXT) and response["ETag"] == '"v1"'
    codings.expect(edge.get("/a"), TEXT, "identity")


@pytest.mark.edge(settings={"site.pass": "yes"})
@pytest.mark.parametrize("tag", ['W/"v1~br"', '"v1~br.AAAAAAAAAAA"', '"v1"'])
def test_the_origin_is_asked_about_its_own_tag(origin, edge, tag):
    """It knows no other; the client hears of the one that it has (RFC 9110 section 15.4.5)."""
    origin.serve_with("/a", lambda held: held.reply(
        304 if '"v1"' in held["If-None-Match"].split(", ") else 200, SCRIPT, TEXT))
    response = edge.get("/a", {**ALL, "If-None-Match": tag})
    assert (response.status, response["ETag"]) == (304, tag)
    assert "Content-Encoding" not in response.fields
    assert edge.get("/a", {**ALL, "If-None-Match": '"v0~br"'}).status == 200


# --- what comes out at once

class Stream:
    """A body as it comes, decoded as far as it can be."""

    def __init__(self, client, coding):
        self.client, self.coding = client, coding
        assert codings.coding_of(client.read_head()) == coding
        self.coded = b""

    def wait_for(self, wanted):
        """Until exactly these bytes have come out."""
        while (got := codings.decode_part(self.coding, self.coded)) != wanted:
            assert wanted.startswith(got)
            more = self.client.read_body(len(self.coded) + 1)
            assert len(more) > len(self.coded), "the answer ended"
            self.coded = more


@pytest.mark.parametrize("coding", codings.CODINGS)
@pytest.mark.parametrize("cache", ["no-store", "max-age=600"])
def test_an_event_stream_is_not_held_back(origin, edge, coding, cache):
    """Each event is with the client before the next one is made."""
    with edge.client() as client:
        client.send_request("GET", "/a", {"Accept-Encoding": coding})
        held = origin.next_request()
        held.start(200, {"Content-Type": "text/event-stream", "Cache-Control": cache})
        sent = b""
        for step in STEPS * 3:
            held.send_chunk(step)
            sent += step
            if len(sent) == len(step):
                stream = Stream(client, coding)
            stream.wait_for(sent)
        held.end_chunks()
        held.finish()
        response = client.read_response()
        codings.expect(response, sent, coding)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_decoded_stream_is_not_held_back(origin, edge, coding):
    """From an origin that codes and flushes each event."""
    encoder = codings.encoder(coding)
    flush = {"gzip": lambda: encoder.flush(2), "br": lambda: encoder.inner.flush(),
             "zstd": lambda: encoder.flush(1)}
    with edge.client() as client:
        client.send_request("GET", "/a")
        held = origin.next_request()
        held.start(200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store",
                         "Content-Encoding": coding})
        sent = b""
        for step in STEPS:
            held.send_chunk(encoder.compress(step) + flush[coding]())
            sent += step
            if len(sent) == len(step):
                stream = Stream(client, "identity")
            stream.wait_for(sent)
        held.send_chunk(encoder.flush())
        held.end_chunks()
        held.finish()
        codings.expect(client.read_response(), sent, "identity")


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_coded_answer_that_breaks_off_looks_so(origin, edge, coding):
    """No end of the stream, no last chunk, and nothing is stored (RFC 9112 section 8)."""
    client = edge.client()
    client.send_request("GET", "/a", {"Accept-Encoding": coding})
    held = origin.next_request()
    held.start(200, SCRIPT, length=len(TEXT) * 2)
    held.send(TEXT)
    client.read_head()
    held.abort()
    with pytest.raises(h1.Truncated) as caught:
        client.read_response()
    with pytest.raises(ValueError):
        codings.decode(coding, caught.value.parser.response.body)
    edge.expect_stats(store_objects=0, fills_open=0)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_pipelined_requests_for_coded_answers(origin, edge, coding):
    """Their chunks end where they should: the connection is good for more."""
    origin.serve("/a", 200, SCRIPT, TEXT)
    wishes = [coding, None, coding, "gzip", coding]
    with edge.client() as client:
        client.send(b"".join(request_bytes("GET", "/a", {"Accept-Encoding": wish} if wish else None)
                             for wish in wishes))
        client.expect(*["GET"] * len(wishes))
        for wish in wishes:
            codings.expect(client.read_response(), TEXT, wish or "identity")
