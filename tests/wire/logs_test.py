"""What peers send comes to the logs as text: one line each, printable, and without what is secret."""

import json
import re

import pytest

from edge import run_tool

SECRET = "c2VjcmV0"
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')

# Bytes that RFC 9110 section 5.5 allows in a field value: what a log has to put up with.
ALLOWED = {
    "all of obs-text": bytes(range(0x80, 0x100)),
    "quotes and backslashes": b'a" status=200 b="\\" \\',
    "a tab": b"a\tb",
    "CSI of C1, as UTF-8": "\u009b31m".encode(),
    "CSI of C1, bare": b"\x9b31m",
    "a line separator": "a\u2028b".encode(),
    "text from right to left": "a\u202eb\u2066c".encode(),
    "an overlong newline": b"a\xc0\x8ab",
    "half of a pair": b"a\xed\xa0\x80b",
    "good UTF-8": "gr\u00fc\u00dfe \U0001f600".encode(),
}

# And what it does not allow, wherever it stands: refused, and told in the event log.
REFUSED = {
    "ESC in a value": b"GET /a HTTP/1.1\r\nHost: site.test\r\nUser-Agent: a\x1b[31mb\r\n\r\n",
    "NUL in a value": b"GET /a HTTP/1.1\r\nHost: site.test\r\nUser-Agent: a\x00b\r\n\r\n",
    "bare CR in a value": b"GET /a HTTP/1.1\r\nHost: site.test\r\nReferer: a\rb\r\n\r\n",
    "ESC in the target": b"GET /a\x1b[31m HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "obs-text in the target": b"GET /\xff\x9b HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "a quote in the method": b'G"T /a HTTP/1.1\r\nHost: site.test\r\n\r\n',
    "ESC in the method": b"G\x1bT /a HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "ESC in Host": b"GET /a HTTP/1.1\r\nHost: site\x1b[31m.test\r\n\r\n",
    "obs-text in Host": b"GET /a HTTP/1.1\r\nHost: \xff\x9b\r\n\r\n",
    "ESC in a field name": b"GET /a HTTP/1.1\r\nHost: site.test\r\nA\x1bB: c\r\n\r\n",
}


def check_lines(raw, ascii_only=False):
    """Valid UTF-8, one safe line after the other."""
    text = raw.decode("ascii" if ascii_only else "utf-8")
    assert text.endswith("\n") or not text
    lines = text.split("\n")[:-1]
    for line in lines:
        assert not UNSAFE.search(line), ascii(line)
    return lines


def check_event_log(edge):
    """Every word is key=value. Edge put U+FFFD for what is not UTF-8."""
    raw = (edge.folder / "stderr.log").read_bytes()
    assert "\ufffd".encode() not in raw
    for line in check_lines(raw):
        rest = QUOTED.sub('""', line.split(" ", 1)[1])
        assert re.fullmatch(r'(?:[\w.]+=(?:""|[^\s"]*)(?: |$))+', rest), ascii(line)


@pytest.mark.parametrize("form", ["combined", "json"])
def test_hostile_bytes_are_escaped_in_the_access_log(origin, start_edge, tmp_path, form):
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url,
                      settings={"log.access": log, "log.access_format": form})
    origin.serve("/a", 200, {"Cache-Control": "max-age=60"}, b"hello")
    with edge.client() as client:
        for value in ALLOWED.values():
            client.send(b"GET /a HTTP/1.1\r\nHost: site.test\r\nUser-Agent: " + value
                        + b"\r\nReferer: " + value + b"\r\n\r\n")
            assert client.read_response().status == 200
    for request in REFUSED.values():
        with edge.client() as client:
            client.send(request)
            assert client.read_response().status == 400
    edge.stop()  # what was to be written is
    lines = check_lines(log.read_bytes(), ascii_only=form == "combined")
    answered = [line for line in lines if '/a' in line and "200" in line]
    assert len(answered) >= len(ALLOWED)
    if form == "json":
        told = [json.loads(line) for line in lines]
        agents = {record["user_agent"] for record in told if record["status"] == 200}
        assert ALLOWED["good UTF-8"].decode() in agents
        assert ALLOWED["quotes and backslashes"].decode().strip() in agents
    else:
        for line in lines:
            assert re.fullmatch(
                r'\S+ - - \[[^]]+\] "[^"\\]*(?:\\.[^"\\]*)*" \d{3} \d+ '
                r'"[^"\\]*(?:\\.[^"\\]*)*" "[^"\\]*(?:\\.[^"\\]*)*" host="[^"\\]*(?:\\.[^"\\]*)*" '
                r'cache=\S+ reason=\S+ total=[\d.]+ first=[\d.]+ coding=identity(?: aborted)?', line), line
    check_event_log(edge)


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 \x1b[31mOK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: a\x1b[31m\x00b\r\nContent-Length: 0\r\n\r\n",
    b"\x1b[31m\x9b\xc2\x9b\r\n\r\n",
    b'HTTP/9.9 "quoted" \\\r\n\r\n',
], ids=["reason", "value", "no HTTP", "quotes"])
def test_hostile_origins_do_not_reach_the_event_log(origin, edge, head):
    with edge.client() as client:
        client.send_request("GET", "/a")
        held = origin.next_request()
        held.send(head)
        held.close()
        assert client.read_response().status == 502
    edge.wait_log("event=origin_refused")
    edge.stop()
    check_event_log(edge)


def test_no_secret_is_in_any_log(origin, start_edge, tmp_path):
    """Authorization, Cookie, Proxy-Authorization, tokens of the admin listener, right and wrong:
    in neither log at the finest level, nor in what -t prints, nor under /inspect."""
    log = tmp_path / "access.log"
    edge = start_edge(origin=origin.url, settings={
        "log.access": log, "log.access_format": "json", "log.level": "debug",
        "admin.token": f"{SECRET}-admin"})
    token = {"Authorization": f"Bearer {SECRET}-admin"}
    origin.serve("/a", 200, {"Cache-Control": "max-age=60, public", "Vary": "Cookie, Authorization",
                             "Set-Cookie": f"id={SECRET}"}, b"hello")
    sent = {"Authorization": f"Basic {SECRET}", "Cookie": f"id={SECRET}",
            "Proxy-Authorization": f"Basic {SECRET}"}
    for fields in (sent, {**sent, "Host": "a b"}, {**sent, "Content-Length": "x"}):
        edge.get("/a", fields)
    edge.wait_until(lambda: edge.admin("GET", "/stats", fields=token).body.find(
        b'"store_puts": 1') > 0, "the object stored")
    assert edge.admin("GET", "/stats", fields={"Authorization": f"Bearer {SECRET}"}).status == 401
    assert edge.admin("POST", "/purge", {"tags": ["a"]}, token).status == 200
    shown = edge.admin("GET", "/inspect?url=http%3A%2F%2Fsite.test%2Fa", fields=token)
    assert shown.status == 200
    assert json.loads(shown.body)["variants"][0]["vary"] == {
        "authorization": "(a secret)", "cookie": "(a secret)"}
    assert SECRET.encode() not in shown.body
    origin.stop()
    assert edge.get("/b", sent).status == 502
    edge.wait_log("event=origin_failed")
    edge.stop()
    for text in (log.read_text(), edge.log_text()):
        assert text and SECRET not in text


def test_no_secret_is_in_what_t_says(tmp_path):
    file = tmp_path / "brink.conf"
    file.write_text('origin "app" { server "127.0.0.1:3000" {} }\n'
                    f'admin "127.0.0.1:0" {{ token = "{SECRET}" }}\n')
    for words in ([], ["--set", f"admin.token={SECRET}\x01"], ["--set", f"admin.tokn={SECRET}"]):
        done = run_tool("brink", "-t", "-c", file, *words)
        assert done.returncode == (1 if words else 0)
        assert SECRET not in done.stdout + done.stderr


def test_faults_of_a_file_steer_no_terminal(tmp_path):
    file = tmp_path / "brink.conf"
    file.write_bytes(b'origin "app" { server "127.0.0.1:3000" {} }\nwork\x1b[31mers = 2\n'
                     b'log { level = "\xc2\x9b31m" }\n')
    done = run_tool("brink", "-t", "-c", file)
    assert done.returncode == 1
    check_lines(done.stderr.encode())


def test_answers_of_the_admin_are_fit_for_a_terminal(edge):
    """A tag, and a member of the order, that would steer it: in the answer as it is, and in what
    brinkctl makes of it."""
    for tag in ("\u009b31m", "a\u202eb", "\x1b[31m"):
        for order in ({"tags": [tag]}, {tag: True}, {"files": [tag]}):
            body = edge.admin("POST", "/purge", order, {"Content-Type": "application/json"}).body
            assert not UNSAFE.search(body.decode("ascii").replace("\n", " "))
    for body in (b'{"tags": [\xff]}', "{\u00e4" * 60, '["' + "\u20ac" * 300):
        body = body if isinstance(body, bytes) else body.encode()
        answer = edge.admin("POST", "/purge", body, {"Content-Type": "application/json"})
        assert answer.status == 400, answer.body
        assert "malformed" in json.loads(answer.body)["error"]


def test_brinkctl_escapes_what_an_origin_sent(origin, edge):
    origin.serve("/a", 200, {"Cache-Control": "max-age=60", "ETag": '"a\u009b31m\u00ff"',
                             "Surrogate-Key": "one\u0085two \u00fc"}, b"hello")
    edge.get("/a")
    edge.wait_stored(1)
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "inspect",
                    "http://site.test/a")
    assert done.returncode == 0, done.stderr
    assert "etag" in done.stdout
    assert not UNSAFE.search(done.stdout.replace("\n", " "))
