"""Stored bytes that changed on the disk are never sent as if they were right."""

import pytest

import content
import h1
import pagecache
from damage import damage, damage_body
from large import Large, part_of

FRESH = {"Cache-Control": "max-age=6000", "ETag": '"one"'}
PIECE = 65512  # of the store
SLICE = 4 * PIECE  # of what is kept in slices of 256 KB
MIB = 1 << 20

# Length of the body, the byte that changes, and whether it lies in the record.
EARLY = {
    "a body in its record": (1400, 700, True),
    "the rest of a body": (PIECE + 900, PIECE + 10, True),
    "the only piece": (5000, 4000, False),
    "the first piece": (300000, 100, False),
    "a later piece": (300000, 2 * PIECE + 77, False),
    "the last piece": (300000, 4 * PIECE + 32744 + 100, False),
    "early in a large one": (5 * MIB, 3 * PIECE + 5, False),
}
LATE = {
    "a piece behind the first write": (5 * MIB, 20 * PIECE + 5),
    "a piece without a bit of its own": (5 * MIB, 60 * PIECE + 5),
    "the last piece of a large one": (5 * MIB, 5 * MIB - 600),
}


def store_some(origin, edge, length):
    """Two objects of that length; the first of them is to be damaged."""
    target, other = content.path_of(length, "bad"), content.path_of(length, "good")
    for path in (target, other):
        origin.serve(path, 200, FRESH, content.body_of(path))
        assert edge.get(path).body == content.body_of(path)
    edge.wait_stored(2)
    return target, other


def restart(edge, how, change):
    """`how`: "cold": as after a power cycle, nothing of the file is in memory."""
    if how == "killed":
        edge.kill()
    else:
        edge.stop()
    change()
    if how == "cold":
        pagecache.drop(edge.store / "data.mdb")
    edge.start()


def expect_whole(edge, target, hit):
    response = edge.get(target)
    assert response.status == 200 and response.body == content.body_of(target)
    assert bool(response.cache_status.hit) == hit
    return response


@pytest.mark.parametrize("how", ["stopped", "killed", "cold"])
@pytest.mark.parametrize("kind", EARLY)
def test_damage_in_the_first_bytes_is_a_miss(origin, start_edge, kind, how):
    """Nothing was sent yet: the origin is asked, and nobody notices."""
    length, at, of_record = EARLY[kind]
    edge = start_edge(origin=origin.url)
    target, other = store_some(origin, edge, length)
    restart(edge, how, lambda: damage_body(edge, content.body_of(target), at))
    expect_whole(edge, target, hit=False)
    edge.expect_stats(store_bad_records=int(of_record), store_bad_pieces=int(not of_record),
                      cache_miss=1, cache_hit=0, store_puts=1, store_cold_in_loop=0)
    expect_whole(edge, target, hit=True)
    expect_whole(edge, other, hit=True)
    assert (origin.count(target), origin.count(other)) == (2, 1)
    edge.expect_stats(store_bad_records=int(of_record), store_bad_pieces=int(not of_record),
                      store_objects=2, requests_aborted=0)
    if not (of_record and how == "killed"):  # else the scan did not take it in
        assert len(edge.log_events("store_damage")) == 1


@pytest.mark.parametrize("how", ["stopped", "killed", "cold"])
@pytest.mark.parametrize("kind", LATE)
def test_damage_further_on_cuts_the_response(origin, start_edge, kind, how):
    """Bytes have been sent, and the rest will not come: the client must see that. RFC 9112
    section 8. The next request has it from the origin."""
    length, at = LATE[kind]
    edge = start_edge(origin=origin.url)
    target, other = store_some(origin, edge, length)
    restart(edge, how, lambda: damage_body(edge, content.body_of(target), at))
    with pytest.raises(h1.Truncated) as cut:
        edge.get(target)
    got = b"".join(cut.value.parser.parts)
    assert content.body_of(target).startswith(got) and len(got) <= at
    edge.expect_stats(store_bad_pieces=1, requests_aborted=1)
    expect_whole(edge, target, hit=False)
    edge.wait_stored(1)
    expect_whole(edge, target, hit=True)
    expect_whole(edge, other, hit=True)
    edge.expect_stats(store_bad_pieces=1, store_bad_records=0, store_objects=2)


def test_ranges_of_a_damaged_body(origin, start_edge):
    """A range is compared piece by piece: one elsewhere is a hit, one that needs the piece is not."""
    edge = start_edge(origin=origin.url)
    target, _ = store_some(origin, edge, 5 * MIB)
    body = content.body_of(target)
    bad = 40 * PIECE + 50
    restart(edge, "stopped", lambda: damage_body(edge, body, bad))
    for first, end in ((0, 1000), (39 * PIECE, 40 * PIECE), (41 * PIECE, 41 * PIECE + 9)):
        response = edge.get(target, {"Range": f"bytes={first}-{end - 1}"})
        assert response.status == 206 and response.cache_status.hit
        assert response.body == body[first:end]
    edge.expect_stats(store_bad_pieces=0)
    first, end = 40 * PIECE + 60000, 40 * PIECE + 60010  # in the piece, not where it is damaged
    response = edge.get(target, {"Range": f"bytes={first}-{end - 1}"})
    assert not response.cache_status.hit
    assert response.status in (200, 206)
    assert response.body == (body if response.status == 200 else body[first:end])
    edge.expect_stats(store_bad_pieces=1)
    edge.wait_stored(1)
    response = edge.get(target, {"Range": f"bytes={first}-{end - 1}"})
    assert response.cache_status.hit and response.body == body[first:end]


def test_several_ranges_of_a_damaged_body(origin, start_edge):
    """The first of several parts decides whether the object will do."""
    edge = start_edge(origin=origin.url)
    target, _ = store_some(origin, edge, 300000)
    body = content.body_of(target)
    restart(edge, "stopped", lambda: damage_body(edge, body, 2 * PIECE + 50))
    response = edge.get(target, {"Range": f"bytes={2 * PIECE + 9}-{2 * PIECE + 12},5-9"})
    assert not response.cache_status.hit and response.status in (200, 206)
    if response.status == 200:
        assert response.body == body
    else:
        assert body[2 * PIECE + 9:2 * PIECE + 13] in response.body and body[5:10] in response.body
    edge.expect_stats(store_bad_pieces=1)


def test_a_head_needs_no_body(origin, start_edge):
    """HEAD is answered from the record, which is right."""
    edge = start_edge(origin=origin.url)
    target, _ = store_some(origin, edge, 300000)
    restart(edge, "stopped", lambda: damage_body(edge, content.body_of(target), 100))
    assert edge.request("HEAD", target).cache_status.hit
    edge.expect_stats(store_bad_pieces=0)
    expect_whole(edge, target, hit=False)


def test_a_damaged_record_is_not_validated(origin, start_edge):
    """What the record says cannot be trusted, its validator neither."""
    edge = start_edge(origin=origin.url)
    target = content.path_of(1200, "old")
    origin.serve(target, 200, {"Cache-Control": "no-cache", "ETag": '"one"'}, content.body_of(target))
    edge.get(target)
    edge.wait_stored(1)
    restart(edge, "stopped", lambda: damage(edge, b'ETag: "one"', 7))
    origin.forget(target)
    with edge.client() as client:
        client.send_request("GET", target)
        held = origin.next_request()
        assert held.get("If-None-Match") is None
        held.reply(200, FRESH, content.body_of(target))
        assert client.read_response().body == content.body_of(target)
    edge.wait_stored(1)
    expect_whole(edge, target, hit=True)
    edge.expect_stats(store_bad_records=1)


@pytest.mark.parametrize("how", ["stopped", "cold"])
@pytest.mark.parametrize("kind", ["the first piece", "a later piece"])
def test_a_body_that_was_confirmed_is_damaged(origin, start_edge, kind, how):
    """A 304 says that the stored body is right, and it is not: it is fetched after all."""
    length, at, _ = EARLY[kind]
    edge = start_edge(origin=origin.url)
    target = content.path_of(length, "old")
    origin.serve(target, 200, {"Cache-Control": "no-cache", "ETag": '"one"'}, content.body_of(target))
    edge.get(target)
    edge.wait_stored(1)
    restart(edge, how, lambda: damage_body(edge, content.body_of(target), at))
    origin.forget(target)
    with edge.client() as client:
        client.send_request("GET", target)
        held = origin.next_request()
        assert held.get("If-None-Match") == '"one"'
        held.reply(304, FRESH)
        held = origin.next_request()
        assert held.get("If-None-Match") is None
        held.reply(200, FRESH, content.body_of(target))
        assert client.read_response().body == content.body_of(target)
    edge.wait_stored(1)
    expect_whole(edge, target, hit=True)
    edge.expect_stats(store_bad_pieces=1, store_bad_records=0, cache_hit=1, cache_collapsed=0)


def test_a_stale_body_that_is_damaged_cannot_stand_in(origin, start_edge):
    """RFC 5861 section 4: an error of the origin's is better than wrong bytes."""
    edge = start_edge(origin=origin.url)
    target = content.path_of(5000, "old")
    origin.serve(target, 200, {"Cache-Control": "max-age=1, stale-if-error=6000", "Age": "100"},
                 content.body_of(target))
    edge.get(target)
    edge.wait_stored(1)
    origin.serve(target, 500, {}, b"sorry")
    assert edge.get(target).body == content.body_of(target)  # with the body right, it does
    restart(edge, "stopped", lambda: damage_body(edge, content.body_of(target), 3000))
    response = edge.get(target)
    assert response.status >= 500 and content.body_of(target)[:3000] not in response.body
    edge.expect_stats(store_bad_pieces=1)


@pytest.mark.parametrize("how", ["stopped", "cold"])
@pytest.mark.parametrize("first,end,bad", [
    (0, 3 * MIB, 100), (0, 3 * MIB, 300000), (0, 3 * MIB, 2 * MIB), (700000, 900000, 786500),
    (1000000, 3 * MIB, 3 * MIB - 70000)])
def test_slices_mend_themselves(origin, start_edge, first, end, bad, how):
    """A damaged slice is fetched again in the middle of a response: the validator says that it is of
    the same representation."""
    edge = start_edge(origin=origin.url,
                      settings={"site.slice_above": "1MB", "site.slice": "256KB"})
    large = Large(3 * MIB)
    origin.serve_with("/large", large)
    assert edge.get("/large").received == 3 * MIB
    edge.wait_stored(14)  # 13 slices and what they have in common
    line = bad // 64 * 64
    restart(edge, how, lambda: damage(edge, part_of("first", line, line + 64), 10))
    before = len(large.ranges())
    response = edge.get("/large", {"Range": f"bytes={first}-{end - 1}"})
    assert response.status == 206 and response.body == part_of("first", first, end)
    assert len(large.ranges()) == before + 1
    if how == "stopped":  # else it was not known yet when the head went out
        assert bool(response.cache_status.hit) == (bad // SLICE != first // SLICE)
    edge.expect_stats(store_bad_pieces=1, store_puts=1)
    response = edge.get("/large", {"Range": f"bytes={first}-{end - 1}"})
    assert response.cache_status.hit and response.body == part_of("first", first, end)
    edge.expect_stats(store_bad_pieces=1)
