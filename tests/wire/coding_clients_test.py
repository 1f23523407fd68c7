"""Real clients and a real origin: each gets the original bytes, in the coding it asks for.

Twice each: first in the quick form, while the answer is fetched, then in the strong one.
"""

import os
import subprocess
import urllib.request

import pytest

import codings
from client import DEADLINE_S
from debian import Nginx, need

BODY = codings.text(60_000, "clients")
SCRIPT = {"Cache-Control": "max-age=600", "Content-Type": "text/javascript", "ETag": '"v1"'}
FETCH = """
fetch(process.argv[1]).then(async answer => {
  process.stdout.write(Buffer.from(await answer.arrayBuffer()))
  process.stderr.write(answer.headers.get('content-encoding') ?? 'identity')
})
"""
# What they say by themselves; the coding that brink chooses, with all of its own in their order.
BROWSERS = {
    "Chromium and Firefox": ("gzip, deflate, br, zstd", "br"),
    "Safari": ("gzip, deflate, br", "br"),
    "browsers over plain HTTP, python-requests": ("gzip, deflate", "gzip"),
    "curl": ("deflate, gzip, br, zstd", "br"),
    "Go": ("gzip", "gzip"),
    "an old proxy": ("gzip;q=1.0, deflate;q=0.6, identity;q=0.3", "gzip"),
    "libwww": ("gzip, x-gzip, deflate, x-bzip2", "gzip"),
    "Java": ("gzip, x-gzip, deflate", "gzip"),
    "a radio": ("identity;q=1, *;q=0", "identity"),
    "a screen reader": ("*", "br"),
}


def run(*words):
    done = subprocess.run([need(words[0], words[0]), *map(str, words[1:])], capture_output=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {done.stderr}"
    return done


def url(edge, path="/app.js"):
    return f"http://127.0.0.1:{edge.port}{path}"


@pytest.fixture
def edge(origin, start_edge):
    origin.serve("/app.js", 200, SCRIPT, BODY)
    return start_edge(origin=origin.url)


def twice(edge, ask):
    """ask(nth) before and after the strong form was made."""
    ask(0)
    edge.wait_until(lambda: sum(edge.stats()[f"variants_made_{coding}"] for coding in codings.CODINGS) > 0,
                    "a strong form")
    ask(1)


def features():
    words = run("curl", "-V").stdout.decode().lower().split()
    names = {"gzip": "libz", "br": "brotli", "zstd": "zstd"}
    return [coding for coding, name in names.items() if name in words]


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_curl_decodes_what_it_was_built_for(edge, version):
    """HTTP/1.0 knows no chunks: the quick form ends with the connection (RFC 9112 section 6.3)."""
    assert "gzip" in features()
    for coding in features():
        def ask(_, coding=coding):
            done = run("curl", "-sS", version, "--compressed", "-H", f"Accept-Encoding: {coding}", "-D",
                       "/dev/stderr", url(edge))
            assert done.stdout == BODY
            assert f"content-encoding: {coding}\r\n".encode() in done.stderr.lower()
        twice(edge, ask)
    assert run("curl", "-sS", version, "--compressed", url(edge)).stdout == BODY
    assert run("curl", "-sS", version, url(edge)).stdout == BODY


@pytest.mark.parametrize("coding, tool", [("gzip", "gzip"), ("br", "brotli"), ("zstd", "zstd")])
def test_the_command_lines_decode_what_was_saved(edge, tmp_path, coding, tool):
    sizes = []

    def ask(nth):
        saved = tmp_path / f"saved{nth}"
        run("curl", "-sS", "-H", f"Accept-Encoding: {coding}", "-o", saved, url(edge))
        with open(saved, "rb") as coded:
            done = subprocess.run([need(tool, tool), "-dc"], stdin=coded, capture_output=True,
                                  check=False)
        assert (done.returncode, done.stdout) == (0, BODY), done.stderr
        sizes.append(os.path.getsize(saved))

    twice(edge, ask)
    assert len(BODY) > sizes[0] > sizes[1] > 0


def test_curl_goes_on_where_it_was_cut_off(edge, tmp_path):
    """Parts of one strong form, put together by a client that compares its tag."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    wish = ("-sS", "-H", "Accept-Encoding: zstd")
    twice(edge, lambda _: run("curl", *wish, "-o", whole, url(edge)))
    coded = whole.read_bytes()
    assert codings.decode("zstd", coded) == BODY
    tag = edge.get("/app.js", {"Accept-Encoding": "zstd"}, host=f"127.0.0.1:{edge.port}")["ETag"]
    part.write_bytes(coded[:5000])
    run("curl", *wish, "-H", f"If-Range: {tag}", "-C", "-", "-o", part, url(edge))
    assert part.read_bytes() == coded


def test_wget_decodes_gzip(edge, tmp_path):
    def ask(nth):
        saved = tmp_path / f"saved{nth}"
        run("wget", "-q", "--compression=gzip", "-O", saved, url(edge))
        assert saved.read_bytes() == BODY

    twice(edge, ask)
    assert edge.stats()["coded_gzip_in_bytes"] >= len(BODY)
    assert edge.stats()["variant_gzip_sent"] == 1
    run("wget", "-q", "-O", tmp_path / "plain", url(edge))
    assert (tmp_path / "plain").read_bytes() == BODY


def test_node_decodes_by_itself(edge):
    """Its fetch() asks for br over https alone."""
    def ask(_):
        done = run("node", "-e", FETCH, url(edge))
        assert (done.stdout, done.stderr) == (BODY, b"gzip")

    twice(edge, ask)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_python_decodes_with_its_modules(edge, coding):
    def ask(nth):
        request = urllib.request.Request(url(edge), headers={"Accept-Encoding": coding})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            assert answer.headers["Content-Encoding"] == coding
            assert answer.headers["ETag"].startswith('"' if nth else 'W/"')
            assert codings.decode(coding, answer.read()) == BODY

    twice(edge, ask)


def test_what_browsers_say_is_understood(edge):
    for accept, coding in BROWSERS.values():
        codings.expect(edge.get("/app.js", {"Accept-Encoding": accept}), BODY, coding)
    for coding in {coding for _, coding in BROWSERS.values()} - {"identity"}:
        edge.wait_for(**{f"variants_made_{coding}": 1})
    for accept, coding in BROWSERS.values():
        response = edge.get("/app.js", {"Accept-Encoding": accept})
        codings.expect(response, BODY, coding)
        assert response.cache_status.hit and response["ETag"].startswith('"')
    edge.expect_stats(origin_requests=1)


# --- nginx with files that were compressed before

@pytest.fixture
def nginx(tmp_path):
    """app.js in four codings. It sends the .gz to who takes gzip, as many sites are set up."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "app.js").write_bytes(BODY)
    for coding, suffix in (("gzip", "gz"), ("br", "br"), ("zstd", "zst")):
        (root / f"app.js.{suffix}").write_bytes(codings.encode(coding, BODY, 9))
    running = Nginx(tmp_path / "nginx", root, "gzip_static on; gzip_vary on; gzip_proxied any;")
    yield running
    running.stop()


def wait_hit(edge, fields):
    edge.wait_until(lambda: edge.get("/app.js", fields).cache_status.hit, "a hit")


def test_nginx_is_asked_for_identity(start_edge, nginx):
    """Its Vary does not split the cache: brink alone decides what it is asked with."""
    edge = start_edge(origin=nginx.url)
    codings.expect(edge.get("/app.js", {"Accept-Encoding": "gzip"}), BODY, "gzip")
    wait_hit(edge, {"Accept-Encoding": "gzip"})
    for accept in ("br", "zstd", "gzip", None):
        response = edge.get("/app.js", {"Accept-Encoding": accept} if accept else None)
        codings.expect(response, BODY, accept or "identity")
        assert response.cache_status.hit
    assert len(nginx.log_lines(1)) == 1


@pytest.mark.parametrize("asked", ["gzip", ""])
def test_nginx_sends_a_file_that_it_compressed_before(start_edge, nginx, asked):
    """gzip_static: stored as it came, sent as it came to who takes it, and else decoded."""
    edge = start_edge(origin=nginx.url, settings={"site.origin_encoding": asked})
    codings.expect(edge.get("/app.js", {"Accept-Encoding": "gzip"}), BODY, "gzip")
    wait_hit(edge, {"Accept-Encoding": "gzip"})
    response = edge.get("/app.js", {"Accept-Encoding": "gzip"})
    codings.expect(response, BODY, "gzip")
    assert response.body == codings.encode("gzip", BODY, 9)
    for accept, coding in ((None, "identity"), ("br", "br"), ("zstd;q=0.9, identity;q=0", "zstd")):
        response = edge.get("/app.js", {"Accept-Encoding": accept} if accept else None)
        codings.expect(response, BODY, coding)
        assert response.cache_status.hit
    assert edge.stats()["decoded_out_bytes"] >= len(BODY)
    assert len(nginx.log_lines(1)) == 1


def test_files_beside_the_original_are_used(start_edge, nginx):
    """What the author compressed is sent as it is, whatever nginx itself would have made of it."""
    edge = start_edge(origin=nginx.url, settings={"site.precompressed": "br,zstd,gzip"})
    for coding in codings.CODINGS:
        codings.expect(edge.get("/app.js", {"Accept-Encoding": coding}), BODY, coding)
        edge.wait_until(lambda coding=coding: edge.get("/app.js", {"Accept-Encoding": coding}).body
                        == codings.encode(coding, BODY, 9), f"the file in {coding}")
        response = edge.get("/app.js", {"Accept-Encoding": coding})
        assert response["Content-Type"] == "application/javascript" and response["ETag"].startswith('"')
    edge.expect_stats(precompressed_used=3, precompressed_mismatch=0)
