"""tools/bench latency-under-coding: what strong forms, on their way, do to hits.

All of brink has one core: its worker and the thread that makes strong forms share it, so that only
their priorities tell who goes first. The hits are answers in br that are kept; then strong forms of
other bodies wait to be made, and the same hits are measured beside that. Each round begins with a
start, for a stop drops what waits.
"""

import pathlib
import time

import compress
import measure
import scenarios
import servers
from scenarios import middle, say
from servers import Failure

CODING = {"Accept-Encoding": "br"}
WAITING_N = 250  # more than are made meanwhile
KEPT_WITHIN_S = 30
CONNECTIONS = 2


def ratio(field):
    def cell(scenario, name):
        return f"{scenario.median(name, 'busy_' + field) / scenario.median(name, field):.2f}"
    return cell


def worker_cpu_us(server):
    """Of the thread that answers, in nanosecond steps."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            return int((task / "schedstat").read_text().split()[0]) / 1000
    raise Failure("brink has no worker")


class LatencyUnderCoding(scenarios.Scenario):
    text = ("a stored answer in br, with nothing beside it and while strong forms are made on the "
            f"same core ({CONNECTIONS} connections)")
    rounds_most = 5
    columns = (
        ("alone: p50 us", middle("p50_us", "{:.0f}")),
        ("p99", middle("p99_us", "{:.0f}")),
        ("p99.9", middle("p999_us", "{:.0f}")),
        ("requests/s", middle("rate", "{:.0f}")),
        ("worker's CPU us/request", middle("worker_us", "{:.2f}")),
        ("beside them: p50 us", middle("busy_p50_us", "{:.0f}")),
        ("p99", middle("busy_p99_us", "{:.0f}")),
        ("p99.9", middle("busy_p999_us", "{:.0f}")),
        ("requests/s", middle("busy_rate", "{:.0f}")),
        ("times", ratio("rate")),
        ("worker's CPU us/request", middle("busy_worker_us", "{:.2f}")),
        ("times", ratio("worker_us")),
        ("made", middle("made", "{:.0f}")),
        ("their part of the core", middle("part", "{:.1%}")),
    )

    def takes(self, kind):
        return kind is servers.Brink

    def run(self):
        self.home.mkdir(parents=True)
        path = self.home / "body"
        path.write_bytes(compress.script())
        self.origin.file = (path, "text/javascript")
        super().run()

    def start(self, server):
        pass  # each round has its own

    def begin(self, server):
        server.start(self.origin.port)
        server.wait_until_it_answers()
        deadline = time.monotonic() + KEPT_WITHIN_S
        while True:
            response, body = server.ask("/again", **CODING)
            if compress.decoded("br", body) != compress.script():
                raise Failure("brink does not answer with the body")
            if response.getheader("Content-Length") is not None:
                return
            if time.monotonic() > deadline:
                raise Failure("brink keeps no strong form")
            time.sleep(0.1)

    def watch(self, server):
        """What the thread makes while the load goes on, and its part of the core."""
        began, before = time.monotonic(), server.counters()
        time.sleep(self.options.seconds * 0.8)
        after, took_s = server.counters(), time.monotonic() - began
        if after["variants_queued"] == 0:
            raise Failure("all strong forms were made before the measuring was over")
        return (after["variants_made_br"] - before["variants_made_br"],
                (after["variants_time"] - before["variants_time"]) / 1e6 / took_s)

    def round(self, server, number):
        self.begin(server)
        before_us = worker_cpu_us(server)
        run = self.load(server, "again", "same", connections=CONNECTIONS, coding="br")
        run.worker_us = (worker_cpu_us(server) - before_us) / run.requests
        for n in range(WAITING_N):
            server.ask(f"/other/{number}/{n}", **CODING)
        before_us = worker_cpu_us(server)
        busy = measure.Load(server, self.cores[1], self.options.seconds, "again", "same",
                            connections=CONNECTIONS, coding="br")
        run.made, run.part = self.watch(server)
        busy = busy.finish()
        busy.worker_us = (worker_cpu_us(server) - before_us) / busy.requests
        server.stop()
        for field in ("p50_us", "p99_us", "p999_us", "rate", "worker_us"):
            setattr(run, "busy_" + field, getattr(busy, field))
        run.errors += busy.errors
        self.keep(server, number, run, f"p99 {run.p99_us:.0f} us alone, {run.busy_p99_us:.0f} us "
                                       f"beside; {run.rate:.0f}, {run.busy_rate:.0f} requests/s")
