"""Far more than fits: the file stays within its bound, and nobody gets an error or wrong bytes.

BRINK_LONG=1: 1 GiB through 64 MiB, and 100 MiB read slowly; otherwise a quarter of it.
"""

import os
import threading

import pytest

import content
from client import load

LONG = os.environ.get("BRINK_LONG") == "1"
MIB = 1024 * 1024
FRESH = {"Cache-Control": "max-age=6000"}


def check(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


def generate(origin):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))


def turn_over(edge, size):
    """More of it, until something had to go: a busy machine's writer may have let much pass by."""
    more = 0

    def evicted():
        nonlocal more
        targets = [content.path_of(size, f"more{more + i}") for i in range(20)]
        more += len(targets)
        assert load(edge.port, targets, check, threads=1) == []
        return edge.stats()["store_evictions"] > 0

    if edge.stats()["store_evictions"] == 0:
        edge.wait_until(evicted, "an eviction")


class Bound:
    """Looks at the store's file all the time; the largest length and disk use seen."""

    def __init__(self, edge):
        self.edge = edge
        self.length = self.disk = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.over.wait(0.02):
            files = self.edge.store_files()
            data = [path.stat() for path in files if path.exists()]
            self.length = max([self.length, *(stat.st_size for stat in data)])
            self.disk = max(self.disk, sum(stat.st_blocks * 512 for stat in data))

    def stop(self):
        self.over.set()
        self.thread.join()


@pytest.mark.limit(600)
@pytest.mark.parametrize("size", [1200, 32768, 1_000_000], ids=["small", "middle", "large"])
def test_misses_through_a_full_store(origin, start_edge, size):
    generate(origin)
    bound_len = 64 * MIB
    edge = start_edge(origin=origin.url, store_size="64MB")
    total = 1024 * MIB if LONG else 256 * MIB
    total //= 8 if size < 4096 else 1  # by count, not by bytes: each is a request
    bound = Bound(edge)
    targets = [content.path_of(size, f"c{i}") for i in range(total // size)]
    faults = load(edge.port, targets, check, threads=8)
    bound.stop()
    assert faults == [], f"{len(faults)} errors: {faults[:3]}"
    assert bound.length <= bound_len
    assert bound.disk <= bound_len + MIB  # with the index and the lock file
    assert origin.count() <= len(targets)
    assert edge.stats()["store_used_bytes"] <= bound_len
    if size >= 4096:
        turn_over(edge, size)
    recent = [target for target in targets[-20:]]
    assert load(edge.port, recent, check, threads=1) == []
    edge.expect_stats(store_commit_errors=0, store_bad_records=0, store_resets=0, fills_open=0)
    assert all(origin.count(target) <= 2 for target in recent)


@pytest.mark.limit(600)
def test_a_slow_reader_while_the_store_churns(origin, start_edge):
    """What a reader is sent stays as it was, however often the store is turned over meanwhile."""
    generate(origin)
    large = (100 if LONG else 24) * MIB
    edge = start_edge(origin=origin.url, store_size=f"{large * 3 // MIB}MB",
                      settings={"store.object_max": f"{large * 5 // 4 // MIB}MB",
                                "store.queue": "32MB"})
    target = content.path_of(large, "slow")
    body = content.body_of(target)
    check(target, edge.get(target))
    edge.wait_stored(1)
    slow = edge.client(rcvbuf=32768)
    slow.send_request("GET", target)
    assert slow.read_head().cache_status.hit
    bound = Bound(edge)
    rounds = 8
    got = b""
    for i in range(rounds):
        got = slow.read_body(large * (i + 1) // (rounds + 1), most=16384)
        churn = [content.path_of(262144, f"r{i}.{j}") for j in range(large * 3 // rounds // 65536)]
        assert load(edge.port, churn, check, threads=4) == []
    turn_over(edge, 262144)
    assert body.startswith(got)
    assert slow.read_response().body == body
    bound.stop()
    assert bound.length <= 3 * large


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_object_larger_than_the_store_takes_passes_through(origin, start_edge, chunked):
    """Known from its length, or found out on the way."""
    origin.serve_all(lambda target: True, lambda held: held.reply(
        200, FRESH, content.body_of(held.target), chunked=chunked))
    edge = start_edge(origin=origin.url, store_size="16MB")
    target = content.path_of(20 * MIB, "huge")
    before = edge.memory_kib()
    for _ in range(2):
        response = edge.get(target)
        check(target, response)
        assert not response.cache_status.hit
    assert edge.memory_kib() - before < 48 * 1024
    edge.expect_stats(store_objects=0, fills_open=0)
    small = content.path_of(1000, "small")
    edge.get(small)
    edge.wait_stored(1)
    assert edge.get(small).cache_status.hit


def test_what_is_asked_for_often_stays(origin, start_edge):
    """SIEVE: a hit sets a bit, and the bit saves the object when the store is full."""
    generate(origin)
    edge = start_edge(origin=origin.url, store_size="16MB")
    hot = [content.path_of(20000, f"hot{i}") for i in range(20)]
    assert load(edge.port, hot, check, threads=1) == []
    edge.wait_stored(len(hot))
    for i in range(20):
        assert load(edge.port, hot, check, threads=1) == []
        cold = [content.path_of(60000, f"cold{i}.{j}") for j in range(40)]
        assert load(edge.port, cold, check, threads=4) == []
    turn_over(edge, 60000)
    fetched = sum(origin.count(target) for target in hot)
    assert fetched < 3 * len(hot), f"hot objects were fetched {fetched} times"
