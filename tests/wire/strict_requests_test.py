"""Every rule for requests, case by case against one daemon: RFC 9110, 9112 and 3986.

Each case is sent whole, byte by byte, and cut at every line: the verdict is the same. The origin's
requests are compared byte for byte. After each a bystander on a fresh connection gets its own answer,
as does a further request on the same connection where that was kept.
"""

import select

import pytest

import strict_bodies
import strict_heads
from client import Client
from strict_stage import COUNTERS, check_kept, check_refusal, read_answers, stage

__all__ = ["stage"]  # the fixture

AFTER = b"GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n"
BYTEWISE_MAX = 1200  # longer cases are cut at their lines only
CUTS_MAX = 60


def pieces(raw, how):
    if how == "whole":
        return [raw]
    if how == "bytes":
        return [raw[i:i + 1] for i in range(len(raw))]
    lines = raw.splitlines(keepends=True)  # also at a bare CR or LF
    return lines[:CUTS_MAX] + [b"".join(lines[CUTS_MAX:])]


def ways(raw):
    return ["whole", "lines"] + (["bytes"] if len(raw) <= BYTEWISE_MAX else [])


def send(client, case, raw, how):
    """The pieces. Once a refusal is there the rest follows at once: brink listens only so long."""
    left = raw
    try:
        for piece in pieces(raw, how):
            if case.refused and select.select([client.sock], [], [], 0)[0]:
                break
            client.send(piece)
            left = left[len(piece):]
        client.send(left)
    except (BrokenPipeError, ConnectionResetError):
        pass


def run(stage, case, how):
    with Client(stage.edge.port) as client:
        send(client, case, case.raw + (AFTER if case.closed else b""), how)
        read_answers(client, case.asks)
        if case.refused:
            check_refusal(client, case)
        elif case.status is not None:
            assert client.read_response().status == case.status
        elif case.closed:
            client.expect_closed()
        stage.expect(case.asks)
        if not case.closed:
            check_kept(stage, client)
    stage.check_bystander()


CASES = strict_heads.CASES + strict_bodies.CASES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_request(stage, case):
    before = stage.edge.stats()
    for how in ways(case.raw):
        try:
            run(stage, case, how)
        except Exception as fault:
            stage.resume()
            raise AssertionError(f"sent as {how}: {fault!r}") from fault
    after = stage.edge.stats()
    counted = {name: after[name] - before[name] for name in after
               if name.startswith("refused_") and after[name] != before[name]}
    times = len(ways(case.raw)) if case.refused else 0
    assert sum(counted.values()) == after["requests_refused"] - before["requests_refused"] == times
    assert set(counted) <= COUNTERS.get(case.status, set())


def test_there_are_several_hundred():
    assert len(CASES) == len({case.name for case in CASES}) > 700
