"""Limits and clocks towards clients: each directive with a small value, its counter, and a bystander."""

import threading
import time

import pytest

import h1
from client import Client, request_bytes

FRESH = {"Cache-Control": "max-age=600"}
HALF_HEAD = b"GET /a HTTP/1.1\r\nHost: si"
POST = b"POST /p HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100000\r\n\r\n"
LARGE = b"x" * (16 << 20)


@pytest.fixture
def limited(start_edge, origin):
    """Starts an edge with these directives; /a is stored."""

    def start(workers=1, files_limit=None, **settings):
        origin.serve("/a", 200, FRESH, b"hello")
        edge = start_edge(origin=origin.url, workers=workers, settings=settings, store_size="256MB",
                          files_limit=files_limit)
        assert edge.get("/a").status == 200
        edge.wait_stored(1)
        edge.expect_stats(connections_open=0)  # ours has gone too
        return edge

    return start


def still_served(edge):
    assert edge.get("/a").body == b"hello"


def stuck_reader(edge, target="/large"):
    """A client that asks for a large object and takes next to nothing."""
    client = edge.client(rcvbuf=4096)
    client.send_request("GET", target)
    return client


# --- clocks


def test_idle_timeout(limited):
    edge = limited(idle_timeout="200ms")
    client = edge.client()
    assert client.get("/a").status == 200
    client.expect_closed()
    edge.wait_for(idle_timeouts=1, connection_timeouts=1)


def test_head_timeout_is_for_the_whole_head(limited):
    """Bytes that trickle in do not move it: RFC 9110 section 15.5.9."""
    edge = limited(head_timeout="400ms")
    client = edge.client()
    began = time.monotonic()
    client.send(b"GET /a HTTP/1.1\r\nHost: site.test\r\n")
    answer = []

    def wait():
        answer.append(client.read_response().status)

    reader = threading.Thread(target=wait)
    reader.start()
    while reader.is_alive() and time.monotonic() < began + 10:
        try:
            client.send(b"X: y\r\n")
        except OSError:
            break
        reader.join(0.05)
    reader.join()
    assert answer == [408]
    edge.wait_for(head_timeouts=1)
    still_served(edge)


def test_read_timeout_of_a_body_that_stops_is_408(limited, origin):
    edge = limited(read_timeout="300ms")
    client = edge.client()
    client.send(POST + b"some")
    held = origin.next_request()
    assert client.read_response().status == 408
    client.expect_closed()
    assert held.is_abandoned()
    edge.wait_for(body_timeouts=1)
    still_served(edge)


def test_request_rate_min_cuts_a_body_that_trickles(limited, origin):
    edge = limited(request_rate_min="100000", rate_grace="1s", read_timeout="1h")
    client = edge.client()
    client.send(POST)
    held = origin.next_request()
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.02):
            try:
                client.send(b"x")
            except OSError:
                return

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert client.read_response().status == 408
    finally:
        stop.set()
        sender.join()
    assert held.is_abandoned()
    edge.wait_for(bodies_too_slow=1)
    still_served(edge)


def test_request_rate_min_does_not_count_time_the_origin_takes(limited, origin):
    """The origin reads nothing for longer than the grace: that is not the client's fault."""
    edge = limited(request_rate_min="100000", rate_grace="1s", read_timeout="1h")
    body = b"x" * (8 << 20)
    client = edge.client()
    sender = threading.Thread(target=client.send_request, args=("POST", "/p", None, body))
    sender.start()
    held = origin.next_request()
    blocked = time.monotonic() + 2.5
    while time.monotonic() < blocked:  # the time itself is what is tested
        still_served(edge)
        time.sleep(0.1)
    assert len(held.body) == len(body)
    held.reply(200, {}, b"taken")
    sender.join()
    assert client.read_response().body == b"taken"
    edge.expect_stats(bodies_too_slow=0)


def test_response_rate_min_cuts_a_reader_that_takes_too_little(limited, origin):
    edge = limited(response_rate_min="100000000", rate_grace="1s", write_timeout="1h")
    origin.serve("/large", 200, FRESH, LARGE)
    stuck_reader(edge)
    edge.wait_for(readers_too_slow=1)
    edge.expect_stats(connections_open=0)
    still_served(edge)


def test_response_rate_min_does_not_count_time_the_origin_takes(limited, origin):
    edge = limited(response_rate_min="100000000", rate_grace="1s", write_timeout="1h")
    client = edge.client()
    client.send_request("GET", "/drip")
    held = origin.next_request()
    held.start(200, FRESH, length=30)
    until = time.monotonic() + 2.5
    sent = 0
    while time.monotonic() < until:  # the time itself is what is tested
        if sent < 29:
            held.send(b"y")
            sent += 1
        time.sleep(0.1)
    held.send(b"y" * (30 - sent))
    held.finish()
    assert len(client.read_response().body) == 30
    edge.expect_stats(readers_too_slow=0)


def test_write_timeout_of_a_reader_that_takes_nothing(limited, origin):
    edge = limited(write_timeout="500ms", response_rate_min="0")
    origin.serve("/large", 200, FRESH, LARGE)
    stuck_reader(edge)
    edge.wait_for(reader_timeouts=1)
    edge.expect_stats(connections_open=0)
    still_served(edge)


def test_a_reader_that_takes_a_little_is_not_cut(limited, origin):
    """What the kernel holds is not with the client: a slow one makes no room in its buffer for
    longer than write_timeout, and yet goes on."""
    edge = limited(write_timeout="1s", response_rate_min="0")
    origin.serve("/large", 200, FRESH, LARGE)
    client = stuck_reader(edge)
    taken = len(client.read_body(1))
    until = time.monotonic() + 4
    while time.monotonic() < until:  # the time itself is what is tested
        taken += 4096
        assert len(client.read_body(taken)) >= taken
        time.sleep(0.1)
    edge.expect_stats(reader_timeouts=0, readers_too_slow=0)


def test_request_timeout_ends_an_exchange_that_waits_for_the_origin(limited, origin):
    edge = limited(request_timeout="500ms")
    client = edge.client()
    client.send_request("GET", "/never")
    origin.next_request()
    client.expect_closed()
    edge.wait_for(request_timeouts=1)
    still_served(edge)


# --- pipelined requests


def test_pipeline_max_bounds_what_waits(limited, origin):
    edge = limited(pipeline_max="1KB")
    client = edge.client()
    client.send_request("GET", "/held")
    held = origin.next_request()
    client.send(request_bytes("GET", "/a") * 500)
    edge.wait_for(pipeline_pauses=1)
    assert edge.stats()["input_bytes"] <= 4096
    held.reply(200, {}, b"first")
    assert client.read_response().body == b"first"
    for _ in range(500):
        assert client.read_response().body == b"hello"
    edge.expect_stats(input_bytes=0)


def test_pipeline_burst_gives_others_their_turn(limited):
    edge = limited(pipeline_burst="4")
    client = edge.client()
    client.send(request_bytes("GET", "/a") * 100)
    for _ in range(100):
        assert client.read_response().body == b"hello"
    edge.wait_for(pipeline_yields=20)
    assert client.get("/a").status == 200


def test_requests_per_connection(limited):
    edge = limited(requests_per_connection="3")
    client = edge.client()
    answers = [client.get("/a") for _ in range(3)]
    assert [answer.get("Connection") for answer in answers] == [None, None, "close"]
    client.expect_closed()
    edge.expect_stats(connections_used_up=1)


# --- connections


def test_max_connections_closes_the_oldest_idle(limited):
    edge = limited(max_connections="3", max_connections_per_address="100")
    kept = [edge.client() for _ in range(3)]
    for client in kept:
        assert client.get("/a").status == 200
    newcomer = edge.client()
    assert newcomer.get("/a").status == 200
    kept[0].expect_closed()
    assert kept[2].get("/a").status == 200
    edge.expect_stats(connections_open=3, shed_idle=1, connections_refused=0)


def test_max_connections_refuses_when_all_are_busy(limited, origin):
    edge = limited(max_connections="2", max_connections_per_address="100")
    busy = [edge.client() for _ in range(2)]
    held = []
    for number, client in enumerate(busy):
        client.send_request("GET", f"/busy{number}")
        held.append(origin.next_request())
    edge.client().expect_closed()
    edge.expect_stats(connections_refused=1, shed_idle=0, shed_slow=0)
    for request in held:
        request.reply(200, {}, b"done")
    for client in busy:
        assert client.read_response().body == b"done"


def test_max_connections_counts_all_workers(limited, origin):
    edge = limited(workers=2, max_connections="4", max_connections_per_address="100")
    clients = []
    for number in range(4):  # whichever worker they come to
        clients.append(edge.client())
        clients[-1].send_request("GET", f"/busy{number}")
        origin.next_request()
    edge.client().expect_closed()
    edge.expect_stats(connections_refused=1, connections_open=4)


def test_max_connections_closes_a_slow_reader_and_not_one_that_reads(limited, origin):
    edge = limited(max_connections="2", max_connections_per_address="100", response_rate_min="1000")
    origin.serve("/large", 200, FRESH, LARGE)
    stuck_reader(edge)
    reads = edge.client(rcvbuf=65536)
    reads.send_request("GET", "/large")
    taken = []
    served = threading.Event()

    def read_on():
        while sum(taken) < len(LARGE):
            data = reads.sock.recv(65536)
            if not data:
                return
            taken.append(len(data))
            if not served.is_set():
                served.wait(0.02)

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        edge.wait_until(lambda: taken, "the reader's first bytes")  # until then it is half-open
        edge.wait_until(lambda: is_served(edge), "room for a newcomer")
    finally:
        served.set()
        reader.join()
    assert sum(taken) >= len(LARGE)
    edge.expect_stats(shed_slow=1)


def is_served(edge):
    """Is there room for one more?"""
    try:
        return edge.get("/a").status == 200
    except (h1.Truncated, OSError):
        return False


def test_max_half_open_closes_the_oldest(limited):
    edge = limited(max_half_open="5")
    clients = [edge.client() for _ in range(5)]
    for client in clients:
        client.send(HALF_HEAD)
    edge.wait_for(connections_half_open=5)
    still_served(edge)
    clients[0].expect_closed()
    edge.wait_for(shed_half_open=1)
    clients[4].send(b"te.test\r\n\r\n")
    assert clients[4].read_response().body == b"hello"
    edge.expect_stats(connections_half_open=3)


def test_max_connections_per_address(limited, origin):
    edge = limited(max_connections_per_address="2")
    mine = [Client(edge.port, source="127.0.0.9") for _ in range(2)]
    for number, client in enumerate(mine):
        client.send_request("GET", f"/busy{number}")
        origin.next_request()
    with Client(edge.port, source="127.0.0.9") as third:
        third.expect_closed()
    edge.expect_stats(connections_refused_address=1)
    still_served(edge)  # another address
    for client in mine:
        client.reset()
    edge.expect_stats(connections_open=0)
    with Client(edge.port, source="127.0.0.9") as again:
        assert again.get("/a").status == 200


def test_an_address_at_its_limit_loses_its_own_oldest_idle(limited):
    edge = limited(max_connections_per_address="2")
    other = edge.client()
    assert other.get("/a").status == 200
    mine = [Client(edge.port, source="127.0.0.9") for _ in range(3)]
    assert mine[2].get("/a").status == 200
    mine[0].expect_closed()
    assert mine[1].get("/a").status == 200
    assert other.get("/a").status == 200
    edge.expect_stats(connections_refused_address=0)
    for client in mine:
        client.close()


# --- memory and descriptors


def test_input_memory_closes_the_oldest_heads(limited):
    edge = limited(input_memory="64KB")
    clients = [edge.client() for _ in range(20)]
    for client in clients:
        try:
            client.send(HALF_HEAD + b"te.test\r\nX: " + b"y" * 8000)
        except OSError:
            pass
    seen = edge.wait_for(shed_input=10)
    assert seen["input_bytes"] <= 64 << 10
    still_served(edge)
    clients[0].expect_closed()


def test_a_head_byte_by_byte_costs_no_more_memory_than_a_head(limited):
    edge = limited(head_timeout="1m")
    client = edge.client()
    head = request_bytes("GET", "/a", {"X": "y" * 3000})
    for at in range(len(head) - 1):
        client.send(head[at:at + 1])
    assert edge.stats()["input_bytes"] <= 2 * len(head)
    client.send(head[-1:])
    assert client.read_response().body == b"hello"
    edge.expect_stats(input_bytes=0, connections_half_open=0)


def test_without_descriptors_the_oldest_goes(limited):
    """EMFILE: accepting neither spins nor starves."""
    edge = limited(files_limit=60)
    idle = [edge.client() for _ in range(60)]
    newcomer = edge.client()
    assert newcomer.get("/a").status == 200
    idle[0].expect_closed()
    for client in idle:
        client.close()
    seen = edge.wait_for(accept_shortages=1)
    assert seen["shed_half_open"] + seen["shed_idle"] >= 1
    still_served(edge)
