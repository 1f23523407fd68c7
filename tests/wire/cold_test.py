"""What is stored, and on disk alone: after a restart, or when memory was short. The event loops never
wait for it; the store's threads do. The kernel's count of the loops' own disk reads must stay zero.

BRINK_LONG=1: some hundred MB and ten thousand objects; otherwise some tens.
"""

import json
import os
import random
import signal
import time

import pytest

import content
from client import load
from large import Large, part_of
from pagecache import PAGE, drop, page_out, resident_pages

LONG = os.environ.get("BRINK_LONG") == "1"
FRESH = {"Cache-Control": "max-age=6000", "ETag": '"v1"'}
MIB = 1024 * 1024
TRUST_S = 4  # storage/pages.c: two seconds, to whole ones
SMALL, MIDDLE, BIG = (10000, 600, 40) if LONG else (1500, 120, 8)
TARGETS = ([content.path_of(200 + i % 3000, f"s{i}") for i in range(SMALL)]
           + [content.path_of(20_000 + i * 731 % 200_000, f"m{i}") for i in range(MIDDLE)]
           + [content.path_of(3 * MIB + i, f"b{i}") for i in range(BIG)])
QUIET = {"loop_disk_faults": 0, "loop_slow_disk": 0, "store_cold_in_loop": 0}


def check(target, response):
    assert response.status == 200
    assert response.cache_status.hit, response.get("Cache-Status")
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


def generate(origin):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))


def store_all(edge, targets):
    for _ in range(10):  # a busy machine's writer may have let some pass by
        assert load(edge.port, targets, lambda target, response: None, threads=8) == []
        if edge.stats()["store_objects"] >= len(targets):
            return
        edge.wait_until(lambda: edge.stats()["store_queue_bytes"] == 0, "an empty queue")
    raise AssertionError("not all was stored")


def restart_cold(edge):
    edge.stop()
    if drop(edge.store / "data.mdb") > 0:
        pytest.skip("this file system keeps its files in memory")
    edge.start()


def ranges_are_right(edge, targets, rng):
    for target in targets:
        body = content.body_of(target)
        first = rng.randrange(len(body) - 10)
        last = min(len(body) - 1, first + rng.randrange(100_000))
        response = edge.get(target, {"Range": f"bytes={first}-{last}"})
        assert response.status == 206 and response.cache_status.hit
        assert response.body == body[first:last + 1]


@pytest.fixture
def stocked(origin, start_edge):
    generate(origin)
    edge = start_edge(origin=origin.url, store_size="1GB" if LONG else "256MB",
                      settings={"store.queue": "256MB", "slow_turn": "10ms"})
    store_all(edge, TARGETS)
    return edge


@pytest.mark.limit(600)
def test_a_cold_store_is_not_read_by_the_loops(origin, stocked):
    restart_cold(stocked)
    rng = random.Random(1)
    ranges_are_right(stocked, [TARGETS[-1 - i] for i in range(0, BIG, 2)], rng)
    shuffled = rng.sample(TARGETS, len(TARGETS))
    assert load(stocked.port, shuffled, check, threads=32) == []
    stats = stocked.stats()
    assert stats["store_cold_reads"] > SMALL // 20 + MIDDLE // 4
    assert stats["cache_hit"] == len(TARGETS) + BIG // 2 and stats["origin_requests"] == 0
    assert {name: stats[name] for name in QUIET} == QUIET
    assert load(stocked.port, shuffled, check, threads=8) == []  # nothing is cold now
    assert {name: stocked.stats()[name] for name in QUIET} == QUIET


@pytest.mark.limit(600)
def test_what_the_kernel_takes_away_under_way_is_brought_back(stocked):
    """The same while it runs: as when something else on the machine wants the memory."""
    data = stocked.store / "data.mdb"
    assert load(stocked.port, TARGETS, check, threads=8) == []
    before = stocked.stats()
    until = time.monotonic() + TRUST_S
    stocked.wait_until(lambda: time.monotonic() > until, "the loops trust nothing they saw before")
    if not page_out(stocked.process, data) or resident_pages(data) > os.path.getsize(data) // PAGE // 2:
        pytest.skip("the pages of another process cannot be taken away here")
    assert load(stocked.port, TARGETS, check, threads=32) == []
    stats = stocked.stats()
    assert stats["store_cold_reads"] > before["store_cold_reads"]
    assert {name: stats[name] for name in QUIET} == QUIET


# --- more requests than may wait


STORM = [content.path_of(1000 + i, f"t{i}") for i in range(300)]


def at_once(edge, requests):
    """All of them come while it does not run, so that it finds them together."""
    clients = []
    edge.process.send_signal(signal.SIGSTOP)
    for target, fields in requests:
        client = edge.client()
        client.send_request("GET", target, fields)
        clients.append(client)
    edge.process.send_signal(signal.SIGCONT)
    return clients


def test_beyond_the_queue_requests_go_to_the_origin(origin, start_edge, tmp_path):
    """One thread and one place: nearly all of a crowd is passed, and none is stored again."""
    log = tmp_path / "access.log"
    generate(origin)
    edge = start_edge(origin=origin.url, workers=1, settings={
        "store.warm_threads": "1", "store.warm_queue": "1", "log.access": str(log),
        "log.access_format": "json"})
    store_all(edge, STORM)
    restart_cold(edge)
    before = edge.stats()
    fields = [{"If-None-Match": '"v1"'} if i % 10 == 0 else {"Range": "bytes=10-19"} if i % 10 == 1
              else {"Cache-Control": "only-if-cached"} if i % 10 == 2 else {} for i in range(len(STORM))]
    passed = 0
    for target, asked, client in zip(STORM, fields, at_once(edge, zip(STORM, fields))):
        response = client.read_response()
        body = content.body_of(target)
        if response.status == 504:
            assert "Cache-Control" in asked and response.cache_status.detail == "only-if-cached"
            continue
        if not response.cache_status.hit:
            assert (response.cache_status.fwd, response.cache_status.detail) == ("miss", "store-cold")
            passed += 1
        if response.status == 206:
            assert "Range" in asked and response.body == body[10:20]
        elif response.status == 304:
            assert "If-None-Match" in asked
        else:
            assert response.status == 200 and response.body == body
    stats = edge.stats()
    assert passed > 0
    assert stats["store_cold"] == passed
    assert stats["store_cold_passed"] == passed + stats["only_if_cached"]
    assert stats["store_puts"] == before["store_puts"]
    assert {name: stats[name] for name in QUIET} == QUIET
    edge.wait_until(lambda: log.read_text().count("\n") >= stats["requests"], "the log")
    assert any(json.loads(line)["reason"] == "STORE_COLD" for line in log.read_text().splitlines())


def test_who_leaves_while_it_waits_for_the_disk_leaves_nothing_behind(origin, start_edge):
    generate(origin)
    edge = start_edge(origin=origin.url, workers=1, settings={"store.warm_threads": "1"})
    store_all(edge, STORM)
    restart_cold(edge)
    for client in reversed(at_once(edge, [(target, {}) for target in STORM])):
        client.reset()  # the last of them first: it waits longest
    edge.expect_stats(requests_active=0, connections_open=0)
    assert load(edge.port, STORM, check, threads=4) == []
    assert {name: edge.stats()[name] for name in QUIET} == QUIET


def test_a_cold_object_stands_in_for_a_failing_origin(origin, start_edge):
    """Twice it is looked up: before the origin is asked, and when that fails."""
    stale = {"Cache-Control": "max-age=1, stale-if-error=6000", "Age": "5", "ETag": '"v1"'}
    fails = False

    def answer(held):
        held.reply(503, {}, b"no") if fails else held.reply(200, stale, content.body_of(held.target))

    origin.serve_all(lambda target: target.startswith("/g/"), answer)
    edge = start_edge(origin=origin.url)
    store_all(edge, STORM[:100])
    restart_cold(edge)
    fails = True
    for target in STORM[:100]:
        response = edge.get(target)
        assert response.status == 200 and response.body == content.body_of(target)
        assert response.cache_status.detail == "stale-if-error"
    assert edge.stats()["store_cold_reads"] > 0
    assert {name: edge.stats()[name] for name in QUIET} == QUIET


def test_cold_slices_are_brought_in_one_after_the_other(origin, start_edge):
    """A partial object: its master, its slices' records and their bytes."""
    large = Large(24 * MIB)
    origin.serve_with("/large", large)
    edge = start_edge(origin=origin.url, store_size="128MB",
                      settings={"site.slice_above": "1MB", "site.slice": "1MB"})
    assert edge.get("/large").body == part_of("first", 0, 24 * MIB)
    edge.wait_for(store_puts=25)
    restart_cold(edge)
    asked = len(large.requests)
    for first in (17 * MIB + 5, 3 * MIB - 10, 0):
        response = edge.get("/large", {"Range": f"bytes={first}-{first + 2 * MIB}"})
        assert response.status == 206 and response.cache_status.hit
        assert response.body == part_of("first", first, first + 2 * MIB + 1)
    assert edge.get("/large").body == part_of("first", 0, 24 * MIB)
    assert len(large.requests) == asked  # nothing was fetched again
    assert edge.stats()["store_cold_reads"] > 10
    assert {name: edge.stats()[name] for name in QUIET} == QUIET
