"""A check of the whole store while it serves: POST /check, and brinkctl check."""

import json
import os
import pty
import subprocess
import threading

import pytest

import codings
import content
from client import load
from damage import damage, damage_body
from edge import binary, run_tool

FRESH = {"Cache-Control": "max-age=6000"}
SIZES = (700, 1400, 5000, 70000, 300000)


def store_objects(origin, edge, n=20):
    targets = [content.path_of(SIZES[i % len(SIZES)], f"n{i}") for i in range(n)]
    for target in targets:
        origin.serve(target, 200, FRESH, content.body_of(target))
        edge.get(target)
    edge.wait_stored(n)
    return targets


def begin(edge, status=200, **order):
    response = edge.admin("POST", "/check", order or None)
    assert response.status == status, response.body
    return json.loads(response.body)


def state(edge):
    response = edge.admin("GET", "/check")
    assert response.status == 200
    return json.loads(response.body)


def wait_for_end(edge):
    edge.wait_until(lambda: state(edge)["state"] != "running", "the check ends")
    return state(edge)


def right(target, response):
    assert response.status == 200 and response.body == content.body_of(target)


@pytest.mark.tsan
@pytest.mark.edge(settings={"sandbox": "yes"})
def test_what_is_damaged_is_dropped(origin, edge):
    """Counted, dropped and fetched again, while clients are served; no page is lost."""
    assert state(edge)["state"] == "none"
    targets = store_objects(origin, edge)
    bad = targets[1], targets[2], targets[4]
    for target, at in zip(bad, (900, 2000, 100000)):  # in the record, the first piece, a later one
        damage_body(edge, content.body_of(target), at)
    damage(edge, targets[5].encode(), 4)  # a record that nobody can tell the key of
    good = [target for target in targets if target not in (*bad, targets[5])]
    faults = []
    served = threading.Thread(target=lambda: faults.extend(load(edge.port, good * 5, right, 2)))
    served.start()
    begin(edge, rate="0")
    found = wait_for_end(edge)
    served.join()
    assert faults == []
    assert (found["state"], found["done"], found["bad"]) == ("done", 1.0, 4)
    assert (found["objects"], found["members"]) == (len(good), 0)
    assert found["bytes"] == sum(len(content.body_of(target)) for target in good)
    assert found["lost_pages"] == 0 and found["used_pages"] > 0
    assert found["used_pages"] + found["free_pages"] == found["file_pages"]
    assert found["began_s"] > 0 and found["ended_s"] >= found["began_s"]
    edge.expect_stats(store_objects=len(good), store_bad_pieces=2, store_bad_records=2)
    for target in targets:
        response = edge.get(target)
        right(target, response)
        assert bool(response.cache_status.hit) == (target in good)
    edge.wait_stored(len(targets) + 4)
    begin(edge)
    found = wait_for_end(edge)
    assert (found["objects"], found["bad"], found["lost_pages"]) == (len(targets), 0, 0)
    assert edge.stats()["store_checked_bytes"] > found["bytes"]


def test_members_are_told_apart(origin, edge):
    """Forms in other codings are objects, too, but of another's."""
    body = codings.text(5000)
    origin.serve("/a.js", 200, {**FRESH, "Content-Type": "application/javascript"}, body)
    for coding in ("br", "gzip"):
        edge.get("/a.js", {"Accept-Encoding": coding})
        edge.wait_for(**{f"variants_made_{coding}": 1})
    assert edge.stats()["store_members"] == 2
    begin(edge)
    found = wait_for_end(edge)
    assert (found["state"], found["objects"], found["members"], found["bad"]) == ("done", 3, 2, 0)
    assert "state=done objects=3 members=2 bytes=" in edge.log_text()
    done = brinkctl(edge, "check", "--status")
    assert done.returncode == 0 and "3 objects right, 2 of them in other codings, " in done.stdout


def test_one_at_a_time_and_stopped(origin, edge):
    store_objects(origin, edge)
    assert begin(edge, rate="50KB")["state"] == "running"
    refused = begin(edge, status=409)
    assert refused["error"] and refused["hint"]
    edge.wait_until(lambda: state(edge)["objects"] > 2, "it goes on")
    now = state(edge)
    assert now["state"] == "running" and 0 < now["done"] < 1 and now["rate"] == 50 << 10
    assert now["ended_s"] == 0
    assert edge.admin("DELETE", "/check").status == 200
    now = wait_for_end(edge)
    assert now["state"] == "stopped" and now["objects"] < 20
    begin(edge)
    assert wait_for_end(edge)["state"] == "done"


@pytest.mark.edge(settings={"store.check_rate": "40KB"})
def test_the_daemon_ends_under_a_check(origin, edge):
    """At the rate of the configuration it would take minutes."""
    store_objects(origin, edge)
    assert begin(edge)["rate"] == 40 << 10
    edge.wait_until(lambda: state(edge)["objects"] > 0, "it goes on")
    edge.stop(timeout=5)
    edge.start()
    assert state(edge)["state"] == "none"
    edge.expect_stats(store_objects=20)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"rate": 5}', b'{"rate": "fast"}', b'{"speed": "1MB"}'])
def test_orders_that_are_not_understood(edge, body):
    response = edge.admin("POST", "/check", body)
    answer = json.loads(response.body)
    assert response.status == 400 and answer["error"] and answer["hint"]
    assert state(edge)["state"] == "none"


def test_methods(edge):
    response = edge.admin("PUT", "/check")
    assert response.status == 405 and response["Allow"] == "GET, HEAD, POST, DELETE"
    assert edge.admin("HEAD", "/check").status == 200
    assert edge.admin("POST", "/stats")["Allow"] == "GET, HEAD"
    assert edge.admin("GET", "/purge")["Allow"] == "POST"


# --- brinkctl


def brinkctl(edge, *words):
    return run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", *words)


def test_brinkctl_check(origin, edge):
    targets = store_objects(origin, edge)
    done = brinkctl(edge, "check", "--status")
    assert done.returncode == 0 and "no check" in done.stdout
    done = brinkctl(edge, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 objects right, " in done.stdout and "0 damaged" in done.stdout
    assert "codings" not in done.stdout
    damage_body(edge, content.body_of(targets[3]), 66000)
    done = brinkctl(edge, "check", "--rate", "200MB")
    assert done.returncode == 1 and "1 damaged" in done.stdout and "dropped" in done.stdout
    assert brinkctl(edge, "check", "--status").returncode == 1
    done = brinkctl(edge, "check", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["objects"] == 19
    for words in (("--rate",), ("--rate", "1MB", "--stop"), ("now",)):
        assert brinkctl(edge, "check", *words).returncode == 2, words
    done = brinkctl(edge, "check", "--rate", "fast")
    assert done.returncode == 1 and "size" in done.stderr
    begin(edge, rate="50KB")
    done = brinkctl(edge, "check")
    assert done.returncode == 1 and "running" in done.stderr
    done = brinkctl(edge, "check", "--stop")
    assert done.returncode == 0
    assert wait_for_end(edge)["state"] == "stopped"


def test_brinkctl_shows_progress_on_a_terminal(origin, edge):
    """One line that is written again and again, then what was found."""
    store_objects(origin, edge)
    ours, its = pty.openpty()
    words = [binary("brinkctl"), "--admin", f"127.0.0.1:{edge.admin_port}", "check", "--rate", "500KB"]
    with subprocess.Popen(words, stdout=its, stderr=its, stdin=subprocess.DEVNULL) as process:
        os.close(its)
        text = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the other end has gone
                break
            if not data:
                break
            text += data
        assert process.wait(30) == 0
    os.close(ours)
    assert text.count(b"\rrunning at ") >= 2
    assert text.endswith(b"damaged\r\n") and b"done: 20 objects right" in text


def test_brinkctl_ready(edge):
    """What check was: is it ready?"""
    done = brinkctl(edge, "ready")
    assert done.returncode == 0 and done.stdout == "ready\n"
