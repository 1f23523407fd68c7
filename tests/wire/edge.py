"""The real daemon as a fixture: started with a private store and ports, watched, always ended.

BRINK_BUILD names the build folder (build/dev). What the sanitizers print, and any end other than
exit 0 that the test did not ask for, fails the test.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from client import DEADLINE_S, Client
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"runtime error:|AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
                       r"MemorySanitizer|UndefinedBehaviorSanitizer")
STOP_S = 30.0
POLL_S = 0.01
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "exitcode=77:quarantine_size_mb=16:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=66:second_deadlock_stack=1",
}


def build_folder():
    folder = ROOT / os.environ.get("BRINK_BUILD", "build/dev")
    return folder.resolve()


def binary(name="brink"):
    path = build_folder() / name
    assert path.exists(), f"{path} is missing: build it (cmake --build) or set BRINK_BUILD"
    return str(path)


def sanitizers():
    """Those the build has, as CMake names them: empty, "address;undefined", "thread"."""
    cache = build_folder() / "CMakeCache.txt"
    found = re.search(r"^BRINK_SANITIZE:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else ""


def shadow_factor():
    """How much more memory the build's sanitizer takes for a byte of ours."""
    return 6 if "thread" in sanitizers() else 1


def run_tool(name, *arguments, timeout=DEADLINE_S):
    """A program of the build (brink, brinkctl) run to its end."""
    return subprocess.run([binary(name), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **SANITIZER_OPTIONS}, check=False)


class Edge:
    """One brink. `settings`: --set key=value; `arguments`: more of the command line; `config`: a file
    instead of the options (then give `ports`, its own and the admin's); `files_limit`: of open files."""

    def __init__(self, folder, origin=None, settings=None, workers=2, store_size="64MB",
                 arguments=(), config=None, files_limit=None, ports=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = self.folder.name
        self.store = self.folder / "store"
        self.origin = origin
        self.settings = dict(settings or {})
        if os.geteuid() != 0:  # else only root could look at its descriptors
            self.settings.setdefault("core_dumps", "yes")
        self.workers = workers
        self.store_size = store_size
        self.arguments = list(arguments)
        self.config = config
        self.files_limit = files_limit
        self.port, self.admin_port = ports or (free_port(), free_port())
        self.process = None
        self.killed = False
        self.expected_exits = {0}
        self.faults = []
        self._clients = []
        self._log = self.folder / "stderr.log"
        self._ready = threading.Event()

    # --- life

    def command(self):
        if self.files_limit:
            return ["prlimit", f"--nofile={self.files_limit}", *self.own_command()]
        return self.own_command()

    def own_command(self):
        if self.config:
            return [binary(), "-c", str(self.config), *self.arguments]
        words = [binary(), "--listen", f"127.0.0.1:{self.port}", "--store", str(self.store),
                 "--store-size", self.store_size, "--workers", str(self.workers),
                 "--admin", f"127.0.0.1:{self.admin_port}"]
        if self.origin:
            words += ["--origin", self.origin]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return words + self.arguments

    def start(self, wait=True, whole=True):
        """Start it; returns when it accepts connections and, after kill(), has found all that is stored."""
        self._ready.clear()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **SANITIZER_OPTIONS})
        self.process.is_ready = False
        reader = threading.Thread(target=self._read_log, args=(self.process,), daemon=True)
        reader.start()
        self.process.reader = reader
        if wait and not self._ready.wait(DEADLINE_S):
            raise AssertionError(f"brink is not ready: {self.log_text()[-4000:]}")
        if wait:
            assert self.process.is_ready, f"brink ended at once: {self.log_text()[-4000:]}"
        if wait and whole and self.killed:
            self.wait_until(lambda: self.stats()["store_index_whole"] == 1, "the index is whole")
            self.killed = False
        return self

    def _read_log(self, process):
        with open(self._log, "a", encoding="utf-8") as log:
            for raw in process.stderr:
                line = raw.decode("utf-8", "replace")
                log.write(line)
                log.flush()
                if "event=ready" in line:
                    process.is_ready = True
                    self._ready.set()
        self._ready.set()  # it ended; start() looks

    def log_text(self):
        return self._log.read_text() if self._log.exists() else ""

    def log_events(self, event):
        """The event log's lines of that event, each as a dict."""
        lines = [line for line in self.log_text().splitlines() if f"event={event}" in line.split()]
        pattern = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
        return [{k: v.strip('"') for k, v in pattern.findall(line)} for line in lines]

    def wait_log(self, text, timeout=DEADLINE_S):
        self.wait_until(lambda: text in self.log_text(), f"{text!r} in the log", timeout)

    def wait_exit(self, timeout=STOP_S):
        """Its exit status; ends it hard when the time is over."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"brink did not end within {timeout} s") from None
        finally:
            self.process.reader.join(5)
        return status

    def stop(self, timeout=STOP_S):
        """SIGTERM, and it must end with 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.wait_exit(timeout)
        self.process = None
        assert status == 0, f"brink ended with {status}: {self.log_text()[-4000:]}"

    def kill(self):
        """SIGKILL: no chance to write anything."""
        self.process.kill()
        self.process.wait()
        self.process.reader.join(5)
        self.process = None
        self.killed = True

    def restart(self):
        self.stop()
        return self.start()

    def finish(self):
        """The end of the test: what went wrong with this process, as texts."""
        for client in self._clients:
            client.close()
        faults = list(self.faults)
        if self.process is not None:
            ended = self.process.poll()
            try:
                if ended is None:
                    self.process.send_signal(signal.SIGTERM)
                status = self.wait_exit()
                if status not in self.expected_exits:
                    faults.append(f"{self.name} ended with {status}"
                                  + ("" if ended is None else " before the test did"))
            except AssertionError as fault:
                faults.append(str(fault))
            self.process = None
        found = SANITIZER.search(self.log_text())
        if found:
            text = self.log_text()
            faults.append("a sanitizer spoke: " + text[max(0, found.start() - 200):][:3000])
        return faults

    # --- talking to it

    def client(self, **how):
        """A connection to the traffic port; closed with the test."""
        return self.keep(Client(self.port, **how))

    def keep(self, client):
        """Closed with the test."""
        self._clients.append(client)
        return client

    def request(self, method, target, fields=None, body=None, **how):
        """One request on a connection of its own."""
        with Client(self.port) as client:
            return client.request(method, target, fields, body, **how)

    def get(self, target, fields=None, **how):
        return self.request("GET", target, fields, **how)

    def admin(self, method, target, body=None, fields=None):
        """One request to the admin listener; `body`: bytes, or what becomes JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with Client(self.admin_port) as client:
            return client.request(method, target, fields, body,
                                  host=f"127.0.0.1:{self.admin_port}")

    def purge(self, **what):
        """POST /purge; the receipt. edge.purge(tags=["a"], soft=True)"""
        response = self.admin("POST", "/purge", what, {"Content-Type": "application/json"})
        assert response.status == 200, f"{response.status}: {response.body!r}"
        return json.loads(response.body)

    # --- what it counts

    def stats(self):
        """Every counter by its name in stats.def."""
        response = self.admin("GET", "/stats")
        assert response.status == 200
        return flatten(json.loads(response.body))

    def wait_until(self, condition, what, timeout=DEADLINE_S):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not in time: {what}"
            assert self.process is None or self.process.poll() is None, "brink ended meanwhile"
            time.sleep(POLL_S)

    def wait_for(self, timeout=DEADLINE_S, **least):
        """Until each named counter is at least so high."""
        seen = {}

        def reached():
            seen.update(self.stats())
            return all(seen[name] >= n for name, n in least.items())

        try:
            self.wait_until(reached, f"{least}", timeout)
        except AssertionError as fault:
            now = {name: seen.get(name) for name in least}
            raise AssertionError(f"{fault}; counters: {now}") from None
        return seen

    def expect_stats(self, timeout=DEADLINE_S, **exact):
        """Each named counter comes to exactly this (a gauge may need a moment)."""
        seen = {}

        def reached():
            seen.update(self.stats())
            return all(seen[name] == n for name, n in exact.items())

        try:
            self.wait_until(reached, f"{exact}", timeout)
        except AssertionError:
            now = {name: seen.get(name) for name in exact}
            raise AssertionError(f"counters are {now}, not {exact}") from None

    def wait_stored(self, n):
        """Until `n` objects in all were stored: durable, and hits from now on."""
        self.wait_for(store_puts=n)

    # --- what the system says of it

    def memory_kib(self):
        """Resident memory of its own (anonymous pages: the store's map does not count)."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)[1]) // shadow_factor()

    def descriptors(self):
        """Files it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def store_files(self):
        return sorted(path for path in self.store.rglob("*") if path.is_file())


def flatten(value):
    """{"counters": {"a": 1}} and {"a": 1} alike become {"a": 1}."""
    flat = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat.update(flatten(inner))
        else:
            flat[key] = inner
    return flat


def counter_names():
    """(name, kind) of every row of stats.def."""
    text = (ROOT / "include/base/stats.def").read_text()
    return re.findall(r"^STAT\((\w+),\s*(\w+)", text, re.M)


def reason_labels():
    """The label of every row of reason.def."""
    text = (ROOT / "include/cache/reason.def").read_text()
    return [name.lower() for name in re.findall(r"^REASON\((\w+),", text, re.M)]
