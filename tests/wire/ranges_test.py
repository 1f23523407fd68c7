"""Several ranges of one response. RFC 9110 sections 14 and 15.3.7."""

import re

import pytest

import content

FRESH = {"Cache-Control": "max-age=600", "ETag": '"a"', "Content-Type": "text/plain"}
LENGTH = 200_000  # some blocks of a fill
PATH = content.path_of(LENGTH, "several")
BODY = content.body_of(PATH)


def split_parts(response):
    """The parts of a multipart/byteranges body: (fields as text, bytes) each. Strict about every
    byte between them."""
    match = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32})",
                         response.fields["Content-Type"])
    assert match, response.fields["Content-Type"]
    mark = b"--" + match[1].encode()
    assert response.body.startswith(mark + b"\r\n")
    pieces = response.body[len(mark):].split(b"\r\n" + mark)
    assert pieces.pop() == b"--\r\n"
    parts = []
    for piece in pieces:
        assert piece.startswith(b"\r\n")
        head, _, data = piece[2:].partition(b"\r\n\r\n")
        parts.append((head.decode().split("\r\n"), data))
    return parts


def expect_parts(response, wanted, body=BODY, content_type="text/plain"):
    """Exactly these (first, end) of the body, in this order."""
    assert response.status == 206
    assert response.get("Content-Range") is None
    assert int(response["Content-Length"]) == len(response.body)
    parts = split_parts(response)
    for (head, data), (first, end) in zip(parts, wanted, strict=True):
        fields = [f"Content-Range: bytes {first}-{end - 1}/{len(body)}"]
        if content_type:
            fields.insert(0, f"Content-Type: {content_type}")
        assert head == fields
        assert data == body[first:end]


@pytest.fixture
def stored(origin, edge):
    origin.serve(PATH, 200, FRESH, BODY)
    assert edge.get(PATH).body == BODY
    edge.wait_stored(1)
    return edge


SEVERAL = {
    "two": ("0-9,1000-1009", [(0, 10), (1000, 1010)]),
    "in the order asked for": ("1000-1009,0-9", [(1000, 1010), (0, 10)]),
    "large ones": ("0-79999,100000-", [(0, 80000), (100000, LENGTH)]),
    "large ones backwards": ("100000-,0-79999", [(100000, LENGTH), (0, 80000)]),
    "over the seam of two pieces": ("65502-65522,131014-131034,-5",
                                    [(65502, 65523), (131014, 131035), (LENGTH - 5, LENGTH)]),
    "one outside": ("0-9,900000-,1000-1009", [(0, 10), (1000, 1010)]),
    "overlapping": ("0-99,50-199,5000-5009", [(0, 200), (5000, 5010)]),
    "as many as are allowed": (",".join(f"{i * 1000}-{i * 1000 + 9}" for i in range(16)),
                               [(i * 1000, i * 1000 + 10) for i in range(16)]),
}


@pytest.mark.parametrize("asked, wanted", SEVERAL.values(), ids=SEVERAL)
def test_several_ranges_of_a_stored_body(stored, asked, wanted):
    """RFC 9110 section 15.3.7.2; on a connection that is kept, so the length is exact."""
    with stored.client() as client:
        for _ in range(2):
            response = client.get(PATH, {"Range": "bytes=" + asked})
            expect_parts(response, wanted)
            assert response.cache_status.hit
        assert client.get(PATH).body == BODY
    stored.expect_stats(ranges_multipart=2, origin_requests=1)


@pytest.mark.parametrize("asked, wanted", [("0-9,20-29", (0, 30)), ("5-9,0-4", (0, 10)),
                                           ("0-9,900000-", (0, 10))])
def test_one_part_that_is_left_is_sent_plainly(stored, asked, wanted):
    """RFC 9110 section 15.3.7.2: united, or the only one that there is."""
    response = stored.get(PATH, {"Range": "bytes=" + asked})
    assert response.status == 206
    assert response["Content-Range"] == f"bytes {wanted[0]}-{wanted[1] - 1}/{LENGTH}"
    assert response["Content-Type"] == "text/plain"
    assert response.body == BODY[slice(*wanted)]


def test_no_range_that_can_be_satisfied(stored):
    """RFC 9110 section 15.5.17."""
    response = stored.get(PATH, {"Range": "bytes=900000-,-0"})
    assert response.status == 416
    assert response["Content-Range"] == f"bytes */{LENGTH}"


@pytest.mark.parametrize("asked", ["0-,0-", "0-199999,1-", ",".join(f"{i * 1000}-{i * 1000}"
                                                                     for i in range(17))])
def test_excessive_ranges_get_the_whole(stored, asked):
    """RFC 9110 section 17.15."""
    response = stored.get(PATH, {"Range": "bytes=" + asked})
    assert response.status == 200
    assert response.body == BODY
    stored.expect_stats(ranges_excessive=1, ranges_multipart=0)


@pytest.mark.edge(settings={"head_max": "256KB", "line_max": "64KB"})
def test_ten_thousand_ranges(origin, edge):
    """RFC 9110 section 17.15: nothing is done for each of them."""
    origin.serve(PATH, 200, FRESH, BODY)
    edge.get(PATH)
    edge.wait_stored(1)
    asked = ",".join(f"{i * 10}-{i * 10}" for i in range(10_000))
    response = edge.get(PATH, {"Range": "bytes=" + asked})
    assert response.status == 200
    assert response.body == BODY
    edge.expect_stats(ranges_excessive=1)


@pytest.mark.edge(settings={"ranges_max": "0"})
def test_no_several_ranges_at_all(origin, edge):
    """RFC 9110 section 14.2: a server may ignore Range."""
    origin.serve(PATH, 200, FRESH, BODY)
    assert edge.get(PATH, {"Range": "bytes=0-9,1000-1009"}).body == BODY
    assert edge.get(PATH, {"Range": "bytes=0-9"}).body == BODY[:10]


def test_head_ignores_ranges(stored):
    """RFC 9110 section 14.2."""
    response = stored.request("HEAD", PATH, {"Range": "bytes=0-9,1000-1009"})
    assert response.status == 200
    assert int(response["Content-Length"]) == LENGTH


def test_if_range_with_several(stored):
    """RFC 9110 section 13.1.5."""
    asked = {"Range": "bytes=0-9,1000-1009", "If-Range": '"a"'}
    expect_parts(stored.get(PATH, asked), [(0, 10), (1000, 1010)])
    response = stored.get(PATH, {**asked, "If-Range": '"b"'})
    assert (response.status, response.body) == (200, BODY)


def test_digests_of_the_content_are_not_those_of_a_part(origin, edge):
    """RFC 9530 sections 2 and 3: Content-Digest is that of the content of this message,
    Repr-Digest that of the whole, whatever is sent of it."""
    digests = {"Content-Digest": "sha-256=:AAAA:", "Content-MD5": "AAAA",
               "Repr-Digest": "sha-256=:BBBB:"}
    origin.serve(PATH, 200, {**FRESH, **digests}, BODY)
    whole = edge.get(PATH)
    assert {name: whole[name] for name in digests} == digests
    edge.wait_stored(1)
    for asked in ("0-9", "0-9,1000-1009"):
        part = edge.get(PATH, {"Range": "bytes=" + asked})
        assert part.status == 206
        assert [part.get(name) for name in digests] == [None, None, "sha-256=:BBBB:"]
    unchanged = edge.get(PATH, {"If-None-Match": '"a"'})
    assert (unchanged.status, unchanged["ETag"]) == (304, '"a"')
    assert [unchanged.get(name) for name in digests] == [None, None, None]


def test_several_ranges_on_the_way_in(origin, edge):
    """Of a response that is just being fetched, those at its end as well."""
    with edge.client() as client:
        client.send_request("GET", PATH, {"Range": "bytes=150000-150009,0-9,100000-"})
        held = origin.next_request()
        assert held.get("Range") is None
        held.start(200, FRESH, LENGTH)
        held.send(BODY[:150_000])
        response = client.read_head()
        assert response.status == 206
        held.send(BODY[150_000:])
        held.finish()
        expect_parts(client.read_response(), [(100000, LENGTH), (0, 10)])


def test_ranges_of_what_is_not_stored(origin, edge):
    """Forwards there are parts. Backwards nobody keeps the body: the whole is sent instead."""
    for path in ("/forwards", "/backwards"):
        origin.serve(path, 200, {**FRESH, "Cache-Control": "no-store"}, BODY)
    expect_parts(edge.get("/forwards", {"Range": "bytes=0-9,150000-"}), [(0, 10), (150000, LENGTH)])
    response = edge.get("/backwards", {"Range": "bytes=150000-150009,0-9"})
    assert (response.status, response.body) == (200, BODY)
    response = edge.get("/forwards", {"Range": "bytes=5-9"})  # passed, and cut here
    assert (response.status, response.body) == (206, BODY[5:10])


UNSTORED = [
    ("older", {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200),
    ("as new", {"If-Modified-Since": "Tue, 15 Nov 2016 12:45:26 GMT"}, 304),
    ("another tag", {"If-None-Match": '"b"'}, 200),
    ("the tag", {"If-None-Match": '"a"'}, 304),
    ("a range of it", {"Range": "bytes=0-4", "If-Range": '"a"'}, 206),
    ("a range of another", {"Range": "bytes=0-4", "If-Range": '"b"'}, 200),
]


@pytest.mark.parametrize("why, fields, status", UNSTORED, ids=[row[0] for row in UNSTORED])
def test_conditions_of_what_is_not_stored(origin, edge, why, fields, status):
    """RFC 9110 section 13: by what the response says, for the origin was asked without them."""
    origin.serve(PATH, 200, {**FRESH, "Cache-Control": "no-store",
                             "Last-Modified": "Tue, 15 Nov 2016 12:45:26 GMT"}, BODY)
    response = edge.get(PATH, fields)
    assert response.status == status
    assert response.body == {200: BODY, 206: BODY[:5], 304: b""}[status]


def test_a_type_that_nobody_said(origin, edge):
    """Parts have the whole's Content-Type, or none."""
    origin.serve("/plain", 200, {"Cache-Control": "max-age=600"}, BODY)
    edge.get("/plain")
    edge.wait_stored(1)
    expect_parts(edge.get("/plain", {"Range": "bytes=0-9,1000-1009"}), [(0, 10), (1000, 1010)],
                 content_type=None)


def test_boundaries_differ(stored):
    """Whoever writes the body cannot know them before."""
    asked = {"Range": "bytes=0-9,1000-1009"}
    assert stored.get(PATH, asked)["Content-Type"] != stored.get(PATH, asked)["Content-Type"]


def test_a_reader_that_is_slow(stored):
    """What the socket does not take at once waits for it, text and bytes."""
    wanted = [(100_000, LENGTH), (0, 80_000)]
    client = stored.client(rcvbuf=4096)
    for _ in range(3):
        client.send_request("GET", PATH, {"Range": "bytes=100000-,0-79999"})
    for _ in range(3):
        client.read_body(1000, most=1000)
        expect_parts(client.read_response(), wanted)
