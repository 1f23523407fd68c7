"""One daemon before a recorder for all raw requests of a module, and what is checked after each."""

import itertools
import re

import pytest

from client import Client
from edge import ROOT, Edge
from recorder import Recorder, answer_to
from strict_cases import Ask, get

REFUSAL = re.compile(r'^REFUSAL\(\w+,\s*(\d+), .*?(\w+)\)$', re.M)


class Stage:
    """One edge before a recorder, for all cases of this module."""

    def __init__(self, folder):
        self.origin = Recorder()
        self.edge = Edge(folder, origin=self.origin.url, workers=1).start()
        self.taken = 0  # of origin.seen
        self.numbers = itertools.count()
        client = Client(self.edge.port)
        client.send(get())
        client.read_response()
        client.close()
        self.loop_id = re.search(rb"CDN-Loop: brink; id=(\w+)", self.take(1)[0].head)[1]

    def take(self, n):
        """The next `n` requests that the origin saw; there must be no others."""
        seen = self.origin.seen[self.taken:]
        assert len(seen) == n, f"the origin saw {seen}"
        self.taken += n
        return seen

    def expect(self, asks):
        for ask, seen in zip(asks, self.take(len(asks))):
            assert seen.head == ask.head(self.loop_id)
            assert seen.body == ask.body
            assert seen.chunk_lines is None or all(b";" not in line for line in seen.chunk_lines)

    def resume(self):
        """After a failure: later cases stand for themselves."""
        self.taken = len(self.origin.seen)

    def check_bystander(self):
        """Its own answer, and nothing else at the origin before it or with it."""
        ask = Ask(target=b"/bystander/%d" % next(self.numbers), host=b"bystander.test")
        with Client(self.edge.port) as client:
            client.send(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (ask.target, ask.host))
            assert client.read_response().body == answer_to(b"GET", ask.target, ask.host)
        self.expect([ask])

    def finish(self):
        """Ends both; what came too late for its case shows here."""
        faults = self.edge.finish()
        self.origin.stop()
        assert not faults and not self.origin.faults, faults + self.origin.faults
        self.take(0)
        for raw in self.origin.broken:
            assert raw.startswith(b"POST /a HTTP/1.1\r\n"), raw


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    running = Stage(tmp_path_factory.mktemp("strict"))
    yield running
    running.finish()


def read_answers(client, asks):
    for ask in asks:
        client.expect(ask.method.decode("latin-1"))
        response = client.read_response()
        assert response.status == 200, f"{response}: {response.body}"
        if ask.method != b"HEAD":
            assert response.body == answer_to(ask.method, ask.target, ask.host, ask.body)


def check_refusal(client, case):
    client.expect("HEAD" if case.raw.startswith(b"HEAD ") else "GET")
    response = client.read_response()
    assert response.status == case.status, f"{response.body}"
    assert response["Connection"].lower() == "close"
    client.expect_closed()


def check_kept(stage, client):
    """The connection serves a further request."""
    ask = Ask(target=b"/further/%d" % next(stage.numbers))
    client.send(b"GET %s HTTP/1.1\r\nHost: site.test\r\n\r\n" % ask.target)
    read_answers(client, [ask])
    stage.expect([ask])


def refusal_counters():
    """Status to the counters of errors.def."""
    table = {}
    text = (ROOT / "include/base/errors.def").read_text()
    for status, counter in REFUSAL.findall(text):
        table.setdefault(int(status), set()).add(counter)
    return table


COUNTERS = refusal_counters()
