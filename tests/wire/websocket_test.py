"""Real websockets through brink: Debian's python3-websockets as the server and as the client. RFC 6455."""

import asyncio
import contextlib
import threading

import pytest
import websockets

KIB = 1024
MIB = 1024 * 1024
LONG_S = 60

pytestmark = pytest.mark.edge(settings={"shutdown_timeout": "200ms"})


class Server:
    """A websocket server on a thread of its own: echoes; "push N" sends N messages; "bye" closes."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.seen = []  # request heads
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(LONG_S)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready):
        self.stopped = asyncio.Event()
        async with websockets.serve(self._talk, "127.0.0.1", 0, max_size=64 * MIB,
                                    subprotocols=["chat.v2"], ping_interval=None) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await self.stopped.wait()

    async def _talk(self, socket):
        self.seen.append(socket.request_headers)
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in socket:
                if message == "bye":
                    await socket.close(4001, "as you wish")
                elif isinstance(message, str) and message.startswith("push "):
                    for i in range(int(message[5:])):
                        await socket.send(f"message {i}")
                else:
                    await socket.send(message)

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(LONG_S)
        assert not self.thread.is_alive()
        self.loop.close()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def ws_edge(request, start_edge, server):
    marker = request.node.get_closest_marker("edge")
    return start_edge(origin=server.url, **marker.kwargs)


def talk(edge, conversation, **how):
    """conversation(socket) over a websocket through brink."""

    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{edge.port}/chat?room=1", max_size=64 * MIB,
                                      ping_interval=None, **how) as socket:
            return await conversation(socket)

    return asyncio.run(asyncio.wait_for(run(), LONG_S))


@pytest.mark.tsan
def test_messages_are_echoed(server, ws_edge):
    async def conversation(socket):
        for message in ("hello", "", "ünïcödé", b"\x00\xff" * 100, "x" * 70000):
            await socket.send(message)
            assert await socket.recv() == message
        return socket.subprotocol

    assert talk(ws_edge, conversation, subprotocols=["chat.v2"]) == "chat.v2"
    assert server.seen[0]["Upgrade"] == "websocket" and server.seen[0]["Via"] == "1.1 brink"
    ws_edge.expect_stats(tunnels=1, tunnels_open=0, tunnels_cut=0, requests_aborted=0)


@pytest.mark.tsan
def test_large_messages_and_many(server, ws_edge):
    async def conversation(socket):
        large = bytes(range(256)) * (16 * MIB // 256)
        await socket.send(large)
        assert await socket.recv() == large
        await socket.send("push 3000")
        for i in range(3000):
            assert await socket.recv() == f"message {i}"

    talk(ws_edge, conversation)
    ws_edge.expect_stats(tunnels_open=0)


def test_pings_and_both_closes(server, ws_edge):
    async def ping(socket):
        for _ in range(3):
            await asyncio.wait_for(await socket.ping(), LONG_S)
        await socket.close(1000, "done")
        return socket.close_code

    async def bye(socket):
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        return socket.close_code, socket.close_reason

    assert talk(ws_edge, ping) == 1000
    assert talk(ws_edge, bye) == (4001, "as you wish")
    ws_edge.expect_stats(tunnels=2, tunnels_open=0, tunnels_cut=0)


def test_many_at_once(server, ws_edge):
    async def one(n):
        async with websockets.connect(f"ws://127.0.0.1:{ws_edge.port}/chat",
                                      ping_interval=None) as socket:
            for i in range(20):
                await socket.send(f"{n}.{i}")
                assert await socket.recv() == f"{n}.{i}"

    async def all_of_them():
        await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(100))), LONG_S)

    asyncio.run(all_of_them())
    ws_edge.expect_stats(tunnels=100, tunnels_open=0)


def test_a_refused_handshake_is_an_answer(server, ws_edge):
    """The server's own refusal comes back whole, with what it would speak."""
    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "7"),
              ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    response = ws_edge.get("/chat", fields)
    assert response.status == 400
    plain = ws_edge.get("/chat")
    assert plain.status == 426 and plain["Upgrade"] == "websocket"
    ws_edge.expect_stats(tunnels=0)
