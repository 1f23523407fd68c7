"""The demo of tools/run: its site through the edge, served whole, then without its origin."""

import re

from demo import SITE

TABLE = "/download/tide-table.txt"
LINK = re.compile(r'(?:href|src)="(/[^"]*)"')


def crawl(edge):
    """Every path that a browser comes to from the first page, with its response."""
    found, waiting = {}, ["/", "/mark.svg"]
    while waiting:
        path = waiting.pop()
        if path in found or path == "/slow":
            continue
        found[path] = edge.get(path)
        if found[path]["content-type"].startswith("text/html"):
            waiting += LINK.findall(found[path].body.decode())
    return found


def test_the_demo_is_served_whole_and_then_without_its_origin(start_edge, demo):
    edge = start_edge(origin=demo.url)
    first = crawl(edge)
    assert len(first) > 10 and TABLE in first
    for path, response in first.items():
        assert response.status == 200, path
        assert response.get("surrogate-key") is None
        if path != TABLE:
            assert response.body == (SITE / (path.lstrip("/") or "index.html")).read_bytes()
    assert len(first[TABLE].body) == 2 << 20
    edge.wait_stored(len(first))
    assert sorted(line.split()[3] for line in demo.stop()) == sorted(first)
    second = crawl(edge)
    assert {path: response.body for path, response in second.items()} == {
        path: response.body for path, response in first.items()}
    assert all(response.cache_status.hit for response in second.values())


def test_the_slow_page_is_made_once_for_all_who_ask_meanwhile(start_edge, demo):
    edge = start_edge(origin=demo.url)
    clients = [edge.client() for _ in range(20)]
    for client in clients:
        client.send_request("GET", "/slow")
    bodies = {client.read_response(timeout=20).body for client in clients}
    assert len(bodies) == 1 and b"{{made}}" not in bodies.pop()
    assert len([line for line in demo.stop() if "/slow" in line]) == 1


def test_a_tag_of_the_demo_purges_its_section(start_edge, demo):
    edge = start_edge(origin=demo.url)
    for path in ("/why.html", "/style.css"):
        edge.get(path)
    edge.wait_stored(2)
    edge.purge(tags=["page-why"])
    assert not edge.get("/why.html").cache_status.hit
    assert edge.get("/style.css").cache_status.hit
