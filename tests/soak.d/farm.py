"""The origin: answers for every object, in any version, whole or by range, from nothing stored."""

import asyncio
import email.utils
import random
import re
import time

import world

RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
CHUNK = 256 * 1024
SLOW_S = 0.1  # between two chunks


class Exchange:
    """One request, and the answer to it."""

    def __init__(self, shared, dice, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ")
        self.fields = {name.lower(): value.strip()
                       for name, _, value in (line.partition(":") for line in lines[1:])}
        self.number = number = int(target.rpartition("/")[2])
        assert target == world.path_of(number) and self.fields["host"] == world.host_of(number), \
            f"brink asks for {target} of {self.fields['host']}"
        self.checked = shared.now.value  # before the version: what is said to be checked is
        self.version = world.newest(shared.changed, number)
        self.language = self.fields.get("accept-language", "").strip()
        self.etag = world.etag_of(number, self.version, self.language)
        self.length = world.LENGTH[number]
        self.first, self.end = 0, self.length
        self.cut_at = None
        if world.is_flaky(number) and dice.random() < 0.3:
            self.cut_at = dice.randrange(self.length)

    def head(self):
        number = self.number
        lines = [f"ETag: {self.etag}", f"X-Checked: {self.checked}",
                 f"Date: {email.utils.formatdate(time.time(), usegmt=True)}",
                 f"Cache-Control: max-age={world.lifetime_s(number)}",
                 f"Surrogate-Key: {world.tags_of(number)}", "Accept-Ranges: bytes"]
        if world.is_text(number):
            lines.append("Content-Type: text/plain")
        if world.varies(number):
            lines.append("Vary: Accept-Language")
        if self.fields.get("if-none-match") == self.etag:
            self.end = 0
            return self.text("304 Not Modified", lines)
        asked = RANGE.fullmatch(self.fields.get("range", ""))
        if asked and self.fields.get("if-range", self.etag) == self.etag:
            self.first = int(asked[1])
            self.end = min(int(asked[2] or self.length) + 1, self.length)
            lines.append(f"Content-Range: bytes {self.first}-{self.end - 1}/{self.length}")
            lines.append(f"Content-Length: {self.end - self.first}")
            return self.text("206 Partial Content", lines)
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"Content-Length: {self.length}")
        return self.text("200 OK", lines)

    @property
    def chunked(self):
        return world.is_chunked(self.number) and self.first == 0 and self.end == self.length \
            and self.method != "HEAD"

    @staticmethod
    def text(status, lines):
        return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()

    def parts(self):
        """The body in the coding of the head; it may break off."""
        if self.method == "HEAD":
            return
        start = world.start_of(self.number, self.version, self.language)
        chunked = self.chunked and self.end > 0
        for offset in range(self.first, self.end, CHUNK):
            part = world.body_part(start, offset, min(CHUNK, self.end - offset))
            if self.cut_at is not None and offset + len(part) > self.cut_at:
                yield part[:self.cut_at - offset]
                return
            yield b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
        if chunked:
            yield b"0\r\n\r\n"


async def serve(shared, dice, reader, writer):
    try:
        while True:
            exchange = Exchange(shared, dice, (await reader.readuntil(b"\r\n\r\n"))[:-4])
            writer.write(exchange.head())
            for part in exchange.parts():
                writer.write(part)
                await writer.drain()
                if world.is_slow(exchange.number):
                    await asyncio.sleep(SLOW_S)
            if exchange.cut_at is not None:
                break
    except (OSError, asyncio.IncompleteReadError):
        pass  # brink left: it was killed, or nobody waits for the answer
    finally:
        writer.close()


def main(shared, seed, port):
    """Runs until the process is ended."""
    dice = random.Random(seed)

    async def run():
        server = await asyncio.start_server(lambda r, w: serve(shared, dice, r, w), "127.0.0.1",
                                            port, backlog=1024, limit=1 << 17)
        async with server:
            await server.serve_forever()

    asyncio.run(run())
