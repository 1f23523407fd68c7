"""The admin listener itself: its manners, its patience, and that traffic does not notice it."""

import json
import resource
import signal
import socket
import threading

import pytest

import h1
from client import Client
from edge import run_tool

FRESH = {"Cache-Control": "max-age=600"}


def test_a_connection_is_kept(edge):
    with Client(edge.admin_port) as client:
        for path in ("/healthz", "/stats", "/nothing", "/readyz"):
            client.send_request("GET", path)
            assert client.read_response().status == (404 if path == "/nothing" else 200)


def test_head_tells_the_length_without_the_body(edge):
    with Client(edge.admin_port) as client:
        response = client.request("HEAD", "/healthz")
        assert (response.status, response["Content-Length"], response.body) == (200, "3", b"")
        assert client.request("GET", "/healthz").body == b"ok\n"


@pytest.mark.parametrize("version, hosts, status", [
    ("1.1", 1, 200), ("1.1", 0, 400), ("1.1", 2, 400), ("1.0", 1, 200), ("1.0", 0, 200),
    ("1.0", 2, 400)])
def test_a_request_names_one_host(edge, version, hosts, status):
    """RFC 9112 section 3.2."""
    with Client(edge.admin_port) as client:
        client.send(f"GET /healthz HTTP/{version}\r\n".encode() + b"Host: a\r\n" * hosts + b"\r\n")
        assert client.read_response().status == status


def test_every_refusal_has_a_hint(edge):
    for method, target, status in (("GET", "/nothing", 404), ("DELETE", "/purge", 405),
                                   ("GET", "/purge/1", 404), ("GET", "/purge/x", 404),
                                   ("GET", "/inspect", 400), ("GET", "/inspect?url=/a", 400),
                                   ("GET", "/inspect?url=http%3A%2F%2Fa%2F", 404)):
        response = edge.admin(method, target)
        assert response.status == status, target
        answer = json.loads(response.body)
        assert answer["error"] and answer["hint"], target


def test_a_purge_is_followed_by_its_id(origin, edge):
    origin.serve("/a", 200, {**FRESH, "Surrogate-Key": "red"}, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    receipt = edge.purge(tags=["red"])
    assert receipt["state"] in ("waiting", "sweeping", "done") and receipt["soft"] is False

    def status():
        return json.loads(edge.admin("GET", f"/purge/{receipt['id']}").body)

    edge.wait_until(lambda: status()["state"] == "done", "the purge is done")
    assert status()["matched"] == 1


def test_who_leaves_before_the_answer_is_no_trouble(origin, edge):
    """The purge is done all the same."""
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    body = b'{"purge_everything": true}'
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", edge.admin_port)) as leaver:
            leaver.sendall(b"POST /purge HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))
    edge.wait_for(purges=20)
    assert not edge.get("/a").cache_status.hit
    assert edge.admin("GET", "/healthz").status == 200


def test_stopping_with_purges_at_work(origin, edge):
    """Whatever is under way when the daemon ends, nothing is left behind (the sanitizers look)."""
    def storm():
        for _ in range(50):
            try:
                edge.admin("POST", "/purge", {"purge_everything": True})
            except (OSError, h1.Truncated):
                return

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    edge.wait_for(purges=5)
    edge.stop()
    for thread in threads:
        thread.join()


def test_a_silent_client_does_not_hold_up_the_others(edge):
    with socket.create_connection(("127.0.0.1", edge.admin_port)) as silent:
        silent.sendall(b"GET /stats HTT")
        assert edge.admin("GET", "/healthz").status == 200


def test_readyz_says_that_it_stops(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "60s"})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    edge.process.send_signal(signal.SIGTERM)
    edge.wait_until(lambda: edge.admin("GET", "/readyz").status == 503, "/readyz says 503")
    assert edge.admin("GET", "/healthz").status == 200
    held.reply(200, FRESH, b"hello")
    assert client.read_response().body == b"hello"
    client.close()
    assert edge.wait_exit() == 0
    edge.process = None


def test_an_open_admin_address_needs_a_token(origin, tmp_path):
    words = ("-t", "--origin", origin.url, "--admin", "0.0.0.0:0")
    done = run_tool("brink", *words)
    assert done.returncode == 1 and "token" in done.stderr
    assert run_tool("brink", *words, "--set", "admin.token=secret").returncode == 0


def test_brinkctl_sends_the_token(origin, start_edge, monkeypatch):
    edge = start_edge(origin=origin.url, settings={"admin.token": "secret"})
    address = f"127.0.0.1:{edge.admin_port}"
    done = run_tool("brinkctl", "--admin", address, "stats")
    assert done.returncode == 1 and "token" in done.stderr
    monkeypatch.setenv("BRINK_TOKEN", "secret")
    assert run_tool("brinkctl", "--admin", address, "stats").returncode == 0
    assert edge.admin("GET", "/healthz").status == 200  # whoever watches it needs none


def test_brinkctl_purges_of_every_kind(origin, edge):
    address = ("--admin", f"127.0.0.1:{edge.admin_port}")
    for words in (["http://site.test/a"], ["--url", "http://site.test/a"],
                  ["--prefix", "site.test/"], ["--host", "site.test"], ["--tag", "red", "blue"],
                  ["--everything"]):
        stored = edge.stats()["store_puts"]
        origin.serve("/a", 200, {**FRESH, "Surrogate-Key": "red"}, b"hello")
        edge.get("/a")
        edge.wait_for(store_puts=stored + 1)
        assert edge.get("/a").cache_status.hit
        done = run_tool("brinkctl", *address, "purge", *words)
        assert done.returncode == 0, done.stderr
        assert not edge.get("/a").cache_status.hit, words
        edge.wait_for(store_puts=stored + 2)
        run_tool("brinkctl", *address, "purge", "--everything")
    done = run_tool("brinkctl", *address, "purge", "--everything", "--soft", "--json")
    assert json.loads(done.stdout)["soft"] is True


def test_brinkctl_waits_until_a_purge_is_done(origin, edge):
    """It prints id, state, what it matched and what became of that, and the time it took."""
    address = ("--admin", f"127.0.0.1:{edge.admin_port}")
    for n in range(3):
        origin.serve(f"/a{n}", 200, {**FRESH, "Surrogate-Key": "red"}, b"hello")
        edge.get(f"/a{n}")
    edge.wait_stored(3)
    for words, member in ((["--tag", "red", "--soft"], "marked"), (["http://site.test/a0"], "removed"),
                          (["--prefix", "site.test/a1"], "removed"), (["--host", "site.test"], "removed"),
                          (["--everything"], "removed")):
        matched = {"--tag": 3, "--everything": 0}.get(words[0], 1)
        done = run_tool("brinkctl", *address, "purge", *words, "--wait")
        assert done.returncode == 0, done.stderr
        lines = dict(line.split(None, 1) for line in done.stdout.splitlines())
        number = lines["purge"].split(",")[0]
        assert lines["state"] == "done"
        assert lines["matched"].startswith(f"{matched} stored object")
        assert lines[member].startswith(f"{matched} stored object")
        assert lines["time"].endswith(" s")
        again = run_tool("brinkctl", *address, "--json", "purge", "--status", number, "--wait")
        told = json.loads(again.stdout)
        assert (told["id"], told["state"], told[member]) == (int(number), "done", matched)
        assert told["ended_ms"] - told["began_ms"] == told["duration_ms"]
        edge.expect_stats(store_objects={"--tag": 3, "http://site.test/a0": 2, "--prefix": 1}.get(
            words[0], 0))


def test_brinkctl_tells_of_unknown_purges(edge):
    address = ("--admin", f"127.0.0.1:{edge.admin_port}")
    done = run_tool("brinkctl", *address, "purge", "--status", "99", "--wait")
    assert done.returncode == 1 and "no purge of this id" in done.stderr
    for words in (["--status"], ["--status", "x"], ["--status", "1", "--soft"], ["--wait"]):
        assert run_tool("brinkctl", *address, "purge", *words).returncode == 2, words


def test_brinkctl_refuses_two_kinds(edge):
    address = ("--admin", f"127.0.0.1:{edge.admin_port}")
    for words in (["--tag", "a", "--host", "b"], ["--everything", "a"], ["--frob"], ["--tag"]):
        done = run_tool("brinkctl", *address, "purge", *words)
        assert done.returncode == 2 and "brinkctl" in done.stderr, words
    edge.expect_stats(purges=0)


def test_brinkctl_without_a_daemon_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_tool("brinkctl", "--admin", address, "stats")
    assert done.returncode == 3
    assert f"cannot reach {address}: Connection refused; is brink running with" in done.stderr


def test_the_access_log_is_begun_anew_on_a_signal(origin, start_edge, tmp_path):
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, settings={"log.access": str(log)})
    origin.serve("/a", 200, FRESH, b"hello")
    for name in ("SIGUSR1", "SIGHUP"):
        edge.get("/a")
        edge.wait_until(lambda: log.exists() and log.read_text().count("\n") == 1, "a line")
        log.rename(tmp_path / f"access.{name}")
        edge.process.send_signal(getattr(signal, name))
        edge.wait_until(log.exists, "the new file")
    assert len(list(tmp_path.glob("access.SIG*"))) == 2


def test_too_few_descriptors_do_not_stop_it(edge):
    """An operator who cannot be accepted now is answered later, and the log tells it quietly."""
    limits = resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    waiting = edge.keep(Client(edge.admin_port))
    waiting.send_request("GET", "/healthz")
    edge.wait_log("what=admin reason=\"accept: ")
    resource.prlimit(edge.process.pid, resource.RLIMIT_NOFILE, limits)
    assert waiting.read_response().status == 200
    assert len(edge.log_text().splitlines()) < 300
