"""One fetch for everyone: many clients, one cold object, whatever becomes of the first of them."""

import threading

import pytest

import content
import h1
from client import Client, Crowd

pytestmark = pytest.mark.tsan
FRESH = {"Cache-Control": "max-age=600"}
MIB = 1024 * 1024


def join_fill(edge, target, fields=None, already=0):
    """A client whose request has joined the fetch under way."""
    client = edge.client()
    client.send_request("GET", target, fields)
    edge.wait_for(cache_collapsed=already + 1)
    return client


def test_second_client_shares_the_fetch(origin, edge):
    """Two misses for one key, one origin request."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.reply(200, FRESH, b"hello")
    assert first.read_response().body == b"hello"
    response = second.read_response()
    assert response.body == b"hello"
    assert response.cache_status.collapsed
    edge.expect_stats(cache_miss=1, cache_collapsed=1, origin_requests=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_500_clients_at_once_make_one_origin_request(origin, start_edge, workers):
    """One cold object of 1 MiB, an origin that answers when all of them have asked."""
    edge = start_edge(origin=origin.url, workers=workers)
    target = content.path_of(MIB, "cold")
    body = content.body_of(target)
    crowd = Crowd(edge.port, [target] * 500).start()
    held = origin.next_request()
    edge.wait_for(cache_collapsed=499)
    held.reply(200, FRESH, body)
    members = crowd.join()
    assert [m.error for m in members if m.error] == []
    assert all(m.response.status == 200 and m.response.body == body for m in members)
    assert origin.count() == 1
    edge.expect_stats(origin_requests=1, cache_miss=1, cache_collapsed=499, requests_active=0,
                      fills_open=0, fill_waiters=0)


def test_followers_are_streamed_while_the_origin_trickles(origin, edge):
    """Who joins gets what is there at once: the origin sends no more until each has its first byte."""
    target = content.path_of(MIB, "slow")
    body = content.body_of(target)
    leader = edge.client()
    leader.send_request("GET", target)
    held = origin.next_request()
    held.start(200, FRESH, length=MIB)
    followers, step = [], MIB // 20
    for i in range(20):
        held.send(body[i * step:(i + 1) * step])
        leader.read_body((i + 1) * step)
        follower = edge.client()
        follower.send_request("GET", target)
        follower.read_body(1)
        followers.append(follower)
    held.send(body[20 * step:])
    held.finish()
    assert all(client.read_response().body == body for client in [leader, *followers])
    assert origin.count() == 1


def test_each_piece_reaches_everyone_before_the_next_is_sent(origin, edge):
    """Bytes are passed on as they come: the origin sends the next only when all have the last."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    readers = [first, join_fill(edge, "/a")]
    held.start(200, FRESH)
    sent = b""
    for i in range(20):
        piece = b"piece %d." % i
        held.send_chunk(piece)
        sent += piece
        for reader in readers:
            assert reader.read_body(len(sent)) == sent
    held.end_chunks()
    held.finish()
    assert all(reader.read_response().body == sent for reader in readers)


def test_a_fill_goes_on_when_its_first_client_leaves(origin, edge):
    target = content.path_of(MIB, "left")
    body = content.body_of(target)
    first = edge.client()
    first.send_request("GET", target)
    held = origin.next_request()
    held.start(200, FRESH, length=MIB)
    held.send(body[:300000])
    first.read_body(100000)
    follower = join_fill(edge, target)
    first.reset()
    edge.wait_for(requests_aborted=1)
    held.send(body[300000:])
    held.finish()
    assert follower.read_response().body == body
    edge.wait_stored(1)
    response = edge.get(target)
    assert response.cache_status.hit and response.body == body
    assert origin.count() == 1


def test_a_fill_goes_on_when_every_client_leaves(origin, edge):
    """A departed client alone is no reason to stop a fetch."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    follower = join_fill(edge, "/a")
    first.reset()
    follower.reset()
    edge.wait_for(requests_aborted=2)
    held.reply(200, FRESH, b"hello")
    edge.wait_stored(1)
    response = edge.get("/a")
    assert response.cache_status.hit and response.body == b"hello"
    assert origin.count() == 1


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("length", [MIB, None], ids=["length", "chunked"])
def test_nobody_gets_a_complete_looking_response_of_a_broken_one(origin, edge, end, length):
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    follower = join_fill(edge, "/a")
    held.start(200, FRESH, length)
    part = content.body_of("/g/300000/broken")
    (held.send if length else held.send_chunk)(part)
    for client in (first, follower):
        client.read_body(200000)
    getattr(held, end)()
    for client in (first, follower):
        with pytest.raises(h1.Truncated) as cut:
            client.read_response()
        assert part.startswith(cut.value.parser.response.body)
    origin.serve("/a", 200, FRESH, b"whole")
    response = edge.get("/a")
    assert not response.cache_status.hit and response.body == b"whole"
    edge.expect_stats(origin_failures=1, fills_open=0)


def test_an_origin_that_fails_before_its_head_fails_everyone(origin, edge):
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    follower = join_fill(edge, "/a")
    origin.serve_with("/a", lambda again: again.close())
    held.close()
    for client in (first, follower):
        assert client.read_response().status == 502
    origin.serve("/a", 200, FRESH, b"back")
    assert edge.get("/a").body == b"back"


def test_an_uncacheable_answer_releases_the_waiters(origin, edge):
    """They fetch for themselves, all at once, and none is given another's answer."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    waiters = [join_fill(edge, "/a", already=i) for i in range(5)]
    held.start(200, {"Cache-Control": "no-store"}, length=3)
    answers = [origin.next_request() for _ in waiters]
    held.send(b"one")
    held.finish()
    assert first.read_response().body == b"one"
    for i, own in enumerate(answers):
        own.reply(200, {"Cache-Control": "no-store"}, b"own %d" % i)
    assert {w.read_response().body for w in waiters} == {b"own %d" % i for i in range(5)}
    edge.expect_stats(store_objects=0, fills_open=0)


def test_what_was_uncacheable_is_not_queued_behind_itself(origin, edge):
    """Hit-for-miss: later requests go to the origin side by side."""
    origin.serve("/a", 200, {"Cache-Control": "private"}, b"one")
    assert edge.get("/a").body == b"one"
    origin.forget("/a")
    clients = [edge.client(), edge.client()]
    for client in clients:
        client.send_request("GET", "/a")
    both = [origin.next_request(), origin.next_request()]
    for held in both:
        held.reply(200, {"Cache-Control": "private"}, b"again")
    assert [client.read_response().body for client in clients] == [b"again", b"again"]


UNSHARED = {
    "private": {"Cache-Control": "private, max-age=60"},
    "no-store": {"Cache-Control": "no-store"},
    "nothing said": {},
    "a cookie": {**FRESH, "Set-Cookie": "a=b"},
    "Vary: *": {**FRESH, "Vary": "*"},
    "a passing error": {},
}


@pytest.mark.parametrize("fields", UNSHARED.values(), ids=UNSHARED.keys())
def test_waiters_for_what_is_not_shared_fetch_at_the_same_time(origin, edge, request, fields):
    """N waiters are N requests at the origin side by side, before the first answer is whole; who comes
    later does not wait at all."""
    status = 503 if "error" in request.node.name else 200
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    waiters = [join_fill(edge, "/a", already=i) for i in range(8)]
    held.start(status, fields, length=3)
    answers = [origin.next_request() for _ in waiters]
    late = edge.client()
    late.send_request("GET", "/a")
    answers.append(origin.next_request())
    for i, own in enumerate(answers):
        own.reply(status, fields, b"own %d" % i)
    held.send(b"one")
    held.finish()
    assert first.read_response().body == b"one"
    bodies = {client.read_response().body for client in [*waiters, late]}
    assert bodies == {b"own %d" % i for i in range(9)}
    edge.expect_stats(cache_collapsed=8, origin_requests=10, store_objects=0, fills_open=0)


def test_waiters_of_many_variants_fetch_at_the_same_time(origin, edge):
    """RFC 9111 section 4.1: each whose fields differ goes on by itself, and its answer is stored."""
    vary = {**FRESH, "Vary": "X-V"}
    first = edge.client()
    first.send_request("GET", "/a", {"X-V": "0"})
    held = origin.next_request()
    waiters = [join_fill(edge, "/a", {"X-V": str(i + 1)}, already=i) for i in range(5)]
    held.start(200, vary, length=1)
    for _ in waiters:
        own = origin.next_request()
        own.reply(200, vary, own["X-V"].encode())
    held.send(b"0")
    held.finish()
    assert [c.read_response().body for c in [first, *waiters]] == [b"%d" % i for i in range(6)]
    edge.wait_stored(6)
    for i in range(6):
        assert edge.get("/a", {"X-V": str(i)}).cache_status.hit


@pytest.mark.parametrize("ttl, remembered", [("1m", True), ("0", False)])
def test_how_long_it_is_remembered_is_the_sites_to_say(origin, start_edge, ttl, remembered):
    edge = start_edge(origin=origin.url, settings={"site.hit_for_miss_ttl": ttl})
    origin.serve("/a", 200, {"Cache-Control": "private"}, b"x")
    edge.get("/a")
    origin.forget("/a")
    clients = [edge.client(), edge.client()]
    clients[0].send_request("GET", "/a")
    held = origin.next_request()
    clients[1].send_request("GET", "/a")
    if remembered:
        origin.next_request().reply(200, {}, b"y")
    else:
        edge.wait_for(cache_collapsed=1)
    held.reply(200, FRESH, b"y")
    assert [client.read_response().body for client in clients] == [b"y", b"y"]


def test_what_is_stored_again_is_shared_again(origin, edge):
    """A storable answer ends the memory."""
    origin.serve("/a", 200, {"Cache-Control": "private"}, b"x")
    edge.get("/a")
    origin.serve("/a", 200, FRESH, b"y")
    assert edge.get("/a").body == b"y"
    edge.wait_stored(1)
    edge.purge(files=["http://site.test/a"])
    origin.forget("/a")
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second = join_fill(edge, "/a")
    held.reply(200, FRESH, b"z")
    assert [first.read_response().body, second.read_response().body] == [b"z", b"z"]


@pytest.mark.edge(settings={"waiters_timeout": "1s"})
def test_waiting_has_a_limit_and_then_each_fetches_alone(origin, edge):
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    waiters = [join_fill(edge, "/a", already=i) for i in range(3)]
    answers = [origin.next_request() for _ in waiters]
    for i, own in enumerate(answers):
        own.reply(200, FRESH, b"own %d" % i)
    assert {w.read_response().body for w in waiters} == {b"own 0", b"own 1", b"own 2"}
    held.reply(200, FRESH, b"late")
    assert first.read_response().body == b"late"
    edge.expect_stats(origin_requests=4, fill_waiters=0)


@pytest.mark.edge(settings={"waiters_timeout": "1s"})
def test_the_limit_is_for_the_head_not_for_the_body(origin, edge):
    """Who is streamed stays, however slow the origin is."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    follower = join_fill(edge, "/a")
    held.start(200, FRESH, length=8)
    held.send(b"0123")
    assert follower.read_body(4) == b"0123"
    other = edge.client()  # its second has passed when that of the follower has
    other.send_request("GET", "/b")
    slow = origin.next_request()
    last = edge.client()
    last.send_request("GET", "/b")
    origin.next_request().reply(200, FRESH, b"b")
    assert last.read_response().body == b"b"
    held.send(b"4567")
    held.finish()
    assert [c.read_response().body for c in (first, follower)] == [b"01234567"] * 2
    slow.reply(200, FRESH, b"b")
    assert other.read_response().body == b"b"
    assert origin.count("/a") == 1


def test_a_waiter_for_another_variant_fetches_its_own(origin, edge):
    """RFC 9111 section 4.1: an answer that varies suits only whose fields match."""
    first = edge.client()
    first.send_request("GET", "/a", {"Accept-Language": "de"})
    held = origin.next_request()
    same = join_fill(edge, "/a", {"Accept-Language": "de"})
    other = join_fill(edge, "/a", {"Accept-Language": "fr"}, already=1)
    held.reply(200, {**FRESH, "Vary": "Accept-Language"}, b"hallo")
    own = origin.next_request()
    assert own["Accept-Language"] == "fr"
    own.reply(200, {**FRESH, "Vary": "Accept-Language"}, b"bonjour")
    assert first.read_response().body == b"hallo"
    assert same.read_response().body == b"hallo"
    assert other.read_response().body == b"bonjour"
    assert origin.count() == 2


def test_a_range_of_an_object_on_its_way(origin, edge):
    """RFC 9110 section 14.2: the part, as soon as it is there, or the whole."""
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, {**FRESH, "ETag": '"v1"'}, length=10)
    held.send(b"01234")
    first.read_body(5)
    part = join_fill(edge, "/a", {"Range": "bytes=2-3"})
    whole = join_fill(edge, "/a", {"Range": "bytes=7-8"}, already=1)
    held.send(b"56789")
    held.finish()
    for client, text in ((part, b"23"), (whole, b"78")):
        response = client.read_response()
        assert (response.status, response.body) in ((206, text), (200, b"0123456789"))
    assert first.read_response().body == b"0123456789"
    assert origin.count() == 1


def test_conditions_and_heads_of_an_object_on_its_way(origin, edge):
    first = edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    follower = join_fill(edge, "/a", {"If-None-Match": '"v1"'})
    held.start(200, {**FRESH, "ETag": '"v1"'}, length=10)
    held.send(b"01234")
    assert follower.read_response().status == 304
    origin.serve("/a", 200, {**FRESH, "ETag": '"v1"'}, b"0123456789")
    head = edge.client()
    head.send_request("HEAD", "/a")
    held.send(b"56789")
    held.finish()
    response = head.read_response()
    assert (response.status, response["Content-Length"], response.body) == (200, "10", b"")
    assert first.read_response().body == b"0123456789"


def test_many_objects_at_once_on_every_worker(origin, edge):
    """Each of 50 objects is asked for by 10 clients and fetched once."""
    origin.serve_all(lambda target: True,
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    targets = [content.path_of(20000 + i % 50, f"many{i % 50}") for i in range(500)]
    members = Crowd(edge.port, targets).start().join()
    assert [m.error for m in members if m.error] == []
    assert all(m.response.body == content.body_of(m.target) for m in members)
    assert origin.count() == 50
    edge.expect_stats(origin_requests=50, fills_open=0, fill_waiters=0)


def test_a_slow_follower_does_not_hold_the_others(origin, edge):
    """A fill larger than its window: who reads gets on, who lags continues from the store."""
    target = content.path_of(12 * MIB, "laggard")
    body = content.body_of(target)
    edge.stop()
    edge.store_size = "256MB"
    edge.settings["fill_window"] = "1MB"
    edge.start()
    reader = edge.client()
    reader.send_request("GET", target)
    held = origin.next_request()
    laggard = edge.client(rcvbuf=16384)
    laggard.send_request("GET", target)
    edge.wait_for(cache_collapsed=1)
    held.reply(200, FRESH, body)
    assert reader.read_response().body == body
    assert laggard.read_response().body == body
    assert origin.count() == 1


def test_large_fills_side_by_side(origin, start_edge):
    """Small windows: what was dropped from memory comes from the store, for whoever reads later."""
    edge = start_edge(origin=origin.url, store_size="256MB", settings={"fill_window": "256KB"})
    targets = [content.path_of(6 * MIB + i, f"large{i}") for i in range(3)]
    bodies = {target: content.body_of(target) for target in targets}
    origin.serve_all(lambda target: True, lambda held: held.reply(200, FRESH, bodies[held.target]))
    wrong = []

    def read(target, rcvbuf):
        try:
            with Client(edge.port, rcvbuf=rcvbuf) as client:
                assert client.get(target).body == bodies[target]
        except Exception as fault:
            wrong.append((target, fault))

    readers = [threading.Thread(target=read, args=(target, rcvbuf), daemon=True)
               for target in targets for rcvbuf in (None, 8192, None, 65536, None, 16384)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert origin.count() == 3
    edge.expect_stats(fills_open=0, fill_bytes=0, fill_waiters=0)


@pytest.mark.edge(settings={"store.batch_time": "500ms"})
@pytest.mark.parametrize("directive", ["no-cache", "max-age=0", "no-cache, max-age=600"])
def test_who_comes_before_the_commit_has_it_validated(origin, edge, directive):
    """RFC 9111 section 5.2.2.4: what is only on its way to disk is validated like what is there."""
    fields = {"Cache-Control": directive, "ETag": '"v1"'}
    origin.serve("/a", 200, fields, b"hello")
    assert edge.get("/a").body == b"hello"
    origin.forget("/a")
    clients = [edge.client() for _ in range(3)]
    for client in clients:
        client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"v1"'
    edge.wait_for(cache_collapsed=2)
    held.reply(304, fields)
    for client in clients:
        response = client.read_response()
        assert (response.status, response.body) == (200, b"hello")
    edge.expect_stats(origin_requests=2, cache_revalidated=1, fill_waiters=0)


@pytest.mark.edge(settings={"store.batch_time": "10s"})
def test_a_commit_that_takes_long_is_not_waited_for(origin, edge):
    """After a second the origin is asked without a condition."""
    origin.serve("/a", 200, {"Cache-Control": "no-cache", "ETag": '"v1"'}, b"hello")
    edge.get("/a")
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held.get("If-None-Match") is None
    held.reply(200, FRESH, b"new")
    assert client.read_response().body == b"new"


@pytest.mark.edge(settings={"store.batch_time": "10s"})
def test_what_cannot_be_validated_waits_for_no_commit(origin, edge):
    """Stale from the start, stored for its stale window, without a validator."""
    fields = {"Cache-Control": "max-age=10, stale-if-error=600", "Age": "60"}
    origin.serve("/a", 200, fields, b"hello")
    edge.get("/a")
    origin.forget("/a")
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)  # a fetch that others may join, begun at once
    held.reply(200, FRESH, b"again")
    assert first.read_response().body == second.read_response().body == b"again"
    edge.expect_stats(origin_requests=2)
