"""Age: how old brink takes a response for, and what it tells. RFC 9111 sections 4.2.3 and 5.1.

Lifetimes are chosen so that one reading of Age is fresh and the others are not; nothing waits for
time to pass but the test of the clock's turn, which waits for that.
"""

import time

import pytest

BODY = b"0123456789" * 20


def lines(*ages):
    return [("Age", age) for age in ages]


def fetched(origin, edge, fields, path="/a"):
    """The first answer, once it is stored."""
    origin.serve(path, 200, fields, BODY)
    response = edge.get(path)
    assert (response.status, response.body) == (200, BODY)
    edge.wait_for(store_puts=1)
    return response


# why, the lines, the age that is meant
AGES = [
    ("a number", lines("40"), 40),
    ("leading zeros", lines("0040"), 40),
    ("the first of a list", lines("40, 7200"), 40),
    ("the first of a list, the others smaller", lines("7200, 0"), 7200),
    ("the first of two lines", lines("40", "7200"), 40),
    ("the first of two lines, the other smaller", lines("7200", "0"), 7200),
    ("a list of the same", lines("40, 40"), 40),
    ("the first of a list is no number", lines("old, 7200"), 0),
    ("negative", lines("-7200"), 0),
    ("signed", lines("+7200"), 0),
    ("float", lines("7200.0"), 0),
    ("words", lines("old"), 0),
    ("with a parameter", lines("7200;x=1"), 0),
    ("quoted", lines('"7200"'), 0),
    ("hexadecimal", lines("0x7200"), 0),
    ("nothing", lines(""), 0),
]


@pytest.mark.parametrize("why, ages, age", AGES, ids=[case[0] for case in AGES])
def test_9111_5_1_the_first_member_counts_and_what_is_no_number_does_not(origin, edge, why, ages, age):
    began = time.monotonic()
    fetched(origin, edge, [("Cache-Control", "max-age=100000"), *ages])
    response = edge.get("/a")
    assert response.cache_status.hit, why
    passed = time.monotonic() - began + 1
    assert age <= int(response["Age"]) <= age + passed
    assert 100000 - age - passed <= response.cache_status.ttl <= 100000 - age


@pytest.mark.parametrize("why, ages, age", AGES, ids=[case[0] for case in AGES])
def test_9111_5_1_a_response_that_passes_tells_the_same_age(origin, edge, why, ages, age):
    """Not stored here, but a cache behind brink goes by it."""
    began = time.monotonic()
    origin.serve("/a", 200, [("Cache-Control", "no-store"), *ages], BODY)
    response = edge.get("/a")
    assert response.body == BODY, why
    assert len(response.fields.all("Age")) <= 1
    assert age <= int(response.get("Age") or 0) <= age + time.monotonic() - began + 1


@pytest.mark.parametrize("age", ["2147483648", "4294967295", "4294967296",
                                 "18446744073709551616", "9" * 200])
def test_9111_1_2_2_a_very_large_age_is_stale_and_stays_within_its_type(origin, edge, age):
    """Beyond 2^31 it is 2^31, and a lifetime as large is not longer."""
    fetched(origin, edge, {"Cache-Control": "max-age=99999999999", "Age": age, "ETag": '"v1"'})
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"v1"'
    held.reply(304, {"ETag": '"v1"', "Cache-Control": "max-age=60"})
    response = client.read_response()
    assert response.body == BODY
    assert int(response.get("Age") or 0) < 60  # the 304 made it young


def test_9111_4_2_3_no_second_is_added_by_the_turn_of_the_clock(origin, edge):
    """Asked before the second ends, answered after: the delay is what passed."""
    client = edge.client()
    while time.time() % 1 < 0.9:
        time.sleep(0.005)
    began = time.monotonic()
    client.send_request("GET", "/a")
    held = origin.next_request()
    while not 0.1 < time.time() % 1 < 0.5:  # well after it: the daemon's clock is a tick behind
        time.sleep(0.005)
    held.reply(200, {"Cache-Control": "max-age=60", "Age": "30"}, BODY)
    response = client.read_response()
    assert 30 <= int(response["Age"]) <= 30 + int(time.monotonic() - began)


def test_9111_4_2_3_the_time_the_origin_took_counts(origin, edge):
    """What was on its way for over a second is that much older."""
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        time.sleep(0.05)
    held.reply(200, {"Cache-Control": "max-age=60", "Age": "30"}, BODY)
    assert int(client.read_response()["Age"]) >= 31


def test_9111_4_3_4_a_304_brings_a_new_age(origin, edge):
    fetched(origin, edge, {"Cache-Control": "max-age=10", "Age": "50", "ETag": '"v1"'})
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    began = time.monotonic()
    held.reply(304, {"ETag": '"v1"', "Cache-Control": "max-age=600", "Age": "20"})
    assert client.read_response().body == BODY
    edge.wait_for(store_updates=1)
    response = edge.get("/a")
    assert response.cache_status.hit
    assert 20 <= int(response["Age"]) <= 21 + time.monotonic() - began
