"""Debian's chromium, without a screen, reads the demo's site through the edge: compressed, it is the
same site, and nothing is complained of.

tests/browser/visit.mjs leads it by playwright-core, which npm fetches once, into build/browser.
"""

import json
import subprocess

import pytest

import npm
from debian import need
from demo import SITE
from edge import ROOT

HERE = ROOT / "tests" / "browser"
PAGES = ("/", "/why.html", "/rhythm.html", "/shore.html", "/places.html", "/table.html")
COMPRESS_MIN = 1024  # compress_min as it comes
WALK_S = 120
OFF = {"site.compress": ""}


def walk(port, *steps):
    """What chromium reports of these steps; see visit.mjs."""
    modules = npm.install(HERE)
    done = subprocess.run(
        [need("node", "nodejs"), str(HERE / "visit.mjs"), str(modules), need("chromium", "chromium"),
         str(port), *steps], capture_output=True, text=True, timeout=WALK_S, check=False)
    assert done.returncode == 0, f"chromium could not be led:\n{done.stderr}"
    return json.loads(done.stdout[done.stdout.index("[\n"):])


def path_of(response):
    return "/" + response["url"].split("/", 3)[3]


def original(path):
    return (SITE / (path.lstrip("/") or "index.html")).stat().st_size


def shrinks(path):
    """Has the answer at this path a type of compress_types, and is it long enough?"""
    return not path.endswith(".png") and original(path) >= COMPRESS_MIN


def gets(visit):
    """Its answers that came over the network, and not by the browser's own cache."""
    return [response for response in visit["responses"]
            if response["method"] == "GET" and response["sent"] >= 0 and response["asked"].get("host")]


def fine(visit):
    """Nobody complains, everything is whole, and the page's own request was answered."""
    assert visit["complaints"] == []
    for response in visit["responses"]:
        assert response["status"] in (200, 304), response
        if response["method"] == "GET":
            assert response["length"] == original(path_of(response)), response
    assert "brink" in visit["page"]["arrival"]
    return visit


def check_coded(visit, coding, strong):
    """Each answer that can be shorter is, in that coding; the others are as the origin sent them."""
    paths = set()
    for response in gets(visit):
        path, fields = path_of(response), response["fields"]
        paths.add(path)
        if not shrinks(path):
            assert "content-encoding" not in fields, response
            continue
        assert fields["content-encoding"] == coding, response
        assert "accept-encoding" in fields["vary"].lower()
        assert response["sent"] < response["length"]
        assert fields["etag"].startswith('"' if strong else 'W/"'), response
        assert ("content-length" in fields) == strong
    return paths


@pytest.mark.limit(300)
def test_the_demo_is_the_same_site_compressed(start_edge, demo):
    plain = start_edge(origin=demo.url, settings=OFF)
    edge = start_edge(origin=demo.url)
    base = f"http://127.0.0.1:{edge.port}"

    # The first time: in the quick form, while it is fetched.
    first = fine(walk(edge.port, "new", f"{base}/")[0])
    assert check_coded(first, "br", strong=False) == {
        "/", "/style.css", "/tides.js", "/mark.svg", "/moonrise.png"}
    assert {response["asked"]["accept-encoding"] for response in gets(first)} == {
        "gzip, deflate, br, zstd"}
    edge.wait_for(variants_made_br=3)

    # From then on: the strong forms; other pages meet them in the browser's own cache.
    steps = ["new", *(base + path for path in PAGES), f"{base}/", "reload"]
    visits = [fine(visit) for visit in walk(edge.port, *steps)]
    check_coded(visits[0], "br", strong=True)
    for visit in visits[1:len(PAGES)]:
        check_coded(visit, "br", strong=False)
    for visit in visits[len(PAGES):]:
        assert {path_of(response) for response in gets(visit)} <= {"/"}
    check_confirmed(visits[-1])

    # What a reader sees is what he sees without compression.
    seen = walk(plain.port, "new", *(f"http://127.0.0.1:{plain.port}{path}" for path in PAGES))
    for visit, other in zip(visits, seen):
        assert all("content-encoding" not in response["fields"] for response in other["responses"])
        assert same(visit["page"]) == same(other["page"])
    assert visits[0]["page"]["sheets"][0] > 50 and len(visits[0]["page"]["outputs"]) == 2
    assert all(width > 0 for _, width in visits[0]["page"]["images"])


def same(page):
    """What is to be seen, but for how it arrived."""
    return {name: what for name, what in page.items() if name != "arrival"}


def check_confirmed(visit):
    """The reload's condition named the strong form of the page, and nothing came but a 304, which
    chromium shows as a 200 without bytes."""
    page = next(response for response in visit["responses"] if path_of(response) == "/")
    assert "~br." in page["asked"]["if-none-match"]
    assert (page["sent"], page["length"]) == (0, original("/"))


def test_over_plain_http_to_another_machine_it_takes_gzip(start_edge, demo):
    """chromium offers br and zstd to origins that it trusts alone: https, and its own machine."""
    edge = start_edge(origin=demo.url)
    base = f"http://demo.test:{edge.port}"
    first = fine(walk(edge.port, "new", f"{base}/")[0])
    assert {response["asked"]["accept-encoding"] for response in gets(first)} == {"gzip, deflate"}
    check_coded(first, "gzip", strong=False)
    edge.wait_for(variants_made_gzip=3)
    check_coded(fine(walk(edge.port, "new", f"{base}/")[0]), "gzip", strong=True)
