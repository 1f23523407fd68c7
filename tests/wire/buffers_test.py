"""exchange_memory: one bound for the buffers of uploads, heads to origins and tunnels. What can do with
less is paced, what is new is refused when nothing is left, and in the end everybody has the right bytes.
"""

import contextlib
import os
import re
import socket
import threading

import pytest

import content
from client import DEADLINE_S, request_bytes
from content import digest
from memory_test import KIB, MIB, Gauges

LONG = os.environ.get("BRINK_LONG") == "1"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
WANTED = [("Connection", "Upgrade"), ("Upgrade", "websocket")]


class LateOrigin:
    """Reads the head of a request, and nothing more before `go`. A body is answered with its digest; on
    an upgraded connection all comes back, told first how much it is."""

    def __init__(self):
        self.go = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(DEADLINE_S * 4)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(1024)
            head, _, rest = data.partition(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                length = int(re.search(rb"/tunnel/([0-9]+)", head)[1])
                sock.sendall(SWITCH)
                self.go.wait()
                sock.sendall(self._take(sock, rest, length))
                return
            found = re.search(rb"content-length: ([0-9]+)", head.lower())
            self.go.wait()
            body = digest(self._take(sock, rest, int(found[1]) if found else 0)).encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\n"
                         b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    @staticmethod
    def _take(sock, first, length):
        data = bytearray(first)
        while len(data) < length:
            piece = sock.recv(262144)
            assert piece, "brink closed within a body"
            data += piece
        return bytes(data)

    def close(self):
        self.go.set()
        self.listener.close()


@pytest.fixture
def late():
    late = LateOrigin()
    yield late
    late.close()


class Sender:
    """A client that sends all it has, on a thread, and looks at the answer."""

    def __init__(self, edge, i, length, tunnel):
        self.data = content.body_of(content.path_of(length, str(i)))
        self.client = edge.client()
        self.client.sock.settimeout(DEADLINE_S * 4)
        self.tunnel, self.i = tunnel, i
        self.fault = "it has not ended"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.fault = self._send_tunnel() if self.tunnel else self._send_body()
        except Exception as fault:  # every kind is the test's
            self.fault = repr(fault)

    def _send_body(self):
        response = self.client.request("POST", f"/upload/{self.i}", None, self.data)
        if response.status != 200 or response.body != digest(self.data).encode():
            return f"{response.status}: {response.body[:100]}"
        return None

    def _send_tunnel(self):
        client = self.client
        client.send(request_bytes("GET", f"/tunnel/{len(self.data)}", WANTED))
        if client.read_head().status != 101:
            return "no 101"
        client.sock.sendall(self.data)
        back = bytearray(client.buf)
        while len(back) < len(self.data):
            piece = client.sock.recv(262144)
            if not piece:
                break
            back += piece
        client.close()
        return None if bytes(back) == self.data else f"{len(back)} bytes came back, or others"


@pytest.mark.limit(300)
def test_uploads_and_tunnels_to_origins_that_do_not_read(late, start_edge):
    """Most get no buffer but the least; the total stays below the bound all the while."""
    bound = (2048 if LONG else 512) * KIB
    edge = start_edge(origin=late.url, settings={"exchange_memory": bound, "tunnel_buffer": "64KB",
                                                 "site.upgrade": "websocket"})
    gauges = Gauges(edge, "exchange_bytes", "requests_active", "tunnels_open")
    uploads, tunnels = (60, 30) if LONG else (14, 8)
    senders = [Sender(edge, i, 8 * MIB, tunnel=i >= uploads) for i in range(uploads + tunnels)]
    edge.wait_for(exchange_paced=10, exchange_bytes=bound // 2)
    edge.wait_for(origin_exchanges=uploads, tunnels_open=tunnels)
    late.go.set()
    for sender in senders:
        sender.thread.join(240)
    assert [sender.fault for sender in senders if sender.fault] == []
    edge.expect_stats(exchange_bytes=0, tunnels_open=0, origin_exchanges=0)
    assert gauges.stop()["exchange_bytes"] <= bound
    assert edge.stats()["exchange_refused"] == 0


def test_nothing_is_left_for_a_new_exchange(late, start_edge):
    """503 with Retry-After; afterwards it is as before."""
    edge = start_edge(origin=late.url, settings={"exchange_memory": "64KB"})
    gauges = Gauges(edge, "exchange_bytes")
    waiting = []
    for i in range(2):
        client = edge.client()
        client.send_request("GET", f"/large/{i}", {"X-Key": "x" * 7000, "Cookie": "c" * 7000,
                                                   "X-More": "m" * 10000})
        waiting.append(client)
    edge.wait_for(exchange_bytes=48_000)
    response = edge.get("/one-more", {"X-Key": "x" * 7000, "X-More": "m" * 10000})
    assert response.status == 503
    assert response.get("Retry-After") == "1"
    edge.expect_stats(exchange_refused=1, origin_busy=0)
    late.go.set()
    for client in waiting:
        assert client.read_response().status == 200
    edge.expect_stats(exchange_bytes=0)
    assert gauges.stop()["exchange_bytes"] < 96 * KIB  # those that are refused have a head too
    assert edge.get("/one-more").status == 200
