"""Fields for one hop: they neither come to a client nor to the disk, by whichever way a response goes.

RFC 9111 section 3.1, RFC 9110 section 7.6.1. What a client gets is looked at on a miss, a shared
fetch and every way a stored response is read; what is stored is looked for in the files themselves.
"""

import pytest

BODY = b"0123456789" * 20
FRESH = "max-age=600"
SECRET = "for-one-hop-only-4711"
KEPT = "for-everybody-4712"

# why, the lines that are for one hop
HOPS = [
    ("named by Connection", [("Connection", "X-Hop"), ("X-Hop", SECRET)]),
    ("named in another case", [("Connection", "x-hOP"), ("X-Hop", SECRET)]),
    ("named before it comes", [("X-Hop", SECRET), ("Connection", "X-Hop")]),
    ("named among others", [("Connection", "keep-alive, , X-Hop ,X-Two"), ("X-Hop", SECRET),
                            ("X-Two", SECRET)]),
    ("named by a second line", [("Connection", "keep-alive"), ("Connection", "X-Hop"),
                                ("X-Hop", SECRET)]),
    ("every line of a name", [("Connection", "X-Hop"), ("X-Hop", SECRET), ("X-Hop", SECRET)]),
    ("Connection itself", [("Connection", SECRET)]),
    ("Keep-Alive", [("Connection", "keep-alive"), ("Keep-Alive", f"x={SECRET}")]),
    ("Keep-Alive, not named", [("Keep-Alive", f"x={SECRET}")]),
    ("Proxy-Connection", [("Proxy-Connection", SECRET)]),
    ("Upgrade", [("Connection", "Upgrade"), ("Upgrade", SECRET)]),
    ("TE", [("TE", SECRET)]),
    ("Proxy-Authenticate", [("Proxy-Authenticate", f'Basic realm="{SECRET}"')]),
    ("Proxy-Authentication-Info", [("Proxy-Authentication-Info", f'x="{SECRET}"')]),
    ("Proxy-Authorization", [("Proxy-Authorization", f"Basic {SECRET}")]),
]
hops = pytest.mark.parametrize("why, lines", HOPS, ids=[case[0] for case in HOPS])


def head(cache_control, lines, **more):
    return [("Cache-Control", cache_control), ("ETag", '"v1"'), ("X-Kept", KEPT), *lines,
            *((name.replace("_", "-"), value) for name, value in more.items())]


def check(response, status=200):
    assert response.status == status
    assert SECRET not in str(response.fields)
    if status != 416:
        assert response["X-Kept"] == KEPT
    return response


def on_disk(edge, text):
    """Does it stand in any file of the store? brink must have ended."""
    return any(text.encode() in path.read_bytes() for path in edge.store_files())


@hops
def test_9111_3_1_neither_on_a_miss_nor_on_disk(origin, edge, why, lines):
    client = edge.client()
    client.send_request("GET", "/a")
    origin.next_request().reply(200, head(FRESH, lines), BODY, chunked=len(lines) == 2)
    assert check(client.read_response()).body == BODY, why
    edge.wait_stored(1)
    assert check(edge.get("/a")).cache_status.hit
    edge.stop()
    assert on_disk(edge, KEPT) and not on_disk(edge, SECRET)
    edge.start()
    assert check(edge.get("/a")).cache_status.hit


# why, method, request fields, status
READS = [
    ("a hit", "GET", {}, 200),
    ("a HEAD", "HEAD", {}, 200),
    ("a 304", "GET", {"If-None-Match": '"v1"'}, 304),
    ("a range", "GET", {"Range": "bytes=5-9"}, 206),
    ("two ranges", "GET", {"Range": "bytes=5-9,20-29"}, 206),
]


@pytest.mark.parametrize("why, method, fields, status", READS, ids=[case[0] for case in READS])
def test_9110_7_6_1_nor_on_whatever_is_made_of_a_stored_response(origin, edge, why, method, fields,
                                                                 status):
    lines = [line for _, some in HOPS for line in some]
    origin.serve("/a", 200, head(FRESH, lines), BODY)
    edge.get("/a")
    edge.wait_stored(1)
    response = check(edge.request(method, "/a", fields), status)
    assert response.cache_status.hit, why
    assert SECRET.encode() not in response.body
    assert origin.count() == 1


def test_9110_7_6_1_nor_for_who_shares_the_fetch(origin, edge):
    lines = [line for _, some in HOPS for line in some]
    clients = [edge.client() for _ in range(3)]
    clients[0].send_request("GET", "/a")
    held = origin.next_request()
    for client in clients[1:]:
        client.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=2)
    held.reply(200, head(FRESH, lines), BODY)
    for client in clients:
        assert check(client.read_response()).body == BODY


def test_9110_7_6_1_nor_stale(origin, edge):
    lines = [line for _, some in HOPS for line in some]
    origin.serve("/a", 200, head("max-age=10, stale-if-error=600", lines, Age="60"), BODY)
    edge.get("/a")
    edge.wait_stored(1)
    origin.serve("/a", 503, head("no-store", lines), b"sorry")
    response = check(edge.get("/a"))
    assert (response.body, response.cache_status.detail) == (BODY, "stale-if-error")


@hops
def test_9111_3_2_a_304_brings_none_of_them_in(origin, edge, why, lines):
    """Neither to who asked, nor into the stored head."""
    origin.serve("/a", 200, head("max-age=10", [], Age="60", X_Hop="stored"), BODY)
    edge.get("/a")
    edge.wait_stored(1)
    origin.serve("/a", 304, head(FRESH, lines))
    response = check(edge.get("/a"))
    assert (response.body, response.cache_status.fwd_status) == (BODY, 304), why
    assert response["X-Hop"] == "stored"
    edge.wait_for(store_updates=1)
    response = check(edge.get("/a"))
    assert response.cache_status.hit and response["X-Hop"] == "stored"
    assert response["Cache-Control"] == FRESH
    edge.stop()
    assert not on_disk(edge, SECRET)


def test_9111_3_1_a_name_that_was_for_one_hop_once_is_none_for_ever(origin, edge):
    """Connection speaks of its own message: the next response's X-Hop is stored."""
    origin.serve("/a", 200, head("max-age=10", [("Connection", "X-Hop"), ("X-Hop", SECRET)], Age="60"),
                 BODY)
    check(edge.get("/a"))
    edge.wait_stored(1)
    origin.serve("/a", 304, head(FRESH, [("X-Hop", "end to end")]))
    assert check(edge.get("/a"))["X-Hop"] == "end to end"
    edge.wait_for(store_updates=1)
    assert check(edge.get("/a"))["X-Hop"] == "end to end"
