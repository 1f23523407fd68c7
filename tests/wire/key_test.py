"""What a site has in its key: parameters of the query, the path's case, cookies. RFC 9111 section 2.

Whatever is not in the key must not reach the origin, where it could show in the response that others get.
"""

import json
import urllib.parse

import pytest

LONG = {"Cache-Control": "max-age=600"}
DROP = {"site.query_drop": "utm_*,fbclid"}


def echo(held):
    """An origin that puts the whole target into its page, as many do."""
    held.reply(200, LONG, f"<link rel=canonical href={held.target}>".encode())


def fetch(origin, edge, target, fields=None, stores=True):
    """Ask for `target`: (what the origin was asked for, or None; the response). Waits for the commit."""
    before, puts = origin.count(), edge.stats()["store_puts"]
    origin.serve_all(lambda held: True, echo)
    response = edge.get(target, fields)
    assert response.status == 200
    if origin.count() == before:
        assert response.cache_status.hit
        return None, response
    if stores:
        edge.wait_for(store_puts=puts + 1)
    return origin.targets()[-1], response


def inspect(edge, url):
    return json.loads(edge.admin("GET", "/inspect?url=" + urllib.parse.quote(url, safe="")).body)


QUERIES = [
    # why, settings, asked for, what the origin sees, another URL of the same object
    ("dropped", DROP, "/a?utm_source=mail&id=1", "/a?id=1", "/a?id=1&fbclid=x"),
    ("nothing left", DROP, "/a?fbclid=2", "/a", "/a?utm_id=3"),
    ("only those kept", {"site.query_keep": "id,p*"}, "/a?x=1&id=2&page=3&y", "/a?id=2&page=3", "/a?id=2&page=3&z=9"),
    ("sorted", {"site.query_sort": "yes"}, "/a?b=1&a=2&b=0", "/a?a=2&b=1&b=0", "/a?b=1&b=0&a=2"),
    ("lower case", {"site.key_ignore_case": "yes"}, "/Img/%2FA.PNG?Q", "/img/%2Fa.png?Q", "/IMG/%2Fa.png?Q"),
    ("all at once", {**DROP, "site.query_sort": "yes", "site.key_ignore_case": "yes"},
     "/A?z&utm_x=1&a", "/a?a&z", "/a?a&fbclid&z&utm_y"),
    ("encoded names are others", DROP, "/a?utm%5Fid=1", "/a?utm%5Fid=1", "/a?utm%5Fid=1&utm_id=2"),
]


@pytest.mark.parametrize("why, settings, target, seen, other", QUERIES, ids=[row[0] for row in QUERIES])
def test_the_key_is_what_the_origin_is_asked_for(origin, start_edge, why, settings, target, seen, other):
    edge = start_edge(origin=origin.url, settings=settings)
    assert fetch(origin, edge, target)[0] == seen
    asked, response = fetch(origin, edge, other)
    assert asked is None and response.body.decode().endswith(f"href={seen}>")
    assert fetch(origin, edge, seen)[0] is None  # also asked for as it is


@pytest.mark.parametrize("settings, target, other", [
    (DROP, "/a?utm=1", "/a"),                                      # not of the list
    ({"site.query_keep": "id"}, "/a?id=1", "/a?id=2"),             # its value counts
    ({"site.query_sort": "yes"}, "/a?b=1&b=2", "/a?b=2&b=1"),      # the order within a name counts
    ({"site.key_ignore_case": "yes"}, "/a?q=x", "/a?q=X"),         # the query's case counts
    ({}, "/a?utm_id=1", "/a?utm_id=2"), ({}, "/a?b&a", "/a?a&b"), ({}, "/A", "/a"),  # by default all
])
def test_what_counts_makes_another_object(origin, start_edge, settings, target, other):
    edge = start_edge(origin=origin.url, settings=settings)
    assert fetch(origin, edge, target)[0] == target
    assert fetch(origin, edge, other)[0] == other


@pytest.mark.edge(settings={**DROP, "site.query_sort": "yes", "site.key_ignore_case": "yes"})
def test_what_is_dropped_poisons_nothing(origin, edge):
    """The page quotes its URL: an attacker's parameter must not be in what others get."""
    evil = "/Page?id=1&utm_source=%3Cscript%3Ealert(1)%3C/script%3E&FBCLID=x"
    asked, response = fetch(origin, edge, evil)
    assert asked == "/page?FBCLID=x&id=1"  # what is not named in the list is in the key
    assert b"script" not in response.body
    asked, response = fetch(origin, edge, "/page?id=1&utm_campaign=evil")
    assert asked == "/page?id=1" and b"evil" not in response.body
    assert fetch(origin, edge, "/page?id=1")[0] is None


@pytest.mark.edge(settings={**DROP, "site.query_sort": "yes"})
def test_every_method_has_the_same_target(origin, edge):
    """What answers a GET is asked for in the same words by a HEAD, a POST and a background fetch."""
    for method in ("HEAD", "POST", "DELETE", "OPTIONS", "BREW"):
        client = edge.client()
        client.expect(method)
        client.send_request(method, "/a?z=1&utm_id=2&b=3")
        held = origin.next_request()
        assert (held.method, held.target) == (method, "/a?b=3&z=1")
        held.reply(200, {})
        client.read_response()
    stale = {"Cache-Control": "max-age=1, stale-while-revalidate=600", "Age": "60"}
    origin.serve("/a?b=3&z=1", 200, stale, b"old")
    edge.get("/a?z=1&b=3")
    edge.wait_stored(1)
    origin.forget("/a?b=3&z=1")
    assert edge.get("/a?z=1&fbclid=1&b=3").body == b"old"
    held = origin.next_request()
    assert held.target == "/a?b=3&z=1"
    held.reply(200, LONG, b"new")
    edge.wait_stored(2)
    assert edge.get("/a?b=3&z=1&utm_x").body == b"new"


@pytest.mark.edge(settings={**DROP, "site.query_sort": "yes", "site.key_ignore_case": "yes", "site.pass": "yes"})
def test_a_site_that_is_passed_is_left_alone(origin, edge):
    target = "/A?z=1&utm_id=2&b=3"
    assert fetch(origin, edge, target, stores=False)[0] == target


@pytest.mark.edge(settings={**DROP, "site.query_sort": "yes"})
def test_thousands_of_parameters(origin, edge):
    """They are dropped all the same; more than 256 that count stay in their order."""
    many = "&".join(f"{i % 7}=1&utm_{i}" for i in range(600, 0, -1))
    kept = "&".join(f"{i % 7}=1" for i in range(600, 0, -1))
    assert len(many) < 8000
    assert fetch(origin, edge, f"/a?{many}")[0] == f"/a?{kept}"
    few = "&".join(f"p{i:03}" for i in range(256, 0, -1))
    assert fetch(origin, edge, f"/a?{few}&utm_x")[0] == "/a?" + "&".join(f"p{i:03}" for i in range(1, 257))


# --- purges


PURGED = "/Page?b=1&utm_id=2&a=3"


@pytest.fixture
def ruled(origin, start_edge):
    """A daemon with one object, stored under /page?a=3&b=1."""
    edge = start_edge(origin=origin.url, settings={**DROP, "site.query_sort": "yes", "site.key_ignore_case": "yes"})
    assert fetch(origin, edge, "/page?a=3&b=1")[0]
    return edge


@pytest.mark.parametrize("how", ["files", "prefixes", "method", "post", "location", "content_location"])
def test_a_purge_of_any_of_its_urls_takes_it(origin, ruled, how):
    host = "site.test"
    if how == "files":
        assert ruled.purge(files=[f"http://{host}{PURGED}"])["matched"] == 1
    elif how == "prefixes":
        assert ruled.purge(prefixes=[f"{host}/PAGE"])["state"]
    elif how == "method":
        assert ruled.request("PURGE", PURGED).status == 200
    else:
        fields = {"location": {"Location": PURGED}, "content_location": {"Content-Location": PURGED}}.get(how, {})
        target = "/page?a=3&b=1" if how == "post" else "/other"
        origin.serve_with(target, lambda held: held.reply(200, fields))
        assert ruled.request("POST", PURGED if how == "post" else "/other", body=b"x").status == 200
        origin.forget(target)
    assert fetch(origin, ruled, "/page?a=3&b=1")[0]


def test_inspect_finds_it_by_any_of_its_urls(ruled):
    url = "http://site.test"
    shown = inspect(ruled, url + PURGED)
    assert shown["url"] == url + "/page?a=3&b=1" and len(shown["variants"]) == 1


# --- cookies


COOKIES = {"site.key_cookies": "sid,theme"}


@pytest.mark.edge(settings=COOKIES)
def test_the_named_cookies_are_in_the_key(origin, edge):
    def page(held):
        held.reply(200, LONG, f"cookies: {held.get('Cookie')}".encode())

    def ask(cookie):
        """True: it was answered from the store."""
        puts = edge.stats()["store_puts"]
        fields = {} if cookie is None else {"Cookie": cookie}
        response = edge.get("/a", fields)
        if response.cache_status.hit:
            return True
        edge.wait_for(store_puts=puts + 1)
        assert response.body == f"cookies: {cookie}".encode()  # all of them went on
        return False

    origin.serve_with("/a", page)
    assert not ask("x=1; sid=a") and ask("sid=a; y=2") and ask("sid=a")
    assert not ask("sid=b") and not ask("sid=a; theme=dark") and ask("theme=dark; z; sid=a")
    assert not ask(None) and ask("x=1")
    assert not ask("sid=") and not ask("sid")  # neither is absent
    assert not ask("sid=a; sid=b") and not ask("sid=b; sid=a")
    assert not ask("x=1, sid=c") and not ask("SID=a; sid=d")
    assert origin.count("/a") == edge.stats()["store_puts"]


@pytest.mark.edge(settings=COOKIES)
def test_a_purge_takes_all_cookies_and_inspect_hides_them(origin, edge):
    origin.serve("/a", 200, LONG, b"x")
    for i, cookie in enumerate(["sid=a", "sid=b"]):
        edge.get("/a", {"Cookie": cookie})
        edge.wait_stored(i + 1)
    url = "http://site.test/a"
    shown = inspect(edge, url)
    assert [variant["vary"] for variant in shown["variants"]] == [{"=;sid": "(a secret)", "=;theme": None}] * 2
    assert edge.purge(files=[url])["matched"] == 2
    assert not edge.get("/a", {"Cookie": "sid=a"}).cache_status.hit
