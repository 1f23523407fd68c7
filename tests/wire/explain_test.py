"""/explain and brinkctl explain: what they predict is what the very next request gets."""

import json
import urllib.parse

import pytest

from edge import counter_names, reason_labels, run_tool
from large import Large
from ports import free_port

FRESH = {"Cache-Control": "max-age=600"}
STALE = {"Cache-Control": "max-age=10", "Age": "60"}  # stored, and stale from the start
TAG = {"ETag": '"v1"'}
URL = "http://site.test/a"


def stored(origin, edge, fields, request=None, status=200, body=b"0123456789"):
    before = edge.stats()["store_puts"]
    origin.serve("/a", status, fields, body)
    assert edge.get("/a", request).status == status
    edge.wait_for(store_puts=before + 1)


def ask(edge, url=URL, method=None, fields=None, content=None):
    """The whole answer of /explain."""
    words = [("url", url)] + ([("method", method)] if method else [])
    words += [("content", content)] if content is not None else []
    words += [("header", f"{name}: {value}") for name, value in (fields or {}).items()]
    query = urllib.parse.urlencode(words, quote_via=urllib.parse.quote)
    return edge.admin("GET", f"/explain?{query}")


def explain(edge, *words, **more):
    response = ask(edge, *words, **more)
    assert response.status == 200, response.body
    return json.loads(response.body)


# --- what is there before


def nothing(origin, edge):
    pass


def has(fields, request=None, status=200):
    return lambda origin, edge: stored(origin, edge, fields, request, status)


def soft_purged(origin, edge):
    stored(origin, edge, {**FRESH, **TAG})
    edge.purge(files=[URL], soft=True)


def not_storable(origin, edge):
    origin.serve("/a", 200, {"Cache-Control": "private"}, b"mine")
    edge.get("/a")


SWR = {"Cache-Control": "max-age=10, stale-while-revalidate=600", "Age": "60", **TAG}
SIE = {"Cache-Control": "max-age=10, stale-if-error=600", "Age": "60", **TAG}
MUST = {"Cache-Control": "max-age=10, must-revalidate, stale-while-revalidate=600", "Age": "60", **TAG}
ALWAYS = {"Cache-Control": "no-cache, max-age=600", **TAG}
LANG = {**FRESH, "Vary": "Accept-Language"}
CONFIRM = (304, TAG, b"")
ANEW = (200, FRESH, b"new")

PREDICTIONS = [
    # why, settings, before, method, request fields, what the origin then says, end, words
    ("a miss", {}, nothing, "GET", {}, ANEW, "fetched", "nothing is stored under this key"),
    ("a miss of HEAD", {}, nothing, "HEAD", {}, ANEW, "passed", "by HEAD, unstored"),
    ("fresh", {}, has(FRESH), "GET", {}, None, "hit", "fresh for"),
    ("fresh for HEAD", {}, has(FRESH), "HEAD", {}, None, "hit", "fresh for"),
    ("fresh, a part", {}, has(FRESH), "GET", {"Range": "bytes=0-3"}, None, "hit", "as 206"),
    ("fresh, no such part", {}, has(FRESH), "GET", {"Range": "bytes=90-"}, None, "hit", "as 416"),
    ("fresh, known", {}, has({**FRESH, **TAG}), "GET", {"If-None-Match": '"v1"'}, None, "hit",
     "as 304"),
    ("fresh, another known", {}, has({**FRESH, **TAG}), "GET", {"If-None-Match": '"v0"'}, None, "hit",
     "fresh for"),
    ("a 404", {}, has(FRESH, status=404), "GET", {}, None, "hit", "fresh for"),
    ("stale", {}, has({**STALE, **TAG}), "GET", {}, CONFIRM, "validated", "no longer fresh"),
    ("stale without a validator", {}, has(STALE), "GET", {}, ANEW, "fetched", "has no validator"),
    ("stale for HEAD", {}, has({**STALE, **TAG}), "HEAD", {}, ANEW, "passed", "may update"),
    ("stale-while-revalidate", {}, has(SWR), "GET", {}, CONFIRM, "stale", "it expired"),
    ("stale-while-revalidate, a part", {}, has(SWR), "GET", {"Range": "bytes=0-3"}, CONFIRM, "stale",
     "as 206"),
    ("stale-if-error", {}, has(SIE), "GET", {}, CONFIRM, "validated", "stand in for a failing origin until"),
    ("must-revalidate", {}, has(MUST), "GET", {}, CONFIRM, "validated", "must-revalidate"),
    ("no-cache", {}, has(ALWAYS), "GET", {}, CONFIRM, "validated", "asks for validation"),
    ("soft-purged", {}, soft_purged, "GET", {}, CONFIRM, "validated", "marked stale by a purge"),
    ("stale for too long", {"site.keep": "20s"}, has({**STALE, **TAG}), "GET", {}, ANEW, "fetched",
     "longer than it is kept"),
    ("another variant", {}, has(LANG, {"Accept-Language": "de"}), "GET", {"Accept-Language": "fr"},
     (200, LANG, b"fr"), "fetched", "no stored variant"),
    ("the same variant", {}, has(LANG, {"Accept-Language": "de"}), "GET", {"Accept-Language": "de"},
     None, "hit", "fresh for"),
    ("another field of the key", {"site.key_fields": "Device"}, has(FRESH, {"Device": "tv"}), "GET",
     {"Device": "phone"}, ANEW, "fetched", "no stored variant"),
    ("the same field of the key", {"site.key_fields": "Device"}, has(FRESH, {"Device": "tv"}), "GET",
     {"Device": "tv"}, None, "hit", "fresh for"),
    ("lately not storable", {}, not_storable, "GET", {}, ANEW, "fetched-alone", "Cache-Control: private"),
    ("lately not storable, a part", {}, not_storable, "GET", {"Range": "bytes=0-1"}, ANEW, "passed",
     "lately not storable"),
    ("only-if-cached", {}, nothing, "GET", {"Cache-Control": "only-if-cached"}, None, "only-if-cached",
     "504"),
    ("only-if-cached, stored", {}, has(FRESH), "GET", {"Cache-Control": "only-if-cached"}, None, "hit",
     "fresh for"),
    ("a client's no-cache, not heeded", {}, has(FRESH), "GET", {"Cache-Control": "no-cache"}, None,
     "hit", "fresh for"),
    ("a client's no-cache, heeded", {"site.client_no_cache": "yes"}, has({**FRESH, **TAG}), "GET",
     {"Cache-Control": "no-cache"}, CONFIRM, "validated", "the client asked for"),
    ("credentials", {}, nothing, "GET", {"Authorization": "Basic YQ=="}, ANEW, "fetched",
     "nothing is stored"),
    ("credentials, public", {}, has({"Cache-Control": "public, max-age=600"}), "GET",
     {"Authorization": "Basic YQ=="}, None, "hit", "fresh for"),
    ("If-Match", {}, nothing, "GET", {"If-Match": '"v1"'}, ANEW, "passed", "for the origin"),
    ("If-Match, fresh", {}, has({**FRESH, **TAG}), "GET", {"If-Match": '"v1"'}, None, "hit", "fresh for"),
    ("If-Match, fresh, another", {}, has({**FRESH, **TAG}), "GET", {"If-Match": '"v0"'}, ANEW,
     "passed", "a condition that only the origin"),
    ("another method", {}, has(FRESH), "POST", {}, ANEW, "passed", "not answered from a cache"),
    ("a site that is passed", {"site.pass": "yes"}, nothing, "GET", {}, ANEW, "passed",
     "the configuration passes"),
    ("another protocol", {}, nothing, "GET", {"Connection": "upgrade", "Upgrade": "websocket"}, ANEW,
     "passed", "another protocol"),
    ("TRACE", {}, nothing, "TRACE", {}, None, "refused", "405"),
    ("two lengths", {}, nothing, "GET", {"Content-Length": "x"}, None, "refused", "400"),
    ("the last hop", {}, nothing, "OPTIONS", {"Max-Forwards": "0"}, None, "local", "Max-Forwards"),
    ("one hop more", {}, nothing, "OPTIONS", {"Max-Forwards": "1"}, ANEW, "passed", "not answered from"),
    ("no number of hops", {}, nothing, "OPTIONS", {"Max-Forwards": "x"}, None, "refused", "400"),
    ("a purge", {}, has(FRESH), "PURGE", {}, None, "local", "purge"),
]


@pytest.mark.parametrize("why, settings, before, method, fields, answer, end, words", PREDICTIONS,
                         ids=[row[0] for row in PREDICTIONS])
def test_the_prediction_comes_true(origin, start_edge, why, settings, before, method, fields, answer,
                                   end, words):
    edge = start_edge(origin=origin.url, settings=settings)
    before(origin, edge)
    edge.expect_stats(requests_active=0, connections_open=0, fills_open=0)
    count, counters = origin.count(), edge.stats()
    said = explain(edge, method=method, fields=fields)
    verdict = said["verdict"]
    assert verdict["end"] == end, said
    assert words in verdict["sentence"], said
    assert origin.count() == count and changed(counters, edge.stats()) == {}, "explaining did something"

    if answer:
        origin.serve("/a", *answer)
    response = edge.request(method, "/a", fields)
    status = response.cache_status
    assert bool(status.hit) == verdict["hit"]
    assert (status.fwd or "") == verdict["fwd"]
    if verdict["detail"] and status.detail not in ("private", "authorization"):
        assert status.detail == verdict["detail"]
    if verdict["status"]:
        assert response.status == verdict["status"]
    check_origin(origin.requests[count:], end)


def changed(before, after):
    """Counters of traffic that moved, and reasons."""
    kinds = ("cache_", "origin_", "requests", "responses_", "store_puts", "store_removals")
    names = [name for name, kind in counter_names() if kind == "COUNTER" and name.startswith(kinds)]
    return {name: (before[name], after[name]) for name in names + reason_labels()
            if after[name] != before[name]}


def check_origin(requests, end):
    """What the origin was asked, by how it was to end."""
    if end in ("hit", "only-if-cached", "refused", "local"):
        assert requests == []
    elif end in ("validated", "stale"):
        assert [r["If-None-Match"] for r in requests] in ([], ['"v1"']) if end == "stale" else \
            requests[0]["If-None-Match"] == '"v1"'
    elif end in ("fetched", "fetched-alone"):
        assert len(requests) == 1 and requests[0].get("If-None-Match") is None
    else:
        assert len(requests) == 1


def test_an_object_on_its_way_in(origin, edge):
    """It is shared, and said to be."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/a")
    held = origin.next_request()
    said = explain(edge)
    assert said["verdict"]["end"] == "joined" and said["on_its_way"]
    assert "on its way in right now" in said["verdict"]["sentence"]
    second.send_request("GET", "/a")
    edge.wait_for(cache_collapsed=1)
    held.start(200, FRESH, length=5)
    first.read_head()
    assert "answered from the object" in explain(edge)["verdict"]["sentence"]
    assert explain(edge, fields={"X": "y"})["verdict"]["fwd"] == "uri-miss"
    held.send(b"hello")
    held.finish()
    assert second.read_response().cache_status.collapsed
    edge.wait_stored(1)
    edge.wait_until(lambda: explain(edge)["verdict"]["end"] == "hit", "a hit")
    assert not explain(edge)["on_its_way"]


def test_slices_of_a_large_object(origin, start_edge):
    """What of it is there, what is missing, and that it is told as what it will be."""
    edge = start_edge(origin=origin.url, settings={"site.slice_above": "1MB", "site.slice": "256KB"})
    large = Large(3 << 20)
    origin.serve_with("/a", large)
    edge.get("/a", {"Range": "bytes=2000000-2000009"})  # slice 7, from byte 1834336 on
    edge.wait_stored(2)
    for fields, end, needed in (({"Range": "bytes=1900000-1900009"}, "hit", 1), ({}, "completed", 13),
                                ({"Range": "bytes=2096300-2096400"}, "completed", 2),
                                ({"Range": "bytes=9999999-"}, "hit", 0),
                                ({"Range": "bytes=1900000-2200000", "Cache-Control": "only-if-cached"},
                                 "only-if-cached", 2)):
        said = explain(edge, fields=fields)
        verdict = said["verdict"]
        assert verdict["end"] == end and said["slices"]["needed"] == needed, said
        if end == "completed":
            assert f"of the {needed} slices it needs 1 is stored" in verdict["sentence"]
    for fields in ({"Range": "bytes=1900000-1900009"}, {"Range": "bytes=1000000-1000009"}):
        verdict = explain(edge, fields=fields)["verdict"]
        response = edge.get("/a", fields)
        assert (bool(response.cache_status.hit), response.cache_status.fwd or "", response.status) == \
            (verdict["hit"], verdict["fwd"], verdict["status"])


def test_the_content_of_a_query(origin, edge):
    """RFC 10008: it is part of what is looked up, so it is asked for; too large, it is passed."""
    fields = {"Content-Type": "text/plain"}
    origin.serve("/a", 200, FRESH, b"answer")
    edge.request("QUERY", "/a", fields, b"one")
    edge.wait_stored(1)
    for content, end in ((b"one", "hit"), (b"two", "fetched"), (b"x" * 20_000, "passed")):
        said = explain(edge, method="QUERY", fields=fields, content=content)
        assert said["verdict"]["end"] == end, said
        status = edge.request("QUERY", "/a", fields, content).cache_status
        assert (bool(status.hit), status.fwd or "") == (said["verdict"]["hit"], said["verdict"]["fwd"])
    edge.wait_stored(2)
    said = explain(edge, method="QUERY", fields=fields, content=b"thr%e\n")
    assert [variant["differs"]["field"] for variant in said["variants"]] == ["content"] * 2
    assert {"name": "content", "cookie": False, "value": "(a secret)"} in said["key"]["fields"]
    assert "two" not in json.dumps(said)
    assert explain(edge, method="QUERY")["verdict"]["end"] == "passed"  # without content it is none
    assert explain(edge, content=b"x")["verdict"]["reason"] == "REQUEST_BODY"
    assert ask(edge, method="QUERY", fields={**fields, "Content-Length": "3"}).status == 400
    done = ctl(edge, URL, "-X", "QUERY", "-H", "Content-Type: text/plain", "-d", "one")
    assert "would be answered from the store" in done.stdout


def test_another_variant_is_on_its_way(origin, edge):
    first = edge.client()
    first.send_request("GET", "/a", {"Accept-Language": "de"})
    held = origin.next_request()
    held.start(200, LANG, length=5)
    first.read_head()
    said = explain(edge, fields={"Accept-Language": "fr"})["verdict"]
    assert said["end"] == "fetched-alone" and said["fwd"] == "vary-miss"
    held.send(b"hello")
    held.finish()
    first.read_response()


def test_what_is_told_of_the_stored_object(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.keep": "1d"})
    stored(origin, edge, {"Cache-Control": "max-age=600, stale-if-error=3600, immutable", "Age": "100",
                          "Surrogate-Key": "red green", "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
                          **TAG})
    said = explain(edge)
    thing = said["object"]
    assert 100 <= thing["age_s"] < 110 and thing["lifetime_s"] == 600 and thing["lifetime_from"] == "max-age"
    assert thing["ttl_s"] == 600 - thing["age_s"]
    assert thing["fresh_until"].endswith("Z") and thing["stale_if_error_until"] > thing["fresh_until"]
    assert thing["stale_while_revalidate_until"] is None and thing["kept_until"] > thing["fresh_until"]
    assert thing["etag"] == '"v1"' and thing["last_modified"] == "1994-11-06T08:49:37Z"
    assert thing["tags"] == ["red", "green"] and thing["flags"] == ["immutable"]
    assert not thing["soft_purged"]
    edge.purge(tags=["red"], soft=True)
    thing = explain(edge)["object"]
    assert thing["soft_purged"] and thing["fresh_until"] is None


SOURCES = [
    ("s-maxage", {"Cache-Control": "s-maxage=60, max-age=5"}, {}),
    ("Expires", {"Expires": "Fri, 31 Dec 2100 00:00:00 GMT"}, {}),
    ("heuristic", {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, {}),
    ("default_ttl", {}, {"site.default_ttl": "1h"}),
    ("targeted field", {"CDN-Cache-Control": "max-age=60", "Cache-Control": "max-age=5"}, {}),
    ("status_ttl", {}, {"site.status_ttl": "200=1m"}),
]


@pytest.mark.parametrize("source, fields, settings", SOURCES, ids=[row[0] for row in SOURCES])
def test_where_the_lifetime_comes_from(origin, start_edge, source, fields, settings):
    edge = start_edge(origin=origin.url, settings=settings)
    stored(origin, edge, fields)
    assert explain(edge)["object"]["lifetime_from"] == source


def test_variants_and_how_they_differ(origin, edge):
    for language in ("de", "fr"):
        stored(origin, edge, LANG, {"Accept-Language": language})
    said = explain(edge, fields={"Accept-Language": "de"})
    assert [variant["used"] for variant in said["variants"]] == [False, True]
    differs = said["variants"][0]["differs"]
    assert (differs["field"], differs["stored"], differs["asked"]) == ("accept-language", "fr", "de")
    said = explain(edge)
    assert [variant["differs"]["asked"] for variant in said["variants"]] == [None, None]
    assert said["verdict"]["end"] == "fetched"


def test_the_key_and_its_fields(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"site.key_fields": "Device,X-Token",
                                                   "site.query_drop": "utm_*"})
    said = explain(edge, url="http://Site.TEST:80/a?utm_id=1&b=2",
                   fields={"Device": "tv", "X-Token": "hush"})
    assert said["key"]["text"] == "http://site.test/a?b=2" and len(said["key"]["hash"]) == 32
    assert [(field["name"], field["value"]) for field in said["key"]["fields"]] == \
        [("device", "tv"), ("x-token", "(a secret)")]


SECRETS = ["Cookie", "Authorization", "X-Api-Key", "X-Auth-Token"]


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_not_told(origin, edge, name):
    """That they differ, but not what they are: neither the stored one's nor the asked one's."""
    fields = {"Cache-Control": "public, max-age=600", "Vary": name}
    stored(origin, edge, fields, {name: "stored-c2VjcmV0"})
    response = ask(edge, fields={name: "asked-c2VjcmV0"})
    assert b"c2VjcmV0" not in response.body
    said = json.loads(response.body)
    assert said["variants"][0]["differs"]["field"] == name.lower()
    done = run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "explain", URL, "-H",
                    f"{name}: asked-c2VjcmV0")
    assert "differs" in done.stdout and "c2VjcmV0" not in done.stdout


SITES = """
listen "127.0.0.1:{port}" {{}}
admin "127.0.0.1:{admin_port}" {{}}
store {{ path = "{store}"  size = "64MB" }}
core_dumps = yes
origin "app" {{ server "{origin}" {{}} }}
site "named" {{ hosts = {{"a.test"}} }}
{rest}
"""


@pytest.mark.parametrize("rest, matched", [('site "rest" {}', "any host"), ("", None)],
                         ids=["a site for all", "none"])
def test_sites(origin, start_edge, tmp_path, rest, matched):
    """Whose request it is, and why; nobody's is refused."""
    ports = [free_port(), free_port()]
    config = tmp_path / "brink.conf"
    config.write_text(SITES.format(port=ports[0], admin_port=ports[1], store=tmp_path / "store",
                                   origin=origin.url.removeprefix("http://"), rest=rest))
    edge = start_edge(config=config, ports=ports)
    said = explain(edge, url="http://a.test/x")
    assert (said["site"]["name"], said["site"]["matched"]) == ("named", "host")
    said = explain(edge, url="http://b.test/x")
    if matched:
        assert (said["site"]["name"], said["site"]["matched"]) == ("rest", matched)
    else:
        assert said["site"] is None and said["verdict"]["status"] == 421
        assert edge.request("GET", "/x", host="b.test").status == 421


BAD = [
    ("nothing", "", "no URL is given"),
    ("no URL", "?url=nonsense", "absolute URL"),
    ("no scheme", "?url=site.test/a", "absolute URL"),
    ("user information", "?url=http://a:b@site.test/", "absolute URL"),
    ("a line break in the URL", "?url=http://site.test/%0d%0ax", "absolute URL"),
    ("no method", "?url=http://site.test/&method=G%20T", "a method"),
    ("no field", "?url=http://site.test/&header=nonsense", "Name: value"),
    ("a line break in a field", "?url=http://site.test/&header=A:%20b%0d%0aC:%20d", "Name: value"),
    ("Host", "?url=http://site.test/&header=Host:%20x", "the URL names the host"),
    ("too many fields", "?url=http://site.test/" + "&header=A:b" * 65, "64 at most"),
]


@pytest.mark.parametrize("why, query, words", BAD, ids=[row[0] for row in BAD])
def test_what_is_no_question_is_told(edge, why, query, words):
    response = edge.admin("GET", "/explain" + query)
    assert response.status == 400
    said = json.loads(response.body)
    assert words in said["error"] + said["hint"]


def test_it_wants_the_token(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"admin.token": "secret"})
    assert ask(edge).status == 401


# --- brinkctl


def ctl(edge, *words):
    return run_tool("brinkctl", "--admin", f"127.0.0.1:{edge.admin_port}", "explain", *words)


def test_brinkctl_explain(origin, edge):
    stored(origin, edge, {**FRESH, **TAG, "Surrogate-Key": "red"})
    done = ctl(edge, URL)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"GET {URL}"
    assert lines[1].startswith("  verdict    would be answered from the store: fresh for ")
    labels = {line[2:13].strip() for line in lines[1:]}
    assert {"verdict", "site", "key", "variant 1", "age", "fresh", "stale", "validators", "tags"} <= labels
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    done = ctl(edge, "-X", "POST", URL, "-H", "Accept: x/a", "-H", "X: y")
    assert "would be passed to the origin" in done.stdout
    assert json.loads(ctl(edge, URL, "--json").stdout)["verdict"]["end"] == "hit"


def test_brinkctl_explain_says_what_is_wrong(edge):
    for words in ([], [URL, URL], [URL, "-H"], [URL, "-Y"]):
        done = ctl(edge, *words)
        assert done.returncode == 2 and "brinkctl --help" in done.stderr, done
    done = ctl(edge, "nonsense")
    assert done.returncode == 1 and "absolute URL" in done.stderr


def test_brinkctl_explain_is_fit_for_a_terminal(origin, edge):
    stored(origin, edge, {**FRESH, "Vary": "X-A"}, {"X-A": "\x9b31m\xff"})
    done = ctl(edge, URL)
    assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0 for c in done.stdout), done.stdout
