"""Real input: a documentation package's tree, served by a real server, crawled by a real client.

All of python3.11-doc goes through brink twice. The second time the origin sees nothing; after kill -9
and with the origin gone, still everything is served.
"""

import pathlib
import re
import subprocess

import pytest

import content
from debian import Apache, Nginx, need

ROOT = pathlib.Path("/usr/share/doc/python3.11/html")


def files():
    """Every file of the tree by its path below it."""
    found = [path for path in ROOT.rglob("*") if path.is_file()] if ROOT.is_dir() else []
    paths = sorted(str(path.relative_to(ROOT)) for path in found)
    assert sum(path.endswith(".html") for path in paths) > 400, \
        f"{ROOT} is missing or incomplete; as root: apt-get install " \
        "-o Dpkg::Options::=--path-include='/usr/share/doc/*' --reinstall python3.11-doc"
    return paths


def crawl(edge, folder, paths):
    """wget follows every link from the first page, then fetches what no link leads to."""
    folder.mkdir()
    base = f"http://127.0.0.1:{edge.port}/"
    (folder / "urls").write_text("".join(f"{base}{path}\n" for path in paths))
    common = [need("wget", "wget"), "--no-verbose", "--no-config", "--no-proxy", "--tries=1",
              "--timeout=30", "--no-host-directories", f"--directory-prefix={folder}/got",
              "--execute=robots=off"]
    log = folder / "wget.log"
    with open(log, "wb") as out:
        for words in (["--recursive", "--level=inf", "--no-parent", base + "index.html"],
                      ["--force-directories", "--no-clobber", f"--input-file={folder}/urls"]):
            # 8: some link led to a 404, which the documents themselves may have
            status = subprocess.run([*common, *words], stdout=out, stderr=out, timeout=240,
                                    check=False).returncode
            assert status in (0, 8), f"wget ended with {status}: {log.read_text()[-2000:]}"


def assert_identical(folder, paths):
    for path in paths:
        got = folder / "got" / path
        assert got.is_file(), f"{path} was not served"
        assert content.digest(got.read_bytes()) == content.digest((ROOT / path).read_bytes()), \
            f"{path} differs from the file"


def crawl_hits(edge, folder, paths):
    """A crawl in which every request is a hit."""
    before = edge.stats()
    crawl(edge, folder, paths)
    assert_identical(folder, paths)
    after = edge.stats()
    requests = after["requests"] - before["requests"]
    hits = after["cache_hit"] - before["cache_hit"]
    assert requests == hits, f"{hits} hits of {requests} requests"
    assert hits >= len(paths)


@pytest.mark.limit(600)
@pytest.mark.parametrize("server", [Nginx, Apache])
def test_a_documentation_tree_through_brink(start_edge, tmp_path, server):
    paths = files()
    origin = server(tmp_path / "origin", ROOT)
    try:
        edge = start_edge(origin=origin.url, store_size="512MB")
        crawl(edge, tmp_path / "first", paths)
        assert_identical(tmp_path / "first", paths)
        seen = origin.log_lines(edge.stats()["origin_requests"])
        targets = [re.search(r'"GET (\S+) HTTP', line)[1] for line in seen]
        assert len(set(targets)) == len(targets), "something was fetched twice"
        assert {f"/{path}" for path in paths} <= set(targets)
        edge.wait_stored(len(targets))

        crawl_hits(edge, tmp_path / "second", paths)
        assert origin.log_lines() == seen, "the origin was asked again"

        edge.kill()
        origin.stop()
        edge.start()
        crawl_hits(edge, tmp_path / "third", paths)
        edge.expect_stats(origin_requests=0)
    finally:
        origin.stop()
