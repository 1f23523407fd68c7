"""Objects too large to be kept anywhere: every 64 bytes say where they are and whose they are, so a
range of any length is made when it is asked for. And an origin that serves them so."""

import re
import threading

LINE = 64
RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


def part_of(tag, first, end):
    """Bytes first to end - 1 of the object with this tag."""
    lines = range(first // LINE, -(-end // LINE))
    text = "".join(f"{tag} {i:>{LINE - len(tag) - 2}}\n" for i in lines).encode()
    skip = first - first // LINE * LINE
    return text[skip:skip + end - first]


class Large:
    """Answers for one object: the whole, or a range when If-Range allows it. A test may change
    `tag`, `length` and the rest between requests; `requests` are the Range fields that came."""

    def __init__(self, length, tag="first", ranged=True, **fields):
        self.length = length
        self.tag = tag
        self.ranged = ranged
        self.fields = {"Cache-Control": "max-age=600", "Content-Type": "video/mp4",
                       "Accept-Ranges": "bytes", **{k.replace("_", "-"): v
                                                    for k, v in fields.items()}}
        self.etag = None  # instead of the tag's own
        self.requests = []
        self.heeds_if_range = True
        self.hold = None  # an Event that answers to ranges wait for
        self.lock = threading.Lock()

    def head_fields(self):
        return {**self.fields, "ETag": self.etag or f'"{self.tag}"'}

    def __call__(self, held):
        asked = held.get("Range")
        with self.lock:
            self.requests.append(asked)
        match = RANGE.fullmatch(asked) if asked and self.ranged else None
        fields = self.head_fields()
        if held.get("If-None-Match") == fields["ETag"]:
            held.reply(304, fields)
            return
        if held.method == "HEAD":
            held.reply(200, {**fields, "Content-Length": self.length})
            return
        same = held.get("If-Range") in (None, fields["ETag"]) or not self.heeds_if_range
        if match and same:
            self.send_part(held, fields, int(match[1]), int(match[2] or self.length - 1))
        else:
            self.send_whole(held, fields)

    def send_part(self, held, fields, first, last):
        if self.hold:
            self.hold.wait(30)
        tag, length = self.tag, self.length
        last = min(last, length - 1)
        held.reply(206, {**fields, "Content-Range": f"bytes {first}-{last}/{length}"},
                   part_of(tag, first, last + 1))

    def send_whole(self, held, fields):
        """As long as brink takes it."""
        tag, length = self.tag, self.length
        try:
            held.start(200, fields, length)
            for first in range(0, length, 1 << 16):
                held.send(part_of(tag, first, min(first + (1 << 16), length)))
        except OSError:
            held.close()
            return
        held.finish()

    def ranges(self):
        """Those asked for so far, as (first, end)."""
        with self.lock:
            found = [RANGE.fullmatch(asked) for asked in self.requests if asked]
        return [(int(match[1]), int(match[2]) + 1) for match in found]

    def wholes(self):
        with self.lock:
            return sum(1 for asked in self.requests if asked is None)
