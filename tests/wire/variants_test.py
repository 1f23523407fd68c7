"""Strong forms: made once beside the stored body, kept, and never beside another."""

import os
import pathlib
import re

import pytest

import codings

FRESH = {"Cache-Control": "max-age=6000", "Content-Type": "text/javascript", "ETag": '"abc"'}
TAKES = {coding: {"Accept-Encoding": coding} for coding in codings.CODINGS}
URL = "http://site.test/a.js"


def made(edge, coding):
    return edge.stats()[f"variants_made_{coding}"]


def is_strong(response, coding):
    """The kept form: its length is known before, its tag names its bytes."""
    return response.get("Content-Encoding") == coding and response.get("Content-Length") \
        and re.fullmatch(rf'"abc~{coding}\.[\w-]{{11}}"', response.get("ETag") or "")


def is_quick(response, coding):
    return response.get("Content-Encoding") == coding and not response.get("Content-Length") \
        and response.get("ETag") == f'W/"abc~{coding}"'


def check(response, coding, body):
    assert response.status == 200
    assert response.get("Content-Encoding") == coding
    assert codings.decode(coding, response.body) == body


def fetch(edge, target, coding, body):
    response = edge.get(target, TAKES[coding])
    check(response, coding, body)
    return response


def make(edge, target, coding, body):
    """Ask, wait for the strong form, and get it."""
    before = made(edge, coding)
    fetch(edge, target, coding, body)
    edge.wait_for(**{f"variants_made_{coding}": before + 1})
    response = fetch(edge, target, coding, body)
    assert is_strong(response, coding), response
    return response


@pytest.mark.tsan
def test_each_coding_is_made_once(origin, edge):
    """The first who asks gets the quick form, later ones what is kept; only what was asked for is made."""
    body = codings.text(60000)
    origin.serve("/a.js", 200, FRESH, body)
    for coding in codings.CODINGS:
        first = fetch(edge, "/a.js", coding, body)
        assert is_quick(first, coding), first
        edge.wait_for(**{f"variants_made_{coding}": 1})
        strong = fetch(edge, "/a.js", coding, body)
        assert is_strong(strong, coding), strong
        assert len(strong.body) < len(first.body)
        assert fetch(edge, "/a.js", coding, body).body == strong.body
        assert strong.cache_status.hit
    assert origin.count("/a.js") == 1
    seen = edge.stats()
    assert [seen[f"variants_made_{coding}"] for coding in codings.CODINGS] == [1, 1, 1]
    assert (seen["variants_failed"], seen["variants_refused"], seen["store_members"]) == (0, 0, 3)
    assert seen["variants_time"] > 0


@pytest.mark.tsan
def test_made_once_however_many_ask(origin, edge):
    body = codings.text(300000)
    origin.serve("/a.js", 200, FRESH, body)
    clients = [edge.client() for _ in range(20)]
    for client in clients:
        client.send_request("GET", "/a.js", TAKES["br"])
    for client in clients:
        check(client.read_response(), "br", body)
    edge.wait_for(variants_made_br=1)
    assert is_strong(fetch(edge, "/a.js", "br", body), "br")
    edge.expect_stats(variants_made_br=1, variants_queued=0, variants_failed=0)


def test_nothing_is_made_that_nobody_asked_for(origin, edge):
    body = codings.text(5000)
    origin.serve("/a.js", 200, FRESH, body)
    assert edge.get("/a.js").body == body
    assert edge.get("/a.js", {"Accept-Encoding": "identity"}).body == body
    make(edge, "/a.js", "gzip", body)
    edge.expect_stats(variants_made_gzip=1, variants_made_br=0, variants_made_zstd=0)


# --- whatever happens to the object happens to its forms

def changed(edge, origin, how):
    """The object is gone or another, by each way there is; the body that is right from then on."""
    newer = codings.text(50000, "newer")
    origin.serve("/a.js", 200, {**FRESH, "ETag": '"def"'}, newer)
    if how == "purge":
        edge.purge(files=[URL])
    elif how == "tag":
        edge.purge(tags=["t"])
    elif how == "soft":
        edge.purge(tags=["t"], soft=True)
    elif how == "reload":
        edge.get("/a.js", {"Cache-Control": "no-cache"})
    return newer


@pytest.mark.tsan
@pytest.mark.parametrize("how", ["purge", "tag", "soft"])
def test_no_form_outlives_its_object(origin, edge, how):
    body = codings.text(50000)
    origin.serve("/a.js", 200, {**FRESH, "Surrogate-Key": "t"}, body)
    for coding in codings.CODINGS:
        make(edge, "/a.js", coding, body)
    newer = changed(edge, origin, how)
    for coding in codings.CODINGS:
        response = edge.get("/a.js", TAKES[coding])
        check(response, coding, newer)
        assert '"def~' in response["ETag"]


@pytest.mark.tsan
def test_purged_while_it_is_made(origin, edge):
    """What is purged before its strong form is there never gets it; the next body gets its own."""
    body = codings.text(700000)  # a second of br 11, or more
    origin.serve("/a.js", 200, {**FRESH, "Surrogate-Key": "t"}, body)
    fetch(edge, "/a.js", "br", body)
    edge.wait_for(variants_at_work=1)
    newer = changed(edge, origin, "tag")
    quick = fetch(edge, "/a.js", "br", newer)
    assert quick["ETag"] == 'W/"def~br"'
    edge.expect_stats(store_members=1, variants_queued=0, variants_at_work=0)
    strong = fetch(edge, "/a.js", "br", newer)
    assert strong["ETag"].startswith('"def~br.')
    edge.expect_stats(variants_failed=0)


def test_validated_with_304_it_is_kept(origin, edge):
    """RFC 9111 section 4.3.4: the body is the same, so what was made of it is."""
    body = codings.text(40000)
    stale = {**FRESH, "Cache-Control": "max-age=0, must-revalidate"}

    def answer(held):
        if held.get("If-None-Match") == '"abc"':
            held.reply(304, stale)
        else:
            held.reply(200, stale, body)

    origin.serve_with("/a.js", answer)
    strong = make(edge, "/a.js", "br", body)
    before = edge.stats()["cache_revalidated"]
    again = fetch(edge, "/a.js", "br", body)
    assert again.body == strong.body and again["ETag"] == strong["ETag"]
    assert edge.stats()["cache_revalidated"] > before
    edge.expect_stats(variants_made_br=1)


def test_evicted_with_its_object(origin, start_edge):
    edge = start_edge(origin=origin.url, store_size="16MB")
    body = codings.text(50000)
    origin.serve("/a.js", 200, FRESH, body)
    fetch(edge, "/a.js", "br", body)
    edge.wait_for(variants_made_br=1)  # not used since: what is used stays longer
    edge.expect_stats(store_members=1)
    filler = bytes(1 << 20)
    origin.serve_all(lambda target: target.startswith("/fill"),
                     lambda held: held.reply(200, {"Cache-Control": "max-age=600"}, filler))
    for n in range(200):
        edge.get(f"/fill/{n}")
        if n > 20 and edge.stats()["store_members"] == 0:
            break
    edge.expect_stats(store_members=0)
    newer = changed(edge, origin, None)
    check(edge.get("/a.js", TAKES["br"]), "br", newer)


# --- restarts

def test_kept_over_a_kill(origin, edge):
    body = codings.text(70000)
    origin.serve("/a.js", 200, FRESH, body)
    strong = {coding: make(edge, "/a.js", coding, body) for coding in codings.CODINGS}
    edge.kill()
    edge.start()
    for coding, before in strong.items():
        after = fetch(edge, "/a.js", coding, body)
        assert (after.body, after["ETag"]) == (before.body, before["ETag"])
    edge.expect_stats(variants_made_br=0, variants_made_gzip=0, variants_made_zstd=0)
    assert origin.count("/a.js") == 1


def test_what_does_not_pay_is_remembered(origin, edge):
    """Noise that calls itself text: sent as it is once that is known, over a restart too."""
    import hashlib
    body = hashlib.shake_128(b"noise").digest(50000)
    origin.serve("/a.js", 200, FRESH, body)
    first = edge.get("/a.js", TAKES["br"])
    assert codings.decode("br", first.body) == body
    edge.wait_for(variants_no_gain=1)
    for _ in range(2):
        plain = edge.get("/a.js", TAKES["br"])
        assert plain.body == body and plain.get("Content-Encoding") is None
        assert plain["ETag"] == '"abc"' and "Accept-Encoding" in plain["Vary"]
        edge.restart()
    edge.expect_stats(variants_no_gain=0, variants_made_br=0)
    assert origin.count("/a.js") == 1


@pytest.mark.tsan
def test_stops_in_the_middle(origin, edge):
    """SIGTERM while br 11 is at work on megabytes: it ends at once, and nothing but that is lost."""
    small, large = codings.text(5000), codings.text(7000000)  # ten seconds of br 11, or more
    origin.serve("/small.js", 200, FRESH, small)
    origin.serve("/large.js", 200, FRESH, large)
    make(edge, "/small.js", "br", small)
    fetch(edge, "/large.js", "br", large)
    edge.wait_for(variants_at_work=1)
    edge.stop()
    edge.start()
    assert is_strong(fetch(edge, "/small.js", "br", small), "br")
    assert is_quick(fetch(edge, "/large.js", "br", large), "br")


# --- the pool

@pytest.mark.edge(settings={"compress_threads": "1", "compress_queue": "1"})
def test_a_full_queue_sends_the_quick_form_again(origin, edge):
    large = codings.text(4000000)
    body = codings.text(20000)
    for name in ("/large.js", "/1.js", "/2.js"):
        origin.serve(name, 200, FRESH, large if name == "/large.js" else body)
    fetch(edge, "/large.js", "br", large)
    edge.wait_for(variants_at_work=1)
    fetch(edge, "/1.js", "gzip", body)
    edge.wait_for(variants_queued=1)
    fetch(edge, "/2.js", "gzip", body)
    edge.wait_stored(3)
    for _ in range(3):
        assert is_quick(fetch(edge, "/2.js", "gzip", body), "gzip")
    edge.wait_for(variants_refused=3)
    assert edge.stats()["variants_queued"] == 1


@pytest.mark.edge(settings={"site.compress_max": "100KB"})
def test_what_is_too_large_gets_the_quick_form_alone(origin, edge):
    large, body = codings.text(100 * 1024 + 1), codings.text(100 * 1024)
    origin.serve("/large.js", 200, FRESH, large)
    origin.serve("/a.js", 200, FRESH, body)
    for _ in range(3):
        assert is_quick(fetch(edge, "/large.js", "br", large), "br")
    make(edge, "/a.js", "br", body)
    assert is_quick(fetch(edge, "/large.js", "br", large), "br")
    edge.expect_stats(variants_made_br=1, variants_failed=0)


def test_its_threads_step_back(origin, edge):
    """Inside the sandbox, too: the kernel has them behind the workers, also of a brink that was started
    with less than the usual priority."""
    body = codings.text(5000)
    origin.serve("/a.js", 200, FRESH, body)
    make(edge, "/a.js", "br", body)
    nices = {}
    its = os.getpriority(os.PRIO_PROCESS, edge.process.pid)
    for task in pathlib.Path(f"/proc/{edge.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        stat = (task / "stat").read_text()
        nices.setdefault(name, set()).add(int(stat[stat.rindex(")") + 2:].split()[16]))
    assert nices["variants"] == {min(its + 10, 19)}
    assert nices["worker-0"] == {its}


def test_a_malformed_coded_body_is_not_tried_again_and_again(origin, edge):
    """It says gzip and is none: who takes gzip gets what the origin sent."""
    origin.serve("/a.js", 200, {**FRESH, "Content-Encoding": "gzip"}, codings.text(9000))
    assert edge.get("/a.js", TAKES["gzip"]).body == codings.text(9000)
    edge.expect_stats(variants_made_gzip=0, variants_queued=0)
