"""Files that the origin has coded already, beside the original: used when they are that body."""

import pytest

import codings
from variants_test import FRESH, TAKES, URL, check, fetch, is_strong, made

ENDINGS = {"gzip": ".gz", "br": ".br", "zstd": ".zst"}
OPTIONS = {"site.precompressed": "br,zstd,gzip"}
FILE = {"Content-Type": "application/octet-stream"}


def make(edge, target, coding, body):
    before = made(edge, coding)
    fetch(edge, target, coding, body)
    edge.wait_for(**{f"variants_made_{coding}": before + 1})
    response = edge.get(target, TAKES[coding])
    check(response, coding, body)
    assert is_strong(response, coding)
    return response


@pytest.mark.tsan
@pytest.mark.edge(settings=OPTIONS)
@pytest.mark.parametrize("coding", codings.CODINGS)
@pytest.mark.parametrize("says", [None, "coding", "type"])
def test_the_file_is_what_is_sent(origin, edge, coding, says):
    """Its own bytes, whatever the origin calls them; asked for once, by nobody in particular."""
    body = codings.text(40000)
    file = codings.encode(coding, body, 1)
    fields = {None: {}, "coding": {"Content-Encoding": coding},
              "type": {"Content-Type": "application/gzip"}}[says]
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/a.js" + ENDINGS[coding], 200, fields, file)
    edge.get("/a.js", {**TAKES[coding], "Cookie": "a=b", "User-Agent": "x"})
    edge.wait_for(**{f"variants_made_{coding}": 1})
    response = fetch(edge, "/a.js", coding, body)
    assert is_strong(response, coding) and response.body == file
    edge.expect_stats(precompressed_used=1, precompressed_mismatch=0)
    held, = [held for held in origin.requests if held.target == "/a.js" + ENDINGS[coding]]
    assert held.method == "GET" and held["Accept-Encoding"] == "identity"
    for name in ("Cookie", "User-Agent", "If-None-Match", "Range", "X-Forwarded-For"):
        assert held.get(name) is None
    assert "brink" in held["Via"] and held["Host"] == "site.test"


@pytest.mark.edge(settings=OPTIONS)
def test_before_the_query(origin, edge):
    body = codings.text(9000)
    origin.serve("/a.js?v=1", 200, FRESH, body)
    origin.serve("/a.js.br?v=1", 200, FILE, codings.encode("br", body, 2))
    assert make(edge, "/a.js?v=1", "br", body).body == codings.encode("br", body, 2)


def wrong_files():
    body = codings.text(40000)
    return {
        "another body": codings.encode("br", codings.text(40000, "other")),
        "cut": codings.encode("br", body)[:-10],
        "more behind": codings.encode("br", body) + b"x",
        "not coded at all": body[:20000],
        "too large": b"x" * 40000,
        "too large, in chunks": b"x" * 300000,
        "empty within": codings.encode("br", b""),
    }


@pytest.mark.tsan
@pytest.mark.edge(settings=OPTIONS)
@pytest.mark.parametrize("why", sorted(wrong_files()))
def test_another_file_is_left_aside(origin, edge, why):
    body = codings.text(40000)
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/a.js.br", 200, FILE, wrong_files()[why], chunked="chunks" in why)
    response = make(edge, "/a.js", "br", body)
    assert response.body != wrong_files()[why]
    edge.expect_stats(precompressed_mismatch=1, precompressed_used=0, variants_failed=0)


@pytest.mark.edge(settings=OPTIONS)
@pytest.mark.parametrize("answer", [(404, {}), (302, {"Location": "/b"}), (500, {}),
                                    (200, {"Content-Encoding": "gzip"}),
                                    (200, {"Cache-Control": "no-store"}),
                                    (200, {"Cache-Control": "private"})])
def test_no_file_no_matter(origin, edge, answer):
    """brink makes it, and does not ask again for a while, of another body of that URL either."""
    body, newer = codings.text(40000), codings.text(40000, "newer")
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/a.js.br", *answer, codings.encode("br", body))
    make(edge, "/a.js", "br", body)
    origin.serve("/a.js", 200, FRESH, newer)
    edge.purge(files=[URL])
    make(edge, "/a.js", "br", newer)
    assert origin.count("/a.js.br") == 1
    edge.expect_stats(precompressed_used=0, precompressed_mismatch=0)


@pytest.mark.tsan
@pytest.mark.edge(settings={**OPTIONS, "compress_threads": "1"})
def test_a_slow_origin_keeps_nobody_waiting(origin, edge):
    """While the file is on its way the quick form goes out, and other strong forms are made."""
    body = codings.text(40000)
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/b.css", 200, FRESH, body)
    origin.serve("/b.css.gz", 404)
    fetch(edge, "/a.js", "br", body)
    held = origin.next_request()
    assert held.target == "/a.js.br"
    fetch(edge, "/a.js", "br", body)
    make(edge, "/b.css", "gzip", body)
    file = codings.encode("br", body, 3)
    held.start(200, FILE)
    held.send_chunk(file[:100])
    fetch(edge, "/a.js", "br", body)
    held.send_chunk(file[100:])
    held.end_chunks()
    held.finish()
    edge.wait_for(variants_made_br=1)
    assert fetch(edge, "/a.js", "br", body).body == file
    assert origin.count("/a.js.br") == 1


@pytest.mark.tsan
@pytest.mark.edge(settings={**OPTIONS, "shutdown_timeout": "1s"})
@pytest.mark.parametrize("how", ["stop", "abort"])
def test_an_answer_that_never_comes(origin, edge, how):
    body = codings.text(40000)
    origin.serve("/a.js", 200, FRESH, body)
    fetch(edge, "/a.js", "br", body)
    held = origin.next_request()
    held.start(200, FILE, length=1000)
    held.send(b"x" * 500)
    if how == "abort":
        held.abort()
        edge.wait_for(variants_made_br=1)
        assert is_strong(fetch(edge, "/a.js", "br", body), "br")
    else:
        edge.stop(timeout=10)
        edge.start()
        held.finish(close=True)
        check(edge.get("/a.js", TAKES["br"]), "br", body)


@pytest.mark.edge(settings={**OPTIONS, "site.key_cookies": "lang"})
def test_what_has_secondary_keys_is_made_here(origin, edge):
    """No request without a client could say which of them the file is of. RFC 9111 section 4.1."""
    body = codings.text(40000)
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/v.js", 200, {**FRESH, "Vary": "Accept-Language"}, body)
    make(edge, "/a.js", "br", body)
    make(edge, "/v.js", "br", body)
    assert [target for target in origin.targets() if target.endswith(".br")] == []


@pytest.mark.edge(settings={"site.precompressed": "zstd"})
def test_only_codings_that_are_named(origin, edge):
    body = codings.text(40000)
    origin.serve("/a.js", 200, FRESH, body)
    make(edge, "/a.js", "br", body)
    assert origin.count("/a.js.br") == 0


@pytest.mark.edge(settings={**OPTIONS, "origin.max_connections": "1"})
def test_what_could_not_be_asked_is_not_remembered(origin, edge):
    """No connection was left for it: brink makes this one, and asks for the next."""
    body, newer = codings.text(40000), codings.text(40000, "newer")
    origin.serve("/a.js", 200, FRESH, body)
    origin.serve("/a.js.br", 200, FILE, codings.encode("br", newer, 2))
    assert edge.get("/a.js").body == body
    edge.wait_stored(1)
    waiting = edge.client()
    waiting.send_request("GET", "/held")
    held = origin.next_request()  # it has the only connection
    make(edge, "/a.js", "br", body)
    held.reply(200, {}, b"")
    assert waiting.read_response().status == 200
    assert origin.count("/a.js.br") == 0
    origin.serve("/a.js", 200, FRESH, newer)
    edge.purge(files=[URL])
    assert make(edge, "/a.js", "br", newer).body == codings.encode("br", newer, 2)
