"""The harness against itself: a client that reads too kindly would let brink's faults pass."""

import pathlib

import pytest

import codings
import content
import h1
from client import Client, Crowd, load
from debian import Apache, Nginx
from origin import Origin


def connect(origin):
    return Client(origin.port)


def test_a_held_request_is_answered_by_the_test(origin):
    with connect(origin) as client:
        client.send_request("POST", "/a?b=c", {"X-One": "1"}, b"hello")
        held = origin.next_request()
        assert (held.method, held.target, held["x-one"], held.body) == ("POST", "/a?b=c", "1", b"hello")
        held.reply(201, {"X-Two": "2"}, b"world")
        response = client.read_response()
    assert (response.status, response["X-Two"], response.body) == (201, "2", b"world")


def test_a_table_answers_without_the_test(origin):
    origin.serve("/a", 200, {"Cache-Control": "max-age=60"}, b"hello", chunked=True)
    with connect(origin) as client:
        for _ in range(3):
            response = client.get("/a")
            assert (response.body, response.framing) == (b"hello", "chunked")
    assert origin.count("/a") == 3
    assert len(origin.connections) == 1


def test_pipelined_responses_come_in_order(origin):
    for name in "abc":
        origin.serve(f"/{name}", body=name.encode())
    with connect(origin) as client:
        for name in "abc":
            client.send_request("GET", f"/{name}")
        assert [client.read_response().body for _ in range(3)] == [b"a", b"b", b"c"]


def test_a_chunked_request_body_is_decoded(origin):
    with connect(origin) as client:
        client.send_request("PUT", "/a", body=[b"one", b"two"], chunked=True)
        held = origin.next_request()
        assert held.body == b"onetwo"
        held.reply(204)
        assert client.read_response().status == 204


def test_head_and_304_have_no_body(origin):
    origin.serve("/a", 200, {}, b"hello")
    origin.serve("/b", 304, {"ETag": '"x"'})
    with connect(origin) as client:
        response = client.request("HEAD", "/a")
        assert (response["Content-Length"], response.body) == ("5", b"")
        assert client.get("/b").status == 304


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_body_cut_short_is_truncated(origin, end):
    with connect(origin) as client:
        client.send_request("GET", "/a")
        held = origin.next_request()
        held.start(200, length=10)
        held.send(b"12345")
        client.read_body(5)
        getattr(held, end)()
        with pytest.raises(h1.Truncated) as cut:
            client.read_response()
    assert cut.value.parser.response.body == b"12345"


def test_the_last_chunk_is_missed(origin):
    with connect(origin) as client:
        client.send_request("GET", "/a")
        held = origin.next_request()
        held.start(200)
        held.send_chunk(b"12345")
        held.close()
        with pytest.raises(h1.Truncated):
            client.read_response()


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n\r\n",
])
def test_the_client_repairs_nothing(origin, raw):
    origin.serve_with("/a", lambda held: (held.send(raw), held.close()))
    with connect(origin) as client, pytest.raises(h1.Malformed):
        client.get("/a")


@pytest.mark.parametrize("raw", [
    b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /a HTTP/1.1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
])
def test_the_origin_repairs_nothing(raw):
    strict = Origin()
    try:
        with connect(strict) as client:
            client.send(raw)
            client.expect_closed()
        assert strict.faults and not strict.requests
    finally:
        strict.stop()


def test_a_stopped_origin_refuses_and_starts_again(origin):
    origin.serve("/a", body=b"hello")
    origin.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(origin)
    origin.start()
    with connect(origin) as client:
        assert client.get("/a").body == b"hello"


def test_a_crowd_gets_each_its_own(origin):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, {}, content.body_of(held.target)))
    targets = [content.path_of(1000 + i, f"n{i}") for i in range(100)]
    members = Crowd(origin.port, targets).start().join()
    assert [m.target for m in members] == targets
    assert all(m.response.body == content.body_of(m.target) for m in members)
    assert load(origin.port, targets, check_generated) == []


def test_a_load_reports_what_is_wrong(origin):
    origin.serve_all(lambda target: True, lambda held: held.reply(200, {}, b"wrong"))
    assert len(load(origin.port, ["/g/10/a", "/g/10/b"], check_generated)) == 2


def check_generated(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


@pytest.mark.parametrize("server", [Nginx, Apache])
def test_debians_servers_send_freshness(tmp_path, server):
    root = pathlib.Path("/usr/share/common-licenses")
    running = server(tmp_path / "server", root)
    try:
        with Client(running.port) as client:
            response = client.get("/GPL-3")
            missing = client.get("/none")
        assert (response.status, response.body) == (200, (root / "GPL-3").read_bytes())
        assert (missing.status, missing["Cache-Control"]) == (404, "max-age=3600")
        assert response["Cache-Control"] == "max-age=3600"
        assert len(running.log_lines(2)) == 2
    finally:
        running.stop()


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_coded_body_is_one_whole_stream(coding):
    data = codings.text(50_000, coding)
    coded = codings.encode(coding, data)
    assert len(coded) < len(data) / 2 and codings.decode(coding, coded) == data
    assert data.startswith(codings.decode_part(coding, coded[:10_000]))
    for wrong in (b"", coded[:-1], coded + b"\n", coded + coded, data):
        with pytest.raises(ValueError):
            codings.decode(coding, wrong)


def test_a_zstd_window_that_browsers_refuse_is_wrong():
    """RFC 9659 section 3."""
    parameters = codings.zstandard.ZstdCompressionParameters(window_log=24)
    stream = codings.zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(ValueError, match="window"):
        codings.decode("zstd", stream.compress(codings.text(50_000)) + stream.flush())


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_bomb_is_small_until_it_is_opened(coding):
    bomb = codings.bomb(coding, 5_000_001)
    assert len(bomb) < 6000 and codings.decode(coding, bomb) == bytes(5_000_001)
