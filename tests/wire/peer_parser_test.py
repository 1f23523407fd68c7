"""Requests as brink reads them, held against node's own parser (llhttp, strict).

Where both accept a request, both must have read the same: method, target, fields, body, and so
where the next one begins. Whatever brink accepts and the peer refuses is in REFUSED_BY_PEER, with
the reason why brink is right. That brink refuses more than the peer needs no reason here: the cases
of strict_requests_test.py say what is refused and by which section.
"""

import json
import pathlib
import random
import shutil
import subprocess

import pytest

from edge import ROOT, binary

SEED = 9112
MUTANTS = 6000  # a second in all

# What brink accepts and llhttp does not, by its error code, and why that is right.
REFUSED_BY_PEER = {
    "HPE_INVALID_METHOD": "RFC 9110 section 9.1: a method is any token; unknown ones are passed on",
    "HPE_INVALID_VERSION": "RFC 9110 section 2.5: a higher minor version is read as 1.1",
    "HPE_INVALID_CONTENT_LENGTH": "RFC 9110 section 6.5.1: a trailer frames nothing; brink drops all",
}

HOST = b"Host: site.example\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n"

# Well-formed or nearly: what the mutants are made of. Each is tried as it is too.
SEEDS = [
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"Accept: */*\r\nCookie: a=b; c=d\r\n\r\n" + NEXT,
    b"GET http://site.example/a HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT,
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT,
    b"HEAD /%41/%2f HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n" + HOST + b"\r\n" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n"
    + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + CHUNKED + b"Trailer: X\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + CHUNKED + b"Content-Length: 6\r\n\r\n0\r\n\r\nG" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + NEXT,
    b"PUT /p HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" + NEXT,
    b"DELETE /p HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET /chat HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\nX-Empty:\r\nX-Blank: \t \r\n\r\n" + NEXT,
    b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.2\r\n" + HOST + b"\r\n" + NEXT,
    b"POST /p HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0\r\nContent-Length: 1\r\n\r\n" + NEXT,
    b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT,
    b"GET / HTTP/1.1\r\n" + HOST + b"X: " + bytes(range(0x80, 0x100)) + b"\r\n\r\n" + NEXT,
    b"PATCH /p HTTP/1.1\r\nhOST:site.example\r\nX:y \r\ncontent-LENGTH:\t2\r\n\r\nab" + NEXT,
]

PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff", b":", b";",
    b",", b"+", b"-", b"0x", b"_", b"0", b"1", b"5", b"f", b"G", b"\"", b"\\", b"=", b"#", b"?", b"/",
    b"%", b"%00", b"%zz", b"@", b"[", b"]", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1",
    b"Content-Length: 1\r\n", b"Content-Length: +1\r\n", b"Content-Length: 1, 1\r\n",
    b"Content-Length: 18446744073709551616\r\n", b"Content-Length : 1\r\n", b"Content-Length:\r\n",
    CHUNKED, b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding:\r\n",
    b"Transfer-Encoding: \"chunked\"\r\n", b"Transfer-Encoding:\r\n chunked\r\n", HOST, b"Host: \r\n",
    b" X: folded\r\n", b"X : y\r\n", b": y\r\n", b"Connection: close\r\n", b"0\r\n\r\n", b"1;x\r\na\r\n",
    b"fffffffffffffffff\r\n", b"10000000000000001\r\n", b"1 \r\na\r\n", b"1\na\n0\n\n",
]


def mutate(rng, data):
    """One to four changes anywhere, more often in a head than in a body."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        change = rng.randrange(5)
        if change == 0:
            data = data[:at] + rng.choice(PIECES) + data[at:]
        elif change == 1:
            data = data[:at] + data[at + rng.randint(1, 4):]
        elif change == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        elif change == 3:  # at the begin of a line, where most is decided
            lines = data.split(b"\r\n")
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(PIECES).removesuffix(b"\r\n"))
            data = b"\r\n".join(lines)
        else:
            lines = data.split(b"\r\n")
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            data = b"\r\n".join(lines)
    return data


def cases():
    rng = random.Random(SEED)
    corpora = [path for name in ("fuzz_h1_request", "fuzz_h1_body")
               for path in sorted((ROOT / "tests/fuzz/corpus" / name).iterdir())]
    bodies = [path.read_bytes() for path in corpora]
    out = SEEDS + bodies
    out += [b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + body for body in bodies]
    out += [seed[:cut] for seed in SEEDS for cut in range(0, len(seed), 7)]
    out += [mutate(rng, rng.choice(SEEDS)) for _ in range(MUTANTS)]
    return out


def verdicts(command, requests):
    text = "".join(data.hex() + "\n" for data in requests)
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
    out = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(out) == len(requests), run.stderr
    return out


def fields_of(message):
    """The peer keeps blanks at a value's end; RFC 9110 section 5.5 excludes them."""
    return [(bytes.fromhex(f["name"]).lower(), bytes.fromhex(f["value"]).strip(b" \t"))
            for f in message["fields"]]


def differences(ours, peers):
    """What brink accepted and the peer reads otherwise; the peer's refusals come as their code."""
    for at, message in enumerate(ours["messages"]):
        if at >= len(peers["messages"]):
            yield peers["end"]
            return
        peer = peers["messages"][at]
        for part in ("method", "target"):
            if message[part] != peer[part]:
                yield f"{part} of request {at}: {message[part]} and {peer[part]}"
        if fields_of(message) != fields_of(peer):
            yield f"fields of request {at}"
        if message["whole"] and not peer["whole"]:
            yield peers["end"]
            return
        if message["whole"] and message["body"] != peer["body"]:
            yield f"body of request {at}: {message['body']} and {peer['body']}"
        if not message["body"].startswith(peer["body"]) and not peer["body"].startswith(message["body"]):
            yield f"body of request {at}, in part"
    if ours["end"] == "more" and len(peers["messages"]) > len(ours["messages"]):
        yield f"brink waits for more where the peer reads {len(peers['messages'])} requests"


@pytest.fixture(scope="module")
def both():
    """Every case with brink's verdict and the peer's."""
    requests = cases()
    node = shutil.which("node")
    assert node, "nodejs is missing: tools/test installs it"
    ours = verdicts([binary("tests/h1_verdict")], requests)
    script = pathlib.Path(ROOT) / "tests/diff/node_verdict.js"
    return list(zip(requests, ours, verdicts([node, str(script)], requests)))


def test_what_brink_accepts_the_peer_reads_alike(both):
    found, used = [], set()
    for data, ours, peers in both:
        for difference in differences(ours, peers):
            used.add(difference)
            if difference not in REFUSED_BY_PEER:
                found.append(f"{difference}: {data!r}")
    assert not found, f"{len(found)} findings\n" + "\n".join(found[:20])
    assert used == REFUSED_BY_PEER.keys(), "a reason that no case needs"


def test_the_cases_reach_both_verdicts(both):
    """The comparison would be worth nothing if nearly all were refused, or none."""
    accepted = sum(ours["end"] in ("done", "close") for _data, ours, _peers in both)
    refused = sum(ours["end"] not in ("done", "close", "more") for _data, ours, _peers in both)
    pipelined = sum(len(ours["messages"]) > 1 for _data, ours, _peers in both)
    assert min(accepted, refused, pipelined) > len(both) // 20, (accepted, refused, pipelined)


def test_a_difference_is_seen():
    """Made-up verdicts: the comparison finds another body, another length, another request."""
    message = {"method": "47", "target": "2f", "fields": [], "body": "6162", "whole": True}
    ours = {"messages": [message], "end": "done"}
    assert not list(differences(ours, ours))
    for change in ({"body": "61"}, {"target": "2f61"}, {"method": "48"},
                   {"fields": [{"name": "61", "value": "62"}]}, {"whole": False}):
        assert list(differences(ours, {"messages": [{**message, **change}], "end": "done"}))
    assert list(differences({"messages": [], "end": "more"}, ours))
