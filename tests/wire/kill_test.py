"""kill -9 in the middle of a miss storm: what is served afterwards is right, and no page is lost.

BRINK_KILLS sets how many kills (10).
"""

import itertools
import os
import random
import threading

import pytest

import content
from client import Client, load

KILLS = int(os.environ.get("BRINK_KILLS", "10"))
SIZES = (10, 700, 1500, 1600, 20000, 65512, 70000, 300000)
FRESH = {"Cache-Control": "max-age=6000"}


def check(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


class Storm:
    """Clients that miss without pause until the daemon dies under them."""

    def __init__(self, port, names):
        self.port = port
        self.names = names
        self.asked = []
        self.wrong = []
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(4)]
        for thread in self.threads:
            thread.start()

    def _run(self, seed):
        dice = random.Random(seed)
        try:
            with Client(self.port) as client:
                for name in self.names:
                    target = content.path_of(dice.choice(SIZES), name)
                    self.asked.append(target)
                    check(target, client.get(target))
        except AssertionError as fault:
            self.wrong.append(fault)
        except Exception:  # the daemon was killed: that is the point
            pass

    def join(self):
        for thread in self.threads:
            thread.join()


def assert_no_page_lost(edge):
    """What is counted as used, with what is free, is the file; and the file is within its bound."""
    seen = edge.stats()
    assert seen["store_bad_records"] == 0
    assert seen["store_resets"] == 0
    assert 0 < seen["store_used_bytes"] <= seen["store_size_bytes"]
    assert seen["store_file_bytes"] <= seen["store_size_bytes"]


@pytest.mark.limit(120 + 10 * KILLS)
def test_kill_9_in_a_miss_storm(origin, start_edge):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    edge = start_edge(origin=origin.url, store_size="32MB", settings={"store.batch_time": "20ms"})
    names = (f"n{i}" for i in itertools.count())
    lock = threading.Lock()

    def shared_names():
        while True:
            with lock:
                name = next(names)
            yield name

    dice = random.Random(9)
    asked, survived = [], 0
    for _ in range(KILLS):
        storm = Storm(edge.port, shared_names())
        edge.wait_for(store_puts=dice.randrange(20, 200))
        edge.kill()
        storm.join()
        assert not storm.wrong, storm.wrong[:3]
        asked = (asked + storm.asked)[-2000:]
        edge.start()
        assert load(edge.port, asked[-300:], check, threads=4) == []
        survived += edge.stats()["cache_hit"]
        assert_no_page_lost(edge)
    assert survived > 0, "nothing survived any kill"
    edge.stop()
    edge.start()
    assert load(edge.port, asked, check, threads=4) == []
    assert_no_page_lost(edge)
    edge.purge(purge_everything=True)
    edge.expect_stats(store_objects=0)
    assert_empty_store_is_empty(edge)


def assert_empty_store_is_empty(edge):
    """With every object gone, what is still used is the tree's own pages: leaks would remain."""
    edge.wait_until(lambda: edge.stats()["store_used_bytes"] < 1_000_000, "pages come free")


def test_kill_9_right_after_the_answer(origin, start_edge):
    """A response that was counted as stored is a hit after kill -9: the commit was durable."""
    origin.serve_all(lambda target: True,
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    edge = start_edge(origin=origin.url)
    targets = [content.path_of(size, f"d{i}") for i, size in enumerate(SIZES)]
    for target in targets:
        check(target, edge.get(target))
    edge.wait_stored(len(targets))
    edge.kill()
    origin.stop()
    edge.start()
    for target in targets:
        response = edge.get(target)
        check(target, response)
        assert response.cache_status.hit


def test_kill_9_twice_while_starting(origin, start_edge):
    """Also the rebuilding of the index may be cut short."""
    origin.serve_all(lambda target: True,
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    edge = start_edge(origin=origin.url)
    targets = [content.path_of(2000, f"s{i}") for i in range(300)]
    assert load(edge.port, targets, check) == []
    edge.wait_stored(len(targets))
    edge.kill()
    for _ in range(3):
        edge.start(wait=False)
        edge.wait_until(lambda: "event=starting" in edge.log_text().splitlines()[-1]
                        or "event=ready" in edge.log_text().splitlines()[-1]
                        or "event=store" in edge.log_text().splitlines()[-1], "it starts")
        edge.kill()
    origin.stop()
    edge.start()
    assert load(edge.port, targets, check) == []


def test_a_damaged_file_is_set_aside(origin, start_edge):
    """A broken cache never keeps the daemon down."""
    origin.serve_all(lambda target: True,
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    edge = start_edge(origin=origin.url)
    targets = [content.path_of(5000, f"x{i}") for i in range(50)]
    assert load(edge.port, targets, check) == []
    edge.wait_stored(50)
    edge.kill()
    largest = next(path for path in edge.store_files() if path.name == "data.mdb")
    with open(largest, "r+b") as file:
        file.write(os.urandom(3 * 4096))
    edge.start()
    assert load(edge.port, targets, check) == []
    edge.expect_stats(store_resets=1)
    assert edge.log_events("store_fault") or edge.log_events("store")


class Purger:
    """Purges of every kind, hard and soft, one after the other until the daemon dies; what each that
    was acknowledged has made too old."""

    NAMES = 6

    def __init__(self, origin, edge):
        self.edge = edge
        self.current = 0
        self.acknowledged = [0] * self.NAMES
        self.purges = 0
        for i in range(self.NAMES):
            origin.serve_with(f"/v{i}/", lambda held, i=i: held.reply(
                200, {**FRESH, "Surrogate-Key": f"red t{i}"}, b"%d" % self.current))

    def one(self, dice):
        i, soft = dice.randrange(self.NAMES), dice.random() < 0.4
        fields = {"Soft-Purge": "1"} if soft else {}
        everyone = range(self.NAMES)
        named, purge = dice.choice([
            ([i], lambda: self.edge.request("PURGE", f"/v{i}/", fields)),
            ([i], lambda: self.edge.request("PURGE", "/", {"Surrogate-Key": f"t{i}", **fields})),
            ([i], lambda: self.edge.purge(files=[f"http://site.test/v{i}/"], soft=soft)),
            ([i], lambda: self.edge.purge(tags=[f"t{i}"], soft=soft)),
            ([i], lambda: self.edge.purge(prefixes=[f"site.test/v{i}"], soft=soft)),
            (everyone, lambda: self.edge.purge(hosts=["site.test"], soft=soft)),
            (everyone, lambda: self.edge.purge(purge_everything=True, soft=soft)),
        ])
        self.current += 1
        version = self.current
        if getattr(purge(), "status", 200) not in (200, 404):
            return
        for name in named:
            self.acknowledged[name] = version
        self.purges += 1

    def run(self, over, seed):
        dice = random.Random(seed)
        try:
            while not over.is_set():
                self.one(dice)
        except Exception:  # the daemon was killed
            pass

    def read(self, over):
        try:
            with Client(self.edge.port) as client:
                while not over.is_set():
                    for i in range(self.NAMES):
                        client.get(f"/v{i}/")
        except Exception:  # the daemon was killed
            pass


@pytest.mark.limit(120 + 10 * KILLS)
def test_acknowledged_purges_hold_through_kill_9(origin, start_edge):
    """In a storm of reads and purges: after each kill, from the first request on, while the index is
    being rebuilt and after it, nothing older than the last receipt."""
    edge = start_edge(origin=origin.url, settings={"store.batch_time": "20ms"})
    purger = Purger(origin, edge)
    dice = random.Random(5)

    for kill in range(max(3, KILLS // 2)):
        over = threading.Event()
        threads = [threading.Thread(target=purger.read, args=(over,), daemon=True) for _ in range(3)]
        threads.append(threading.Thread(target=purger.run, args=(over, kill), daemon=True))
        for thread in threads:
            thread.start()
        edge.wait_for(purges=dice.randrange(5, 40), store_puts=3)
        edge.kill()
        over.set()
        for thread in threads:
            thread.join()
        edge.start()
        for _ in range(2):
            for i, least in enumerate(purger.acknowledged):
                assert int(edge.get(f"/v{i}/").body) >= least
            edge.wait_until(lambda: edge.admin("GET", "/readyz").status == 200, "the index is whole")
    assert purger.purges > 3 * KILLS // 2
