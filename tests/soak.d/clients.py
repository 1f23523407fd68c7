"""The clients: everything a client may do, and everything it gets compared with what is right."""

import random
import re
import threading
import time
import traceback
import zlib

import h1  # of tests/wire
import world
from client import Client, ResponseParser

PATIENCE_S = 180.0  # for an answer, on a machine that is busy with other things
CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")
KINDS = ("plain", "range", "ranges", "conditional", "head", "leaving", "slow", "pipelined")
WEIGHTS = (60, 14, 2, 8, 4, 5, 2, 5)
COUNTS = (*KINDS, "requests", "bytes", "hits", "coded", "cut", "lost")
GZIP = 16 + zlib.MAX_WBITS


class Wrong(Exception):
    """Something that must never happen."""


class Refused(OSError):
    """An answer of a brink that is about to end, or of an origin that broke off."""


class Answer:
    """What a request may be answered with, from the moment before it is sent."""

    def __init__(self, shared, number, method, language, takes_gzip):
        self.shared, self.number, self.language = shared, number, language
        self.takes_gzip = takes_gzip
        self.life = shared.life.value
        self.fresh = world.newest(shared.fresh, number)
        self.checked = world.newest(shared.checked, number)
        self.parser = ResponseParser(method, self.take)
        self.start = self.end = None
        self.offset = 0
        self.parts = None  # of a multipart body, kept
        self.decoder = None  # of a body that came compressed
        self.received = 0

    def wrong(self, what):
        response = self.parser.response
        raise Wrong(f"object {self.number}: {what}; fresh {self.fresh}, checked {self.checked}, "
                    f"changed {world.newest(self.shared.changed, self.number)}, "
                    f"byte {self.offset}; {response and response.head!r}")

    def take(self, data):
        """The next bytes of the body."""
        if self.start is None and self.parts is None:
            self.begin()
        self.received += len(data)
        if self.parts is not None:
            self.parts.append(bytes(data))
            return
        if self.decoder is not None:
            data = self.decoder.decompress(data)
        for at in range(0, len(data), world.TAPE):
            part = bytes(data[at:at + world.TAPE])
            if part != world.body_part(self.start, self.offset, len(part)):
                self.wrong(f"wrong bytes among {len(part)}")
            self.offset += len(part)

    def begin(self):
        """The head is there: is it one that may be sent now?"""
        response = self.parser.response
        if response.status >= 500 and (self.shared.life.value != self.life
                                       or world.is_flaky(self.number)):
            raise Refused(f"status {response.status}")
        if response.status not in (200, 206, 304):
            self.wrong(f"status {response.status}")
        etag = world.plain_etag(response["ETag"])
        version = world.version_of(etag)
        if etag != world.etag_of(self.number, version, self.language):
            self.wrong("the head of another object")
        if version < self.fresh:
            self.wrong("older than an acknowledged purge")
        if version > world.newest(self.shared.changed, self.number):
            self.wrong("newer than the origin's")
        if response.status != 304 and int(response["X-Checked"]) < self.checked:
            self.wrong("not validated after an acknowledged purge")
        self.start = world.start_of(self.number, version, self.language)
        if response.get("Content-Encoding"):
            self.begin_coded(response)
        if response.status == 206:
            self.begin_part(response)

    def begin_coded(self, response):
        if response["Content-Encoding"] != "gzip" or not self.takes_gzip or response.status != 200:
            self.wrong("in a coding that was not asked for")
        self.decoder = zlib.decompressobj(GZIP)

    def begin_part(self, response):
        if (response.get("Content-Type") or "").startswith("multipart/byteranges"):
            self.parts = []
            return
        found = CONTENT_RANGE.fullmatch(response["Content-Range"])
        if not found or int(found[3]) != world.LENGTH[self.number]:
            self.wrong("a wrong Content-Range")
        self.offset = int(found[1])
        self.end = int(found[2]) + 1

    def finish(self):
        """It came to its end."""
        response = self.parser.response
        if self.start is None and self.parts is None:
            self.begin()
        if self.parser.method == "HEAD" or response.status == 304:
            return
        if self.parts is not None:
            self.check_parts(response, b"".join(self.parts))
        elif self.decoder is not None and (not self.decoder.eof or self.decoder.unused_data):
            self.wrong("its coding does not end where it does")
        elif self.offset != (self.end or world.LENGTH[self.number]):
            self.wrong(f"ends at byte {self.offset} as if it were whole")

    def check_parts(self, response, body):
        mark = b"--" + re.search(r'boundary="?([^";]+)', response["Content-Type"])[1].encode()
        parts = (b"\r\n" + body).split(b"\r\n" + mark)
        for part in parts[1:-1]:
            head, _, data = part.partition(b"\r\n\r\n")
            found = CONTENT_RANGE.search(head.decode("latin-1"))
            if len(data) != int(found[2]) + 1 - int(found[1]) or \
                    data != world.body_part(self.start, int(found[1]), len(data)):
                self.wrong(f"a wrong part {found[0]}")

    def may_break_off(self):
        """The origin broke it off, or has another version now, of which the rest would be."""
        if world.is_flaky(self.number):
            return True
        response = self.parser.response
        return response is not None and response.status in (200, 206) and \
            world.version_of(world.plain_etag(response["ETag"])) < world.newest(self.shared.changed, self.number)


class Walker:
    """One client: a connection at a time, requests chosen by the dice."""

    def __init__(self, shared, port, seed, slow):
        self.shared, self.port, self.slow = shared, port, slow
        self.dice = random.Random(seed)
        self.counts = dict.fromkeys(COUNTS, 0)
        self.client = None
        self.used = False  # the connection has served a request: it may have been closed since
        self.etags = {}

    def run(self):
        while not self.shared.over.value:
            life = self.shared.life.value
            if life % 2 == 1:
                self.leave()
                time.sleep(0.01)
                continue
            answers = []
            try:
                self.step(answers)
            except (OSError, h1.Truncated, h1.Malformed) as fault:
                self.leave()
                self.judge(fault, answers, life)
        self.leave()

    def judge(self, fault, answers, life):
        """A connection that failed: because of a kill, the origin, or for no reason at all."""
        if self.shared.life.value != life or self.shared.over.value:
            self.counts["lost"] += 1
        elif isinstance(fault, h1.Malformed):
            raise Wrong(f"{fault!r}: {answers and answers[0].number}") from fault
        elif self.used and all(answer.parser.response is None for answer in answers):
            self.counts["lost"] += 1  # closed while it was idle: the client asks again
        elif any(answer.may_break_off() for answer in answers):
            self.counts["cut"] += 1
        else:
            raise Wrong(f"{fault!r}: objects {[answer.number for answer in answers]}, "
                        f"{[a.received for a in answers]} bytes") from fault

    def leave(self):
        if self.client:
            self.client.close()
        self.client, self.used = None, False

    def step(self, answers):
        kind = "slow" if self.slow else self.dice.choices(KINDS, WEIGHTS)[0]
        if self.client is None:
            self.client = Client(self.port, rcvbuf=16384 if kind == "slow" else None)
        getattr(self, f"go_{kind}")(answers)
        self.counts[kind] += 1
        self.used = True

    # --- one request

    def send(self, answers, number, method="GET", fields=None):
        language = self.dice.choice(world.LANGUAGES) if world.varies(number) else ""
        fields = {**(fields or {}), **({"Accept-Language": language} if language else {})}
        if "If-None-Match" in fields:
            fields["If-None-Match"] = fields["If-None-Match"].get(language, '"none"')
        takes_gzip = "Range" not in fields and self.dice.random() < 0.7
        if takes_gzip:
            fields["Accept-Encoding"] = "gzip"
        answer = Answer(self.shared, number, method, language, takes_gzip)
        answers.append(answer)
        self.client.send_request(method, world.path_of(number), fields, host=world.host_of(number))
        return answer

    def read(self, answer, at_least=None, most=262144, timeout=PATIENCE_S):
        """All of it, or so many bytes."""
        self.client.read_into(
            answer.parser, lambda _: at_least is not None and answer.received >= at_least,
            timeout, most)
        if answer.parser.done:
            answer.finish()
            self.note(answer)

    def note(self, answer):
        response = answer.parser.response
        self.counts["requests"] += 1
        self.counts["bytes"] += answer.received
        self.counts["coded"] += answer.decoder is not None
        self.counts["hits"] += "; hit" in (response.get("Cache-Status") or "")
        self.etags.setdefault(answer.number, {})[answer.language] = response["ETag"]
        if (response.get("Connection") or "").lower() == "close":
            self.leave()

    def ask(self, number):
        """For one object, until the origin lets it be whole."""
        for _ in range(50):
            answers = []
            try:
                if self.client is None:
                    self.client = Client(self.port)
                self.read(self.send(answers, number))
                return
            except (OSError, h1.Truncated) as fault:
                self.leave()
                if not world.is_flaky(number):
                    raise Wrong(f"{fault!r}: object {number}") from fault
        raise Wrong(f"object {number} never comes whole")

    def choose_large(self):
        while True:
            number = world.choose(self.dice)
            if world.LENGTH[number] > 300_000:
                return number

    def go_plain(self, answers):
        self.read(self.send(answers, world.choose(self.dice)))

    def go_head(self, answers):
        self.read(self.send(answers, world.choose(self.dice), "HEAD"))

    def range_of(self, number):
        length = world.LENGTH[number]
        first = self.dice.randrange(length)
        return f"{first}-{self.dice.randrange(first, min(length, first + (1 << 20)))}"

    def go_range(self, answers):
        number = world.choose(self.dice) if self.dice.random() < 0.6 else self.choose_large()
        self.read(self.send(answers, number, fields={"Range": f"bytes={self.range_of(number)}"}))

    def go_ranges(self, answers):
        number = self.choose_large()
        both = f"bytes={self.range_of(number)},{self.range_of(number)}"
        self.read(self.send(answers, number, fields={"Range": both}))

    def go_conditional(self, answers):
        number = self.dice.choice(list(self.etags)) if self.etags else world.choose(self.dice)
        self.read(self.send(answers, number,
                            fields={"If-None-Match": self.etags.get(number, {})}))

    def go_leaving(self, answers):
        """Away in the middle of it."""
        answer = self.send(answers, self.choose_large())
        self.read(answer, at_least=self.dice.randrange(1, 200_000))
        self.leave()

    def go_slow(self, answers):
        """A few KB at a time for some seconds; then all at once, or not at all."""
        answer = self.send(answers, self.choose_large())
        until = time.monotonic() + self.dice.uniform(0.5, 5)
        while not answer.parser.done and time.monotonic() < until:
            self.read(answer, at_least=answer.received + 1, most=8192)
            time.sleep(0.02)
        if not answer.parser.done and self.dice.random() < 0.7:
            self.read(answer)
        self.leave()

    def go_pipelined(self, answers):
        for number in [world.choose(self.dice) for _ in range(4)]:
            self.send(answers, number)
        for answer in list(answers):
            if self.client is None:
                break  # it said that it closes
            self.read(answer)


def run_all(walkers, work):
    """Each on a thread of its own; what was wrong, as texts."""
    faults = []

    def run(walker):
        try:
            work(walker)
        except Exception as fault:
            faults.append(str(fault) if isinstance(fault, Wrong) else traceback.format_exc())
            walker.shared.over.value = 1

    threads = [threading.Thread(target=run, args=(walker,)) for walker in walkers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def ask_all(shared, port, seed, walkers_n=16):
    """Every object once, with nothing in the way; how many answers, how many of them hits. The
    small ones first: what is stored of them is seen before the large ones push it out."""
    walkers = [Walker(shared, port, f"{seed}/last {i}", slow=False) for i in range(walkers_n)]
    numbers = iter(sorted(range(world.OBJECTS), key=world.LENGTH.__getitem__))
    lock = threading.Lock()

    def work(walker):
        while not shared.over.value:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            walker.ask(number)
        walker.leave()

    faults = run_all(walkers, work)
    if faults:
        raise Wrong(faults[0])
    return tuple(sum(walker.counts[name] for walker in walkers) for name in ("requests", "hits"))


def main(shared, port, seed, report, walkers=8):
    """One process of clients; says what was wrong, or what was done, to `report`."""
    crowd = [Walker(shared, port, f"{seed}/{i}", slow=i == 0) for i in range(walkers)]
    faults = run_all(crowd, Walker.run)
    totals = {name: sum(walker.counts[name] for walker in crowd) for name in COUNTS}
    report.send((totals, faults))
