"""Measuring: the CPU time of a process tree, and one run of the load generator."""

import os
import pathlib
import subprocess
import time

import servers

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOAD = pathlib.Path(__file__).resolve().parent / "load.lua"
CONNECTIONS = 32


class Run:
    """What one run of the load generator against one server gave."""

    def __init__(self, requests, seconds, errors, cpu_s, p50_us, p99_us):
        self.requests = requests
        self.errors = errors
        self.us = cpu_s * 1e6 / requests
        self.rate = requests / seconds
        self.p50_us = p50_us
        self.p99_us = p99_us


def stat_of(pid):
    """Parent, and seconds of CPU with all threads and all children already waited for."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15]) * TICK_S


def tree_cpu_s(root):
    """Seconds of CPU, user and system, of a process and all its descendants."""
    parents, cpu_s = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(entry)
            if stat is not None:
                parents[int(entry)], cpu_s[int(entry)] = stat
    total = 0.0
    for pid in cpu_s:
        above = pid
        while above not in (root, 0) and above in parents:
            above = parents[above]
        if above == root:
            total += cpu_s[pid]
    return total


def settled_cpu_s(root):
    """The same once it no longer rises: what a writer thread does later belongs to the requests."""
    deadline = time.monotonic() + 5
    before = tree_cpu_s(root)
    while time.monotonic() < deadline:
        time.sleep(0.4)
        now = tree_cpu_s(root)
        if now - before < 2 * TICK_S:
            return now
        before = now
    return before


def load(server, core, seconds, word, kind):
    """Drive one server with wrk for some seconds; see load.lua for `word` and `kind`."""
    before = settled_cpu_s(server.process.pid)
    run = subprocess.run(
        servers.pin(core)
        + ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(LOAD)]
        + [f"http://127.0.0.1:{server.port}/", word, kind],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    after = settled_cpu_s(server.process.pid)
    for line in run.stdout.splitlines():
        if line.startswith("result "):
            requests, took_us, errors, p50_us, p99_us = (float(text) for text in line.split()[1:])
            if requests == 0:
                break
            return Run(int(requests), took_us / 1e6, int(errors), after - before, p50_us, p99_us)
    raise servers.Failure(f"wrk got nothing from {server.name}:\n{run.stdout}{run.stderr}")
