"""The public suite of HTTP caches: its installation, its server, a pass of its client, the answers.

A pass is {id: Case}. Ports, the daemon and its checks come from tests/wire.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT / "tests/wire"))

import npm  # noqa: E402
import ports  # noqa: E402
from debian import need  # noqa: E402

MODULES = ROOT / "build/conformance"  # where npm installs; no part of the tree
PACKAGE = MODULES / "node_modules/http-cache-tests"
READY_S = 30
PASS_S = 240
ROUNDS = 5  # of tests that a busy machine kept from their own timing

# What the suite wants and brink does not do by itself; README.md has the reasons.
SETTINGS = {
    "site.store_set_cookie": "yes",
    "site.targeted_fields": "cdn-cache-control,surrogate-control",
}

# The suite's bodies are shorter than what brink compresses by itself, and its client takes gzip.
PLAIN = {"site.compress": "", "site.decompress": "no"}
COMPRESSED = {"site.compress_min": "0"}


@dataclasses.dataclass
class Case:
    """A test of the suite, and what became of it."""
    id: str
    suite: str
    kind: str  # required, optimal, check
    name: str
    depends_on: list
    result: object = None  # True, or [kind of failure, why]
    late: str = None

    @property
    def passed(self):
        return self.result is True

    @property
    def answer(self):
        """Of a check: yes, no, or unset when it did not come as far as its question."""
        if self.passed:
            return "yes"
        return "unset" if self.why.startswith("Setup") else "no"

    @property
    def why(self):
        return "" if self.passed else ": ".join(map(str, self.result or ["not run"]))


def node(*arguments):
    """What run.mjs prints, as {id: Case}."""
    done = subprocess.run([need("node", "nodejs"), str(HERE / "run.mjs"), str(MODULES), *arguments],
                          capture_output=True, text=True, timeout=PASS_S, check=False)
    assert done.returncode == 0, f"the suite's client failed:\n{done.stderr}{done.stdout}"
    found = json.loads(done.stdout[done.stdout.index("{\n"):])
    return {key: Case(id=key, **value) for key, value in found.items()}


def cases():
    """Every test of the suite, not run."""
    npm.install(HERE)
    return node()


def run(base, expected=frozenset(), options=()):
    """A pass through the cache at `base`. A test that failed, and that this machine held up so that
    its steps were not when the suite means them, says nothing of the cache: it is run again, unless
    it is `expected` to fail. `options` of run.mjs."""
    found = node(base, *options)
    for _ in range(ROUNDS):
        again = [case.id for case in found.values()
                 if case.late and not case.passed and case.id not in expected]
        if not again:
            break
        found.update(node(base, *options, *again))
    return found


@contextlib.contextmanager
def server(folder):
    """The suite's own server on loopback; its port."""
    port = ports.free_port()
    environment = {**os.environ, "npm_config_port": str(port), "npm_config_protocol": "http",
                   "npm_config_pidfile": str(folder / "server.pid")}
    log = folder / "server.log"
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [need("node", "nodejs"), "--require", str(HERE / "loopback.cjs"),
             str(PACKAGE / "server/server.mjs")],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + READY_S
        while "Listening on" not in log.read_text(encoding="utf-8"):
            assert process.poll() is None and time.monotonic() < deadline, \
                f"the suite's server does not listen:\n{log.read_text(encoding='utf-8')}"
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def counts(found, case):
    """Does it pass, and those it depends on? Without them it says nothing, as the suite sees it."""
    return case.passed and all(counts(found, found[other]) for other in case.depends_on)


def totals(found):
    """{kind: (passed, of how many)} for required and optimal tests."""
    of_kind = {kind: [case for case in found.values() if case.kind == kind]
               for kind in ("required", "optimal")}
    return {kind: (sum(counts(found, case) for case in of), len(of)) for kind, of in of_kind.items()}


def paragraphs(path):
    """A list of ours: {id: reason}. An id begins a line, its reason is indented below it."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            assert found, f"{path.name}:{number}: a reason of nothing"
            last = next(reversed(found))
            found[last] = f"{found[last]} {line.strip()}".strip()
        else:
            assert line not in found, f"{path.name}:{number}: {line} stands there twice"
            found[line.strip()] = ""
    return found


def refused():
    """The required and optimal tests that brink fails on purpose: {id: why}."""
    return paragraphs(HERE / "refused.txt")


def compressed():
    """The tests that come out otherwise when everything is compressed: {id: why}."""
    return paragraphs(HERE / "compressed.txt")


def wanted():
    """The answers that brink is to give to the suite's questions: {id: yes, no or unset}."""
    answers = {}
    path = HERE / "checks.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        assert len(words) == 2 and words[0] in ("yes", "no", "unset"), \
            f"{path.name}:{number}: yes, no or unset, then a test's id"
        assert words[1] not in answers, f"{path.name}:{number}: {words[1]} stands there twice"
        answers[words[1]] = words[0]
    return answers
