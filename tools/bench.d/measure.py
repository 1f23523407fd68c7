"""Measuring: the CPU time of a process tree, and one run of the load generator."""

import os
import pathlib
import subprocess
import threading
import time

import servers

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOAD = pathlib.Path(__file__).resolve().parent / "load.lua"
CONNECTIONS = 32


class Run:
    """What one run of the load generator against one server gave."""

    def __init__(self, requests, seconds, errors, cpu_s, p50_us, p99_us, p999_us, read_len):
        self.requests = requests
        self.errors = errors
        self.us = cpu_s * 1e6 / requests
        self.rate = requests / seconds
        self.p50_us = p50_us
        self.p99_us = p99_us
        self.p999_us = p999_us
        self.answer_len = read_len / requests  # with its head


def cpu_s_of(pid):
    """Seconds of CPU with all threads and all children already waited for."""
    stat = servers.stat_of(pid)
    return 0.0 if stat is None else sum(int(ticks) for ticks in stat[11:15]) * TICK_S


def tree_cpu_s(root):
    """Seconds of CPU, user and system, of a process and all its descendants."""
    return sum(cpu_s_of(pid) for pid in servers.children_of(root))


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


class Load:
    """wrk, under way against one server; see load.lua for `word`, `kind` and `most`."""

    def __init__(self, server, core, seconds, word, kind, most=0, connections=CONNECTIONS,
                 coding=None):
        self.server = server
        self.before_s = settled_cpu_s(server.process.pid)
        self.process = subprocess.Popen(
            servers.pin(core)
            + ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(LOAD)]
            + [f"http://127.0.0.1:{server.port}/", word, kind, str(most)]
            + ([coding] if coding else []),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def finish(self):
        """When it is over: what it found."""
        text, _ = self.process.communicate()
        cpu_s = settled_cpu_s(self.server.process.pid) - self.before_s
        for line in text.splitlines():
            if line.startswith("result "):
                requests, took_us, errors, *others = (float(word) for word in line.split()[1:])
                if requests == 0:
                    break
                return Run(int(requests), took_us / 1e6, int(errors), cpu_s, *others)
        raise servers.Failure(f"wrk got nothing from {self.server.name}:\n{text}")


def load(*arguments, **more):
    """Drive one server with wrk for some seconds."""
    return Load(*arguments, **more).finish()


class Watch:
    """The most of something that is looked at now and then, by a thread."""

    def __init__(self, look, every_s=0.2):
        self.look = look
        self.every_s = every_s
        self.most = look()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.wait(self.every_s):
            self.most = max(self.most, self.look())

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.most
