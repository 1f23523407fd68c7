"""Forgetting on request: every form, at every moment, and for good."""

import json
import threading

import pytest

import h1
from client import Client
from edge import flatten

pytestmark = pytest.mark.tsan
FRESH = {"Cache-Control": "max-age=600"}


def url(path="/a", host="site.test"):
    return f"http://{host}{path}"


def store(origin, edge, *paths, fields=None, host="site.test"):
    """Have these paths answered, fetched and stored."""
    before = edge.stats()["store_puts"]
    for path in paths:
        origin.serve(path, 200, {**FRESH, **(fields or {})}, b"body of " + path.encode())
        assert edge.get(path, host=host).status == 200
    edge.wait_for(store_puts=before + len(paths))
    for path in paths:
        assert edge.get(path, host=host).cache_status.hit


def is_hit(edge, path, fields=None, host="site.test"):
    response = edge.get(path, fields, host=host)
    assert response.status == 200
    return response.cache_status.hit


def receipt(response):
    """The JSON object of an acknowledgement."""
    assert response.status == 200, f"{response.status} {response.body!r}"
    assert response["Content-Type"].startswith("application/json")
    value = json.loads(response.body)
    assert isinstance(value, dict) and value
    return value


# --- PURGE on the traffic port


def test_purge_method_takes_the_url_and_answers_a_receipt(origin, edge):
    store(origin, edge, "/a", "/b")
    receipt(edge.request("PURGE", "/a"))
    assert not is_hit(edge, "/a")
    assert is_hit(edge, "/b")
    assert all(held.method == "GET" for held in origin.requests), "PURGE is for brink alone"
    edge.expect_stats(purges=1)


def test_purge_method_in_absolute_form(origin, edge):
    store(origin, edge, "/a")
    receipt(edge.request("PURGE", "http://site.test/a", host="other.test"))
    assert not is_hit(edge, "/a")


def test_purge_method_minds_the_host_and_the_query(origin, edge):
    store(origin, edge, "/a", "/a?q=1")
    assert edge.request("PURGE", "/a", host="other.test").status == 404
    assert edge.request("PURGE", "/a?q=2").status == 404
    receipt(edge.request("PURGE", "/a?q=1"))
    assert is_hit(edge, "/a")
    assert not is_hit(edge, "/a?q=1")


def test_purge_of_nothing_is_404(edge):
    response = edge.request("PURGE", "/never")
    assert response.status == 404
    assert isinstance(json.loads(response.body), dict)


def test_purge_twice_is_404_the_second_time(origin, edge):
    store(origin, edge, "/a")
    receipt(edge.request("PURGE", "/a"))
    assert edge.request("PURGE", "/a").status == 404


def test_purge_method_from_an_address_not_allowed_is_403(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"purge_from": "127.0.0.7"})
    store(origin, edge, "/a")
    assert edge.request("PURGE", "/a").status == 403
    assert is_hit(edge, "/a")
    with Client(edge.port, source="127.0.0.7") as allowed:
        assert allowed.request("PURGE", "/a").status == 200
    assert not is_hit(edge, "/a")


def test_purge_takes_every_variant(origin, edge):
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Vary": "Accept-Language"}, held["Accept-Language"].encode()))
    languages = [{"Accept-Language": name} for name in ("de", "fr", "it")]
    for fields in languages:
        edge.get("/a", fields)
    edge.wait_stored(3)
    assert all(is_hit(edge, "/a", fields) for fields in languages)
    receipt(edge.request("PURGE", "/a"))
    assert not any(is_hit(edge, "/a", fields) for fields in languages)


def test_a_connection_goes_on_after_a_purge(origin, edge):
    store(origin, edge, "/a")
    client = edge.client()
    for method in ("GET", "PURGE", "GET", "PURGE", "PURGE"):
        client.send_request(method, "/a")
    answers = [client.read_response() for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404]
    assert [answers[i].cache_status.hit for i in (0, 2)] == [True, False]


# --- POST /purge


def test_purge_by_files(origin, edge):
    store(origin, edge, "/a", "/b", "/c")
    edge.purge(files=[url("/a"), url("/c")])
    assert [is_hit(edge, path) for path in ("/a", "/b", "/c")] == [False, True, False]


def test_purge_by_prefix(origin, edge):
    store(origin, edge, "/img/a", "/img/b?x=1", "/imgs", "/")
    edge.purge(prefixes=["site.test/img/"])
    assert [is_hit(edge, path) for path in ("/img/a", "/img/b?x=1", "/imgs", "/")] == \
        [False, False, True, True]


def test_purge_by_prefix_with_a_scheme(origin, edge):
    store(origin, edge, "/img/a")
    edge.purge(prefixes=["https://site.test/img/"])
    assert is_hit(edge, "/img/a")
    edge.purge(prefixes=["http://site.test/img/"])
    assert not is_hit(edge, "/img/a")


def test_purge_by_host(origin, edge):
    store(origin, edge, "/a", host="one.test")
    store(origin, edge, "/a", host="two.test")
    edge.purge(hosts=["one.test"])
    assert not is_hit(edge, "/a", host="one.test")
    assert is_hit(edge, "/a", host="two.test")


@pytest.mark.parametrize("name, value", [
    ("Surrogate-Key", "red green"), ("Cache-Tag", "red, green"), ("xkey", "red green")])
def test_purge_by_tag(origin, edge, name, value):
    """Tags come from the origin and are not for clients, on a miss nor on a hit."""
    origin.serve("/a", 200, {**FRESH, name: value}, b"a")
    origin.serve("/b", 200, {**FRESH, name: "blue"}, b"b")
    for path in ("/a", "/b"):
        assert name not in edge.get(path).fields
    edge.wait_stored(2)
    for path in ("/a", "/b"):
        response = edge.get(path)
        assert response.cache_status.hit and name not in response.fields
    edge.purge(tags=["green"])
    assert not is_hit(edge, "/a")
    assert is_hit(edge, "/b")


def test_tags_are_shown_when_the_operator_says_so(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"keep_tags": "yes"})
    store(origin, edge, "/a", fields={"Surrogate-Key": "red"})
    assert edge.get("/a")["Surrogate-Key"] == "red"


def test_purge_everything(origin, edge):
    store(origin, edge, "/a", "/b")
    edge.purge(purge_everything=True)
    assert not is_hit(edge, "/a")
    assert not is_hit(edge, "/b")


def test_purge_applies_to_what_was_stored_before_it_only(origin, edge):
    store(origin, edge, "/a")
    edge.purge(purge_everything=True)
    assert not is_hit(edge, "/a")
    edge.wait_stored(2)
    assert is_hit(edge, "/a")


SOFT = [{"files": ["http://site.test/a"]}, {"prefixes": ["site.test/"]}, {"hosts": ["site.test"]},
        {"tags": ["red"]}, {"purge_everything": True}]


@pytest.mark.parametrize("what", SOFT, ids=lambda what: next(iter(what)))
def test_soft_purge_marks_stale_and_a_304_makes_it_fresh(origin, edge, what):
    store(origin, edge, "/a", fields={"ETag": '"v1"', "Surrogate-Key": "red"})
    edge.purge(soft=True, **what)
    origin.forget("/a")
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-None-Match"] == '"v1"'
    held.reply(304, {**FRESH, "ETag": '"v1"'})
    response = client.read_response()
    assert (response.status, response.body) == (200, b"body of /a")
    assert response.cache_status.fwd == "stale"
    edge.wait_for(store_updates=1)
    assert is_hit(edge, "/a")


def test_soft_purge_without_a_validator_fetches_anew(origin, edge):
    store(origin, edge, "/a")
    edge.purge(files=[url()], soft=True)
    origin.serve("/a", 200, FRESH, b"new")
    assert edge.get("/a").body == b"new"


# --- at the wrong moment


PURGES = {
    "method": lambda edge: edge.request("PURGE", "/a"),
    "files": lambda edge: edge.purge(files=["http://site.test/a"]),
    "prefixes": lambda edge: edge.purge(prefixes=["site.test/"]),
    "hosts": lambda edge: edge.purge(hosts=["site.test"]),
    "tags": lambda edge: edge.purge(tags=["red"]),
    "everything": lambda edge: edge.purge(purge_everything=True),
    "soft": lambda edge: edge.purge(files=["http://site.test/a"], soft=True),
}


@pytest.mark.parametrize("how", PURGES)
def test_a_purge_during_a_fill_reaches_it(origin, edge, how):
    """It may finish for its readers; the next request asks the origin."""
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, {**FRESH, "Surrogate-Key": "red", "ETag": '"v1"'}, length=200000)
    held.send(b"x" * 100000)
    client.read_body(50000)
    PURGES[how](edge)
    held.send(b"x" * 100000)
    held.finish()
    assert client.read_response().body == b"x" * 200000
    client.send_request("GET", "/a")
    origin.next_request().reply(200, FRESH, b"new")
    response = client.read_response()
    assert (response.body, response.cache_status.hit) == (b"new", False)


def test_a_purge_before_the_head_reaches_the_fill(origin, edge):
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    edge.purge(tags=["red"])
    edge.purge(files=["http://site.test/b"])
    held.reply(200, {**FRESH, "Surrogate-Key": "red"}, b"old")
    assert client.read_response().body == b"old"
    client.send_request("GET", "/a")
    origin.next_request().reply(200, FRESH, b"new")
    assert client.read_response().body == b"new"


def test_who_asks_after_a_purge_does_not_join_the_old_fetch(origin, edge):
    """An acknowledged purge holds for every later request, also while the old answer is on its way."""
    before, after = edge.client(), edge.client()
    before.send_request("GET", "/a")
    held = origin.next_request()
    held.start(200, FRESH, length=3)
    held.send(b"o")
    before.read_body(1)
    edge.purge(files=["http://site.test/a"])
    after.send_request("GET", "/a")
    origin.next_request().reply(200, FRESH, b"new")
    assert after.read_response().body == b"new"
    held.send(b"ld")
    held.finish()
    assert before.read_response().body == b"old"
    assert edge.get("/a").body == b"new"


def test_a_reader_of_a_purged_object_gets_it_whole(origin, edge):
    """What is being sent when the purge comes is sent to its end."""
    body = bytes(range(256)) * 24576  # 6 MiB: more than the sockets hold
    origin.serve("/a", 200, FRESH, body)
    edge.get("/a")
    edge.wait_stored(1)
    slow = edge.client(rcvbuf=16384)
    slow.send_request("GET", "/a")
    assert slow.read_head().cache_status.hit
    edge.purge(purge_everything=True)
    assert not is_hit(edge, "/a")
    assert slow.read_response().body == body


@pytest.mark.parametrize("how", [name for name in PURGES if name != "soft"])
def test_a_purge_survives_kill_9(origin, edge, how):
    """It is on disk before it is acknowledged."""
    store(origin, edge, "/a", fields={"Surrogate-Key": "red"})
    PURGES[how](edge)
    edge.kill()
    edge.start()
    origin.serve("/a", 200, FRESH, b"new")
    response = edge.get("/a")
    assert (response.body, response.cache_status.hit) == (b"new", False)


def test_a_soft_purge_survives_kill_9(origin, edge):
    store(origin, edge, "/a", fields={"ETag": '"v1"'})
    PURGES["soft"](edge)
    edge.kill()
    edge.start()
    origin.serve("/a", 200, FRESH, b"new")
    response = edge.get("/a")
    assert (response.body, response.cache_status.hit) == (b"new", False)


def test_a_purge_does_not_come_back_for_later_objects(origin, edge):
    """After a restart a remembered purge must not take what was stored after it."""
    store(origin, edge, "/a", fields={"Surrogate-Key": "red"})
    for how in ("tags", "prefixes", "hosts", "everything"):
        PURGES[how](edge)
    store(origin, edge, "/a", fields={"Surrogate-Key": "red"})
    edge.kill()
    edge.start()
    assert is_hit(edge, "/a")


# --- what is refused


BAD = [
    ("not JSON", b"purge it"),
    ("cut short", b'{"files": ["http://site.test/a"'),
    ("trailing comma", b'{\n  "files": ["http://site.test/a",]\n}'),
    ("more than one value", b'{"purge_everything": true} {}'),
    ("empty", b""),
]


@pytest.mark.parametrize("why, body", BAD, ids=[why for why, _ in BAD])
def test_bad_json_is_400_with_the_position(origin, edge, why, body):
    store(origin, edge, "/a")
    response = edge.admin("POST", "/purge", body)
    assert response.status == 400
    text = response.body.decode().lower()
    assert "line" in text and any(ch.isdigit() for ch in text), text
    assert is_hit(edge, "/a")


WRONG = [
    ("not an object", ["http://site.test/a"]),
    ("nothing named", {}),
    ("soft alone", {"soft": True}),
    ("two at once", {"files": ["http://site.test/a"], "tags": ["red"]}),
    ("everything and files", {"purge_everything": True, "files": ["http://site.test/a"]}),
    ("unknown member", {"file": ["http://site.test/a"]}),
    ("known and unknown", {"files": ["http://site.test/a"], "force": True}),
    ("a text for a list", {"files": "http://site.test/a"}),
    ("a number in a list", {"files": [1]}),
    ("an empty list", {"files": []}),
    ("a relative file", {"files": ["/a"]}),
    ("everything, but no", {"purge_everything": False}),
    ("soft is not yes or no", {"files": ["http://site.test/a"], "soft": "yes"}),
]


@pytest.mark.parametrize("why, body", WRONG, ids=[why for why, _ in WRONG])
def test_a_purge_that_is_not_clear_is_400_and_does_nothing(origin, edge, why, body):
    store(origin, edge, "/a")
    response = edge.admin("POST", "/purge", body)
    assert response.status == 400
    assert isinstance(json.loads(response.body), dict)
    assert is_hit(edge, "/a")
    edge.expect_stats(purges=0)


def test_purge_by_get_is_405(edge):
    response = edge.admin("GET", "/purge")
    assert response.status == 405
    assert "POST" in response["Allow"]


def test_a_purge_larger_than_allowed_is_413(origin, start_edge):
    edge = start_edge(origin=origin.url, settings={"admin.body_max": "1KB"})
    response = edge.admin("POST", "/purge", {"files": ["http://site.test/" + "a" * 2000]})
    assert response.status == 413


def test_a_purge_cut_off_is_not_done(origin, edge):
    """A body that did not arrive whole is no order."""
    store(origin, edge, "/a")
    client = Client(edge.admin_port)
    client.send(b'POST /purge HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n{"purge_everything": true}')
    client.sock.shutdown(1)
    try:
        assert client.read_response().status >= 400
    except h1.Truncated:
        pass
    finally:
        client.close()
    assert is_hit(edge, "/a")


def test_many_urls_in_one_purge(origin, edge):
    paths = [f"/p{i}" for i in range(100)]
    store(origin, edge, *paths)
    edge.purge(files=[url(path) for path in paths[:99]])
    assert not any(is_hit(edge, path) for path in paths[:99])
    assert is_hit(edge, paths[99])


# --- on the traffic port, by tag


def test_purge_method_by_surrogate_key(origin, edge):
    store(origin, edge, "/a", fields={"Surrogate-Key": "red"})
    store(origin, edge, "/b", fields={"Surrogate-Key": "blue"})
    store(origin, edge, "/c")
    assert edge.request("PURGE", "/c", {"Surrogate-Key": "red green"}).status == 200
    assert [is_hit(edge, path) for path in ("/a", "/b", "/c")] == [False, True, True]


def test_purge_method_by_many_surrogate_keys(origin, edge):
    """All of them, or a refusal: never an acknowledgement of half."""
    store(origin, edge, "/a", fields={"Surrogate-Key": "k99"})
    keys = " ".join(f"k{i}" for i in range(100))
    response = edge.request("PURGE", "/", {"Surrogate-Key": keys})
    assert response.status in (200, 400, 413)
    assert is_hit(edge, "/a") == (response.status != 200)


@pytest.mark.parametrize("keys", ["", " ", "\t"], ids=["empty", "blank", "tab"])
def test_purge_method_by_no_surrogate_key(origin, edge, keys):
    store(origin, edge, "/a")
    assert edge.request("PURGE", "/a", {"Surrogate-Key": keys}).status == 400
    assert is_hit(edge, "/a")


def test_soft_purge_method(origin, edge):
    store(origin, edge, "/a", fields={"ETag": '"v1"'})
    receipt(edge.request("PURGE", "/a", {"Soft-Purge": "1"}))
    origin.serve_with("/a", lambda held: held.reply(304, {**FRESH, "ETag": held["If-None-Match"]}))
    response = edge.get("/a")
    assert (response.body, response.cache_status.fwd) == (b"body of /a", "stale")


def test_how_far_a_purge_has_come(origin, edge):
    store(origin, edge, "/a", "/b", fields={"Surrogate-Key": "red"})
    told = edge.purge(tags=["red"])
    path = f"/purge/{told['id']}"

    def finished():
        response = edge.admin("GET", path)
        assert response.status == 200
        return json.loads(response.body)

    edge.wait_until(lambda: finished().get("matched") == 2, "both are removed")
    assert edge.admin("GET", "/purge/123456789").status == 404
    assert edge.admin("GET", "/purge/x").status in (400, 404)


# --- while everything is in motion


class Versions:
    """An object that the origin changes all the time; readers, and one who purges after each change."""

    def __init__(self, origin):
        self.current = 0
        self.acknowledged = 0
        self.faults = []
        self.reads = 0
        self.over = threading.Event()
        origin.serve_with("/v", lambda held: held.reply(
            200, {**FRESH, "Surrogate-Key": "red"}, b"%d" % self.current))

    def read(self, edge):
        """Until told to stop: nothing older than the last acknowledged purge before the request."""
        try:
            with Client(edge.port) as client:
                while not self.over.is_set():
                    least = self.acknowledged
                    seen = int(client.get("/v").body)
                    self.reads += 1
                    if seen < least:
                        self.faults.append(f"{seen} was served after {least} was acknowledged")
        except (OSError, h1.Truncated):
            if not self.over.is_set():
                raise

    def advance(self, purge):
        self.current += 1
        version = self.current
        purge()
        self.acknowledged = version


@pytest.mark.edge(settings={"workers": "4"})
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("how", ["method", "keys", "files", "tags", "prefixes", "hosts", "everything"])
def test_nothing_older_than_an_acknowledged_purge_is_served(origin, edge, how, soft):
    """On any worker, whatever fetch was under way when the purge came. A soft one: what it names is
    validated with the origin, which has another by then."""
    fields = {"Soft-Purge": "1"} if soft else {}
    purges = {
        "method": lambda: edge.request("PURGE", "/v", fields),
        "keys": lambda: edge.request("PURGE", "/", {"Surrogate-Key": "blue red", **fields}),
        "files": lambda: edge.purge(files=["http://site.test/v"], soft=soft),
        "tags": lambda: edge.purge(tags=["red"], soft=soft),
        "prefixes": lambda: edge.purge(prefixes=["site.test/"], soft=soft),
        "hosts": lambda: edge.purge(hosts=["site.test"], soft=soft),
        "everything": lambda: edge.purge(purge_everything=True, soft=soft),
    }
    versions = Versions(origin)
    readers = [threading.Thread(target=versions.read, args=(edge,), daemon=True) for _ in range(8)]
    for reader in readers:
        reader.start()
    for _ in range(25):
        seen = versions.reads
        versions.advance(purges[how])
        edge.wait_until(lambda seen=seen: versions.reads > seen, "somebody reads it")
    versions.over.set()
    for reader in readers:
        reader.join()
    assert versions.faults == []
    assert int(edge.get("/v").body) == 25


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("what", [{"tags": ["red"]}, {"hosts": ["site.test"]}, {"files": ["http://site.test/v"]}],
                         ids=["tags", "hosts", "files"])
def test_who_joins_after_a_purge_is_not_given_what_came_before(origin, edge, what, soft):
    """The fetch under way had its answer before the purge; what that is labelled with shows later."""
    first, second = edge.client(), edge.client()
    first.send_request("GET", "/v")
    old = origin.next_request()
    edge.purge(**what, soft=soft)
    second.send_request("GET", "/v")
    if "files" not in what:
        edge.wait_for(cache_collapsed=1)
    old.reply(200, {**FRESH, "Surrogate-Key": "red"}, b"old")
    assert first.read_response().body == b"old"
    origin.next_request().reply(200, {**FRESH, "Surrogate-Key": "red"}, b"new")
    response = second.read_response()
    assert response.body == b"new"
    assert response.cache_status.collapsed == (False if "files" in what else "?0")  # RFC 9211 section 2.6


@pytest.mark.edge(settings={"store.batch_time": "1ms"})
def test_a_purge_holds_while_it_is_swept(origin, edge):
    """What a tag names is removed behind the receipt: no look-up may slip through meanwhile."""
    version = 0
    origin.serve_with("/a", lambda held: held.reply(
        200, {**FRESH, "Surrogate-Key": "red"}, b"%d" % version))
    clients = [edge.client() for _ in range(4)]
    admin = edge.keep(Client(edge.admin_port))  # kept: a thousand new ones would take most of the time

    def is_alone():
        return flatten(json.loads(admin.get("/stats").body))["store_objects"] == 1

    for _ in range(1500):
        while not (clients[0].get("/a").cache_status.hit and is_alone()):
            pass
        version += 1
        assert clients[1].request("PURGE", "/", {"Surrogate-Key": "red"}).status == 200
        assert [int(client.get("/a").body) for client in clients] == [version] * 4
