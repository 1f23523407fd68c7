"""Downloads of gigabytes: stored and served in slices, a range from the middle at once, also while the
whole is on its way in, and gone without holding up anybody.

BRINK_LONG=1: 5 GB in a store of 12 GB (BRINK_DATA names a folder for it), with figures; otherwise
96 MB in a store of 256 MB.
"""

import os
import pathlib
import shutil
import threading
import time

import pytest

from edge import Edge
from large import Large

LONG = os.environ.get("BRINK_LONG") == "1"
MIB = 1 << 20
LENGTH = 5_000_000_000 if LONG else 96 * MIB + 77
SETTINGS = {"site.slice_above": "1MB", "site.slice": "4MB", "store.queue": "256MB"}
SHARE_PAGES = 16384  # what one transaction deletes at most


class Tape(Large):
    """A body without end that costs nothing to make: one block over and over, of a length that is
    no multiple of anything."""

    BLOCK = os.urandom(1_048_573)

    def part(self, first, end):
        at = first % len(self.BLOCK)
        turns = (end - first + at) // len(self.BLOCK) + 1
        return (self.BLOCK * turns)[at:at + end - first]

    def send_part(self, held, fields, first, last):
        last = min(last, self.length - 1)
        held.reply(206, {**fields, "Content-Range": f"bytes {first}-{last}/{self.length}"},
                   self.part(first, last + 1))

    def send_whole(self, held, fields):
        try:
            held.start(200, fields, self.length)
            for first in range(0, self.length, MIB):
                if self.hold and first >= self.length // 2:
                    self.hold.wait(60)
                held.send(self.part(first, min(first + MIB, self.length)))
        except OSError:
            held.close()
            return
        held.finish()


def download(edge, tape, fields=None):
    """Every byte compared; how long it took."""
    state = {"at": 0}

    def sink(data):
        at = state["at"]
        assert data == tape.part(at, at + len(data)), f"wrong bytes near {at}"
        state["at"] = at + len(data)

    began = time.monotonic()
    with edge.client() as client:
        client.send_request("GET", "/big", fields)
        client.read_response(timeout=900, sink=sink)
    assert state["at"] == tape.length
    return time.monotonic() - began


def first_byte_ms(edge, tape, first):
    began = time.monotonic()
    with edge.client() as client:
        client.send_request("GET", "/big", {"Range": f"bytes={first}-{first + 99}"})
        response = client.read_response()
    took_ms = (time.monotonic() - began) * 1000
    assert response.status == 206 and response.body == tape.part(first, first + 100)
    return took_ms


@pytest.fixture
def roomy(tmp_path, origin):
    folder = pathlib.Path(os.environ.get("BRINK_DATA", tmp_path)) / "big-edge"
    shutil.rmtree(folder, ignore_errors=True)
    edge = Edge(folder, origin=origin.url, store_size="12GB" if LONG else "256MB", settings=SETTINGS)
    edge.start()
    yield edge
    faults = edge.finish()
    shutil.rmtree(folder, ignore_errors=True)
    assert not faults, "; ".join(faults)


class Misses(threading.Thread):
    """Small objects, stored all the while; the longest wait for one of them, in ms."""

    def __init__(self, edge, origin):
        super().__init__(daemon=True)
        self.edge, self.over, self.longest_ms, self.n = edge, threading.Event(), 0.0, 0
        origin.serve_all(lambda target: target.startswith("/small/"),
                         lambda held: held.reply(200, {"Cache-Control": "max-age=600"}, b"x" * 900))

    def run(self):
        while not self.over.wait(0.002) and self.edge.process.poll() is None:
            began = time.monotonic()
            self.edge.get(f"/small/{self.n}")
            self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)
            self.n += 1


@pytest.mark.limit(1800)
def test_a_download_of_gigabytes(origin, roomy):
    tape = Tape(LENGTH)
    origin.serve_with("/big", tape)
    misses = Misses(roomy, origin)
    misses.start()
    through_s = download(roomy, tape)
    # One request for all of it, or, from where the client fell behind, one for each slice.
    asked = tape.ranges()
    assert tape.wholes() == 1 and len(asked) == len(set(asked))
    roomy.wait_until(lambda: roomy.stats()["store_queue_bytes"] == 0, "all of it on disk")
    hit_s = download(roomy, tape)
    assert tape.ranges() == asked or roomy.stats()["store_puts_refused"] > 0
    range_ms = first_byte_ms(roomy, tape, tape.length - tape.length // 50)
    before = roomy.stats()
    began = time.monotonic()
    roomy.purge(purge_everything=True)
    ack_ms = (time.monotonic() - began) * 1000
    roomy.wait_until(lambda: roomy.stats()["store_used_bytes"] < 20 * MIB, "its pages are free", 300)
    gone_s = time.monotonic() - began
    misses.over.set()
    misses.join()
    stats = roomy.stats()
    print(f"\nthrough {through_s:.1f} s, hit {hit_s:.1f} s ({tape.length / hit_s / 1e9:.2f} GB/s), "
          f"range near the end {range_ms:.1f} ms, purge acknowledged {ack_ms:.1f} ms, pages free "
          f"after {gone_s:.1f} s, longest transaction {before['store_txn_longest'] / 1000:.1f} ms before "
          f"and {stats['store_txn_longest'] / 1000:.1f} ms with the purge, {misses.n} small misses, the "
          f"longest {misses.longest_ms:.1f} ms, {stats['loop_disk_faults']} disk reads by loops")
    assert stats["store_txn_freed_max"] <= SHARE_PAGES + 16
    assert misses.n > 0


@pytest.mark.parametrize("ranged", [True, False], ids=["ranges", "no-ranges"])
def test_a_range_of_what_is_on_its_way_in(origin, start_edge, ranged):
    """An origin that serves ranges is asked for the slice at once; of another the whole is waited for."""
    tape = Tape(48 * MIB, ranged=ranged)
    if not ranged:
        del tape.fields["Accept-Ranges"]
        tape.fields["Accept-Ranges"] = "none"
    tape.hold = threading.Event()  # the whole stops in its middle
    origin.serve_with("/big", tape)
    edge = start_edge(origin=origin.url, store_size="512MB",
                      settings={**SETTINGS, "store.object_max": "100MB"})
    client = edge.client()
    client.send_request("GET", "/big")
    client.read_body(8 * MIB)
    far = edge.client()
    far.send_request("GET", "/big", {"Range": f"bytes={40 * MIB}-{40 * MIB + 99}"})
    if ranged:  # although the whole has not come so far
        response = far.read_response()
    edge.wait_for(requests=2)
    near = edge.get("/big", {"Range": f"bytes={MIB}-{MIB + 99}"})  # of what has come
    assert near.status == 206 and near.body == tape.part(MIB, MIB + 100)
    tape.hold.set()
    if not ranged:
        response = far.read_response()
    assert response.status == 206 and response.body == tape.part(40 * MIB, 40 * MIB + 100)
    assert client.read_response(sink=None).body is not None
    assert tape.wholes() <= 2
