"""Fixtures of the wire tests: the real daemon, a scripted origin, and a time limit for each test.

edge:       a running brink before `origin`; `@pytest.mark.edge(...)` gives Edge's arguments.
start_edge: starts further ones, with any arguments.
origin:     the scripted origin.
demo:       the demo's origin.
"""

import signal

import pytest

import ports
from demo import DemoOrigin
from edge import Edge, build_folder
from origin import Origin

LIMIT_S = 300


def pytest_configure(config):
    for line in ("edge(**arguments): how the `edge` fixture starts brink",
                 "tsan: worth running with a ThreadSanitizer build (BRINK_BUILD=build/tsan)",
                 f"limit(seconds): instead of {LIMIT_S} s for the whole test"):
        config.addinivalue_line("markers", line)


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", metavar="N/M",
                     help="every Mth test from the Nth on: M runs side by side are the whole")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """After -k and -m, so that the parts are of one size."""
    part, _, parts = config.getoption("--part").partition("/")
    chosen = items[int(part) - 1::int(parts)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_report_header():
    return f"brink: {build_folder()}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture(autouse=True)
def time_limit(request):
    """No test hangs: after its limit it fails where it stands."""
    marker = request.node.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_S

    def on_alarm(_signal, _frame):
        raise TimeoutError(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def release_ports():
    """What a test took is free for others when everything of it has ended."""
    before = ports.claimed()
    yield
    ports.release(ports.claimed() - before)


@pytest.fixture
def origin():
    running = Origin()
    yield running
    running.stop()
    assert not running.faults, f"brink sent the origin what is not HTTP/1.1: {running.faults}"


@pytest.fixture
def demo():
    running = DemoOrigin()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def start_edge(request, tmp_path):
    """A function that starts a brink. All end with the test; each must end well."""
    started = []

    def start(**arguments):
        edge = Edge(tmp_path / f"edge{len(started)}", **arguments)
        started.append(edge)
        edge.start()
        return edge

    yield start
    faults = []
    for edge in started:
        faults += edge.finish()
        if faults or getattr(request.node, "failed", False):
            print(f"--- standard error of {edge.name}\n{edge.log_text()[-8000:]}")
    assert not faults, "; ".join(faults)


@pytest.fixture
def edge(request, start_edge, origin):
    marker = request.node.get_closest_marker("edge")
    arguments = {"origin": origin.url, **(marker.kwargs if marker else {})}
    return start_edge(**arguments)
