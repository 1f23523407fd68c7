"""What the origin gets of a request, byte for byte, and that nothing outside of the key steers it.

RFC 9110 sections 7.6 and 9.3.1, RFC 9111 section 2, RFC 8586. In the attacks the origin answers with
the very field that the attacker sent: what is stored then shows whether it came through.
"""

import re

import pytest

from client import request_bytes
from edge import ROOT

FRESH = {"Cache-Control": "max-age=600"}
NO_STORE = {"Cache-Control": "no-store"}
OURS = (b"Via: 1.1 brink\r\nCDN-Loop: brink; id=@\r\nX-Forwarded-For: 127.0.0.1\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: site.test\r\n")
ASKED = b"Accept-Encoding: identity\r\n" + OURS  # what may be stored: as the site says
HOST = b"Host: site.test\r\n"


def anew(head):
    """The head with this daemon's random number replaced."""
    return re.sub(rb"; id=[0-9a-f]{16}\r\n", b"; id=@\r\n", head)


def seen(origin, edge, raw):
    """What the origin gets of these bytes, and the client's status."""
    method = raw.split(b" ", 1)[0].decode()
    client = edge.client()
    client.send(raw)
    client.expect(method)
    held = origin.next_request()
    body = held.body
    held.reply(200, NO_STORE, b"done")
    assert client.read_response().status == 200
    return anew(held.head + b"\r\n\r\n") + body


def bystander(origin, edge):
    origin.serve("/bystander", 200, NO_STORE, b"mine")
    assert edge.get("/bystander").body == b"mine"


# --- what the origin sees


SEEN = [
    # why, what the client sends, what the origin gets
    ("9112-3.2.2 absolute form", b"GET http://SITE.test:80/a?b=%2F HTTP/1.1\r\nHost: other\r\n\r\n",
     b"GET /a?b=%2F HTTP/1.1\r\n" + HOST + ASKED),
    ("9112-3.2.4 asterisk form", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
     b"OPTIONS * HTTP/1.1\r\n" + HOST + OURS),
    ("9112-3.2.4 absolute form of a whole server", b"OPTIONS http://site.test HTTP/1.1\r\n" + HOST + b"\r\n",
     b"OPTIONS * HTTP/1.1\r\n" + HOST + OURS),
    ("9110-4.2.3 empty path", b"GET http://site.test?x HTTP/1.1\r\n" + HOST + b"\r\n",
     b"GET /?x HTTP/1.1\r\n" + HOST + ASKED),
    ("9110-7.6.1 hop-by-hop", b"GET /a HTTP/1.1\r\n" + HOST +
     b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
     b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nAccept: */*\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + b"Accept: */*\r\n" + ASKED),
    ("9110-7.6.1 named in another case, twice, over two lines", b"GET /a HTTP/1.1\r\n" + HOST +
     b"connection: X-ONE\r\nX-One: 1\r\nx-one: 2\r\nConnection: , x-two\r\nX-Two: 1\r\nX-Three: 1\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + b"X-Three: 1\r\n" + ASKED),
    ("9110-7.8 h2c", b"GET /a HTTP/1.1\r\n" + HOST +
     b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + ASKED),
    ("9113-3.1 HTTP2-Settings that Connection forgot", b"GET /a HTTP/1.1\r\n" + HOST +
     b"HTTP2-Settings: AAMAAABk\r\n\r\n", b"GET /a HTTP/1.1\r\n" + HOST + ASKED),
    ("9110-7.6.2 Max-Forwards of OPTIONS", b"OPTIONS /a HTTP/1.1\r\n" + HOST + b"Max-Forwards: 5\r\n\r\n",
     b"OPTIONS /a HTTP/1.1\r\n" + HOST + b"Max-Forwards: 4\r\n" + OURS),
    ("9110-7.6.2 Max-Forwards of GET", b"GET /a HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n" + ASKED),
    ("9110-7.6.3 Via, 8586-2 CDN-Loop of others", b"GET /a HTTP/1.1\r\n" + HOST +
     b"Via: 1.0 fred\r\nCDN-Loop: far.test; a=b\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + b"Via: 1.0 fred\r\nCDN-Loop: far.test; a=b\r\n" + ASKED),
    ("9110-8.6 a GET of no bytes", b"GET /a HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST + ASKED),
    ("9110-8.6 a POST of no bytes", b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
     b"POST /a HTTP/1.1\r\n" + HOST + OURS + b"Content-Length: 0\r\n"),
    ("9110-9.3.1 a GET with a body", b"GET /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
     b"GET /a HTTP/1.1\r\n" + HOST + OURS + b"Content-Length: 3\r\n"),
    ("9112-7.1 chunks are written anew", b"POST /a HTTP/1.1\r\n" + HOST +
     b"Transfer-Encoding: CHUNKED\r\nTrailer: X-T\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
     b"POST /a HTTP/1.1\r\n" + HOST + OURS + b"Transfer-Encoding: chunked\r\n"),
    ("9110-13, 9110-14 what is to be stored is wanted whole", b"GET /a HTTP/1.1\r\n" + HOST +
     b"Range: bytes=0-1\r\nIf-None-Match: \"a\"\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
     b"If-Range: \"a\"\r\n\r\n", b"GET /a HTTP/1.1\r\n" + HOST + ASKED),
    ("9110-12.5 preferences, cookies, credentials", b"GET /a HTTP/1.1\r\n" + HOST +
     b"Accept-Language: de\r\nCookie: a=b\r\nAuthorization: Basic eA==\r\nUser-Agent: x\r\n\r\n",
     b"GET /a HTTP/1.1\r\n" + HOST +
     b"Accept-Language: de\r\nCookie: a=b\r\nAuthorization: Basic eA==\r\nUser-Agent: x\r\n" + ASKED),
    ("steering fields of a POST", b"POST /a HTTP/1.1\r\n" + HOST +
     b"X-HTTP-Method-Override: DELETE\r\nX-Forwarded-For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n"
     b"Content-Length: 0\r\n\r\n", b"POST /a HTTP/1.1\r\n" + HOST + OURS + b"Content-Length: 0\r\n"),
]


@pytest.mark.parametrize("why, sent, want", SEEN, ids=[case[0] for case in SEEN])
def test_what_the_origin_sees(origin, edge, why, sent, want):
    assert seen(origin, edge, sent) == want + b"\r\n" + (b"abc" if b"abc" in sent else b"")
    bystander(origin, edge)


TARGETS = ["/", "/a", "/a?", "/a?b", "/a?b?c=/", "//a", "/a//b", "/%41", "/%61", "/%2e%2E/a", "/a;b",
           "/a/../b", "/a/./b", "/A", "/a%20b", "/a%00b", "/a?x=%3F", "/~a!$&'()*+,=:@"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_asked_for_as_it_came_and_is_a_key_of_its_own(origin, edge, target):
    """RFC 9111 section 2: byte for byte, and no two keys for one answer or the other way round."""
    origin.serve_all(lambda _: True, lambda held: held.reply(200, FRESH, held.target.encode()))
    for other in TARGETS:
        edge.get(other)
    edge.wait_stored(len(TARGETS))
    answer = edge.get(target)
    assert answer.cache_status.hit and answer.body == target.encode()
    edge.purge(files=[f"http://site.test{target}"])
    assert not edge.get(target).cache_status.hit
    assert sum(edge.get(other).cache_status.hit for other in TARGETS if other != target) == \
        len(TARGETS) - 1


@pytest.mark.parametrize("host, same", [
    ("SITE.test", True), ("site.test:80", True), ("site.test:", True), ("site.test:080", True),
    ("site.test.", False), ("site.test:8080", False), ("www.site.test", False)])
def test_hosts_of_one_key(origin, edge, host, same):
    """RFC 9110 section 4.2.3: the case and the default port say nothing; all else is another host."""
    origin.serve_with("/a", lambda held: held.reply(200, FRESH, held["Host"].encode()))
    assert edge.get("/a").body == b"site.test"
    edge.wait_stored(1)
    answer = edge.get("/a", host=host)
    assert (answer.body == b"site.test", answer.cache_status.hit) == (same, same)
    if not same:
        assert answer.body == host.encode()


# --- poison


def table():
    """The names of steering.def; of a prefix, one that begins so."""
    text = (ROOT / "include/http/steering.def").read_text()
    rows = re.findall(r'^STEER\((\w+),\s*"([^"]+)"\)', text, re.M)
    assert len(rows) > 60
    return [name if form == "WHOLE" else name + "evil" for form, name in rows]


HOSTILE = ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Port",
           "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl",
           "X-Forwarded-Uri", "X-Forwarded-By", "X-Forwarded", "Forwarded", "X-Original-URL",
           "X-Original-Host", "X-Rewrite-URL", "X-Host", "X-HTTP-Host-Override", "X-HTTP-Method",
           "X-HTTP-Method-Override", "X-Method-Override", "X-Real-IP", "True-Client-IP", "Client-IP",
           "CF-Connecting-IP", "Front-End-Https", "Proxy", "Client-Cert", "X-Remote-User", "X-Sendfile-Type",
           "Surrogate-Capability", "X_Forwarded_Host", "x_original_url",
           "X.Forwarded.Host", "X-Forwarded_Host", "Accept_Language", "HTTP2-Settings",
           "Proxy-Authorization", "Keep-Alive", "TE"]


def reflect(name):
    """An application that builds its page by the field."""
    def answer(held):
        values = held.fields.all(name)
        held.reply(200, FRESH, b"links to " + " ".join(values).encode())
    return answer


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_field_does_not_poison(origin, edge, name):
    origin.serve_with("/a", reflect(name))
    attack = edge.get("/a", {name: "evil.test"})
    assert b"evil" not in attack.body
    edge.wait_stored(1)
    victim = edge.get("/a")
    assert victim.cache_status.hit and b"evil" not in victim.body


def test_no_name_of_the_table_reaches_the_origin(origin, edge):
    """All of steering.def in requests of 80 fields, in small letters and large."""
    names = table()
    for at in range(0, len(names), 40):
        fields = [(name, "evil.test") for name in names[at:at + 40]]
        fields += [(name.upper(), "evil.test") for name in names[at:at + 40]]
        assert b"evil" not in seen(origin, edge, request_bytes("GET", f"/{at}", fields))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FROB"])
def test_no_method_lets_them_through(origin, edge, method):
    raw = request_bytes(method, "/a", {"X-Original-URL": "/evil", "X-Forwarded-Host": "evil.test",
                                       "X_Forwarded_Host": "evil.test", "Content-Length": "0"})
    client = edge.client()
    client.send(raw)
    client.expect(method)
    held = origin.next_request()
    held.reply(200, NO_STORE)
    client.read_response()
    assert b"evil" not in held.head


@pytest.mark.parametrize("name", ["Host", "Cache-Control", "Authorization", "Cookie", "Content-Length",
                                  "X-Forwarded-For", "X-Forwarded-Host", "Range", "If-None-Match",
                                  "Via", "CDN-Loop", "Max-Forwards", "Expect", "Age", "Vary"])
def test_connection_cannot_take_a_known_field_away(origin, edge, name):
    """RFC 9110 section 7.6.1, RFC 8586 section 2: meant for every recipient."""
    client = edge.client()
    client.send(request_bytes("GET", "/a", {"Connection": f"close, {name}", "Cookie": "a=b"}))
    client.expect("GET")
    assert client.read_response().status == 400
    client.expect_closed()
    assert origin.count() == 0
    bystander(origin, edge)


@pytest.mark.parametrize("name", ["Accept-Language", "Origin", "X-Device"])
def test_connection_does_not_poison_a_variant(origin, edge, name):
    """The origin did not see the field, so its answer is not that variant's."""
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": name}, (held.get(name) or "default").encode()))
    attack = edge.get("/a", {name: "de", "Connection": name})
    assert attack.body == b"default"
    edge.wait_stored(1)
    assert edge.get("/a", {name: "de"}).body == b"de"
    assert edge.get("/a").body == b"default"


def test_connection_names_what_is_keyed(origin, start_edge):
    """Without the field for the origin, without it for the key."""
    edge = start_edge(origin=origin.url, settings={"site.key_fields": "X-Device"})
    origin.serve_with("/a", reflect("X-Device"))
    assert edge.get("/a", {"X-Device": "tv", "Connection": "x-device"}).body == b"links to "
    edge.wait_stored(1)
    assert edge.get("/a", {"X-Device": "tv"}).body == b"links to tv"
    assert edge.get("/a").cache_status.hit


def test_vary_by_the_peers_address_is_not_stored(origin, edge):
    """brink writes X-Forwarded-For, and it is in no key."""
    origin.serve("/a", 200, {**FRESH, "Vary": "X-Forwarded-For"}, b"for 127.0.0.1")
    for _ in range(2):
        status = edge.get("/a").cache_status
        assert not status.hit and status.detail == "vary-star"


@pytest.mark.parametrize("fields", [
    {"Range": "bytes=0-1"}, {"If-None-Match": '"a"'}, {"If-None-Match": "*"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, {"If-Range": '"a"', "Range": "bytes=1-"},
    {"Cache-Control": "no-store"}, {"Cache-Control": "max-age=0"}, {"Pragma": "no-cache"},
    {"Expect": "100-continue"}, {"Max-Forwards": "0"}], ids=str)
def test_what_brink_understands_makes_no_variant(origin, edge, fields):
    """RFC 9110 sections 13 and 14: whatever the first client asked for, the next gets the whole."""
    def answer(held):
        if "Range" in held.fields:
            held.reply(206, {**FRESH, "Content-Range": "bytes 0-1/5"}, b"wh")
        elif any(name.startswith("if-") for name in held.fields.names()):
            held.reply(304, FRESH)
        else:
            held.reply(200, {**FRESH, "ETag": '"a"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"},
                       b"whole")

    origin.serve_with("/a", answer)
    edge.get("/a", fields)
    edge.wait_stored(1)
    victim = edge.get("/a")
    assert (victim.status, victim.body) == (200, b"whole") and victim.cache_status.hit


# --- loops, Max-Forwards


def test_a_request_that_comes_back_ends_at_once(start_edge):
    """RFC 8586: the origin is brink itself."""
    edge = start_edge(origin="http://127.0.0.1:1")
    edge.stop()
    edge.origin = f"http://127.0.0.1:{edge.port}"
    edge.start()
    answer = edge.get("/a")
    assert answer.status == 508
    edge.expect_stats(requests_looped=1, requests=2)
    assert edge.get("/b").status == 508


def test_a_loop_over_two_nodes_ends(start_edge):
    first, second = start_edge(origin="http://127.0.0.1:1"), start_edge(origin="http://127.0.0.1:1")
    for one, other in ((first, second), (second, first)):
        one.stop()
        one.origin = f"http://127.0.0.1:{other.port}"
    first.start()
    second.start()
    assert first.get("/a").status == 508
    first.expect_stats(requests_looped=1)
    second.expect_stats(requests_looped=0, requests=1)


@pytest.mark.parametrize("times, status", [(0, 200), (1, 200), (4, 200), (5, 508)])
def test_via_alone_ends_a_loop_too(origin, edge, times, status):
    """RFC 9110 section 7.6.3: nodes in a row may have one name, but not without end."""
    origin.serve("/a", 200, NO_STORE, b"a")
    via = ", ".join(["1.1 other", "HTTP/1.1 brinks"] + ["1.1 BRINK (a, b)"] * times)
    assert edge.get("/a", {"Via": via}).status == status


def test_nodes_in_a_row_are_no_loop(origin, edge, start_edge):
    origin.serve("/a", 200, FRESH, b"a")
    outer = start_edge(origin=f"http://127.0.0.1:{edge.port}")
    assert outer.get("/a").body == b"a"
    assert outer.get("/a", {"CDN-Loop": "brink; id=0000000000000000"}).body == b"a"


def test_the_last_hop_answers_options(origin, edge):
    """RFC 9110 section 7.6.2."""
    answer = edge.request("OPTIONS", "/a", {"Max-Forwards": "0"})
    assert answer.status == 200 and "GET" in answer["Allow"] and answer.body == b""
    assert edge.request("OPTIONS", "*", {"Max-Forwards": "000"}).status == 200
    assert origin.count() == 0


@pytest.mark.parametrize("value", ["", "-1", "1, 2", "x", "1.0", "99999999999999999999999"])
def test_a_malformed_max_forwards_is_refused(origin, edge, value):
    assert edge.request("OPTIONS", "/a", {"Max-Forwards": value}).status == 400
    assert edge.request("OPTIONS", "/a", [("Max-Forwards", "1"), ("Max-Forwards", "1")]).status == 400
    assert origin.count() == 0


# --- fields in the key


KEYED = {"site.key_fields": "X-Forwarded-Host,X_Device"}
VARIANTS = [
    [],
    [("X-Forwarded-Host", "")],
    [("X-Forwarded-Host", "a")],
    [("X-Forwarded-Host", "A")],
    [("X-Forwarded-Host", "a, b")],
    [("X-Forwarded-Host", "a,b")],
    [("X-Forwarded-Host", "a"), ("X-Forwarded-Host", "b")],
    [("X-Forwarded-Host", "b"), ("X-Forwarded-Host", "a")],
    [("X-Forwarded-Host", "a"), ("X-Forwarded-Host", "")],
    [("X_Device", "a")],
    [("X-Forwarded-Host", "a"), ("X_Device", "b")],
    [("X-Forwarded-Host", "b"), ("X_Device", "a")],
    [("X-Forwarded-Host", "a =x_device: b")],
]


def told(fields):
    """The body that says which variant the origin answered."""
    hosts = [value for name, value in fields if name == "X-Forwarded-Host"] or ["site.test"]
    devices = [value for name, value in fields if name == "X_Device"]
    return repr((hosts, devices)).encode()


def tell(held):
    held.reply(200, FRESH, repr((held.fields.all("X-Forwarded-Host"),
                                 held.fields.all("X_Device"))).encode())


def store_variants(origin, edge):
    origin.serve_with("/a", tell)
    for fields in VARIANTS:
        assert edge.get("/a", fields).body == told(fields)
    edge.wait_stored(len(VARIANTS))


def test_each_combination_of_keyed_values_is_stored_by_itself(origin, start_edge):
    edge = start_edge(origin=origin.url, settings=KEYED)
    store_variants(origin, edge)
    for fields in VARIANTS:
        answer = edge.get("/a", fields)
        assert answer.cache_status.hit and answer.body == told(fields)
        head = edge.request("HEAD", "/a", fields)
        assert head.cache_status.hit and head["Content-Length"] == str(len(told(fields)))
    assert origin.count() == len(VARIANTS)


@pytest.mark.parametrize("forget", [
    lambda edge: edge.request("PURGE", "/a"),
    lambda edge: edge.request("PURGE", "/a", {"X-Forwarded-Host": "a"}),
    lambda edge: edge.purge(files=["http://site.test/a"]),
    lambda edge: edge.purge(prefixes=["site.test/"]),
    lambda edge: edge.purge(hosts=["site.test"]),
    lambda edge: edge.request("DELETE", "/a"),
], ids=["PURGE", "PURGE with a value", "files", "prefixes", "hosts", "9111-4.4 unsafe method"])
def test_a_purge_takes_every_combination(origin, start_edge, forget):
    edge = start_edge(origin=origin.url, settings=KEYED)
    store_variants(origin, edge)
    assert getattr(forget(edge), "status", 200) == 200
    for fields in VARIANTS:
        assert not edge.get("/a", fields).cache_status.hit


def test_keyed_values_coalesce_each_by_itself(origin, start_edge):
    """Who asks with another value neither waits for the first nor goes alone."""
    edge = start_edge(origin=origin.url, settings=KEYED)
    groups = {"a": [], "b": []}
    held = {}
    for name, clients in groups.items():
        for _ in range(3):
            client = edge.client()
            client.send_request("GET", "/a", {"X-Forwarded-Host": name})
            clients.append(client)
            if name not in held:
                held[name] = origin.next_request()
    edge.wait_for(cache_collapsed=4)
    for name in ("b", "a"):
        tell(held[name])
        for client in groups[name]:
            assert client.read_response().body == told([("X-Forwarded-Host", name)])
    assert origin.count() == 2


def test_a_keyed_variant_is_validated_as_itself(origin, start_edge):
    """RFC 9111 section 4.3: the 304 of one combination refreshes that one."""
    edge = start_edge(origin=origin.url, settings=KEYED)

    def answer(held):
        etag = '"%s"' % held["X-Forwarded-Host"]
        if held.get("If-None-Match") == etag:
            held.reply(304, {**FRESH, "ETag": etag})
        else:
            held.reply(200, {"Cache-Control": "max-age=10", "Age": "60", "ETag": etag}, etag.encode())

    origin.serve_with("/a", answer)
    for name in ("a", "b"):
        assert edge.get("/a", {"X-Forwarded-Host": name}).body == f'"{name}"'.encode()
    edge.wait_stored(2)
    for name in ("a", "b"):
        again = edge.get("/a", {"X-Forwarded-Host": name})
        assert again.body == f'"{name}"'.encode() and again.cache_status.fwd_status == 304
    edge.wait_for(store_updates=2)
    for name in ("a", "b"):
        third = edge.get("/a", {"X-Forwarded-Host": name})
        assert third.cache_status.hit and third.body == f'"{name}"'.encode()


def test_what_was_stored_under_another_list_of_fields_is_not_used(origin, start_edge):
    edge = start_edge(origin=origin.url, settings=KEYED)
    store_variants(origin, edge)
    for settings in ({}, {"site.key_fields": "X_Device"}, KEYED):
        edge.settings = settings
        edge.restart()
        first = edge.get("/a", {"X-Forwarded-Host": "a"})
        assert first.cache_status.hit == (settings == KEYED)
        assert first.body == told([("X-Forwarded-Host", "a" if settings == KEYED else "site.test")])


def test_keyed_fields_and_vary_together(origin, start_edge):
    edge = start_edge(origin=origin.url, settings=KEYED)
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": "Accept-Language, X-Forwarded-Host"},
        f'{held["X-Forwarded-Host"]} {held["Accept-Language"]}'.encode()))
    asked = [{"X-Forwarded-Host": host, "Accept-Language": language}
             for host in ("a", "b") for language in ("de", "fr")]
    for fields in asked:
        edge.get("/a", fields)
    edge.wait_stored(4)
    for fields in asked:
        answer = edge.get("/a", fields)
        assert answer.cache_status.hit and answer.body == " ".join(fields.values()).encode()


def test_keyed_fields_go_on_with_a_request_that_passes(origin, start_edge):
    edge = start_edge(origin=origin.url, settings=KEYED)
    got = seen(origin, edge, request_bytes("POST", "/a", {
        "X-Forwarded-Host": "a.test", "X_Device": "tv", "X-Original-URL": "/evil"}, b"x"))
    assert b"X-Forwarded-Host: a.test\r\n" in got and b"X_Device: tv\r\n" in got
    assert got.count(b"X-Forwarded-Host") == 1 and b"evil" not in got


def test_a_site_that_is_passed_gets_what_came(origin, start_edge):
    """But for the three fields that brink writes, under whatever spelling."""
    edge = start_edge(origin=origin.url, settings={"site.pass": "yes"})
    got = seen(origin, edge, request_bytes("GET", "/a", [
        ("X-Original-URL", "/b"), ("Forwarded", "for=1"), ("X_Device", "tv"), ("X-Real-IP", "1.2.3.4"),
        ("X-Forwarded-For", "6.6.6.6"), ("X_Forwarded_For", "6.6.6.6"), ("x-forwarded_host", "evil"),
        ("X-Forwarded-Proto", "https")]))
    assert got == (
        b"GET /a HTTP/1.1\r\n" + HOST + b"X-Original-URL: /b\r\nForwarded: for=1\r\nX_Device: tv\r\n"
        b"X-Real-IP: 1.2.3.4\r\n" + OURS + b"\r\n")


@pytest.mark.edge(settings={"store.variants_max": "20", "site.key_fields": "X-Forwarded-Host"})
def test_made_up_variants_do_not_pile_up(origin, edge):
    """Of one URL so many are kept; one that is used stays."""
    origin.serve_with("/a", tell)
    edge.get("/a")
    edge.wait_stored(1)
    assert edge.get("/a").cache_status.hit
    for i in range(60):
        assert edge.get("/a", {"X-Forwarded-Host": str(i)}).status == 200
        edge.wait_stored(2 + i)
    edge.expect_stats(store_objects=20, store_variants_dropped=41)
    assert edge.get("/a").cache_status.hit
    assert edge.get("/a", {"X-Forwarded-Host": "59"}).cache_status.hit
    assert not edge.get("/a", {"X-Forwarded-Host": "0"}).cache_status.hit


# --- GET with a body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_keeps_a_request_out_of_the_store(origin, edge, method, chunked):
    """RFC 9110 section 9.3.1: passed on with its body; neither answered from the store nor kept."""
    origin.serve("/a", 200, FRESH, b"clean")
    edge.get("/a")
    edge.wait_stored(1)
    origin.forget("/a")
    client = edge.client()
    client.send(request_bytes(method, "/a", None, [b"evil"] if chunked else b"evil", chunked=chunked))
    client.expect(method)
    held = origin.next_request()
    assert held.body == b"evil"
    held.reply(200, FRESH, b"answer to evil")
    answer = client.read_response()
    assert (answer.cache_status.hit, answer.cache_status.fwd) == (False, "request")
    victim = edge.get("/a")
    assert victim.cache_status.hit and victim.body == b"clean"
    edge.expect_stats(store_puts=1)


def test_requests_with_bodies_are_not_coalesced(origin, edge):
    clients = [edge.client() for _ in range(3)]
    held = []
    for i, client in enumerate(clients):
        client.send(request_bytes("GET", "/a", None, b"body %d" % i))
        client.expect("GET")
        held.append(origin.next_request())
    plain = edge.client()
    plain.send_request("GET", "/a")
    held.append(origin.next_request())
    bodies = [one.body for one in held]
    assert bodies == [b"body 0", b"body 1", b"body 2", b""]
    for one, body in zip(held, bodies):
        one.reply(200, FRESH, b"for " + body)
    for client, body in zip(clients + [plain], bodies):
        assert client.read_response().body == b"for " + body
    edge.wait_stored(1)
    assert edge.get("/a").body == b"for "


# --- errors that an odd request provoked


ERRORS = [400, 401, 402, 403, 405, 406, 408, 409, 411, 413, 414, 415, 417, 418, 421, 422, 425,
          426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 511, 520, 599]
GUESSED = {405, 414, 501}  # by Last-Modified: RFC 9110 section 15.1 names them; rules_test.py
PUBLIC = {506, 520, 599}  # no error of RFC 9110: stored by Last-Modified when public
ODD = {"X-Oversized": "x" * 4000, "Content-Type": "evil"}


@pytest.mark.parametrize("fields", [
    {}, {"Cache-Control": "public"}, {"Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT"},
    {"ETag": '"a"'}, {"Cache-Control": "public", "Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT"}],
    ids=["nothing", "public", "Last-Modified", "ETag", "public and Last-Modified"])
def test_9110_15_1_an_error_without_freshness_is_nobody_elses(origin, start_edge, fields):
    """Neither by heuristics nor by default_ttl, but where the origin's word is beyond doubt."""
    meant = GUESSED if "Last-Modified" in fields else set()
    meant = meant | PUBLIC if len(fields) == 2 else meant
    edge = start_edge(origin=origin.url, settings={"site.default_ttl": "1h"})
    origin.serve_all(lambda _: True, lambda held: (
        held.reply(int(held.target[1:]), fields, b"odd") if "X-Oversized" in held.fields
        else held.reply(200, FRESH, b"fine")))
    client = edge.client()
    for status in (status for status in ERRORS if status not in meant):
        attack = client.get(f"/{status}", ODD)
        assert attack.status == status and not attack.cache_status.stored, status
        victim = client.get(f"/{status}")
        assert (victim.status, victim.body) == (200, b"fine"), status


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_kept_when_the_operator_says_so(origin, start_edge, status):
    origin.serve("/a", status, None, b"gone")
    assert not start_edge(origin=origin.url).get("/a").cache_status.stored
    edge = start_edge(origin=origin.url, settings={"site.default_ttl": "1h"})
    assert edge.get("/a").cache_status.stored
    edge.wait_stored(1)
    assert edge.get("/a").cache_status.hit


@pytest.mark.parametrize("status", [400, 403, 405, 414, 451, 500, 501, 503])
@pytest.mark.parametrize("name, value", [("Cache-Control", "max-age=60"), ("Cache-Control", "s-maxage=60"),
                                         ("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")])
def test_an_error_with_freshness_of_its_own_is_stored(origin, edge, status, name, value):
    origin.serve("/a", status, {name: value}, b"so be it")
    edge.get("/a")
    edge.wait_stored(1)
    assert edge.get("/a").cache_status.hit
