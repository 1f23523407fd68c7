"""Starting again: what was used is still what stays, and another size keeps what fits."""

import content
from client import Client, load

FRESH = {"Cache-Control": "max-age=6000"}
SIZE = 20000
HOST = "site.test"


def check(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


def check_hit(target, response):
    check(target, response)
    assert response.cache_status.hit, target


def paths(begin, end):
    return [content.path_of(SIZE, f"r{i}") for i in range(begin, end)]


def fill(edge, targets):
    """In this order, and stored."""
    stored = edge.stats()["store_puts"]
    for at in range(0, len(targets), 50):
        part = targets[at:at + 50]
        assert load(edge.port, part, check) == []
        stored += len(part)
        edge.wait_for(store_puts=stored)


def start_full(origin, start_edge):
    """A full store; the younger half of its objects, each second one used since."""
    origin.serve_all(lambda target: True,
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))
    edge = start_edge(origin=origin.url, store_size="16MB",
                      settings={"store.batch_time": "10ms"})
    fill(edge, paths(0, 1000))
    assert edge.stats()["store_evictions"] > 0
    young = paths(600, 1000)
    assert load(edge.port, young[::2], check_hit) == []
    return edge, young


def flood(edge, young):
    """Until the store has taken in about as much as the young are: the hand has passed them."""
    fill(edge, paths(2000, 2000 + len(young)))


def hits_of(edge, targets):
    """How many are stored still; asked of the admin listener, so that nothing is fetched."""
    with Client(edge.admin_port) as client:
        return sum(client.get(f"/inspect?url=http%3A%2F%2F{HOST}{target}").status == 200
                   for target in targets)


def test_recency_survives_a_clean_stop(origin, start_edge):
    edge, young = start_full(origin, start_edge)
    edge.stop()
    edge.start()
    edge.expect_stats(store_index_whole=1)
    flood(edge, young)
    used, unused = hits_of(edge, young[::2]), hits_of(edge, young[1::2])
    assert used >= len(young) // 2 - 2, (used, unused)
    assert unused < used * 2 // 3, (used, unused)


def test_after_a_kill_the_oldest_go_first(origin, start_edge):
    """The bits are lost: eviction goes by age again, and what is newest stays."""
    edge, young = start_full(origin, start_edge)
    edge.kill()
    edge.start()
    flood(edge, young)
    assert hits_of(edge, paths(2000, 2000 + len(young))) == len(young)
    assert hits_of(edge, young[-100:]) >= hits_of(edge, young[:100])


def test_a_kill_without_a_write_costs_no_scan(origin, start_edge):
    edge, young = start_full(origin, start_edge)
    stored = hits_of(edge, young)
    assert stored > 200
    edge.stop()
    edge.start()
    assert load(edge.port, young[-100:], check_hit) == []
    edge.kill()
    edge.start()
    assert hits_of(edge, young) == stored
    assert sum(event.get("text") == "the index is whole" for event in edge.log_events("store")) == 0


def test_a_larger_store_keeps_all(origin, start_edge):
    edge, _ = start_full(origin, start_edge)
    stored = [target for target in paths(0, 1000) if hits_of(edge, [target])]
    edge.stop()
    edge.store_size = "64MB"
    edge.start()
    fill(edge, paths(2000, 2800))
    edge.expect_stats(store_evictions=0, store_objects=len(stored) + 800)
    edge.stop()
    origin.stop()
    edge.start()
    assert load(edge.port, stored, check_hit) == []


def test_a_smaller_store_keeps_what_fits(origin, start_edge):
    edge, young = start_full(origin, start_edge)
    edge.stop()
    edge.store_size = "8MB"
    origin.stop()
    edge.start()
    assert load(edge.port, young[-50:], check_hit) == []  # it serves while it moves
    edge.expect_stats(store_resizes=1, store_resizing=0, store_resets=0)
    edge.wait_until(lambda: edge.stats()["store_file_bytes"] <= 8 << 20, "the file is smaller")
    seen = edge.stats()
    assert seen["store_objects"] > 250
    assert load(edge.port, young[-50:], check_hit) == []
    assert hits_of(edge, young[::2]) > hits_of(edge, young[1::2])
    edge.stop()
    edge.start()
    edge.expect_stats(store_resizes=0, store_objects=seen["store_objects"])
    assert load(edge.port, young[-50:], check_hit) == []
