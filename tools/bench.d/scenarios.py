"""The scenarios of tools/bench: what is started, what is measured in a round, and the table."""

import http.client
import shutil
import statistics
import subprocess
import sys
import time

import measure
import servers

SAMPLES = 200  # URLs that are asked for again, to see whether they are stored
MIB = 1 << 20


def say(text):
    print(text, file=sys.stderr, flush=True)


def middle_of(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


class Scenario:
    """Its servers run at once, each idle while another has its turn."""

    text = ""
    body_len = 1024
    size_mb = 4096
    columns = ()  # title, and what a server's cell shows: a function of its name
    with_floor = False
    rounds_most = 100

    def __init__(self, name, home, cores, options):
        self.name = name
        self.home = home / name
        self.cores = cores
        self.options = options
        self.origin = servers.Floor(self.home / "origin", cores[1])
        self.origin.body_len = self.body_len
        self.entrants = [servers.ALL[kind](self.home / kind, cores[0], self.size_mb)
                         for kind in options.servers
                         if kind in servers.ALL and self.takes(servers.ALL[kind])]
        self.runs = {server.name: [] for server in self.entrants}
        self.title = {server.name: server.title for server in self.entrants}

    def takes(self, kind):
        return kind.caches or self.with_floor

    def run(self):
        try:
            self.origin.start()
            for server in self.entrants:
                if not server.caches:
                    server.body_len = self.body_len
                self.start(server)
            for number in range(1, min(self.options.rounds, self.rounds_most) + 1):
                for server in self.entrants:
                    self.round(server, number)
        finally:
            for server in [*self.entrants, self.origin]:
                server.stop()
            shutil.rmtree(self.home, ignore_errors=True)

    def start(self, server):
        server.start(self.origin.port)
        server.wait_until_it_answers()
        self.check_answers(server)

    def check_answers(self, server):
        """A server that answers wrongly or does not cache has no figure."""
        server.get("/check")
        status, body, hit = server.get("/check")
        if (status, body) != (200, servers.body_of(self.body_len)):
            raise servers.Failure(f"{server.name} answers {status} with {len(body)} bytes, "
                                  f"not {self.body_len}")
        if server.caches and not hit:
            raise servers.Failure(f"{server.name} does not answer the same request from its store")

    def round(self, server, number):
        raise NotImplementedError

    def keep(self, server, number, run, words):
        if run.errors > 0:
            raise servers.Failure(f"{server.name} failed {run.errors} of {run.requests} times")
        self.runs[server.name].append(run)
        say(f"{self.name} round {number}: {server.name:13} {words}")

    def load(self, server, word, kind, most=0, **more):
        return measure.load(server, self.cores[1], self.options.seconds, word, kind, most, **more)

    def median(self, name, field):
        return middle_of(self.runs[name], field)

    def ratio(self, name, other, field="us"):
        if other not in self.runs:
            return "-"
        return f"{self.median(name, field) / self.median(other, field):.2f}"

    def versions(self):
        return [server.version() for server in self.entrants]

    def table(self):
        print(f"\n### {self.name}: {self.text}\n")
        print("| server | " + " | ".join(title for title, _ in self.columns) + " |")
        print("| --- " + "| ---: " * len(self.columns) + "|")
        for server in self.entrants:
            cells = [cell(self, server.name) for _, cell in self.columns]
            print(f"| {self.title[server.name]} | " + " | ".join(cells) + " |")


def share_of_hits(server, paths):
    hits = [server.get(path)[2] for path in paths]
    return sum(hits) / len(hits)


def middle(field, form):
    """A cell: the median over the rounds."""
    return lambda scenario, name: form.format(scenario.median(name, field))


def lowest_to_highest(scenario, name):
    values = [run.us for run in scenario.runs[name]]
    return f"{min(values):.2f} to {max(values):.2f}"


def stored(scenario, name):
    shares = [run.stored for run in scenario.runs[name] if run.stored is not None]
    return f"{min(shares):.0%}" if shares else "-"


CPU = (
    ("CPU us/request", middle("us", "{:.2f}")),
    ("lowest to highest", lowest_to_highest),
    ("x floor", lambda scenario, name: scenario.ratio(name, "floor")),
    ("x nginx", lambda scenario, name: scenario.ratio(name, "nginx")),
    ("requests/s", middle("rate", "{:.0f}")),
    ("p50 us", middle("p50_us", "{:.0f}")),
    ("p99 us", middle("p99_us", "{:.0f}")),
)


class Hit(Scenario):
    text = "one stored object of 1 KiB, asked for again and again"
    with_floor = True
    columns = CPU

    def round(self, server, number):
        run = self.load(server, "check", "same")
        self.keep(server, number, run, f"{run.us:7.2f} us/request {run.rate:9.0f} requests/s")


class Miss(Scenario):
    text = "a new URL for each request: 1 KiB fetched from the origin, stored"
    columns = (*CPU, ("stored", stored))

    def round(self, server, number):
        word = f"miss-{number}"
        run = self.load(server, word, "unique")
        step = max(1, run.requests // SAMPLES)
        run.stored = share_of_hits(server, [f"/{word}/{n}"
                                            for n in range(1, run.requests + 1, step)])
        self.keep(server, number, run, f"{run.us:7.2f} us/request {run.rate:9.0f} requests/s")


class HitMany(Scenario):
    text = "50,000 stored objects of 4 KiB, the nth asked for as often as 1/n"
    body_len = 4096
    with_floor = True
    columns = (*CPU, ("stored", stored))
    objects = 50_000
    fill_s, fills = 4, 8  # so long, and so often at most

    def start(self, server):
        super().start(server)
        if server.caches:
            self.fill(server, "many", self.objects)

    def fill(self, server, word, objects):
        """Every object, each for the first time."""
        for _ in range(self.fills):
            run = measure.load(server, self.cores[1], self.fill_s, word, "each", objects)
            if run.requests >= objects:
                return
            self.fill_s *= 2
        raise servers.Failure(f"{server.name} takes too long to store {objects} objects")

    def round(self, server, number):
        run = self.load(server, "many", "zipf", self.objects)
        run.stored = share_of_hits(
            server, [f"/many/{n}" for n in range(1, self.objects, self.objects // SAMPLES)]
        ) if server.caches else None
        self.keep(server, number, run, f"{run.us:7.2f} us/request {run.rate:9.0f} requests/s")


class Churn(Scenario):
    text = "new objects of 32 KiB without end through a full store of 64 MiB"
    body_len = 32768
    size_mb = 64
    columns = (
        *CPU,
        ("MB/s", lambda scenario, name:
            f"{scenario.median(name, 'rate') * scenario.body_len / 1e6:.0f}"),
        ("peak disk x 64 MiB", lambda scenario, name: "-" if scenario.disk.get(name) is None
            else f"{scenario.disk[name] / (scenario.size_mb * MIB):.2f}"),
        ("newest 8 MiB stored", stored),
    )

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.disk = {}

    def start(self, server):
        super().start(server)
        self.flow(server, "fill", 2 * self.size_mb * MIB // self.body_len)

    def flow(self, server, word, at_least=0):
        """A round; to begin with, for as long as it takes to fill the store."""
        watch = measure.Watch(server.disk_len) if server.stores_in else None
        run = self.load(server, word, "unique")
        while run.requests < at_least:
            at_least -= run.requests
            run = self.load(server, word + "-more", "unique")
        if watch:
            self.disk[server.name] = max(watch.stop(), self.disk.get(server.name, 0))
        return run

    def round(self, server, number):
        word = f"churn-{number}"
        run = self.flow(server, word)
        newest = range(max(1, run.requests - 8 * MIB // self.body_len), run.requests - 31)
        run.stored = share_of_hits(server, [f"/{word}/{n}" for n in newest])
        self.keep(server, number, run, f"{run.us:7.2f} us/request {run.rate:9.0f} requests/s")


class LatencyUnderWrite(HitMany):
    text = ("hits on 1,000 objects of 32 KiB (2 connections), alone and while as many new ones are "
            "stored as 4 connections can ask for")
    body_len = 32768
    size_mb = 1024
    objects = 1000
    fill_s = 1
    with_floor = False
    rounds_most = 3
    columns = (
        ("alone: p50 us", middle("p50_us", "{:.0f}")),
        ("p99", middle("p99_us", "{:.0f}")),
        ("p99.9", middle("p999_us", "{:.0f}")),
        ("while storing: p50 us", middle("busy_p50_us", "{:.0f}")),
        ("p99", middle("busy_p99_us", "{:.0f}")),
        ("p99.9", middle("busy_p999_us", "{:.0f}")),
        ("p99.9, times the other", lambda scenario, name:
            f"{scenario.median(name, 'busy_p999_us') / scenario.median(name, 'p999_us'):.1f}"),
        ("stored MB/s", middle("stored_mb_s", "{:.0f}")),
    )

    def round(self, server, number):
        self.fill(server, "many", self.objects)  # those that the last round's flood pushed out
        run = self.load(server, "many", "zipf", self.objects, connections=2)
        flood = measure.Load(server, self.cores[1], self.options.seconds + 1, f"flood-{number}",
                             "unique", connections=4)
        busy = self.load(server, "many", "zipf", self.objects, connections=2)
        flood = flood.finish()
        run.busy_p50_us, run.busy_p99_us = busy.p50_us, busy.p99_us
        run.busy_p999_us = busy.p999_us
        run.stored_mb_s = flood.rate * self.body_len / 1e6
        run.errors += busy.errors + flood.errors
        self.keep(server, number, run, f"p99.9 {run.p999_us:.0f} us alone, {run.busy_p999_us:.0f} "
                                       f"us while storing {run.stored_mb_s:.0f} MB/s")


class Restarted:
    """What a start after kill -9 gave."""

    errors = 0

    def __init__(self, answers_s, hit_s, kept):
        self.answers_s, self.hit_s, self.kept = answers_s, hit_s, kept
        self.hit_or_inf_s = float("inf") if hit_s is None else hit_s


def seconds(field):
    def cell(scenario, name):
        value = scenario.median(name, field)
        return "never" if value == float("inf") else f"{value:.2f}"
    return cell


class Restart(HitMany):
    text = "20,000 stored objects of 4 KiB, 2 s of rest, kill -9 and a start"
    objects = 20_000
    size_mb = 1024
    with_floor = False
    rounds_most = 3
    rest_s, answer_s, patience_s = 2, 20, 5
    fill_s = 2
    columns = (
        ("first answer s", seconds("answers_s")),
        ("first hit s", seconds("hit_or_inf_s")),
        ("objects kept", middle("kept", "{:.1%}")),
    )

    def round(self, server, number):
        self.fill(server, "many", self.objects)
        time.sleep(self.rest_s)
        server.kill()
        began = time.monotonic()
        server.start(self.origin.port)
        answers_s, hit_s = self.wait_for_hit(server, began)
        kept = share_of_hits(server, [f"/many/{n}" for n in range(
            self.objects // 2, self.objects, self.objects // 2 // SAMPLES)])
        self.keep(server, number, Restarted(answers_s, hit_s, kept),
                  f"first hit after {hit_s and round(hit_s, 3)} s, {kept:.0%} kept")


    def wait_for_hit(self, server, began):
        """When it answers, and when from its store: each URL is asked for once, for asking stores."""
        answers_s = hit_s = None
        asked = 0
        until = began + self.answer_s
        while hit_s is None and time.monotonic() < until:
            try:
                hit = server.get(f"/many/{asked + 1}")[2]
            except (OSError, http.client.HTTPException):
                time.sleep(0.002)
                continue
            asked += 1
            if answers_s is None:
                answers_s = time.monotonic() - began
                until = time.monotonic() + self.patience_s
            if hit:
                hit_s = time.monotonic() - began
            else:
                time.sleep(0.01)
        if answers_s is None:
            raise server.silence("after kill -9")
        return answers_s, hit_s


class Store:
    """bench-store with its defaults: the store without a daemon."""

    def __init__(self, name, home, _cores, _options):
        self.name = name
        self.home = home / name
        self.arguments = STORE[name]
        self.text = ""

    def run(self):
        self.home.mkdir(parents=True)
        command, *options = self.arguments
        say(f"bench-store {' '.join(self.arguments)}")
        done = subprocess.run([str(servers.RELEASE / "bench-store"), command, str(self.home / "s"),
                               *options], stdout=subprocess.PIPE, text=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)
        if done.returncode != 0:
            raise servers.Failure(f"bench-store {command} failed")
        self.text = done.stdout

    def versions(self):
        return []

    def table(self):
        print(f"\n### {self.name}: bench-store {' '.join(self.arguments)}\n\n{self.text}", end="")


STORE = {
    "store-ingest-small": ("ingest", "--mix", "small"),
    "store-ingest-default": ("ingest", "--mix", "default"),
    "store-fill": ("fill",),
    "store-purge-tag": ("purge-tag",),
    "store-restart": ("restart",),
    "store-restart-cold": ("restart", "--cold"),
    "store-latency": ("latency",),
}
ALL = {
    "hit-1k": Hit,
    "miss-1k": Miss,
    "hit-many": HitMany,
    "churn": Churn,
    "latency-under-write": LatencyUnderWrite,
    "restart": Restart,
}
