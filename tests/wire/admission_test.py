"""What is let into the store: too large passes through, the second request, a site's own share."""

import json
import re

import pytest

import content
from client import load
from edge import Edge
from large import Large, part_of
from ports import free_port

FRESH = {"Cache-Control": "max-age=6000"}
MIB = 1024 * 1024


def generate(origin):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))


# --- too large


def test_a_known_length_above_object_max_passes_through(origin, start_edge):
    """The head says so, and nothing of it goes to the store; the next one is not held up."""
    edge = start_edge(origin=origin.url, settings={"store.object_max": "64KB"})
    origin.serve("/a", 200, FRESH, b"x" * 100_000)
    for n in (1, 2):
        response = edge.get("/a")
        assert (response.status, len(response.body)) == (200, 100_000)
        assert not response.cache_status.hit
        assert response.cache_status.detail == "too-large" or n == 2
        edge.expect_stats(store_too_large=n, store_puts=0, store_puts_refused=0,
                          store_put_bytes=0)
    origin.serve("/b", 200, FRESH, b"x" * 65536)
    edge.get("/b")
    edge.wait_stored(1)
    assert edge.get("/b").cache_status.hit


def test_a_body_that_turns_out_too_large_passes_through(origin, start_edge):
    """In chunks, so that nobody knows before: whole for the client, and nothing stays behind."""
    edge = start_edge(origin=origin.url, settings={"store.object_max": "1MB"})
    body = content.body_of(content.path_of(3 * MIB, "chunks"))
    origin.serve("/a", 200, FRESH, body, chunked=True)
    response = edge.get("/a")
    assert (response.status, response.body) == (200, body)
    edge.expect_stats(store_too_large=1, store_puts=0, store_puts_refused=0, store_puts_aborted=1)
    assert not edge.get("/a").cache_status.hit
    origin.serve("/b", 200, FRESH, body[:MIB], chunked=True)
    assert edge.get("/b").body == body[:MIB]
    edge.wait_stored(1)
    assert edge.get("/b").cache_status.hit


# --- the second request


@pytest.fixture
def picky(origin, start_edge):
    return start_edge(origin=origin.url, settings={"site.store_on": "second"})


def test_the_second_request_stores(origin, picky):
    origin.serve("/a", 200, FRESH, b"hello")
    first = picky.get("/a")
    assert first.cache_status.detail == "first-request"
    assert not first.cache_status.stored
    picky.expect_stats(store_not_admitted=1, store_puts=0, cache_unstorable=0)
    second = picky.get("/a")
    assert second.cache_status.stored
    assert second.cache_status.fwd == "uri-miss"  # not remembered as unstorable
    picky.wait_stored(1)
    assert picky.get("/a").cache_status.hit
    picky.expect_stats(store_not_admitted=1, origin_requests=2)


def test_several_at_once_are_more_than_one(origin, picky):
    """Two who wait for one fetch share it, and it is stored."""
    first, second = picky.client(), picky.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    picky.wait_for(cache_collapsed=1)
    held.reply(200, FRESH, b"hello")
    assert first.read_response().body == second.read_response().body == b"hello"
    picky.wait_stored(1)
    picky.expect_stats(store_not_admitted=0, origin_requests=1)
    assert picky.get("/a").cache_status.hit


def test_what_is_stored_is_kept_when_it_changes(origin, picky):
    """A new version of a stored object replaces it at its first request."""
    stale = {"Cache-Control": "max-age=10", "Age": "60"}
    origin.serve("/a", 200, {**stale, "ETag": '"1"'}, b"one")
    picky.get("/a")
    picky.get("/a")
    picky.wait_stored(1)
    origin.serve("/a", 200, {**FRESH, "ETag": '"2"'}, b"two")
    assert picky.get("/a").body == b"two"
    picky.wait_stored(2)
    assert picky.get("/a").cache_status.hit
    picky.expect_stats(store_not_admitted=1)


def test_what_must_not_be_stored_says_so_first(origin, picky):
    origin.serve("/a", 200, {"Cache-Control": "no-store"}, b"x")
    for _ in range(2):
        assert picky.get("/a").cache_status.detail in ("no-store", "hit-for-miss")
    picky.expect_stats(store_not_admitted=0)


def test_one_hit_wonders_are_not_written(origin, picky):
    generate(origin)
    once = [content.path_of(5000, f"once{i}") for i in range(300)]
    twice = [content.path_of(5000, f"twice{i}") for i in range(30)]
    assert load(picky.port, once + twice + twice, lambda *_: None, threads=4) == []
    picky.expect_stats(store_puts=30, store_not_admitted=330)


# --- shares


@pytest.fixture
def start_sites(origin, tmp_path):
    """An edge with the sites a.test and b.test; `a`, `b`: what stands in their sections."""
    edges = []

    def start(a, b, edge=None):
        port, admin = (edge.port, edge.admin_port) if edge else (free_port(), free_port())
        file = tmp_path / "brink.conf"
        file.write_text(f"""
workers = 2
listen "127.0.0.1:{port}" {{}}
admin "127.0.0.1:{admin}" {{}}
store {{ path = "{tmp_path}/store"  size = "32MB"  batch_time = "5ms" }}
origin "o" {{ server "127.0.0.1:{origin.port}" {{}} }}
site "a" {{ hosts = {{"a.test"}} {a} }}
site "b" {{ hosts = {{"b.test"}} {b} }}
""")
        if edge:
            edge.restart()
            return edge
        edges.append(Edge(tmp_path / "sites", config=file))
        edges[0].port, edges[0].admin_port = port, admin
        edges[0].start()
        return edges[0]

    generate(origin)
    yield start
    for edge in edges:
        faults = edge.finish()
        assert not faults, faults


def ask(edge, host, targets):
    """How many were hits."""
    hits = 0
    with edge.client() as client:
        for target in targets:
            response = client.get(target, host=host)
            assert response.body == content.body_of(target)
            hits += response.cache_status.hit
    return hits


def shares(edge):
    return json.loads(edge.admin("GET", "/stats").body)["shares"]


def flood(edge, host, name, n=60, size=1_000_000):
    """More than the store holds; then what was there goes, if it goes at all."""
    before = edge.stats()["store_evictions"]
    for i in range(n):
        ask(edge, host, [content.path_of(size, f"{name}{i}")])
        if i % 8 == 7:
            edge.wait_for(store_puts=edge.stats()["store_puts"])
    edge.wait_until(lambda: edge.stats()["store_evictions"] > before, "an eviction")


def test_a_tenants_flood_evicts_only_its_own(origin, start_sites):
    """... nor after a restart, and what the flood borrowed comes back."""
    edge = start_sites('share = "30%"', "")
    kept = [content.path_of(50_000, f"kept{i}") for i in range(100)]
    ask(edge, "a.test", kept)
    edge.wait_stored(100)
    flood(edge, "b.test", "b")
    assert ask(edge, "a.test", kept) == 100
    figures = shares(edge)["a"]
    assert figures["objects"] == 100 and figures["evictions"] == 0
    assert figures["used_bytes"] >= 5_000_000
    metrics = edge.admin("GET", "/metrics").body.decode()
    assert re.search(r'^brink_share_objects\{site="a"\} 100$', metrics, re.M)
    assert re.search(r'^brink_share_evictions_total\{site="a"\} 0$', metrics, re.M)
    assert 'site="b"' not in metrics
    start_sites('share = "30%"', "", edge)
    flood(edge, "b.test", "more")
    assert ask(edge, "a.test", kept) == 100


def test_slices_count_to_the_share(origin, start_sites):
    """Those of the first fetch, those that ranges bring, and what a restart finds."""
    edge = start_sites('share = "40%" slice_above = "1MB" slice = "256KB"', "")
    large = Large(6 * MIB)
    origin.serve_with("/large", large)
    with edge.client() as client:
        assert client.get("/large", host="a.test").body == part_of("first", 0, 6 * MIB)
    edge.wait_until(lambda: shares(edge)["a"]["used_bytes"] > 6 * MIB, "all slices stored")
    before = shares(edge)["a"]["objects"]
    assert before >= 25  # the master, and a slice for each 256 KB of whole pieces
    flood(edge, "b.test", "b")
    assert shares(edge)["a"]["objects"] == before
    edge.restart()
    edge.wait_until(lambda: shares(edge)["a"]["objects"] == before, "what was saved")


def test_a_flood_within_a_share_leaves_the_rest_alone(origin, start_sites):
    edge = start_sites('share = "30%"', "")
    kept = [content.path_of(50_000, f"kept{i}") for i in range(200)]
    ask(edge, "b.test", kept)
    edge.wait_stored(200)
    flood(edge, "a.test", "a")
    assert ask(edge, "b.test", kept) == 200
    assert shares(edge)["a"]["evictions"] > 0
