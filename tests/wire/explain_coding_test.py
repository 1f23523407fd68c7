"""/explain, /inspect and the access log on codings: which would be sent and why, and what is kept of each object."""

import json
import os

import pytest

import codings
from explain_test import FRESH, TAG, URL, ctl, explain
from observe_test import ctl as say, lines_of, logged_edge

JS = {**FRESH, **TAG, "Content-Type": "text/javascript"}
BODY = codings.text(20_000)
OFF = {"site.compress": "", "site.decompress": "no"}


def store(origin, edge, fields, body):
    origin.serve("/a", 200, fields, body)
    assert edge.get("/a").status == 200
    edge.wait_stored(1)


def keep(edge, coding, counter):
    """Have the strong form in that coding made, or found not to pay."""
    before = edge.stats()[counter]
    edge.get("/a", {"Accept-Encoding": coding})
    edge.wait_for(**{counter: before + 1})


def kept(coding):
    def before(origin, edge, fields, body):
        store(origin, edge, fields, body)
        keep(edge, coding, f"variants_made_{coding}")
    return before


def no_gain(origin, edge, fields, body):
    store(origin, edge, fields, body)
    keep(edge, "br", "variants_no_gain")


def nothing(origin, edge, fields, body):
    origin.serve("/a", 200, fields, body)


def coded(coding):
    return codings.encode(coding, BODY)


NOISE = os.urandom(20_000)
GZIP = {**JS, "Content-Encoding": "gzip"}
CASES = [
    # why, settings, before, the origin's fields and body, of the request, coding, form, words
    ("nothing stored", {}, nothing, JS, BODY, {"Accept-Encoding": "br"}, "br", "open",
     "if what comes may be compressed"),
    ("nothing stored, nothing asked", {}, nothing, JS, BODY, {}, "identity", "open",
     "no Accept-Encoding"),
    ("nothing asked", {}, store, JS, BODY, {}, "identity", "stored", "no Accept-Encoding"),
    ("the site's order", {}, store, JS, BODY, {"Accept-Encoding": "gzip, zstd"}, "zstd", "quick",
     "made afterwards"),
    ("the client's weights", {}, store, JS, BODY, {"Accept-Encoding": "br;q=0.5, gzip"}, "gzip",
     "quick", "made afterwards"),
    ("too large to be kept", {"site.compress_max": "10000"}, store, JS, BODY,
     {"Accept-Encoding": "gzip"}, "gzip", "quick", "compress_max"),
    ("kept", {}, kept("br"), JS, BODY, {"Accept-Encoding": "br"}, "br", "kept", "the form that is kept"),
    ("another is kept", {}, kept("br"), JS, BODY, {"Accept-Encoding": "gzip"}, "gzip", "quick",
     "made afterwards"),
    ("another type", {}, store, {**JS, "Content-Type": "image/png"}, BODY, {"Accept-Encoding": "br"},
     "identity", "stored", "compress_types"),
    ("too short", {}, store, JS, BODY[:100], {"Accept-Encoding": "br"}, "identity", "stored",
     "compress_min"),
    ("no-transform of the origin", {}, store, {**JS, "Cache-Control": "max-age=600, no-transform"}, BODY,
     {"Accept-Encoding": "br"}, "identity", "stored", "the response says no-transform"),
    ("no-transform of the client", {}, store, JS, BODY,
     {"Accept-Encoding": "br", "Cache-Control": "no-transform"}, "identity", "stored",
     "the request says no-transform"),
    ("nothing that is known", {}, store, JS, BODY, {"Accept-Encoding": "deflate"}, "identity", "stored",
     "takes none of"),
    ("identity is liked best", {}, store, JS, BODY, {"Accept-Encoding": "br;q=0.1, identity"},
     "identity", "stored", "likes nothing better"),
    ("it does not pay", {}, no_gain, JS, NOISE, {"Accept-Encoding": "br"}, "identity", "stored",
     "less than 5 % shorter"),
    ("a part", {}, store, JS, BODY, {"Accept-Encoding": "br", "Range": "bytes=0-9"}, "identity",
     "stored", "a part is asked for"),
    ("a part of a kept form", {}, kept("br"), JS, BODY,
     {"Accept-Encoding": "br", "Range": "bytes=0-9"}, "br", "kept", "the form that is kept"),
    ("a part that only what is stored has", {}, kept("br"), JS, BODY,
     {"Accept-Encoding": "br", "Range": "bytes=19990-"}, "br", "kept", "the form that is kept"),
    ("a part of what If-Range names", {}, kept("br"), JS, BODY,
     {"Accept-Encoding": "br", "Range": "bytes=0-9", "If-Range": '"v1"'}, "identity", "stored",
     "If-Range names it"),
    ("a part of nothing that is there", {}, store, JS, BODY,
     {"Accept-Encoding": "br", "Range": "bytes=0-9", "If-Range": '"v0"'}, "br", "quick",
     "made afterwards"),
    ("a range that is none", {}, store, JS, BODY, {"Accept-Encoding": "br", "Range": "lines=0-9"}, "br",
     "quick", "made afterwards"),
    ("what If-Match names", {}, kept("br"), JS, BODY, {"Accept-Encoding": "br", "If-Match": '"v1"'},
     "identity", "stored", "names it in If-Match"),
    ("known in another form", {}, kept("br"), JS, BODY,
     {"Accept-Encoding": "br", "If-None-Match": 'W/"v1~gzip", "v1"'}, "br", "kept", "kept"),
    ("as the origin coded it", {}, store, GZIP, coded("gzip"), {"Accept-Encoding": "gzip"}, "gzip",
     "stored", "likes nothing better than gzip"),
    ("decoded", {}, store, GZIP, coded("gzip"), {}, "identity", "decoded", "decompressed"),
    ("of a coding that nobody knows", {}, store, {**JS, "Content-Encoding": "x-pack"}, BODY,
     {"Accept-Encoding": "br"}, "identity", "stored", "coding"),
    ("off", OFF, store, JS, BODY, {"Accept-Encoding": "br"}, "identity", "stored",
     "the site compresses nothing"),
]


@pytest.mark.parametrize("why, settings, before, fields, body, asked, coding, form, words", CASES,
                         ids=[row[0] for row in CASES])
def test_the_coding_that_is_told_is_sent(origin, start_edge, why, settings, before, fields, body, asked,
                                         coding, form, words):
    edge = start_edge(origin=origin.url, settings=settings)
    before(origin, edge, fields, body)
    edge.expect_stats(requests_active=0, fills_open=0)
    said = explain(edge, fields=asked)
    told = said["coding"]
    assert (told["coding"], told["form"]) == (coding, form), told
    assert words in told["sentence"], told
    response = edge.get("/a", asked)
    if said["verdict"]["status"]:
        assert response.status == said["verdict"]["status"]
    if response.status in (304, 416):
        return
    sent = response.fields.get("Content-Encoding")
    if sent != "x-pack":
        assert (sent or "identity") == coding
    length = len(response.body) if response.status == 200 else \
        int((response.fields.get("Content-Range") or "/0").rpartition("/")[2])
    assert told["bytes"] == (length if form == "kept" else None)


def test_inspect_shows_what_is_kept(origin, start_edge):
    edge = start_edge(origin=origin.url)
    store(origin, edge, JS, BODY)
    assert "nothing is kept yet" in say(edge, "inspect", URL)
    keep(edge, "br", "variants_made_br")
    keep(edge, "gzip", "variants_made_gzip")
    said = say(edge, "inspect", URL)
    for coding in ("br", "gzip"):
        response = edge.get("/a", {"Accept-Encoding": coding})
        saved = 100 * (len(BODY) - len(response.body)) // len(BODY)
        assert f"coded  {coding}: " in said
        assert f", {saved} % saved, etag {response['ETag']}" in said


def test_inspect_shows_what_does_not_pay(origin, start_edge):
    edge = start_edge(origin=origin.url)
    no_gain(origin, edge, JS, NOISE)
    assert "coded  br: does not pay" in say(edge, "inspect", URL)


def test_inspect_shows_what_the_origin_coded(origin, start_edge):
    edge = start_edge(origin=origin.url)
    store(origin, edge, GZIP, coded("gzip"))
    assert "coded  gzip, as it came" in say(edge, "inspect", URL)


def test_brinkctl_explains_the_coding(origin, start_edge):
    edge = start_edge(origin=origin.url)
    store(origin, edge, JS, BODY)
    done = ctl(edge, URL, "-H", "Accept-Encoding: br")
    assert "coding     br, compressed as it is sent" in done.stdout, done.stdout


def test_the_access_log_has_the_coding(origin, start_edge, tmp_path):
    """As it was sent, or would have been: quick, kept, a part of that, and as the origin coded it."""
    edge, log = logged_edge(start_edge, origin, tmp_path, "json")
    store(origin, edge, JS, BODY)
    keep(edge, "br", "variants_made_br")
    origin.serve("/gz", 200, GZIP, coded("gzip"))
    br, gzip = {"Accept-Encoding": "br"}, {"Accept-Encoding": "gzip"}
    asked = [("GET", "/a", {}, "identity"), ("GET", "/a", gzip, "gzip"), ("GET", "/a", br, "br"),
             ("HEAD", "/a", br, "br"), ("GET", "/a", {**br, "Range": "bytes=0-9"}, "br"),
             ("GET", "/a", {**br, "If-None-Match": '"v1"'}, "identity"), ("GET", "/gz", gzip, "gzip"),
             ("GET", "/gz", {}, "identity"), ("PURGE", "/a", br, "identity")]
    lines_of(edge, log, 2)
    with edge.client() as client:
        for method, target, fields, _ in asked:
            client.send_request(method, target, fields)
            client.read_response()
    told = [json.loads(line)["coding"] for line in lines_of(edge, log, 2 + len(asked))]
    assert told == ["identity", "br"] + [coding for *_, coding in asked]
