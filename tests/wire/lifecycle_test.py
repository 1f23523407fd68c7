"""Starting, stopping, starting again, and what is said when something is wrong."""

import random
import re
import signal
import socket
import threading
import time

import pytest

import content
import h1
from client import DEADLINE_S, Client, request_bytes
from edge import ROOT, Edge, run_tool, sanitizers
from ports import free_port

FRESH = {"Cache-Control": "max-age=600"}
STOP_S = 10.0 if sanitizers() else 5.0  # their own end takes time


def fill(origin, edge, n=20):
    paths = [f"/p{i}" for i in range(n)]
    for path in paths:
        origin.serve(path, 200, FRESH, path.encode() * 1000)
        edge.get(path)
    edge.wait_stored(n)
    return paths


def assert_hits(edge, paths):
    for path in paths:
        response = edge.get(path)
        assert response.cache_status.hit and response.body == path.encode() * 1000


# --- stopping


def ends(edge, number=signal.SIGTERM):
    """The signal ends it with 0, and in time."""
    began = time.monotonic()
    edge.process.send_signal(number)
    assert edge.wait_exit() == 0
    assert time.monotonic() - began < STOP_S
    edge.process = None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_ends_it_with_0_in_time(origin, edge, number):
    fill(origin, edge, 1)
    idle = edge.client()
    idle.get("/p0")
    ends(edge, number)
    idle.expect_closed()


def test_the_default_time_for_requests_in_flight_is_short():
    said = run("--help-directives").stdout
    assert re.search(r"^shutdown_timeout\n +duration; default 3s\b", said, re.M)


def test_sigterm_lets_a_request_in_flight_finish(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "60s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=200000)
    held.send(b"x" * 100000)
    client.read_body(1)
    edge.process.terminate()
    edge.wait_until(lambda: refused(edge.port), "the listener closes")
    held.send(b"x" * 100000)
    held.finish()
    assert client.read_response().body == b"x" * 200000
    client.expect_closed()
    client.close()
    assert edge.wait_exit() == 0
    edge.process = None
    origin.stop()
    edge.start()
    assert edge.get("/a").cache_status.hit, "what was fetched while stopping was not kept"


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


# --- stopping while everybody stalls


def half_a_head(origin, edge):
    edge.client().send(b"GET / HTTP/1.1\r\nHost: si")


def half_a_body(origin, edge):
    client = edge.client()
    client.send(b"POST /up HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhal")
    assert origin.next_request().read_body_some() == b"hal"


def a_body_nobody_reads(origin, edge):
    origin.serve("/large", 200, {"Cache-Control": "no-store"}, b"x" * 20_000_000)
    client = edge.client(rcvbuf=16384)
    client.send_request("GET", "/large")
    client.read_body(1, most=1)


def a_hit_nobody_reads(origin, edge):
    origin.serve("/stored", 200, FRESH, b"x" * 6_000_000)
    edge.get("/stored")
    edge.wait_stored(1)
    client = edge.client(rcvbuf=16384)
    client.send_request("GET", "/stored")
    assert client.read_head().cache_status.hit


def an_origin_that_does_not_answer(origin, edge):
    edge.client().send_request("GET", "/waiting")
    origin.next_request()


def followers_of_a_fill(origin, edge):
    for _ in range(3):
        edge.client().send_request("GET", "/shared")
    origin.next_request().start(200, FRESH, length=100)
    edge.wait_for(cache_collapsed=2)


def pipelined_requests(origin, edge):
    edge.client().send(10 * request_bytes("GET", "/pipelined"))
    origin.next_request()


def a_refused_client_that_stays(origin, edge):
    client = edge.client()
    client.send(b"BAD\r\n\r\n")
    assert client.read_response().status == 400


def half_an_admin_request(origin, edge):
    client = Client(edge.admin_port)
    client.send(b"GET /stats HTT")
    edge.keep(client)


STALLS = [half_a_head, half_a_body, a_body_nobody_reads, a_hit_nobody_reads,
          an_origin_that_does_not_answer, followers_of_a_fill, pipelined_requests,
          a_refused_client_that_stays, half_an_admin_request]


@pytest.mark.tsan
@pytest.mark.parametrize("stall", STALLS, ids=lambda stall: stall.__name__)
@pytest.mark.edge(settings={"shutdown_timeout": "500ms"})
def test_sigterm_does_not_wait_for_who_stalls(origin, edge, stall):
    stall(origin, edge)
    ends(edge)


@pytest.mark.tsan
@pytest.mark.edge(settings={"shutdown_timeout": "500ms"})
def test_sigterm_does_not_wait_for_many_who_stall(origin, edge):
    for stall in STALLS:
        stall(origin, edge)
    ends(edge)


@pytest.mark.tsan
@pytest.mark.edge(settings={"shutdown_timeout": "60s"})
def test_a_second_sigterm_ends_it_at_once(origin, edge):
    for stall in STALLS:
        stall(origin, edge)
    edge.process.terminate()
    edge.wait_log("event=stopping")
    ends(edge, signal.SIGINT)


def test_an_idle_client_is_told_that_it_ends(origin, edge):
    """RFC 9112 section 9.6: an orderly end, however late the next request comes."""
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    assert client.get("/a").body == b"hello"
    edge.process.terminate()
    client.sock.settimeout(DEADLINE_S)
    assert client.sock.recv(1) == b""  # not a reset
    client.close()
    assert edge.wait_exit() == 0
    edge.process = None


def test_requests_that_cross_the_end_are_answered_or_not_begun(origin, start_edge):
    """RFC 9112 section 9.6: what the origin saw was answered whole, and nobody finds a reset."""
    edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "60s"})
    origin.serve("/a", 200, {"Cache-Control": "no-store"}, b"hello")
    answers, faults = [], []

    def ask():
        try:
            with Client(edge.port) as client:
                since_s = time.monotonic()
                while answer := raw_answer(client.sock, since_s):
                    since_s = time.monotonic()
                    (answers if answer.endswith(b"\r\n\r\nhello") else faults).append(answer)
        except OSError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    edge.wait_for(requests=400)
    ends(edge)
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(answers) == origin.count("/a") >= 400


def raw_answer(sock, since_s):
    """To a GET that goes out now: all that comes of it. A reset is raised, but for one that may come
    to whom the machine held up, since his last answer, for longer than brink waits for him."""
    got = b""
    try:
        sock.sendall(request_bytes("GET", "/a"))
        while not got.endswith(b"\r\n\r\nhello") and (data := sock.recv(65536)):
            got += data
    except (ConnectionResetError, BrokenPipeError):
        if got or time.monotonic() - since_s < 0.4:
            raise
    return got


# --- stopping while it starts


@pytest.mark.tsan
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("moment", ["event=starting", "event=store ", "event=ready"])
def test_a_signal_while_it_starts_ends_it_with_0(origin, edge, moment, number):
    """Also while the index is rebuilt after kill -9."""
    paths = fill(origin, edge)
    edge.kill()
    for _ in range(3):
        seen = edge.log_text().count(moment)
        edge.start(wait=False)
        edge.wait_until(lambda seen=seen: edge.log_text().count(moment) > seen, moment)
        ends(edge, number)
    edge.start()
    assert_hits(edge, paths)


# --- starting again


def test_hits_after_a_restart_with_the_origin_off(origin, edge):
    paths = fill(origin, edge)
    edge.stop()
    origin.stop()
    edge.start()
    assert_hits(edge, paths)
    edge.expect_stats(origin_requests=0, cache_hit=len(paths), store_objects=len(paths))


def test_hits_after_kill_9_with_the_origin_off(origin, edge):
    paths = fill(origin, edge)
    edge.kill()
    origin.stop()
    edge.start()
    assert_hits(edge, paths)
    edge.expect_stats(origin_requests=0, cache_hit=len(paths))


def test_a_restart_again_and_again(origin, edge):
    """The saved index is used once and never an old one."""
    paths = fill(origin, edge, 5)
    for i in range(4):
        (edge.kill if i % 2 else edge.stop)()
        edge.start()
        assert_hits(edge, paths)
        path = f"/more{i}"
        origin.serve(path, 200, FRESH, path.encode() * 1000)
        edge.get(path)
        edge.wait_stored(1)
        paths.append(path)
    edge.request("PURGE", paths.pop(0))
    edge.restart()
    assert_hits(edge, paths)
    assert edge.stats()["store_objects"] == len(paths)


def test_ages_go_on_over_a_restart(origin, edge):
    origin.serve("/a", 200, {"Cache-Control": "max-age=600", "Age": "100"}, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    edge.restart()
    response = edge.get("/a")
    assert response.cache_status.hit and int(response["Age"]) >= 100


def test_a_larger_or_smaller_store_keeps_working(origin, edge):
    paths = fill(origin, edge)
    for size in ("128MB", "32MB"):
        edge.stop()
        edge.store_size = size
        edge.start()
        assert_hits(edge, paths)


# --- what is said


def run(*words):
    return run_tool("brink", *words)


def common(origin, folder, listen=None):
    return ["--listen", listen or f"127.0.0.1:{free_port()}", "--origin", origin.url,
            "--store", str(folder), "--store-size", "16MB"]


def test_a_port_in_use_is_told(origin, edge, tmp_path):
    """Two daemons must not share a port without knowing it."""
    done = run(*common(origin, tmp_path / "other", f"127.0.0.1:{edge.port}"))
    assert done.returncode == 1
    assert f"127.0.0.1:{edge.port}" in done.stderr and "in use" in done.stderr


def test_an_admin_port_in_use_is_told(origin, edge, tmp_path):
    done = run(*common(origin, tmp_path / "other"), "--admin", f"127.0.0.1:{edge.admin_port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{edge.admin_port}" in done.stderr and "in use" in done.stderr


def test_a_store_in_use_is_told(origin, edge):
    done = run(*common(origin, edge.store))
    assert done.returncode == 1
    assert str(edge.store) in done.stderr


def test_a_store_folder_that_cannot_be_made_is_told(origin, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = run(*common(origin, tmp_path / "file" / "store"))
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr


def test_a_store_folder_that_cannot_be_written_is_told(origin, tmp_path):
    (tmp_path / "store" / "brink.lock").mkdir(parents=True)  # root may write in any folder
    done = run(*common(origin, tmp_path / "store"))
    assert done.returncode == 1
    assert str(tmp_path / "store") in done.stderr and "event=ready" not in done.stderr


def test_several_listeners(origin, start_edge):
    other = free_port()
    edge = start_edge(origin=origin.url, arguments=["--listen", f"127.0.0.1:{other}"])
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    own, edge.port = edge.port, other
    assert edge.get("/a").cache_status.hit
    edge.port = own


def test_port_0_tells_the_real_one(origin, tmp_path):
    edge = Edge(tmp_path / "zero", origin=origin.url)
    edge.port = 0
    edge.start()
    edge.port = int(edge.log_events("ready")[0]["listen"].rpartition(":")[2])
    origin.serve("/a", 200, FRESH, b"hello")
    assert edge.get("/a").body == b"hello"
    edge.stop()
    assert edge.finish() == []


def test_requests_leave_no_descriptor_behind(origin, edge):
    """Open files of the daemon do not grow with requests."""
    origin.serve("/a", 200, {"Cache-Control": "no-store"}, b"hello", close=True)
    edge.get("/a")
    edge.expect_stats(connections_open=0)
    before = edge.descriptors()
    for _ in range(100):
        assert edge.get("/a").status == 200
    edge.expect_stats(connections_open=0)
    edge.wait_until(lambda: edge.descriptors() <= before + 2, "descriptors are closed")


# --- the configuration


GOOD = """
listen "127.0.0.1:0" {}
store { path = "%(folder)s/store"  size = "16MB" }
origin "app" { server "127.0.0.1:3000" { weight = 2 } }
site "www" { hosts = {"www.example.com"} origin = "app" }
"""


def check_config(tmp_path, text):
    """`brink -t` on this text; '%(folder)s' is a folder of the test."""
    file = tmp_path / "brink.conf"
    file.write_text(text.replace("%(folder)s", str(tmp_path)))
    return file, run("-t", "-c", file)


def test_t_accepts_a_good_configuration(tmp_path):
    _, done = check_config(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).strip(), "no summary"
    assert not (tmp_path / "store").exists(), "-t must not make a store"


@pytest.mark.parametrize("why, change, line, words", [
    ("unknown directive", ("size =", "sise ="), 3, "size"),
    ("unknown section", ("origin \"app\"", "origine \"app\""), 4, "origin"),
    ("bad size", ('"16MB"', '"16 carrots"'), 3, "size"),
    ("out of range", ("weight = 2", "weight = 2000"), 4, "weight"),
    ("not a number", ("weight = 2", "weight = two"), 4, "weight"),
    ("unknown origin", ('origin = "app"', 'origin = "apt"'), 5, "app"),
    ("bad address", ("127.0.0.1:0", "127.0.0.1:zero"), 2, "127.0.0.1:zero"),
    ("brace missing", ("} }\nsite", "}\nsite"), 5, ""),
], ids=lambda value: value if isinstance(value, str) and " " in value else None)
def test_t_says_where_and_what(tmp_path, why, change, line, words):
    """file:line: what is wrong; what to do."""
    file, done = check_config(tmp_path, GOOD.replace(*change))
    assert done.returncode == 1, done.stdout
    told = [row for row in done.stderr.splitlines() if row.startswith(f"{file}:")]
    assert told, done.stderr
    if why != "brace missing":
        assert told[0].startswith(f"{file}:{line}:"), told
        assert ";" in told[0] and words in told[0], told


def test_t_suggests_the_nearest_directive(tmp_path):
    _, done = check_config(tmp_path, GOOD.replace("weight = 2", "wieght = 2"))
    assert done.returncode == 1
    assert re.search(r"wieght.*weight", done.stderr)


def test_t_of_a_missing_file(tmp_path):
    done = run("-t", "-c", tmp_path / "none.conf")
    assert done.returncode == 1
    assert "none.conf" in done.stderr


def test_a_configuration_file_runs(origin, tmp_path):
    port, admin = free_port(), free_port()
    file = tmp_path / "brink.conf"
    file.write_text(f"""
listen "127.0.0.1:{port}" {{}}
admin "127.0.0.1:{admin}" {{}}
store {{ path = "{tmp_path}/store"  size = "16MB" }}
origin "one" {{ server "127.0.0.1:{origin.port}" {{}} }}
origin "two" {{ server "127.0.0.1:{origin.port}" {{}}  host = "two.internal" }}
site "one" {{ hosts = {{"one.test"}}  origin = "one" }}
site "two" {{ hosts = {{"two.test", "www.two.test"}}  origin = "two"  default_ttl = "60s" }}
""")
    edge = Edge(tmp_path / "configured", config=file)
    edge.port, edge.admin_port = port, admin
    edge.start()
    try:
        origin.serve_with("/a", lambda held: held.reply(200, {}, held["Host"].encode()))
        assert edge.get("/a", host="one.test").body == b"one.test"
        assert edge.get("/a", host="www.two.test").body == b"two.internal"
        edge.wait_stored(1)
        assert edge.get("/a", host="www.two.test").cache_status.hit
        assert edge.get("/a", host="three.test").status == 421
    finally:
        faults = edge.finish()
    assert not faults, faults


def test_the_sample_configuration_is_accepted():
    done = run("-t", "-c", ROOT / "conf/brink.conf")
    assert done.returncode == 0, done.stderr


def test_help_directives_lists_what_the_sample_shows():
    done = run("--help-directives")
    assert done.returncode == 0
    names = re.findall(r"^(\S+)$", done.stdout, re.M)
    assert len(names) > 20
    sample = (ROOT / "conf/brink.conf").read_text()
    for name in names:
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", sample), f"{name} is not in conf/brink.conf"


@pytest.mark.parametrize("words", [["--frob"], ["--listen"], ["--set", "nonsense=1"],
                                   ["--set", "workers"], ["--workers", "many"],
                                   ["--store-size", "12 apples"], ["--listen", "nowhere"],
                                   ["--origin", "gopher://x"], ["stray"]], ids=" ".join)
def test_a_wrong_command_line_is_told(words):
    done = run("-t", "--origin", "http://127.0.0.1:1", *words)
    assert done.returncode in (1, 2)
    assert words[0] in done.stderr or words[-1] in done.stderr


def test_version_and_help():
    assert re.search(r"\d+\.\d+\.\d+", run("-V").stdout)
    help_text = run("--help").stdout
    for word in ("--listen", "--origin", "--store", "--store-size", "--workers", "--admin", "--set"):
        assert word in help_text


def test_sigterm_under_load(origin, start_edge):
    """Hits, misses, uploads and slow readers at once: it ends with 0, in time, and nothing is lost."""
    origin.serve_all(lambda target: target.startswith("/g/"), lambda held: held.reply(
        200, FRESH, content.body_of(held.target), chunked=held.nth % 2 == 0))
    origin.serve("/up", 200, {"Cache-Control": "no-store"}, b"ok")
    for _ in range(4):
        edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "1s"})
        over = threading.Event()
        wrong = []

        def read(seed, edge=edge, over=over, wrong=wrong):
            dice = random.Random(seed)
            while not over.is_set():
                try:
                    with Client(edge.port, rcvbuf=dice.choice([None, 8192])) as client:
                        for _ in range(dice.randrange(1, 20)):
                            target = content.path_of(dice.choice([100, 5000, 400_000]), dice.randrange(50))
                            if client.get(target).body != content.body_of(target):
                                wrong.append(target)
                            client.request("POST", "/up", body=bytes(dice.randrange(100_000)))
                except (OSError, h1.Truncated):
                    pass

        threads = [threading.Thread(target=read, args=(seed,), daemon=True) for seed in range(12)]
        for thread in threads:
            thread.start()
        edge.wait_for(requests=200)
        try:
            ends(edge)
        finally:
            over.set()
        for thread in threads:
            thread.join()
        assert wrong == []
