"""Upgrade to another protocol, and the tunnel behind it: RFC 9110 sections 7.8 and 15.2.2, RFC 6455.

Nothing is tunnelled before the origin's 101 for what was asked; whatever else it answers is HTTP, and so
is what the client sent behind its request.
"""

import json
import signal
import socket
import threading

import pytest

from client import DEADLINE_S, request_bytes
from edge import run_tool

KIB = 1024
MIB = 1024 * 1024
pytestmark = pytest.mark.edge(settings={"shutdown_timeout": "200ms"})  # for tunnels left open
NO_STORE = {"Cache-Control": "no-store"}
FRESH = {"Cache-Control": "max-age=600"}
WANTED = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
          ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
ASK = request_bytes("GET", "/chat", WANTED)
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def take(sock, n):
    """Exactly n bytes off a socket, or what came before its end."""
    parts = bytearray()
    while len(parts) < n:
        data = sock.recv(min(n - len(parts), 262144))
        if not data:
            break
        parts += data
    return bytes(parts)


def rest(sock):
    return take(sock, 1 << 62)


def pattern(n, seed=0):
    return bytes((i * 7 + (i >> 8) + seed) & 255 for i in range(n))


class Tunnel:
    """A client and an origin whose connections have changed their protocol."""

    def __init__(self, origin, edge, ask=ASK, switch=SWITCH, early=b"", **how):
        self.client = edge.client(**how)
        self.client.send(ask)
        self.held = origin.next_request()
        self.held.send(switch + early)
        self.head = self.client.read_head()
        assert self.head.status == 101
        self.origin_sock = self.held.conn.sock
        self.origin_sock.settimeout(DEADLINE_S)
        self.sock = self.client.sock

    def to_client(self, n):
        """The next n bytes at the client."""
        data = bytes(self.client.buf[:n])
        del self.client.buf[:n]
        return data + take(self.sock, n - len(data))

    def to_origin(self, n):
        """The next n bytes at the origin."""
        data = bytes(self.held.conn.buf[:n])
        del self.held.conn.buf[:n]
        return data + take(self.origin_sock, n - len(data))

    def echo(self, data=b"ping"):
        """These bytes go both ways."""
        self.sock.sendall(data)
        assert self.to_origin(len(data)) == data
        self.origin_sock.sendall(data[::-1])
        assert self.to_client(len(data)) == data[::-1]


def stands_still(edge, counter):
    """Until the counter has not moved for many looks at it: the sockets' buffers are full."""
    seen, times = -1, 0
    while times < 25:
        now = edge.stats()[counter]
        times = times + 1 if now == seen else 0
        seen = now
        threading.Event().wait(0.02)


def bystander_is_served(origin, edge):
    origin.serve("/bystander", 200, NO_STORE, b"mine")
    response = edge.get("/bystander")
    assert (response.status, response.body) == (200, b"mine")


# --- what the origin is asked


@pytest.mark.parametrize("lines, want", [
    pytest.param([("Connection", "Upgrade"), ("Upgrade", "websocket")], "websocket",
                 id="6455-4.1 as browsers ask"),
    pytest.param([("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket")], "websocket",
                 id="9110-7.8 any case, written anew"),
    pytest.param([("Connection", "Upgrade"), ("Upgrade", "h2c, websocket, TLS/1.0")], "websocket",
                 id="9110-7.8 the allowed ones of a list"),
    pytest.param([("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c, websocket"),
                  ("HTTP2-Settings", "AAMAAABkAAQAAP__")], "websocket",
                 id="7540-3.2.1 without the settings of h2c"),
    pytest.param([("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Upgrade", "websocket")],
                 "websocket", id="9110-7.8 two fields"),
    pytest.param([("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Content-Length", "0")],
                 "websocket", id="9112-6.2 a body of no bytes"),
])
def test_an_allowed_protocol_is_asked_for(origin, edge, lines, want):
    client = edge.client()
    client.send(request_bytes("GET", "/chat", lines + [("Sec-WebSocket-Key", "k")]))
    held = origin.next_request()
    assert held["Connection"] == "upgrade" and held["Upgrade"] == want
    assert held["Sec-WebSocket-Key"] == "k"
    assert "HTTP2-Settings" not in held.fields and "Transfer-Encoding" not in held.fields
    held.send(SWITCH)
    assert client.read_head().status == 101
    held.close()


@pytest.mark.parametrize("request_text", [
    pytest.param(request_bytes("GET", "/a", [("Upgrade", "websocket")]),
                 id="9110-7.8 no connection option"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "h2c"),
                                             ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
                 id="9113-3.1 h2c"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "websocket/13")]),
                 id="9110-7.8 a version is another protocol"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "TLS/1.0, irc")]),
                 id="2817-3.1 protocols not allowed"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "")]),
                 id="9110-7.8 an empty list"),
    pytest.param(request_bytes("POST", "/a", [("Connection", "Upgrade"), ("Upgrade", "websocket")],
                               b"body"), id="6455-4.1 POST"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "websocket")],
                               b"body"), id="6455-4.1 a body"),
    pytest.param(request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "websocket")],
                               [b"body"], chunked=True), id="6455-4.1 a chunked body"),
    pytest.param(b"GET /a HTTP/1.0\r\nHost: site.test\r\nConnection: Upgrade, keep-alive\r\n"
                 b"Upgrade: websocket\r\n\r\n", id="9110-7.8 HTTP/1.0"),
])
def test_other_upgrades_are_ignored(origin, edge, request_text):
    """RFC 9110 section 7.8: a server may ignore the field. The request is an ordinary one."""
    origin.serve("/a", 200, NO_STORE, b"plain")
    client = edge.client()
    client.send(request_text)
    assert client.read_response().body == b"plain"
    held = origin.requests[0]
    for name in ("Upgrade", "HTTP2-Settings"):
        assert name not in held.fields
    assert "upgrade" not in (held.get("Connection") or "").lower()
    client.send(request_bytes("GET", "/a"))
    assert client.read_response().body == b"plain", "the connection goes on"
    edge.expect_stats(upgrades_ignored=1, tunnels=0)


def test_an_ignored_upgrade_is_answered_from_the_store(origin, edge):
    origin.serve("/a", 200, FRESH, b"stored")
    edge.get("/a")
    edge.wait_stored(1)
    response = edge.get("/a", [("Connection", "Upgrade"), ("Upgrade", "h2c")])
    assert response.cache_status.hit and response.body == b"stored"


def test_a_request_for_a_protocol_is_not_answered_from_the_store(origin, edge):
    """Nor is its answer stored, whatever it says."""
    origin.serve("/chat", 200, FRESH, b"stored")
    edge.get("/chat")
    edge.wait_stored(1)
    origin.serve("/chat", 200, FRESH, b"for the upgrade")
    client = edge.client()
    response = client.request("GET", "/chat", WANTED)
    assert response.body == b"for the upgrade" and response.cache_status.fwd == "bypass"
    assert edge.get("/chat").body == b"stored"
    edge.expect_stats(store_puts=1, origin_requests=2)


def test_requests_for_a_protocol_are_never_one_fetch(origin, edge):
    tunnels = [edge.client() for _ in range(2)]
    for client in tunnels:
        client.send(ASK)
    held = [origin.next_request() for _ in tunnels]
    for i, one in enumerate(held):
        one.send(SWITCH + b"%d" % i)
    assert sorted(client.read_head().status for client in tunnels) == [101, 101]
    assert sorted(bytes(c.buf) or c.receive() for c in tunnels) == [b"0", b"1"]


@pytest.mark.edge(settings={"site.upgrade": ""})
def test_no_protocol_is_allowed_when_the_site_says_so(origin, edge):
    origin.serve("/chat", 200, NO_STORE, b"plain")
    assert edge.client().request("GET", "/chat", WANTED).body == b"plain"
    assert "Upgrade" not in origin.requests[0].fields


@pytest.mark.edge(settings={"site.upgrade": "IRC"})
def test_a_protocol_of_the_site_s_choice(origin, edge):
    ask = request_bytes("GET", "/a", [("Connection", "Upgrade"), ("Upgrade", "websocket, irc")])
    switch = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: irc\r\n\r\n"
    tunnel = Tunnel(origin, edge, ask, switch)
    assert tunnel.held["Upgrade"] == "irc" and tunnel.head["Upgrade"] == "irc"
    tunnel.echo()


# --- what the origin answers


def test_the_101_is_written_anew(origin, edge):
    switch = (b"HTTP/1.1 101 Whatever You Like\r\nconnection: upgrade, X-Hop\r\nX-Hop: 1\r\n"
              b"Upgrade: WEBSOCKET\r\nSec-WebSocket-Accept: x\r\nKeep-Alive: timeout=5\r\n\r\n")
    head = Tunnel(origin, edge, switch=switch).head
    assert head["Connection"] == "upgrade" and head["Upgrade"] == "websocket"
    assert head["Sec-WebSocket-Accept"] == "x" and head["Via"] == "1.1 brink"
    for name in ("X-Hop", "Keep-Alive", "Content-Length", "Transfer-Encoding"):
        assert name not in head.fields


@pytest.mark.parametrize("answer", [
    pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
                 id="9110-7.8 another protocol"),
    pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
                 id="9110-7.8 two layers"),
    pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n", id="9110-7.8 no Upgrade"),
    pytest.param(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", id="9110-7.8 no connection option"),
    pytest.param(b"HTTP/1.0 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                 id="9110-7.8 HTTP/1.0"),
    pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n", id="9112-6.1 a coding"),
    pytest.param(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                 b"Content-Length: 5\r\n\r\n", id="9110-8.6 a length"),
])
def test_a_wrong_101_is_502(origin, edge, answer):
    client = edge.client()
    client.send(ASK + request_bytes("GET", "/next"))
    held = origin.next_request()
    held.send(answer + b"\x81\x05hello")
    assert held.is_abandoned()
    held.close()
    assert client.read_response().status == 502
    origin.next_request().reply(200, NO_STORE, b"next")
    assert client.read_response().body == b"next", "no byte was taken for the tunnel's"
    edge.expect_stats(tunnels=0, origin_failures=1)
    bystander_is_served(origin, edge)


def test_an_unasked_101_is_502(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.send(SWITCH)
    assert held.is_abandoned()
    held.close()
    assert client.read_response().status == 502
    edge.expect_stats(tunnels=0, origin_connections_idle=0)


def test_hints_may_come_before_the_101(origin, edge):
    switch = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCH
    tunnel = Tunnel(origin, edge, switch=switch, early=b"early")
    assert [hint.status for hint in tunnel.head.interim] == [103]
    assert tunnel.to_client(5) == b"early"
    tunnel.echo()


def test_9110_15_5_22_a_426_says_what_the_site_would_change_to(origin, edge):
    """The origin's Upgrade ends with its connection; the answer needs one, so brink writes it."""
    origin.serve("/chat", 426, [("Connection", "upgrade, X-Hop"), ("X-Hop", "1"),
                                ("Upgrade", "h2c, websocket"), ("Cache-Control", "no-store")], b"no")
    response = edge.get("/chat")
    assert (response.status, response.body) == (426, b"no")
    assert response["Upgrade"] == "websocket" and response["Connection"] == "upgrade"
    assert "X-Hop" not in response.fields


# --- smuggling: no tunnel, no bytes in it


@pytest.mark.parametrize("status", [200, 400, 403, 404, 426, 503])
@pytest.mark.parametrize("when", ["before", "after"])
def test_without_a_101_the_connection_is_http(origin, edge, status, when):
    """A client that asks wrongly (a bad Sec-WebSocket-Version, say) gets no way to the origin: what it
    sends is its next request, refused or keyed or passed like any other."""
    smuggled = request_bytes("GET", "/secret", [("X-Mark", "as HTTP")])
    client = edge.client()
    client.send(ASK.replace(b"Version: 13", b"Version: 777") +
                (smuggled if when == "before" else b""))
    held = origin.next_request()
    held.reply(status, NO_STORE, b"no")
    assert client.read_response().body == b"no"
    if when == "after":
        client.send(smuggled)
    passed = origin.next_request()
    assert (passed.target, passed["X-Mark"]) == ("/secret", "as HTTP")
    assert passed["Via"] == "1.1 brink", "it came through brink's parser"
    passed.reply(200, NO_STORE, b"checked")
    assert client.read_response().body == b"checked"
    edge.expect_stats(tunnels=0, requests=2)


def test_frames_before_an_answer_without_101_are_refused(origin, edge):
    client = edge.client()
    client.send(ASK + b"\x81\x85\x00\x00\x00\x00hello")
    held = origin.next_request()
    held.reply(426, [("Connection", "upgrade"), ("Upgrade", "websocket"),
                     ("Cache-Control", "no-store")], b"no")
    assert client.read_response().status == 426
    client.send(b"\r\n\r\n")
    assert client.read_response().status == 400
    client.expect_closed()
    assert origin.count() == 1


def test_the_origin_connection_of_a_426_serves_again(origin, edge):
    """It is HTTP still; a connection that was tunnelled never is."""
    origin.serve("/chat", 426, NO_STORE, b"no")
    origin.serve("/a", 200, NO_STORE, b"a")
    client = edge.client()
    assert client.request("GET", "/chat", WANTED).status == 426
    edge.expect_stats(origin_connections_idle=1)
    assert client.get("/a").body == b"a"
    edge.expect_stats(origin_connections_opened=1)


def test_what_waits_for_the_answer_is_bounded(origin, edge):
    """Bytes behind the request wait in brink only so far; then the client is not read."""
    client = edge.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    client.send(ASK)
    held = origin.next_request()
    flood = pattern(16 * MIB)
    sender = threading.Thread(target=client.sock.sendall, args=(flood,), daemon=True)
    sender.start()
    stands_still(edge, "client_bytes_in")
    held.send(SWITCH)
    got = bytearray(held.conn.buf)
    assert client.read_head().status == 101
    assert edge.stats()["client_bytes_in"] < 16 * MIB
    got += take(held.conn.sock, len(flood) - len(got))
    sender.join()
    assert bytes(got) == flood


# --- the tunnel


@pytest.mark.tsan
def test_bytes_go_both_ways(origin, edge):
    tunnel = Tunnel(origin, edge, ask=ASK + b"client first", early=b"origin first")
    assert tunnel.to_client(12) == b"origin first"
    assert tunnel.to_origin(12) == b"client first"
    for n in (1, 100, 20000):
        tunnel.echo(pattern(n, n))
    tunnel.echo(b"GET / HTTP/1.1\r\n\r\n")
    edge.expect_stats(tunnels=1, tunnels_open=1, connections_open=1, requests_active=0)
    tunnel.sock.shutdown(socket.SHUT_WR)
    assert tunnel.to_origin(1) == b""
    tunnel.held.close()
    assert tunnel.to_client(1) == b""
    edge.expect_stats(tunnels_open=0, tunnels_cut=0, requests_active=0, requests_aborted=0,
                      tunnel_bytes_in=12 + 20101 + 18, tunnel_bytes_out=12 + 20101 + 18,
                      origin_connections_idle=0)


@pytest.mark.tsan
@pytest.mark.parametrize("who", ["client", "origin"])
def test_a_half_close_is_passed_on_and_the_other_way_goes_on(origin, edge, who):
    tunnel = Tunnel(origin, edge)
    tunnel.echo()
    near, far = ((tunnel.sock, tunnel.origin_sock) if who == "client"
                 else (tunnel.origin_sock, tunnel.sock))
    near.sendall(b"last words")
    near.shutdown(socket.SHUT_WR)
    assert rest(far) == b"last words"
    for n in (5, 300000):
        far.sendall(pattern(n))
        assert take(near, n) == pattern(n)
    edge.expect_stats(tunnels_open=1)
    far.shutdown(socket.SHUT_WR)
    assert rest(near) == b""
    edge.expect_stats(tunnels_open=0, tunnels_cut=0)


def test_a_client_half_closed_before_the_101(origin, edge):
    client = edge.client()
    client.send(ASK + b"all I say")
    client.sock.shutdown(socket.SHUT_WR)
    held = origin.next_request()
    edge.wait_for(client_bytes_in=len(ASK) + 9)
    held.send(SWITCH)
    assert client.read_head().status == 101
    assert rest(held.conn.sock) == b"all I say"
    held.send(b"and I")
    held.close()
    assert bytes(client.buf) + rest(client.sock) == b"and I"
    edge.expect_stats(tunnels_open=0, tunnels_cut=0)


@pytest.mark.parametrize("who", ["client", "origin"])
def test_a_reset_is_a_reset_for_the_other(origin, edge, who):
    tunnel = Tunnel(origin, edge)
    tunnel.echo()
    if who == "client":
        tunnel.client.reset()
        far = tunnel.origin_sock
    else:
        tunnel.held.abort()
        far = tunnel.sock
    with pytest.raises(ConnectionResetError):
        rest(far)
    edge.expect_stats(tunnels_open=0, tunnels_cut=1, requests_active=0)


@pytest.mark.limit(180)
@pytest.mark.edge(settings={"tunnel_buffer": "16KB"})
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_slow_reader_stops_the_sender(origin, edge, way):
    """Back-pressure: what brink holds is bounded, and all of it arrives in the end."""
    tunnel = Tunnel(origin, edge)
    tunnel.echo()
    source, sink = ((tunnel.sock, tunnel.origin_sock) if way == "in"
                    else (tunnel.origin_sock, tunnel.sock))
    before = edge.memory_kib()
    block = pattern(MIB)
    sent = []

    def send():
        for _ in range(48):
            source.sendall(block)
            sent.append(1)
        source.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    stands_still(edge, f"tunnel_bytes_{way}")
    assert len(sent) < 48 and edge.memory_kib() - before < 8 * KIB
    for _ in range(48):
        assert take(sink, MIB) == block
    assert rest(sink) == b""
    sender.join()


@pytest.mark.tsan
def test_both_ways_at_once(origin, edge):
    tunnel = Tunnel(origin, edge)
    data = {"in": pattern(4 * MIB, 1), "out": pattern(4 * MIB, 2)}
    got = {}

    def run(name, step, *arguments):
        got[name] = step(*arguments)

    threads = [threading.Thread(target=run, args=arguments, daemon=True) for arguments in (
        ("sent in", tunnel.sock.sendall, data["in"]),
        ("sent out", tunnel.origin_sock.sendall, data["out"]),
        ("in", tunnel.to_origin, len(data["in"])),
        ("out", tunnel.to_client, len(data["out"])))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got["in"] == data["in"] and got["out"] == data["out"]


@pytest.mark.edge(settings={"tunnel_timeout": "300ms"})
def test_an_idle_tunnel_is_cut(origin, edge):
    tunnel = Tunnel(origin, edge)
    for sock in (tunnel.sock, tunnel.origin_sock):
        with pytest.raises(ConnectionResetError):
            rest(sock)
    edge.expect_stats(tunnels_open=0, tunnel_timeouts=1, tunnels_cut=1)


@pytest.mark.edge(settings={"idle_timeout": "1s", "read_timeout": "1s", "head_timeout": "1s",
                            "write_timeout": "1s", "origin.first_byte_timeout": "5s",
                            "origin.between_bytes_timeout": "1s"})
def test_the_clocks_of_http_do_not_run_in_a_tunnel(origin, edge):
    tunnel = Tunnel(origin, edge)
    other = edge.client()
    other.expect_closed()  # an idle connection that came later has had its time
    edge.wait_for(connection_timeouts=1)
    tunnel.echo()


def test_many_idle_tunnels_are_small(origin, start_edge):
    edge = start_edge(origin=origin.url, workers=1)
    first = [Tunnel(origin, edge) for _ in range(20)]
    before = edge.memory_kib()
    more = [Tunnel(origin, edge) for _ in range(100)]
    for tunnel in first[-1:] + more[-1:]:
        tunnel.echo()
    assert (edge.memory_kib() - before) / len(more) < 16  # with a sanitizer's redzones
    edge.expect_stats(tunnels_open=120)


# --- limits, ends, logs


@pytest.mark.edge(settings={"max_connections": "2"}, workers=1)
def test_tunnels_count_as_connections(origin, edge):
    tunnels = [Tunnel(origin, edge) for _ in range(2)]
    edge.client().expect_closed()
    edge.expect_stats(connections_refused=1)
    tunnels[0].client.reset()
    edge.expect_stats(tunnels_open=1, connections_open=1)
    bystander_is_served(origin, edge)


@pytest.mark.edge(settings={"shutdown_timeout": "2s"})
def test_tunnels_go_on_until_the_shutdown_time_is_over(origin, edge):
    tunnel = Tunnel(origin, edge)
    edge.process.send_signal(signal.SIGTERM)
    tunnel.echo()
    with pytest.raises(ConnectionResetError):
        rest(tunnel.sock)
    assert edge.wait_exit() == 0
    edge.process = None


def test_a_tunnel_that_ends_in_time_lets_brink_end(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"shutdown_timeout": "1m"})
    tunnel = Tunnel(origin, edge)
    edge.process.send_signal(signal.SIGTERM)
    tunnel.echo()
    tunnel.held.close()
    assert rest(tunnel.sock) == b""
    tunnel.sock.close()
    assert edge.wait_exit() == 0
    edge.process = None


def test_the_access_log_tells_a_tunnel_at_its_end(origin, start_edge, tmp_path):
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, settings={"log.access": str(log),
                                                   "log.access_format": "json"})
    ask = request_bytes("GET", "/chat?room=1", [*WANTED, ("Referer", "http://a/"),
                                                ("User-Agent", "a browser")])
    tunnel = Tunnel(origin, edge, ask=ask, early=b"hello")
    assert tunnel.to_client(5) == b"hello"
    tunnel.echo(b"1234")
    tunnel.held.close()
    assert rest(tunnel.sock) == b""
    tunnel.sock.close()
    edge.wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the line is there")
    line = json.loads(log.read_text())
    assert (line["status"], line["body_bytes"], line["cache"]) == (101, 9, "pass")
    assert line["target"] == "/chat?room=1" and line["host"] == "site.test"
    assert (line["method"], line["referer"], line["user_agent"]) == ("GET", "http://a/", "a browser")
    assert line["reason"] == "UPGRADE" and not line["aborted"]
    assert line["total_us"] >= line["first_byte_us"] > 0


@pytest.mark.parametrize("who", ["client", "origin"])
def test_who_leaves_before_the_101_is_noticed(origin, edge, who):
    client = edge.client()
    client.send(ASK)
    held = origin.next_request()
    if who == "client":
        client.reset()
        assert held.is_abandoned()
        held.close()
    else:
        held.close()
        assert client.read_response().status == 502
    edge.expect_stats(tunnels=0, requests_active=0, fills_open=0)


@pytest.mark.edge(settings={"origin.first_byte_timeout": "1s"})
def test_an_origin_that_does_not_answer_is_504(origin, edge):
    client = edge.client()
    client.send(ASK)
    held = origin.next_request()
    assert client.read_response().status == 504
    held.close()


# --- the configuration


@pytest.mark.parametrize("name", ["h2c", "H2C", "h2", "tls", "http"])
def test_h2c_is_refused_in_the_configuration(start_edge, tmp_path, name):
    file = tmp_path / "brink.conf"
    file.write_text('origin "o" { server "127.0.0.1:9" {} }\nsite "s" {\n  origin = "o"\n'
                    '  upgrade = {"websocket", "%s"}\n}\n' % name)
    told = run_tool("brink", "-t", "-c", file)
    assert told.returncode == 1
    assert f"brink.conf:4: upgrade: \"{name}\" is refused: requests in it would pass unseen" in \
        told.stderr
