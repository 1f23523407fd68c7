"""Large objects that are kept in slices. RFC 9110 section 15.3.7.3, RFC 9111 sections 3.3, 3.4."""

import random
import threading

import pytest

import h1
from client import Client
from large import Large, part_of
from origin import reply_head

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SLICE = 256 * KIB // 65512 * 65512  # whole pieces of the store
SETTINGS = {"site.slice_above": "1MB", "site.slice": "256KB"}
PATH = "/large"

pytestmark = pytest.mark.edge(settings=SETTINGS)


@pytest.fixture
def large(origin):
    served = Large(3 * MIB + 77)
    origin.serve_with(PATH, served)
    return served


def expect_range(response, large, first, end, tag=None):
    assert response.status == 206
    assert response["Content-Range"] == f"bytes {first}-{end - 1}/{large.length}"
    assert response["Content-Type"] == "video/mp4"
    assert response.body == part_of(tag or large.tag, first, end)


def ask(edge, first, end, **fields):
    return edge.get(PATH, {"Range": f"bytes={first}-{end - 1}", **fields})


def slice_range(n, large):
    return (n * SLICE, min((n + 1) * SLICE, large.length))


def test_a_range_brings_in_its_slice_alone(edge, large):
    """Of a large object that is not stored: two round trips, and nothing before the range."""
    response = ask(edge, 2 * MIB, 2 * MIB + 1000)
    expect_range(response, large, 2 * MIB, 2 * MIB + 1000)
    assert response.cache_status.fwd == "uri-miss"
    assert large.requests[0] is None
    assert large.ranges() == [slice_range(2 * MIB // SLICE, large)]
    edge.wait_stored(2)
    again = ask(edge, 2 * MIB + 5, 2 * MIB + 900)
    expect_range(again, large, 2 * MIB + 5, 2 * MIB + 900)
    assert again.cache_status.hit
    edge.expect_stats(partial_objects=1, slices_fetched=1, origin_requests=2, cache_hit=1,
                      cache_miss=1)


@pytest.mark.tsan
def test_the_whole_completes_itself(edge, large):
    """RFC 9111 section 3.4: parts of one representation become the whole, asked for once each."""
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    response = edge.get(PATH)
    assert response.status == 200
    assert int(response["Content-Length"]) == large.length
    assert response.get("Content-Range") is None
    assert response.body == part_of("first", 0, large.length)
    assert response.cache_status.fwd == "partial"
    slices = -(-large.length // SLICE)
    edge.wait_stored(slices + 1)
    assert sorted(large.ranges()) == [slice_range(n, large) for n in range(slices)]
    assert large.wholes() == 1
    response = edge.get(PATH)
    assert response.body == part_of("first", 0, large.length)
    assert response.cache_status.hit
    edge.expect_stats(origin_requests=slices + 1)


def test_the_middle_of_a_gibibyte(origin, edge):
    """Nothing large goes anywhere, and the object is larger than the store takes."""
    large = Large(GIB)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, GIB // 2, GIB // 2 + 100), large, GIB // 2, GIB // 2 + 100)
    expect_range(edge.get(PATH, {"Range": "bytes=-50"}), large, GIB - 50, GIB)
    expect_range(edge.get(PATH, {"Range": f"bytes={GIB - 5}-"}), large, GIB - 5, GIB)
    assert large.wholes() == 1
    assert len(large.ranges()) == 2
    assert edge.stats()["origin_bytes_in"] < 16 * MIB


def test_over_the_seam_of_slices(edge, large):
    first, end = 2 * SLICE - 10, 3 * SLICE + 10
    expect_range(ask(edge, first, end), large, first, end)
    assert large.ranges() == [slice_range(n, large) for n in (1, 2, 3)]


def test_several_ranges(edge, large):
    """RFC 9110 section 15.3.7.2, each part from its own slice."""
    response = edge.get(PATH, {"Range": "bytes=2000000-2000009,0-9"})
    assert response.status == 206
    assert part_of("first", 2000000, 2000010) in response.body
    assert part_of("first", 0, 10) in response.body
    assert len(large.ranges()) == 2


def test_no_range_that_can_be_satisfied(edge, large):
    """RFC 9110 section 15.5.17; no slice is asked for."""
    response = edge.get(PATH, {"Range": "bytes=99999999-"})
    assert response.status == 416
    assert response["Content-Range"] == f"bytes */{large.length}"
    assert large.requests == [None]


def test_head_and_conditions_need_no_bytes(edge, large):
    """RFC 9110 sections 9.3.2 and 13.2.2."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    response = edge.request("HEAD", PATH, {"Range": "bytes=0-9"})
    assert (response.status, int(response["Content-Length"])) == (200, large.length)
    assert response.cache_status.hit
    assert ask(edge, MIB, MIB + 10, **{"If-None-Match": '"first"'}).status == 304
    assert len(large.ranges()) == 1


def test_only_if_cached(edge, large):
    """RFC 9111 section 5.2.1.7."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    only = {"Cache-Control": "only-if-cached"}
    expect_range(ask(edge, 2 * MIB + 20, 2 * MIB + 30, **only), large, 2 * MIB + 20, 2 * MIB + 30)
    assert ask(edge, MIB, MIB + 10, **only).status == 504
    assert edge.get(PATH, only).status == 504
    assert len(large.ranges()) == 1


def test_if_range(edge, large):
    """RFC 9110 section 13.1.5: of another representation the whole is sent."""
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10, **{"If-Range": '"first"'}), large, 2 * MIB, 2 * MIB + 10)
    response = ask(edge, 2 * MIB, 2 * MIB + 10, **{"If-Range": '"other"'})
    assert response.status == 200
    assert response.body == part_of("first", 0, large.length)


@pytest.mark.tsan
def test_two_clients_share_slices(edge, large):
    """Overlapping ranges at the same time: every slice is asked for once."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.hold = threading.Event()
    clients = [edge.client() for _ in range(6)]
    for i, client in enumerate(clients):
        client.send_request("GET", PATH, {"Range": f"bytes={MIB // 2 + i}-{MIB + i}"})
    edge.wait_for(fill_waiters=len(clients))
    large.hold.set()
    for i, client in enumerate(clients):
        expect_range(client.read_response(), large, MIB // 2 + i, MIB + i + 1)
    wanted = range(MIB // 2 // SLICE, (MIB + 5) // SLICE + 1)
    assert sorted(large.ranges()[1:]) == [slice_range(n, large) for n in wanted]


def test_the_next_slice_is_asked_for_ahead(origin, edge, large):
    """From the middle of a slice on, so that who keeps pace does not wait for the origin."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    origin.forget(PATH)
    client = edge.client()
    client.send_request("GET", PATH, {"Range": f"bytes=0-{2 * SLICE - 1}"})
    first = origin.next_request()
    middle = SLICE // 2 + 1000
    first.start(206, {**large.head_fields(),
                      "Content-Range": f"bytes 0-{SLICE - 1}/{large.length}"}, SLICE)
    first.send(part_of("first", 0, middle))
    client.read_body(middle)
    first.send(part_of("first", middle, middle + 10))  # that it reads on shows where it is
    second = origin.next_request()
    assert second["Range"] == f"bytes={SLICE}-{2 * SLICE - 1}"
    first.send(part_of("first", middle + 10, SLICE))
    first.finish()
    large(second)
    expect_range(client.read_response(), large, 0, 2 * SLICE)


def test_a_client_that_leaves_takes_nothing_along(edge, large):
    """The slice that is under way is stored; those behind it are not asked for."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    large.hold = threading.Event()
    client = edge.client()
    client.send_request("GET", PATH, {"Range": f"bytes={MIB}-"})
    edge.wait_for(fill_waiters=1)
    client.reset()
    edge.expect_stats(requests_active=0, fill_waiters=0)
    large.hold.set()
    edge.wait_stored(3)
    assert len(large.ranges()) == 2


def test_a_slow_reader_is_not_run_ahead_of(origin, edge):
    """Slices are asked for as the client takes them: what is ahead of it is in the kernel's
    buffers, but for two slices."""
    large = Large(32 * MIB)
    origin.serve_with(PATH, large)
    ask(edge, 31 * MIB, 32 * MIB)
    client = edge.client(rcvbuf=4096)
    client.send_request("GET", PATH)
    for step in range(0, 32, 2):
        got = len(client.read_body(step * MIB + 1000, most=1 << 16))
        assert len(large.ranges()) * SLICE <= got + 10 * SLICE + 8 * MIB
    assert client.read_response().body == part_of("first", 0, large.length)
    assert len(large.ranges()) == -(-large.length // SLICE)


# --- the whole, cut as it comes


class Paced:
    """The whole in the test's own pace: `send(n)` sends up to the end of slice n."""

    def __init__(self, origin, large):
        self.held = origin.next_request()
        assert self.held.get("Range") is None
        self.large = large
        self.sent = 0
        self.held.start(200, large.head_fields(), large.length)

    def send(self, n, short=0):
        end = min((n + 1) * SLICE, self.large.length) - short
        self.held.send(part_of(self.large.tag, self.sent, end))
        self.sent = end
        return end


def test_the_whole_is_one_request(origin, edge):
    """Cut into slices as it comes, while the client keeps pace."""
    large = Large(3 * MIB + 77)
    with edge.client() as client:
        client.send_request("GET", PATH)
        paced = Paced(origin, large)
        slices = -(-large.length // SLICE)
        for n in range(slices):
            client.read_body(paced.send(n))
        paced.held.finish()
        response = client.read_response()
    assert response.status == 200
    assert response.body == part_of("first", 0, large.length)
    assert response.cache_status.fwd == "uri-miss"
    edge.wait_stored(slices + 1)
    expect_range(ask(edge, MIB, 2 * MIB), large, MIB, 2 * MIB)
    assert edge.get(PATH).cache_status.hit
    edge.expect_stats(origin_requests=1, slices_fetched=slices, partial_objects=1)


@pytest.mark.tsan
def test_others_share_the_whole(origin, edge):
    """Of a whole that is just coming: from its beginning, and a range within."""
    large = Large(3 * MIB + 77)
    first, second, third = (edge.client() for _ in range(3))
    first.send_request("GET", PATH)
    paced = Paced(origin, large)
    end = paced.send(0, short=1000)
    first.read_body(end)
    second.send_request("GET", PATH)
    third.send_request("GET", PATH, {"Range": f"bytes={SLICE // 2}-{2 * SLICE - 1}"})
    second.read_body(end)
    third.read_body(end - SLICE // 2)
    for n in range(-(-large.length // SLICE)):
        end = paced.send(n)
        first.read_body(end)
        second.read_body(end)
    paced.held.finish()
    for client in (first, second):
        assert client.read_response().body == part_of("first", 0, large.length)
    expect_range(third.read_response(), large, SLICE // 2, 2 * SLICE)
    edge.expect_stats(origin_requests=1)


@pytest.mark.tsan
def test_the_whole_ends_when_nobody_keeps_pace(origin, edge):
    """The fetch ends; the rest is asked for as the client comes to it."""
    large = Large(32 * MIB)
    origin.serve_with(PATH, large)
    client = edge.client(rcvbuf=4096)
    client.send_request("GET", PATH)
    client.read_body(1000, most=1000)
    edge.wait_for(origin_requests=1)
    assert client.read_response().body == part_of("first", 0, large.length)
    assert large.wholes() == 1
    slices = -(-large.length // SLICE)
    assert len(large.ranges()) == len(set(large.ranges())) < slices
    edge.expect_stats(slices_fetched=slices)


def test_a_client_that_leaves_the_whole(origin, edge):
    """What is under way is stored to the end of its slice, and no more is fetched."""
    large = Large(3 * MIB)
    client = edge.client()
    client.send_request("GET", PATH)
    paced = Paced(origin, large)
    for n in range(4):
        client.read_body(paced.send(n))
    end = paced.send(4, short=10)
    client.read_body(end)
    client.reset()
    edge.expect_stats(requests_active=0)
    paced.send(4)
    assert paced.held.is_abandoned(timeout=10)
    paced.held.close()
    edge.wait_stored(6)
    edge.expect_stats(fills_open=0)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, 4 * SLICE, 5 * SLICE), large, 4 * SLICE, 5 * SLICE)
    assert large.requests == []
    expect_range(ask(edge, 5 * SLICE, 5 * SLICE + 10), large, 5 * SLICE, 5 * SLICE + 10)
    assert large.ranges() == [slice_range(5, large)]


def test_the_whole_breaks_off(origin, edge):
    """The client is cut; what was whole is stored, the rest comes by ranges."""
    large = Large(3 * MIB)
    client = edge.client()
    client.send_request("GET", PATH)
    paced = Paced(origin, large)
    client.read_body(paced.send(0))
    client.read_body(paced.send(1, short=1000))
    paced.held.close()
    with pytest.raises(h1.Truncated):
        client.read_response()
    edge.wait_stored(2)
    edge.expect_stats(fills_open=0)
    origin.serve_with(PATH, large)
    assert edge.get(PATH).body == part_of("first", 0, large.length)
    assert large.ranges()[0] == slice_range(1, large)
    assert large.wholes() == 0


def test_the_whole_breaks_off_before_another_client_s_slice(origin, edge):
    """Who waits for the slice that would have come next asks for it."""
    large = Large(3 * MIB)
    first, second = edge.client(), edge.client()
    first.send_request("GET", PATH)
    paced = Paced(origin, large)
    first.read_body(paced.send(0, short=10))
    second.send_request("GET", PATH, {"Range": f"bytes={SLICE}-{SLICE + 9}"})
    edge.wait_for(fill_waiters=3)  # the first one's slice and the one ahead of it, and this
    origin.serve_with(PATH, large)
    paced.held.close()
    with pytest.raises(h1.Truncated):
        first.read_response()
    expect_range(second.read_response(), large, SLICE, SLICE + 10)
    assert large.requests == [f"bytes={SLICE}-{2 * SLICE - 1}"]


def test_slices_that_are_there_are_not_fetched_again(origin, edge):
    """The whole meets what others asked for by ranges, and ends there."""
    large = Large(3 * MIB)
    first = edge.client()
    first.send_request("GET", PATH)
    paced = Paced(origin, large)
    first.read_body(paced.send(0, short=10))
    origin.serve_with(PATH, large)
    expect_range(ask(edge, 2 * SLICE, 2 * SLICE + 10), large, 2 * SLICE, 2 * SLICE + 10)
    edge.wait_stored(2)
    first.read_body(paced.send(0))
    first.read_body(paced.send(1))
    assert paced.held.is_abandoned(timeout=10)
    paced.held.close()
    assert first.read_response().body == part_of("first", 0, large.length)
    assert sorted(large.ranges()) == [slice_range(n, large) for n in range(2, 13)]


def test_a_refresh_that_nobody_waits_for_brings_the_head_alone(origin, edge):
    """RFC 5861 section 3: a new representation's slices are fetched by who needs them."""
    large = Large(3 * MIB, Age="605", Cache_Control="max-age=600, stale-while-revalidate=60")
    origin.serve_with(PATH, large)
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.tag = "second"
    del large.fields["Age"]
    assert edge.request("HEAD", PATH)["ETag"] == '"first"'
    edge.wait_stored(3)
    edge.expect_stats(fills_open=0, slices_fetched=1)
    assert large.wholes() == 2
    assert len(large.ranges()) == 1
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10), large, 2 * MIB, 2 * MIB + 10, "second")


# --- other representations


def test_a_change_before_the_head_is_looked_up_again(edge, large):
    """RFC 9110 section 15.3.7.3: nothing was sent, so the client gets the new one."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.tag = "second"
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10, "second")
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10), large, 2 * MIB, 2 * MIB + 10, "second")
    edge.expect_stats(partial_changed=1, partial_objects=2)


@pytest.mark.parametrize("change", ["tag", "length", "gone"])
def test_a_change_after_the_head_cuts_the_client(origin, edge, change):
    """RFC 9111 section 3.4: two representations are never mixed."""
    large = Large(32 * MIB)
    origin.serve_with(PATH, large)
    client = edge.client(rcvbuf=4096)
    client.send_request("GET", PATH)
    client.read_body(1000, most=1000)
    if change == "tag":
        large.tag = "second"
    elif change == "length":
        large.length -= 1000
    else:
        origin.serve(PATH, 404, {}, b"gone")
    with pytest.raises(h1.Truncated) as cut:
        client.read_response()
    got = cut.value.parser.response.body
    assert 1000 <= len(got) < 32 * MIB  # a reset takes what the kernel still had
    assert got == part_of("first", 0, len(got))
    edge.wait_for(partial_changed=1)
    response = ask(edge, 2 * MIB, 2 * MIB + 10)
    if change == "gone":
        assert response.status == 404
    else:
        expect_range(response, large, 2 * MIB, 2 * MIB + 10)


def test_an_origin_that_ignores_if_range(edge, large):
    """RFC 9111 section 3.4: its part of another representation is told by the tag."""
    large.heeds_if_range = False
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.tag = "second"
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10, "second")
    edge.expect_stats(partial_changed=1)


def test_an_origin_that_keeps_changing(origin, edge):
    """Tries are bounded."""
    large = Large(3 * MIB)
    count = [0]

    def answer(held):
        count[0] += 1
        large.tag = f"tag{count[0]}"
        large(held)

    origin.serve_with(PATH, answer)
    assert ask(edge, MIB, MIB + 10).status == 502
    assert count[0] <= 8


def test_an_origin_without_ranges(origin, edge):
    """It says that it serves them and does not: the whole is fetched, and that is remembered."""
    large = Large(3 * MIB, ranged=False)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    assert len(large.requests) == 3
    edge.wait_for(partial_unranged=1)
    edge.wait_until(lambda: edge.get(PATH).cache_status.hit, "the whole is stored")
    before = len(large.requests)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    assert len(large.requests) == before
    edge.purge(files=[f"http://site.test{PATH}"])
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    assert large.requests[before:] == [None]
    edge.expect_stats(partial_unranged=1, partial_objects=1)


@pytest.mark.edge(settings={**SETTINGS, "site.hit_for_miss_ttl": "0"})
def test_an_origin_without_ranges_that_is_not_remembered(origin, edge):
    """Every request finds out for itself, once."""
    large = Large(3 * MIB, ranged=False)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    assert len(large.requests) == 3


def test_an_origin_that_does_not_say_that_it_serves_ranges(origin, edge):
    """RFC 9110 section 14.3: tried with what cannot be stored whole; its answer shows it."""
    large = Large(GIB)
    del large.fields["Accept-Ranges"]
    origin.serve_with(PATH, large)
    for first in (GIB // 2, GIB // 2 + 200):
        expect_range(ask(edge, first, first + 100), large, first, first + 100)
    assert len(large.ranges()) == 1
    edge.expect_stats(partial_objects=1)


def test_an_origin_that_neither_says_so_nor_does(origin, edge):
    """It sends the whole whatever is asked for; brink tries once, then cuts that."""
    large = Large(16 * MIB, ranged=False)
    del large.fields["Accept-Ranges"]
    origin.serve_with(PATH, large)
    for _ in range(2):
        expect_range(ask(edge, 9 * MIB, 9 * MIB + 10), large, 9 * MIB, 9 * MIB + 10)
    edge.expect_stats(partial_objects=1, partial_unranged=1)


@pytest.mark.parametrize("fields", [{"Accept_Ranges": "none"}, {"ETag": 'W/"first"'}])
def test_what_is_not_kept_in_slices(origin, edge, fields):
    """No ranges, or no strong validator: the whole is one object."""
    large = Large(2 * MIB, **fields)
    large.etag = fields.get("ETag")
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    edge.wait_stored(1)
    expect_range(ask(edge, 0, 10), large, 0, 10)
    assert large.requests == [None]
    edge.expect_stats(partial_objects=0)


def test_a_slice_that_must_not_be_stored(edge, large):
    """RFC 9111 section 3: what the 206 forbids holds for its bytes."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.fields["Cache-Control"] = "no-store"
    for _ in range(2):
        expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    assert len(large.ranges()) == 3


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_origin_that_fails_before_the_head(origin, edge, large, status):
    """The slice is not there and cannot be had now; what is stored stays."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    origin.serve(PATH, status, {}, b"later")
    assert ask(edge, MIB, MIB + 10).status == 502
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10), large, 2 * MIB, 2 * MIB + 10)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)


def test_an_origin_that_breaks_off(origin, edge, large):
    """Within a slice: the client is cut, the next one gets it."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)

    def break_off(held):
        first, end = slice_range(MIB // SLICE, large)
        held.start(206, {**large.head_fields(),
                         "Content-Range": f"bytes {first}-{end - 1}/{large.length}"}, end - first)
        held.send(part_of("first", first, end - 1000))
        held.close()

    origin.serve_with(PATH, break_off)
    with pytest.raises(h1.Truncated):
        ask(edge, MIB, MIB + SLICE)
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)


@pytest.mark.parametrize("how", ["chunked", "close", "silent"])
def test_a_slice_without_a_length(origin, edge, large, how):
    """RFC 9112 section 6.3: Content-Range says how long it is; it is whole when its end came."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    origin.forget(PATH)
    first, end = slice_range(MIB // SLICE, large)
    fields = {**large.head_fields(), "Content-Range": f"bytes {first}-{end - 1}/{large.length}"}
    client = edge.client()
    client.send_request("GET", PATH, {"Range": f"bytes={first}-{end - 1}"})
    held = origin.next_request()
    if how == "chunked":
        held.reply(206, fields, part_of("first", first, end), chunked=True)
    else:
        held.send(reply_head(206, fields) + part_of("first", first, end))
    expect_range(client.read_response(), large, first, end)
    if how != "chunked":
        edge.expect_stats(origin_exchanges=1)
        held.close() if how == "close" else held.abort()
    edge.expect_stats(origin_exchanges=0, fills_open=0)
    origin.serve_with(PATH, large)
    response = ask(edge, first, first + 10)
    expect_range(response, large, first, first + 10)
    assert response.cache_status.hit == (how != "silent")


@pytest.mark.parametrize("content_range", ["bytes 0-9/*", "bytes 0-9/{length}", None])
def test_another_part_than_was_asked_for(origin, edge, large, content_range):
    """RFC 9110 section 15.3.7: never taken for the slice."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    fields = large.head_fields()
    if content_range:
        fields["Content-Range"] = content_range.format(length=large.length)
    origin.serve(PATH, 206, fields, b"0123456789")
    assert ask(edge, MIB, MIB + 10).status == 502
    origin.serve_with(PATH, large)
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)


# --- freshness, purges, restarts


def test_a_stale_master_is_validated(edge, origin):
    """RFC 9111 section 4.3.4: after a 304 the slices are as good as before."""
    large = Large(3 * MIB, Age="700")
    origin.serve_with(PATH, large)
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    response = ask(edge, 2 * MIB + 5, 2 * MIB + 10)
    expect_range(response, large, 2 * MIB + 5, 2 * MIB + 10)
    assert response.cache_status.fwd_status == 304
    assert len(large.ranges()) == 1
    large.tag = "second"
    expect_range(ask(edge, 2 * MIB + 5, 2 * MIB + 10), large, 2 * MIB + 5, 2 * MIB + 10, "second")
    assert len(large.ranges()) == 2
    edge.expect_stats(partial_changed=0, partial_objects=2)


def test_an_answer_to_head_updates_the_master(edge, origin):
    """RFC 9111 section 4.3.5: its length is compared with that of the whole."""
    large = Large(3 * MIB, Age="700")
    origin.serve_with(PATH, large)
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    del large.fields["Age"]
    response = edge.request("HEAD", PATH)
    assert (response.status, int(response["Content-Length"])) == (200, large.length)
    edge.wait_for(store_updates=1)
    response = ask(edge, 2 * MIB + 5, 2 * MIB + 10)
    expect_range(response, large, 2 * MIB + 5, 2 * MIB + 10)
    assert response.cache_status.hit
    assert len(large.ranges()) == 1


def test_soft_purge(edge, large):
    """The master is validated; slices need not come again."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    edge.purge(files=[f"http://site.test{PATH}"], soft=True)
    response = ask(edge, 2 * MIB + 5, 2 * MIB + 10)
    expect_range(response, large, 2 * MIB + 5, 2 * MIB + 10)
    assert response.cache_status.fwd_status == 304
    edge.wait_for(store_updates=1)
    assert ask(edge, 2 * MIB + 5, 2 * MIB + 10).cache_status.hit
    assert len(large.ranges()) == 1


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("what", [{"files": [f"http://site.test{PATH}"]}, {"tags": ["film"]},
                                  {"hosts": ["site.test"]}, {"prefixes": ["site.test/la"]},
                                  {"purge_everything": True}])
def test_purges(edge, origin, what, soft):
    """Whatever names the object names all of it."""
    large = Large(3 * MIB, Surrogate_Key="film")
    origin.serve_with(PATH, large)
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    large.tag = "second"
    edge.purge(**what, soft=soft)
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10), large, 2 * MIB, 2 * MIB + 10, "second")
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10, "second")
    edge.expect_stats(partial_changed=0)


def test_an_unsafe_method_invalidates(edge, large, origin):
    """RFC 9111 section 4.4."""
    ask(edge, 2 * MIB, 2 * MIB + 10)
    edge.wait_stored(2)
    origin.serve(PATH, 204)
    edge.request("POST", PATH, body=b"x")
    large.tag = "second"
    origin.serve_with(PATH, large)
    expect_range(ask(edge, 2 * MIB, 2 * MIB + 10), large, 2 * MIB, 2 * MIB + 10, "second")


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_slices_outlive_the_daemon(edge, large, how):
    for first in (2 * MIB, MIB, 0):
        ask(edge, first, first + 10)
    edge.wait_stored(4)
    if how == "kill":
        edge.kill()
        edge.start()
    else:
        edge.restart()
    for first in (2 * MIB, MIB, 0):
        response = ask(edge, first, first + 10)
        expect_range(response, large, first, first + 10)
        assert response.cache_status.hit
    assert len(large.ranges()) == 3


def test_variants_have_slices_of_their_own(edge, origin):
    """RFC 9111 section 4.1."""
    films = {lang: Large(3 * MIB, tag=lang, Vary="Accept-Language") for lang in ("de", "en")}
    origin.serve_with(PATH, lambda held: films[held["Accept-Language"]](held))
    for _ in range(2):
        for lang, film in films.items():
            expect_range(ask(edge, MIB, MIB + 10, **{"Accept-Language": lang}), film, MIB, MIB + 10)
        edge.wait_stored(4)
    assert [len(film.requests) for film in films.values()] == [2, 2]


@pytest.mark.edge(settings={**SETTINGS, "site.hit_for_miss_ttl": "10m"})
@pytest.mark.parametrize("fields", [{"Cache_Control": "no-store"}, {"ETag": 'W/"first"'}])
def test_a_range_of_what_is_not_stored_at_all(origin, edge, fields):
    """Too large for the store and for slices, or not storable: the range alone is asked for."""
    large = Large(GIB, **fields)
    large.etag = fields.get("ETag")
    origin.serve_with(PATH, large)
    for _ in range(2):
        response = ask(edge, GIB // 2, GIB // 2 + 100)
        expect_range(response, large, GIB // 2, GIB // 2 + 100)
        assert response.cache_status.detail == "hit-for-miss"
    assert large.requests == [None] + 2 * [f"bytes={GIB // 2}-{GIB // 2 + 99}"]
    expect_range(ask(edge, 0, 10), large, 0, 10)
    assert edge.stats()["origin_bytes_in"] < 16 * MIB


@pytest.mark.edge(settings={**SETTINGS, "site.slice_above": "0"})
def test_no_slices(edge, large):
    expect_range(ask(edge, MIB, MIB + 10), large, MIB, MIB + 10)
    edge.wait_stored(1)
    assert large.requests == [None]


@pytest.mark.edge(settings=SETTINGS, store_size="8MB")
def test_a_store_that_is_too_small_for_all_of_it(edge, origin):
    """Slices come and go by eviction; every byte is right all the time."""
    large = Large(32 * MIB)
    origin.serve_with(PATH, large)
    for _ in range(2):
        received = []
        with edge.client() as client:
            client.send_request("GET", PATH)
            client.read_response(sink=received.append)
        assert b"".join(received) == part_of("first", 0, large.length)


@pytest.mark.tsan
@pytest.mark.edge(settings=SETTINGS, store_size="8MB")
def test_a_crowd_with_purges_changes_and_evictions(origin, edge):
    """Whatever happens meanwhile: the right bytes of one representation, or a visible end."""
    films = {f"/film{i}": Large(4 * MIB + i) for i in range(3)}
    for path, film in films.items():
        origin.serve_with(path, film)
    faults, cuts, stop = [], [0], threading.Event()

    def watch(seed):
        pick = random.Random(seed)
        while not stop.is_set():
            path, film = pick.choice(list(films.items()))
            first = pick.randrange(film.length - 1)
            end = min(film.length, first + pick.choice([1, 1000, SLICE, 3 * SLICE, film.length]))
            fields = {"Range": f"bytes={first}-{end - 1}"} if pick.random() < 0.9 else {}
            with Client(edge.port) as client:
                client.send_request("GET", path, fields)
                try:
                    if pick.random() < 0.2:  # and leave
                        client.read_body(1)
                        continue
                    response = client.read_response()
                except h1.Truncated:
                    cuts[0] += 1
                    continue
            if response.status == 502:
                cuts[0] += 1
                continue
            tag = response["ETag"].strip('"')
            want = part_of(tag, first, end) if fields else part_of(tag, 0, film.length)
            if response.status not in (200, 206) or response.body != want:
                faults.append((path, fields, response))

    threads = [threading.Thread(target=watch, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for round_n in range(8):
        before = edge.stats()["requests"]
        edge.wait_for(requests=before + 25)
        path, film = list(films.items())[round_n % 3]
        if round_n % 2:
            film.tag = f"tag{round_n}"
        elif round_n % 4:
            edge.purge(files=[f"http://site.test{path}"], soft=True)
        else:
            edge.purge(purge_everything=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    assert cuts[0] < edge.stats()["requests"] / 4
    edge.expect_stats(requests_active=0, fill_waiters=0, fills_open=0)
