"""Seeing it: metrics, counters, logs, health, and brinkctl."""

import datetime
import json
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

from debian import need
from edge import counter_names, run_tool

FRESH = {"Cache-Control": "max-age=600"}


def traffic(origin, edge):
    """A bit of everything."""
    origin.serve("/a", 200, {**FRESH, "Surrogate-Key": "red green", "ETag": '"v1"'}, b"hello")
    origin.serve("/private", 200, {"Cache-Control": "private"}, b"mine")
    edge.get("/a")
    edge.wait_stored(1)
    edge.get("/a")
    edge.get("/private")
    edge.request("POST", "/private", body=b"x")
    edge.request("PURGE", "/never")


# --- counters


def samples(text):
    """{name: value} of an exposition without labels; {name: type}."""
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line and not line.startswith("#"):
            name, _, value = line.partition(" ")
            values[name.partition("{")[0]] = float(value)
    return values, types


def test_metrics_please_promtool(origin, edge):
    traffic(origin, edge)
    response = edge.admin("GET", "/metrics")
    assert response.status == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run([need("promtool", "prometheus"), "check", "metrics"], input=response.body,
                          capture_output=True, timeout=30, check=False)
    said = (done.stdout + done.stderr).decode()
    assert (done.returncode, said.strip()) == (0, "")


def test_metrics_have_every_counter(origin, edge):
    traffic(origin, edge)
    values, types = samples(edge.admin("GET", "/metrics").body.decode())
    for name, kind in counter_names():
        full = f"brink_{name}" + ("_total" if kind == "COUNTER" else "")
        assert full in values, f"{full} is missing"
        assert types[full] == kind.lower()


def test_stats_have_every_counter(origin, edge):
    traffic(origin, edge)
    seen = edge.stats()
    for name, _ in counter_names():
        assert isinstance(seen.get(name), int), f"{name}: {seen.get(name)!r}"


def test_counters_count_what_happened(origin, edge):
    traffic(origin, edge)
    edge.expect_stats(cache_hit=1, cache_bypass=1, origin_requests=3, store_puts=1,
                      store_objects=1, responses_2xx=4, responses_4xx=1, requests=5,
                      connections_accepted=5, requests_active=0, connections_open=0,
                      cache_unstorable=1)
    seen = edge.stats()
    assert seen["client_bytes_out"] > 500 and seen["client_bytes_in"] > 200
    assert seen["origin_bytes_in"] > 200 and seen["origin_bytes_out"] > 200
    assert seen["store_used_bytes"] > 0 and seen["store_size_bytes"] >= 64_000_000


def test_healthz_and_readyz(edge):
    for path in ("/healthz", "/readyz"):
        assert edge.admin("GET", path).status == 200


def test_admin_refuses_what_it_does_not_know(edge):
    assert edge.admin("GET", "/nothing").status == 404
    assert edge.admin("POST", "/stats").status == 405
    assert edge.admin("HEAD", "/stats").status in (200, 405)


def test_admin_wants_its_token(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"admin.token": "secret"})
    assert edge.admin("POST", "/purge", {"purge_everything": True}).status == 401
    assert edge.admin("POST", "/purge", {"purge_everything": True},
                      {"Authorization": "Bearer secrex"}).status == 401
    assert edge.admin("POST", "/purge", {"purge_everything": True},
                      {"Authorization": "Bearer secret"}).status == 200


# --- the access log


COMBINED = re.compile(
    r'(?P<peer>\S+) - - \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) '
    r'(?P<bytes>\d+|-) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"(?P<rest>.*)')


def logged_edge(start_edge, origin, tmp_path, form):
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, settings={"log.access": str(log),
                                                   "log.access_format": form})
    return edge, log


def lines_of(edge, log, n):
    """The access log once it has `n` lines."""
    edge.wait_until(lambda: log.exists() and log.read_text().count("\n") >= n, f"{n} lines in the log")
    return log.read_text().splitlines()


def test_access_log_combined(origin, start_edge, tmp_path):
    edge, log = logged_edge(start_edge, origin, tmp_path, "combined")
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a?q=1", {"Referer": "http://from.test/", "User-Agent": "tester/1"})
    edge.wait_stored(1)
    lines_of(edge, log, 1)  # two workers: the second may be done before the first has told
    edge.get("/a?q=1", {"User-Agent": 'quote" and \\ in it'})
    first, second = (COMBINED.fullmatch(line) for line in lines_of(edge, log, 2))
    assert first and second, log.read_text()
    assert (first["peer"], first["request"], first["status"], first["bytes"]) == \
        ("127.0.0.1", "GET /a?q=1 HTTP/1.1", "200", "5")
    assert (first["referer"], first["agent"]) == ("http://from.test/", "tester/1")
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", first["time"])
    assert "miss" in first["rest"] and "hit" in second["rest"]
    assert re.search(r"\d", first["rest"]), "no times"
    assert '"' not in re.sub(r"\\.", "", second["agent"])


def test_access_log_json(origin, start_edge, tmp_path):
    edge, log = logged_edge(start_edge, origin, tmp_path, "json")
    origin.serve("/a", 200, FRESH, b"hello")
    asked = time.time()
    edge.get("/a", {"User-Agent": 'quote" \\ \xe4 in it'})
    answered = time.time()
    edge.wait_stored(1)
    for i, (method, body) in enumerate((("GET", None), ("POST", b"x"), ("PURGE", None))):
        lines_of(edge, log, i + 1)  # two workers: the next may be done before this one has told
        edge.request(method, "/a", body=body)
    lines = [json.loads(line) for line in lines_of(edge, log, 4)]
    assert [line["status"] for line in lines] == [200, 200, 200, 404]
    assert [line["method"] for line in lines] == ["GET", "GET", "POST", "PURGE"]
    texts = [json.dumps(line) for line in lines]
    assert '"miss"' in texts[0] and '"hit"' in texts[1]
    began = [datetime.datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    assert asked - 0.1 < began[0] < answered + 0.1 and began == sorted(began)  # coarse clocks


def test_access_log_tells_of_a_response_cut_short(origin, start_edge, tmp_path):
    edge, log = logged_edge(start_edge, origin, tmp_path, "json")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=1000)
    held.send(b"x" * 10)
    client.read_body(10)
    held.close()
    line = json.loads(lines_of(edge, log, 1)[0])
    assert line["status"] == 200
    assert any(value is True for key, value in line.items() if "abort" in key), line


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP], ids=["USR1", "HUP"])
def test_access_log_is_reopened(origin, start_edge, tmp_path, number):
    """Rotation: the file is moved away, a signal, and a new one begins; no line is lost."""
    edge, log = logged_edge(start_edge, origin, tmp_path, "json")
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a")
    lines_of(edge, log, 1)
    log.rename(tmp_path / "old.log")
    edge.process.send_signal(number)
    edge.wait_until(log.exists, "a new file")
    edge.get("/a")
    assert len(lines_of(edge, log, 1)) == 1
    assert len((tmp_path / "old.log").read_text().splitlines()) == 1


def test_access_log_has_every_line_after_a_stop(origin, start_edge, tmp_path):
    """Every exchange has its line when the daemon has stopped."""
    edge, log = logged_edge(start_edge, origin, tmp_path, "json")
    origin.serve("/a", 200, FRESH, b"hello")
    client = edge.client()
    for _ in range(500):
        client.get("/a")
    edge.stop()
    assert len(log.read_text().splitlines()) == 500


def test_no_control_byte_reaches_a_log(origin, start_edge, tmp_path):
    edge, log = logged_edge(start_edge, origin, tmp_path, "combined")
    client = edge.client()
    client.send(b"GET /a HTTP/1.1\r\nHost: site.test\r\nUser-Agent: a\x1b[31m\x00b\r\n\r\n")
    assert client.read_response().status == 400
    client.close()
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a", {"User-Agent": "a\tb\xff"})
    lines_of(edge, log, 1)
    edge.stop()
    for text in (log.read_bytes(), edge.log_text().encode()):
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", text)


# --- the event log


def test_event_log_tells_start_and_stop(edge):
    ready = edge.log_events("ready")[0]
    assert ready["listen"] == f"127.0.0.1:{edge.port}"
    edge.stop()
    assert edge.log_events("stopping") and edge.log_events("stopped")


def test_event_log_tells_of_failures(origin, edge):
    origin.stop()
    edge.get("/a")
    edge.wait_log("event=origin_failed")
    assert "127.0.0.1" in edge.log_text()


def test_event_log_is_limited_in_rate(origin, edge):
    """A thousand bad requests do not make a thousand lines."""
    for _ in range(300):
        with_bytes = edge.client()
        with_bytes.send(b"BAD\r\n\r\n")
        assert with_bytes.read_response().status == 400
        with_bytes.close()
    edge.expect_stats(requests_refused=300)
    assert len(edge.log_events("request_refused")) <= 2 * 60 * edge.workers
    assert edge.stats()["log_suppressed"] > 0


def test_event_log_holds_no_credentials(origin, edge):
    origin.stop()
    edge.get("/a", {"Authorization": "Basic c2VjcmV0", "Cookie": "id=c2VjcmV0"})
    edge.wait_log("event=origin_failed")
    assert "c2VjcmV0" not in edge.log_text()


# --- brinkctl


def ctl(edge, *words):
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", *words)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_brinkctl_stats(origin, edge):
    traffic(origin, edge)
    said = ctl(edge, "stats")
    for name in ("cache_hit", "origin_requests", "store_objects"):
        assert re.search(rf"\b{name}\b\D+\d+", said), said


def test_brinkctl_purge(origin, edge):
    traffic(origin, edge)
    ctl(edge, "purge", "http://site.test/a")
    assert not edge.get("/a").cache_status.hit


def test_brinkctl_inspect(origin, edge):
    """Variants, age, ttl, size and tags of what is stored under an URL."""
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Surrogate-Key": "red green", "Vary": "Accept", "ETag": '"v1"'}, b"hello"))
    for accept in ("x/a", "x/b"):
        edge.get("/a", {"Accept": accept})
    edge.wait_stored(2)
    said = ctl(edge, "inspect", "http://site.test/a")
    assert "red" in said and "green" in said
    assert said.count("200") >= 2, said
    for word in ("age", "ttl"):
        assert word in said.lower(), said


def test_brinkctl_inspect_of_nothing(edge):
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "inspect",
                    "http://site.test/never")
    assert done.returncode != 0
    assert (done.stdout + done.stderr).strip()


def test_brinkctl_without_a_daemon(edge):
    edge.stop()
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "stats")
    assert done.returncode != 0
    assert str(edge.admin_port) in done.stderr


@pytest.mark.parametrize("words", [[], ["nonsense"], ["purge"], ["inspect"]], ids=" ".join)
def test_brinkctl_says_how_it_is_used(words):
    done = run_tool("brinkctl", *words)
    assert done.returncode != 0
    assert "brinkctl" in done.stderr


def test_urls_in_the_inspect_query_are_encoded(origin, edge):
    origin.serve("/a", 200, FRESH, b"hello")
    edge.get("/a?x=1&y=%26")
    edge.wait_stored(1)
    target = "/inspect?url=" + urllib.parse.quote("http://site.test/a?x=1&y=%26", safe="")
    assert edge.admin("GET", target).status == 200
    assert "200" in ctl(edge, "inspect", "http://site.test/a?x=1&y=%26")
