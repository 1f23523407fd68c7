"""Coded bodies that mean harm, and many slow clients of bodies that are coded for them alone: the
memory of coders stays within coder_memory, whoever gets an end gets the right bytes, and afterwards
it is as before.

BRINK_LONG=1: more of everything.
"""

import os

import pytest

import codings
import content
import h1
from edge import sanitizers
from memory_test import Gauges

LONG = os.environ.get("BRINK_LONG") == "1"
KIB = 1024
MIB = 1024 * 1024
BOMB_LEN = 100 * MIB
IDLE_LEN = 8 * 1200 * KIB  # some contexts of zstd wait for their next use; they are given up for others
TEXT = codings.text(40_000, "hostile")
SCRIPT = {"Content-Type": "text/javascript"}


def fields(coding, cache="max-age=600"):
    return {**SCRIPT, "Cache-Control": cache, "Content-Encoding": coding, "ETag": '"v1"'}


def wait_idle(edge):
    """Until nobody's body is coded or fetched any more."""
    edge.expect_stats(fills_open=0, fill_bytes=0)
    edge.wait_until(lambda: edge.stats()["coder_bytes"] <= IDLE_LEN, "the coders are gone")


def cut(edge, target, accept=None):
    """This answer does not come to its end, or is refused before its first byte; how much of it came,
    decoded."""
    try:
        refused = edge.get(target, {"Accept-Encoding": accept} if accept else None)
    except h1.Truncated as caught:
        response = caught.parser.response
        return 0 if response is None else response.received
    assert refused.status in (502, 503) and codings.coding_of(refused) == "identity"
    return 0


HOSTILE = {
    "it ends too early": lambda coded: coded[:-1],
    "half of it": lambda coded: coded[:len(coded) // 2],
    "it goes on": lambda coded: coded + b"and on",
    "a bit is wrong": lambda coded: coded[:2000] + bytes([coded[2000] ^ 0x55]) * 8 + coded[2008:],
    "it is plain": lambda coded: TEXT,
    "it is noise": lambda coded: content.body_of(content.path_of(5000, "noise")),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("coding", codings.CODINGS)
def test_what_is_no_coded_body_is_cut_and_not_kept(origin, edge, coding, spoil):
    """Visibly, for a client that was promised the decoded text; nobody gets it from the store then."""
    origin.serve("/a", 200, fields(coding), spoil(codings.encode(coding, TEXT)))
    for asked in (1, 2):
        assert cut(edge, "/a") < len(TEXT) + 1
        edge.wait_for(decode_failed=asked)
        edge.wait_until(lambda: edge.stats()["store_objects"] == 0, "nothing is stored")
        assert origin.count() == asked
    edge.expect_stats(decode_bombs=0)
    wait_idle(edge)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_nothing_at_all_is_not_decoded(origin, edge, coding):
    """A body without a byte is no stream, and means no harm: many servers send it for an empty file."""
    origin.serve("/a", 200, fields(coding))
    response = edge.get("/a")
    assert (response.status, response["Content-Length"], response["Content-Encoding"]) == (200, "0", coding)
    edge.expect_stats(decode_failed=0)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_bomb_is_cut_and_not_kept(origin, start_edge, coding):
    """RFC 9110 section 17.9 asks for a bound; decompress_free and decompress_ratio are it."""
    edge = start_edge(origin=origin.url, settings={"coder_memory": "32MB"})
    bomb = codings.bomb(coding, BOMB_LEN)
    origin.serve("/a", 200, fields(coding), bomb)
    before = edge.memory_kib()
    gauges = Gauges(edge, "coder_bytes")
    for asked in (1, 2):
        most = cut(edge, "/a")
        assert most <= MIB + 500 * len(bomb) and most < BOMB_LEN
        edge.wait_for(decode_bombs=asked)
        assert origin.count() == asked
    edge.expect_stats(store_objects=0)
    wait_idle(edge)
    seen = gauges.stop()
    assert seen["coder_bytes"] <= 32 * MIB
    assert seen["rss_kib"] - before < (32 + (40 if sanitizers() else 12)) * KIB


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_bomb_that_is_stored_goes_when_it_is_opened(origin, edge, coding):
    """Whoever takes the coding gets it as the origin sent it; the first to have it decoded ends it."""
    bomb = codings.bomb(coding, BOMB_LEN)
    origin.serve("/a", 200, fields(coding), bomb)
    assert edge.get("/a", {"Accept-Encoding": coding}).body == bomb
    edge.wait_stored(1)
    hit = edge.get("/a", {"Accept-Encoding": coding})
    assert hit.cache_status.hit and hit.body == bomb
    assert cut(edge, "/a") < BOMB_LEN
    edge.wait_for(decode_bombs=1)
    edge.wait_until(lambda: not edge.get("/a", {"Accept-Encoding": coding}).cache_status.hit, "it is gone")


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_what_may_grow_and_what_may_not(origin, start_edge, coding):
    """Within decompress_free everything may, whatever the ratio; past it the ratio decides."""
    edge = start_edge(origin=origin.url, settings={"decompress_free": "64KB", "decompress_ratio": "3"})
    inside, outside, dense = bytes(64 * KIB), bytes(300_000), codings.text(300_000, "dense")
    for name, body in (("inside", inside), ("outside", outside), ("dense", dense)):
        origin.serve(f"/{name}", 200, fields(coding), codings.encode(coding, body))
    assert edge.get("/inside").body == inside
    assert len(codings.encode(coding, dense)) * 3 > len(dense)
    assert edge.get("/dense").body == dense
    cut(edge, "/outside")
    edge.expect_stats(decode_bombs=1, decode_failed=0)


class Slow:
    """Clients that take their time over answers that are coded for each of them."""

    def __init__(self, edge):
        self.edge, self.waiting = edge, []

    def ask(self, target, accept, original):
        client = self.edge.client(rcvbuf=8192)
        client.send_request("GET", target, {"Accept-Encoding": accept} if accept else None)
        self.waiting.append((client, accept, original))

    def read(self):
        """Everything, one after the other; in which codings it came."""
        seen = []
        for client, accept, original in self.waiting:
            response = client.read_response()
            coding = codings.coding_of(response)
            assert coding in ("identity", accept), response
            assert codings.body_of(response) == original
            seen.append(coding)
            client.close()
        return seen


@pytest.mark.limit(300)
def test_many_slow_quick_forms_beside_many_bombs(origin, start_edge):
    """coder_memory holds. Who finds no room gets what needs none: the answer as it is stored."""
    bound = 24 * MIB
    edge = start_edge(origin=origin.url, settings={
        "coder_memory": "24MB", "site.compress_max": "0", "fill_memory": "8MB", "fill_window": "1MB"})
    plain = codings.text(3_000_000, "plain")
    for name, cache in (("stored", "max-age=600"), ("unstored", "no-store")):
        origin.serve(f"/{name}", 200, {**SCRIPT, "Cache-Control": cache, "ETag": '"v1"'}, plain)
    for coding in codings.CODINGS:
        origin.serve(f"/bomb/{coding}", 200, fields(coding), codings.bomb(coding, BOMB_LEN))
        origin.serve(f"/spoilt/{coding}", 200, fields(coding), codings.encode(coding, TEXT)[:-3])
    codings.expect(edge.get("/stored"), plain)
    edge.wait_stored(1)
    before = edge.memory_kib()
    gauges = Gauges(edge, "coder_bytes", "fill_bytes")
    slow, rounds = Slow(edge), 20 if LONG else 4
    for coding in codings.CODINGS:
        slow.ask("/stored", coding, plain)
        slow.ask("/unstored", coding, plain)
    for _ in range(rounds):  # while there is room for them: else they are not even opened
        for coding in codings.CODINGS:
            cut(edge, f"/bomb/{coding}")
            cut(edge, f"/spoilt/{coding}")
    while edge.stats()["coder_refused"] < (50 if LONG else 5):
        assert len(slow.waiting) < 2000, "there is no end of memory"
        for coding in codings.CODINGS:
            slow.ask("/stored", coding, plain)
    seen = slow.read()
    stats = edge.stats()  # what finds no memory for its window ends too, without being judged
    for name in ("decode_bombs", "decode_failed"):
        assert 3 * rounds - stats["coder_refused"] <= stats[name] <= 3 * rounds
    wait_idle(edge)
    most = gauges.stop()
    assert 0 < most["coder_bytes"] <= bound
    assert set(seen) == {"identity", *codings.CODINGS}
    spare = 60 if sanitizers() else 16  # what is freed is not given back at once
    assert most["rss_kib"] - before < bound // KIB + 8 * KIB + spare * KIB + len(seen) * 200
    for coding in codings.CODINGS:  # there is room again
        codings.expect(edge.get("/stored", {"Accept-Encoding": coding}), plain, coding)


@pytest.mark.parametrize("bound", ["1KB", "0"])
def test_without_memory_for_coders_everything_is_sent_as_it_is(origin, start_edge, bound):
    """coder_memory 0 is no bound at all."""
    edge = start_edge(origin=origin.url, settings={"coder_memory": bound, "site.compress_max": "0"})
    origin.serve("/a", 200, {**SCRIPT, "Cache-Control": "max-age=600"}, TEXT)
    for coding in codings.CODINGS:
        response = edge.get("/a", {"Accept-Encoding": coding})
        codings.expect(response, TEXT, "identity" if bound == "1KB" else coding)
    edge.wait_for(coder_refused=3 if bound == "1KB" else 0)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_without_memory_for_coders_a_coded_body_is_for_who_takes_it(origin, start_edge, coding):
    """Who does not is told that it is for now (RFC 9110 section 15.6.4): he could not read it."""
    edge = start_edge(origin=origin.url, settings={"coder_memory": "1KB"})
    origin.serve("/a", 200, fields(coding), codings.encode(coding, TEXT))
    assert edge.get("/a").status == 503
    edge.wait_for(coder_refused=1)
    codings.expect(edge.get("/a", {"Accept-Encoding": coding}), TEXT, coding)


def test_a_window_that_there_is_no_room_for(origin, start_edge):
    """What a stream needs shows once its head is read. Without room for it nobody gets it decoded; but
    it is none of the bad ones, and stays for who takes it."""
    edge = start_edge(origin=origin.url, settings={"coder_memory": "2MB"})
    body = codings.text(3_000_000, "wide")
    parameters = codings.zstandard.ZstdCompressionParameters(window_log=23)
    stream = codings.zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    origin.serve("/a", 200, fields("zstd"), stream.compress(body) + stream.flush())
    codings.expect(edge.get("/a", {"Accept-Encoding": "zstd"}), body, "zstd")
    edge.wait_stored(1)
    assert cut(edge, "/a") < len(body)
    edge.wait_for(coder_refused=1)
    edge.expect_stats(decode_bombs=0, decode_failed=0, store_objects=1)
    response = edge.get("/a", {"Accept-Encoding": "zstd"})
    codings.expect(response, body, "zstd")
    assert response.cache_status.hit
