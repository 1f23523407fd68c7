"""Every reason of include/cache/reason.def: what provokes it, and that Cache-Status (RFC 9211), the
access log and the counters tell the same."""

import contextlib
import json
import re
import threading

import pytest

from edge import ROOT, run_tool
from large import Large

FRESH = {"Cache-Control": "max-age=600"}
STALE = {"Cache-Control": "max-age=10", "Age": "60"}  # stored, and stale from the start
TAGGED = {**STALE, "ETag": '"v1"'}


def table():
    """name: (fwd, detail) of each row."""
    text = (ROOT / "include/cache/reason.def").read_text()
    rows = re.findall(r'^REASON\((\w+),\s*"([^"]*)",\s*"([^"]*)"', text, re.M)
    return {name: (fwd, detail) for name, fwd, detail in rows}


ROWS = table()
SCENARIOS = {}


def scenario(reason, logged=None, settings=None):
    """`logged`: the reason in the access log, where it is another: that of how it was answered."""
    def add(act):
        SCENARIOS[reason] = (act, logged or reason, settings or {})
        return act
    return add


def stored(origin, edge, fields, path="/a", request=None, body=b"0123456789"):
    before = edge.stats()["store_puts"]
    origin.serve(path, 200, fields, body)
    response = edge.get(path, request)
    assert response.status == 200
    edge.wait_for(store_puts=before + 1)
    return response


def answered(origin, edge, fields, status=200, request=None, body=b"x", **how):
    origin.serve("/a", status, fields, body, **how)
    return edge.get("/a", request)


# --- how a request is answered


@scenario("LOCAL")
def local(origin, edge):
    return edge.request("OPTIONS", "/a", {"Max-Forwards": "0"})


@scenario("FRESH")
def fresh(origin, edge):
    stored(origin, edge, FRESH)
    return edge.get("/a")


@scenario("STALE_REVALIDATING")
def stale_while_revalidate(origin, edge):
    stored(origin, edge, {**TAGGED, "Cache-Control": "max-age=10, stale-while-revalidate=600"})
    origin.serve("/a", 304, {"ETag": '"v1"'})
    return edge.get("/a")


@scenario("STALE_ERROR")
def stale_if_error(origin, edge):
    stored(origin, edge, {**TAGGED, "Cache-Control": "max-age=10, stale-if-error=600"})
    return answered(origin, edge, {}, 503)


@scenario("NOT_STORED")
def not_stored(origin, edge):
    return answered(origin, edge, FRESH)


@scenario("VARY_MISS")
def vary_miss(origin, edge):
    stored(origin, edge, {**FRESH, "Vary": "Accept"}, request={"Accept": "x/a"})
    return edge.get("/a", {"Accept": "x/b"})


@scenario("EXPIRED")
def expired(origin, edge):
    stored(origin, edge, STALE)
    return edge.get("/a")


@scenario("TOO_STALE", settings={"site.keep": "20s"})
def too_stale(origin, edge):
    stored(origin, edge, STALE)
    return edge.get("/a")


@scenario("SOFT_PURGED")
def soft_purged(origin, edge):
    stored(origin, edge, {**FRESH, "ETag": '"v1"'})
    edge.purge(files=["http://site.test/a"], soft=True)
    return answered(origin, edge, {"ETag": '"v1"', **FRESH}, 304)


@scenario("MUST_REVALIDATE")
def must_revalidate(origin, edge):
    stored(origin, edge, {"Cache-Control": "no-cache, max-age=60", "ETag": '"v1"'})
    return answered(origin, edge, {"ETag": '"v1"'}, 304)


@scenario("REQUEST_NO_CACHE", settings={"site.client_no_cache": "yes"})
def request_no_cache(origin, edge):
    stored(origin, edge, FRESH)
    return edge.get("/a", {"Cache-Control": "no-cache"})


@scenario("PRECONDITION")
def precondition(origin, edge):
    stored(origin, edge, {**FRESH, "ETag": '"v1"'})
    return edge.get("/a", {"If-Match": '"v0"'})


@scenario("METHOD")
def method(origin, edge):
    origin.serve("/a", 200, {}, b"done")
    return edge.request("POST", "/a", body=b"x")


@scenario("REQUEST_BODY")
def request_body(origin, edge):
    origin.serve("/a", 200, FRESH, b"done")
    return edge.request("GET", "/a", body=b"x")


@scenario("QUERY_CONTENT", settings={"site.query_body_max": "8"})
def query_content(origin, edge):
    origin.serve("/a", 200, FRESH, b"done")
    return edge.request("QUERY", "/a", {"Content-Type": "text/plain"}, b"x" * 9)


@scenario("BYPASS", settings={"site.pass": "yes"})
def bypass(origin, edge):
    return answered(origin, edge, FRESH)


@scenario("UPGRADE")
def upgrade(origin, edge):
    return answered(origin, edge, {}, request={"Connection": "upgrade", "Upgrade": "websocket"})


@scenario("RANGE_MISS", settings={"site.slice_above": "1MB", "site.slice": "256KB"})
def range_miss(origin, edge):
    origin.serve_with("/a", Large(3 << 20))
    edge.get("/a", {"Range": "bytes=0-9"})
    edge.wait_stored(2)
    return edge.get("/a", {"Range": "bytes=2000000-2000009"})


@scenario("HIT_FOR_MISS")
def hit_for_miss(origin, edge):
    answered(origin, edge, {"Cache-Control": "private"})
    return answered(origin, edge, FRESH)  # this time it would do


@scenario("ONLY_IF_CACHED")
def only_if_cached(origin, edge):
    return edge.get("/a", {"Cache-Control": "only-if-cached"})


# --- what becomes of a response


@scenario("STORED", logged="NOT_STORED")
def is_stored(origin, edge):
    return stored(origin, edge, FRESH)


@scenario("REVALIDATED", logged="EXPIRED")
def revalidated(origin, edge):
    stored(origin, edge, TAGGED)
    response = answered(origin, edge, {"ETag": '"v1"', **FRESH}, 304)
    status = response.cache_status
    assert (status.fwd, status.fwd_status, status.stored) == ("stale", 304, False)
    return response


@scenario("REQUEST_NO_STORE", settings={"site.client_no_cache": "yes"})
def request_no_store(origin, edge):
    return answered(origin, edge, FRESH, request={"Cache-Control": "no-store"})


@scenario("NO_STORE")
def no_store(origin, edge):
    return answered(origin, edge, {"Cache-Control": "no-store"})


@scenario("PRIVATE")
def private(origin, edge):
    return answered(origin, edge, {"Cache-Control": "private, max-age=60"})


@scenario("NO_FRESHNESS")
def no_freshness(origin, edge):
    return answered(origin, edge, {})


@scenario("STATUS")
def status_not_stored(origin, edge):
    return answered(origin, edge, FRESH, 429)


@scenario("VARY_STAR")
def vary_star(origin, edge):
    return answered(origin, edge, {**FRESH, "Vary": "*"})


@scenario("SET_COOKIE")
def set_cookie(origin, edge):
    return answered(origin, edge, {**FRESH, "Set-Cookie": "a=b"})


@scenario("AUTHORIZATION")
def authorization(origin, edge):
    return answered(origin, edge, FRESH, request={"Authorization": "Basic YQ=="})


@scenario("ZERO_LIFETIME")
def zero_lifetime(origin, edge):
    return answered(origin, edge, {"Cache-Control": "max-age=0"})


@scenario("TOO_LARGE", settings={"store.object_max": "64KB"})
def too_large(origin, edge):
    return answered(origin, edge, FRESH, body=b"x" * 100_000)


@scenario("FIRST_REQUEST", settings={"site.store_on": "second"})
def first_request(origin, edge):
    return answered(origin, edge, FRESH)


@scenario("STORE_BUSY", settings={"store.queue": "1MB", "fill_window": "64MB"})
def store_busy(origin, edge):
    return answered(origin, edge, FRESH, body=b"x" * 8_000_000)


@scenario("FILL_MEMORY", settings={"fill_memory": "1MB"})
def fill_memory(origin, edge):
    """A passed body that nobody reads has all of it."""
    hogs = [edge.client(rcvbuf=4096) for _ in range(2)]
    for i, hog in enumerate(hogs):
        hog.send_request("GET", f"/hog{i}")
        held = origin.next_request()
        held.start(200, {"Cache-Control": "no-store"}, 64_000_000)
        threading.Thread(target=pour, args=(held,), daemon=True).start()
    edge.wait_for(fill_bytes=1_000_000)
    client = edge.client()
    client.send_request("GET", "/a")
    answer = origin.next_request()
    answer.start(200, FRESH, 200_000)
    edge.wait_for(fill_memory=1)
    for hog in hogs:  # their lines come first
        hog.close()
    edge.expect_stats(fills_open=1)
    answer.send(b"x" * 200_000)
    answer.finish()
    return client.read_response()


def pour(held):
    with contextlib.suppress(OSError):
        while True:
            held.send(bytes(65536))


@scenario("PURGED_MEANWHILE", logged="NOT_STORED")
def purged_meanwhile(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=3)
    client.read_head()
    edge.purge(files=["http://site.test/a"])
    held.send(b"abc")
    held.finish()
    return client.read_response()


@scenario("INCOMPLETE")
def incomplete(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=100)
    held.send(b"abc")
    head = client.read_head()
    client.read_body(3)
    held.close()
    client.expect_closed()
    return head


# PARTIAL: a 206 that was not asked for is refused before (proxy/asked). STORE_COLD: cold_test.py.
BEHIND = {"PARTIAL", "STORE_COLD"}


def test_every_reason_has_its_scenario():
    assert set(SCENARIOS) | BEHIND == set(ROWS)


def last_line(edge, log, n):
    edge.wait_until(lambda: log.exists() and log.read_text().count("\n") >= n, f"{n} lines in the log")
    return json.loads(log.read_text().splitlines()[-1])


def check_told(reason, status):
    """The reason of the log is the one in Cache-Status: by its detail when it has one, else by fwd."""
    fwd, detail = ROWS[reason]
    if detail:
        assert status.detail == detail
    elif fwd:
        assert (status.fwd, status.detail) == (fwd, None)
    else:
        assert status.hit or status.params == {}


LATE = {"STORE_BUSY", "INCOMPLETE", "PURGED_MEANWHILE"}  # Cache-Status was written before


@pytest.mark.parametrize("reason", sorted(SCENARIOS))
def test_a_reason_is_told_alike_everywhere(origin, start_edge, tmp_path, reason):
    act, logged, settings = SCENARIOS[reason]
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, workers=1, settings={  # one: so its lines are in order
        "log.access": str(log), "log.access_format": "json", **settings})
    response = act(origin, edge)
    edge.wait_for(**{reason.lower(): 1})
    line = last_line(edge, log, edge.stats()["requests"])
    assert line["reason"] == logged
    if logged not in LATE:
        check_told(logged, response.cache_status)
    metrics = edge.admin("GET", "/metrics").body.decode()
    assert re.search(rf'^brink_reasons_total{{reason="{reason.lower()}"}} [1-9]', metrics, re.M)


# --- what else is in Cache-Status


def test_reasons_are_counted_once_an_exchange_or_a_fetch(origin, edge):
    """Five who share a fetch: five times NOT_STORED, one STORED."""
    clients = [edge.client() for _ in range(5)]
    clients[0].send_request("GET", "/a")
    held = origin.next_request()
    for i, client in enumerate(clients[1:]):
        client.send_request("GET", "/a")
        edge.wait_for(cache_collapsed=i + 1)
    held.reply(200, FRESH, b"hello")
    for client in clients:
        assert client.read_response().body == b"hello"
    edge.wait_stored(1)
    edge.get("/a")
    edge.expect_stats(not_stored=5, stored=1, fresh=1, local=0)


def test_fwd_status_is_the_origins_when_stale_stands_in(origin, edge):
    """RFC 9211 section 2.3: without it, it would be taken for the 200 that is sent."""
    stored(origin, edge, {**STALE, "Cache-Control": "max-age=10, stale-if-error=600"})
    response = answered(origin, edge, {}, 503)
    status = response.cache_status
    assert response.status == 200
    assert (status.hit, status.fwd, status.fwd_status, status.detail) == \
        (False, "stale", 503, "stale-if-error")


def test_what_was_waited_for_in_vain_is_told(origin, edge):
    """RFC 9211 section 3: collapsed=?0."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.reply(200, {"Cache-Control": "private"}, b"one")
    assert "collapsed" not in first.read_response().cache_status.params
    origin.next_request().reply(200, {"Cache-Control": "private"}, b"two")
    assert second.read_response().cache_status.params["collapsed"] == "?0"


def test_the_key_is_told_when_the_site_says_so(origin, start_edge):
    """RFC 9211 section 2.7, as a String of RFC 9651; a long one is left out."""
    edge = start_edge(origin=origin.url, settings={"site.cache_status_key": "yes"})
    stored(origin, edge, FRESH, "/a?b=%22")
    assert edge.get("/a?b=%22").cache_status.text.endswith('; key="http://site.test/a?b=%22"')
    stored(origin, edge, FRESH, "/" + "a" * 500)
    status = edge.get("/" + "a" * 500).cache_status
    assert status.hit and "key" not in status.params


def test_the_key_is_not_told_by_default(origin, edge):
    stored(origin, edge, FRESH)
    assert "key" not in edge.get("/a").cache_status.params


def test_what_brink_answers_itself_has_no_decision(origin, edge):
    for method, target in (("PURGE", "/a"), ("TRACE", "/a")):
        assert edge.request(method, target).cache_status.params == {}
    edge.expect_stats(local=2)


def test_reasons_in_brinkctl_stats(origin, edge):
    answered(origin, edge, {"Cache-Control": "private"})
    edge.wait_for(private=1)
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "stats")
    assert re.search(r"^  private +1  Cache-Control: private$", done.stdout, re.M), done.stdout
    assert "vary_star" not in done.stdout


# --- the access log: every outcome has its reason


def collapsed_pair(origin, edge):
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/pair")
    held = origin.next_request()
    second.send_request("GET", "/pair")
    edge.wait_for(cache_collapsed=1)
    held.reply(200, FRESH, b"both")
    return [client.read_response() for client in (first, second)]


OUTCOMES = [("miss", "NOT_STORED"), ("hit", "FRESH"), ("revalidated", "EXPIRED"),
            ("stale", "STALE_REVALIDATING"), ("stale", "STALE_ERROR"), ("pass", "METHOD"),
            ("local", "LOCAL"), ("local", "ONLY_IF_CACHED"), ("collapsed", "NOT_STORED"),
            ("miss", "PRIVATE")]


@pytest.mark.parametrize("form", ["combined", "json"])
def test_every_outcome_has_its_reason_in_the_log(origin, start_edge, tmp_path, form):
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, settings={"log.access": str(log), "log.access_format": form})
    stored(origin, edge, FRESH)
    edge.get("/a")
    stored(origin, edge, TAGGED, "/b")
    origin.serve("/b", 304, {"ETag": '"v1"', **FRESH})
    edge.get("/b")
    stored(origin, edge, {**TAGGED, "Cache-Control": "max-age=1, stale-while-revalidate=600"}, "/c")
    origin.serve("/c", 304, {"ETag": '"v1"'})
    edge.get("/c")
    stored(origin, edge, {**TAGGED, "Cache-Control": "max-age=1, stale-if-error=600"}, "/d")
    origin.serve("/d", 503)
    edge.get("/d")
    origin.serve("/e", 200, {}, b"done")
    edge.request("POST", "/e", body=b"x")
    edge.request("PURGE", "/f")
    edge.get("/f", {"Cache-Control": "only-if-cached"})
    collapsed_pair(origin, edge)
    origin.serve("/g", 200, {"Cache-Control": "private"}, b"mine")
    edge.get("/g")
    n = edge.stats()["requests"]
    edge.wait_until(lambda: log.read_text().count("\n") >= n, f"{n} lines in the log")
    lines = log.read_text().splitlines()
    if form == "json":
        seen = {(line["cache"], line["reason"]) for line in map(json.loads, lines)}
    else:
        seen = {re.search(r'" cache=(\w+) reason=(\w+) ', line).groups() for line in lines}
    assert set(OUTCOMES) <= seen, seen
    assert {reason for _, reason in seen} <= set(ROWS)
