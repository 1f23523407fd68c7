"""Floods of what takes memory: each bound holds while they last, everybody gets the right bytes, and
afterwards it is as before.

BRINK_LONG=1: more of everything.
"""

import os
import threading

import pytest

import content
from client import load
from edge import sanitizers

LONG = os.environ.get("BRINK_LONG") == "1"
KIB = 1024
MIB = 1024 * 1024
FRESH = {"Cache-Control": "max-age=6000"}


def check(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


def generate(origin):
    def answer(held):
        chunked = "chunked" in held.target
        fields = {"Cache-Control": "no-store"} if "unstored" in held.target else FRESH
        held.reply(200, fields, content.body_of(held.target), chunked=chunked)

    origin.serve_all(lambda target: target.startswith("/g/"), answer)


class Gauges:
    """The most that each was while it looked."""

    def __init__(self, edge, *names):
        self.edge = edge
        self.most = dict.fromkeys([*names, "rss_kib"], 0)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.over.wait(0.02):
            seen = {**self.edge.stats(), "rss_kib": self.edge.memory_kib()}
            for name in self.most:
                self.most[name] = max(self.most[name], seen[name])

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.most


def is_a_hit(edge, target):
    response = edge.get(target)
    check(target, response)
    return response.cache_status.hit


@pytest.mark.limit(300)
def test_many_large_misses_with_slow_readers(origin, start_edge):
    """fill_memory holds, what it has no room for passes through unstored, and nobody waits for ever."""
    generate(origin)
    edge = start_edge(origin=origin.url, store_size="64MB",
                      settings={"fill_memory": "2MB", "fill_window": "1MB", "store.queue": "4MB"})
    before = edge.memory_kib()
    gauges = Gauges(edge, "fill_bytes", "store_queue_bytes", "fills_open")
    readers = []

    def ask(kinds, n):
        for i in range(n):
            target = content.path_of(6_000_000, f"{kinds[i % len(kinds)]}{len(readers)}")
            for _ in range(1 + i % 2):  # some share a fetch
                client = edge.client(rcvbuf=8192)
                client.send_request("GET", target)
                readers.append((target, client))

    ask(["unstored", "unstored-chunked"], 40 if LONG else 4)
    edge.wait_for(fill_bytes=1_900_000)  # all but the last blocks
    ask(["length", "chunked", "unstored"], 100 if LONG else 9)
    edge.wait_for(fill_memory=1)
    for target, client in readers:  # one after the other: who comes late has waited long
        check(target, client.read_response())
    edge.expect_stats(fills_open=0, fill_bytes=0)
    most = gauges.stop()
    assert most["fills_open"] > 10
    assert most["fill_bytes"] <= 2 * MIB + len(readers) * 32 * KIB
    assert most["store_queue_bytes"] <= 4 * MIB
    spare = 40 if sanitizers() else 12  # what is freed is not given back at once
    assert most["rss_kib"] - before < (2 + 4 + spare) * KIB + len(readers) * 200
    edge.wait_until(lambda: is_a_hit(edge, content.path_of(300_000, "after")), "a hit")
    load(edge.port, [content.path_of(70_000, f"more{i}") for i in range(20)], check)


@pytest.mark.limit(120)
def test_more_misses_than_the_writer_takes(origin, start_edge):
    """store.queue holds, what finds no room passes through unstored, and purges are not refused."""
    generate(origin)
    edge = start_edge(origin=origin.url, settings={"store.queue": "1MB", "fill_window": "64MB"})
    kept = [content.path_of(2000, f"kept{i}") for i in range(20)]
    assert load(edge.port, kept, check) == []
    edge.wait_stored(len(kept))
    edge.expect_stats(store_queue_bytes=0)
    gauges = Gauges(edge, "store_queue_bytes", "store_puts_refused")
    faults, rounds, purged = [], [], threading.Event()

    def flood():
        while not purged.is_set() or len(rounds) < (20 if LONG else 2):
            rounds.append(len(rounds))
            targets = [content.path_of(size, f"flood{rounds[-1]}.{i}") for i in range(20)
                       for size in (300_000, 40_000, 700)]
            targets.insert(0, content.path_of(8_000_000, f"flood{rounds[-1]}"))
            faults.extend(load(edge.port, targets, check, threads=16))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        edge.wait_for(store_puts_refused=1)
        for target in kept:
            edge.purge(files=[f"http://site.test{target}"])
    finally:
        purged.set()
        thread.join()
    assert faults == []
    assert 0 < gauges.stop()["store_queue_bytes"] <= MIB
    assert edge.stats()["purges"] == len(kept)
    for target in kept:
        assert not is_a_hit(edge, target), f"{target} was purged"
    edge.expect_stats(store_queue_bytes=0, fills_open=0, fill_bytes=0)
    for target in kept + [content.path_of(300_000, "afterwards")]:
        edge.wait_until(lambda target=target: is_a_hit(edge, target), f"{target} is a hit")


class Everything:
    """What a flood is made of, each with its own bound; who sends or reads gets the right answers."""

    def __init__(self, edge, scale):
        self.edge, self.scale = edge, scale
        self.faults, self.half_heads, self.readers = [], [], []
        self.senders = [threading.Thread(target=send, daemon=True)
                        for send in (self.send_gets, self.send_uploads)]

    def send_gets(self):
        """Tiny and large objects, keys that are not storable, rules of No-Vary-Search."""
        sizes = {"tiny": 10, "middle": 50_000, "large": 3_000_000, "unstored": 100, "rule": 100}
        counts = {"tiny": 300, "middle": 60, "large": 4, "unstored": 200, "rule": 200}
        targets = [content.path_of(sizes[kind], f"{kind}{i}") for kind, n in counts.items()
                   for i in range(n * self.scale)]
        targets.sort(key=lambda target: content.digest(target.encode()))  # mixed, the same each time
        self.faults += load(self.edge.port, targets, check, threads=12)

    def send_uploads(self):
        body = content.body_of(content.path_of(2_000_000, "upload"))
        for i in range(6 * self.scale):
            response = self.edge.request("POST", f"/upload/{i}", None, body)
            if response.body != content.digest(body).encode():
                self.faults.append((i, response.status))

    def open_half_heads(self):
        for _ in range(100 * self.scale):
            client = self.edge.client()
            client.send(b"GET /half HTTP/1.1\r\nHost: site.test\r\nX-A: " + b"a" * 5000)
            self.half_heads.append(client)

    def open_slow_readers(self):
        for i in range(20 * self.scale):
            target = content.path_of(4_000_000, f"slow{i % 10}{'' if i % 3 else '.unstored'}")
            client = self.edge.client(rcvbuf=8192)
            client.send_request("GET", target)
            self.readers.append((target, client))

    def run(self):
        for thread in self.senders:
            thread.start()
        self.open_slow_readers()
        self.open_half_heads()
        for thread in self.senders:
            thread.join()
        for target, client in self.readers:
            check(target, client.read_response())


@pytest.mark.limit(300)
def test_everything_at_once(origin, start_edge):
    """Each gauge stays within its bound, and the memory of all within their sum."""
    rule = {**FRESH, "No-Vary-Search": 'params=("utm")'}
    origin.serve_all(lambda target: "/rule" in target,
                     lambda held: held.reply(200, rule, content.body_of(held.target)))
    origin.serve_all(lambda target: target.startswith("/upload/"),
                     lambda held: held.reply(200, {"Cache-Control": "no-store"},
                                             content.digest(held.body).encode()))
    generate(origin)
    bounds = {"fill_bytes": 2 * MIB, "store_queue_bytes": MIB, "store_index_bytes": 4 * MIB,
              "exchange_bytes": MIB, "input_bytes": 256 * KIB}
    edge = start_edge(origin=origin.url, store_size="64MB",
                      settings={"fill_memory": "2MB", "fill_window": "1MB", "store.queue": "1MB",
                                "store.index_memory": "4MB", "exchange_memory": "1MB",
                                "input_memory": "256KB"})
    before = edge.memory_kib()
    gauges = Gauges(edge, *bounds, "connections_open", "fills_open")
    flood = Everything(edge, 5 if LONG else 1)
    flood.run()
    most = gauges.stop()
    assert flood.faults == []
    exchanges = len(flood.readers) + 12 + 1
    bounds["fill_bytes"] += exchanges * 32 * KIB  # those that found no room
    bounds["input_bytes"] += 2 * 32 * KIB  # the head that is one too many, of each worker
    assert {name: (most[name], bound) for name, bound in bounds.items() if most[name] > bound} == {}
    seen = edge.stats()
    assert seen["shed_input"] > 0 and seen["search_rules_learned"] > 0
    if not sanitizers():
        spare = 8 * KIB  # what is freed is not given back at once; the tables of constant size
        assert most["rss_kib"] - before < sum(bounds.values()) // KIB + 4 * most["connections_open"] + spare
    for client in flood.half_heads:
        client.close()
    edge.expect_stats(fills_open=0, fill_bytes=0, exchange_bytes=0, input_bytes=0, store_queue_bytes=0)
    edge.wait_until(lambda: is_a_hit(edge, content.path_of(300_000, "after")), "a hit")
