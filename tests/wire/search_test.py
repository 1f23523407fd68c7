"""No-Vary-Search: URLs that the origin says are one share a stored response.

draft-ietf-httpbis-no-vary-search. The origin is asked with the query as it came; what is learned of a path holds for
its next requests.
"""

import json
import urllib.parse

import pytest

LONG = {"Cache-Control": "max-age=600"}
UTM = {**LONG, "No-Vary-Search": 'params=("utm" "ref")'}


class Site:
    """An origin whose page for every URL has these fields and quotes its target."""

    def __init__(self, origin, edge, fields=UTM):
        self.origin, self.edge, self.fields = origin, edge, fields
        origin.serve_all(lambda target: True, self.answer)

    def answer(self, held):
        fields = self.fields(held) if callable(self.fields) else self.fields
        held.reply(200, fields, held.target.encode())

    def ask(self, target, fields=None):
        """What the response quotes: the target that the origin was asked for. Waits for commits."""
        puts = self.edge.stats()["store_puts"]
        response = self.edge.get(target, fields)
        assert response.status == 200
        if response.cache_status.stored:
            self.edge.wait_for(store_puts=puts + 1)
        return response.body.decode()

    def asked(self, target, fields=None):
        """True: the origin was asked, for exactly this."""
        before = self.origin.count()
        seen = self.ask(target, fields)
        fresh = self.origin.count() > before
        assert not fresh or (seen == target and self.origin.targets()[-1] == target)
        return fresh


@pytest.fixture
def site(origin, edge):
    return Site(origin, edge)


SAME = [
    # why, rule, the first URL, one that is the same, one that is not
    ("4: named parameters", 'params=("utm")', "/a?id=1&utm=2", "/a?utm=3&id=1", "/a?id=2"),
    ("4: named ones alone", 'params=("utm")', "/a?utm=1", "/a?utm=2&utm", "/a?ut=1"),
    ("4: none at all", 'params=("utm")', "/a?utm=1", "/a", "/a?b"),
    ("4: one for another's", 'params=("utm")', "/a", "/a?utm=1", "/a?x"),
    ("4: all parameters", "params", "/a?b=1", "/a?c=2&d", "/b?b=1"),
    ("4: all but", 'params, except=("id")', "/a?id=1&b=1", "/a?c=2&id=1", "/a?id=2&b=1"),
    ("4: the order of names", "key-order", "/a?b=1&a=2", "/a?a=2&b=1", "/a?a=1&b=2"),
    ("4: not that of values", "key-order", "/a?a=1&a=2&b=1", "/a?b=1&a=1&a=2", "/a?a=2&a=1&b=1"),
    ("4: both", 'key-order, params=("utm")', "/a?b=1&utm=3&a=2", "/a?a=2&b=1", "/a?b=2&a=1"),
    ("4.3: encoded names", 'params=("%c3%a9+x")', "/a?%C3%A9%20x=1", "/a?%C3%A9+x=2", "/a?x=1"),
    ("6: decoded values", 'params=("utm")', "/a?q=x%20y", "/a?%71=x+y&utm=1", "/a?q=xy"),
    ("6: empty values", 'params=("utm")', "/a?b&&", "/a?b=", "/a?b=b"),
    ("RFC 9651 3.2: the last counts", 'params, params=("utm"), x', "/a?utm=1", "/a?utm=2", "/a?b=2"),
]


@pytest.mark.parametrize("why, rule, first, same, other", SAME, ids=[row[0] for row in SAME])
def test_one_for_all_that_are_the_same(site, why, rule, first, same, other):
    site.fields = {**LONG, "No-Vary-Search": rule}
    assert site.asked(first)  # nothing is known yet, and yet it is stored for all
    assert site.ask(same) == first and site.ask(first) == first
    assert site.asked(other)
    assert site.origin.count() == 2
    assert site.edge.get(same)["No-Vary-Search"] == rule  # for the caches behind us


NONE = ["unknown-key", 'key-order="not a boolean"', 'params="neither boolean nor list"', "params=(not-a-string)",
        'params=("utm"), except=("x")', "params=(), except=()", 'params=?0, except=("x")',
        "params, except=(not-a-string)", 'params, except="no list"', "params, except=?1", 'except=("x")', "params=?0",
        "params=()", "key-order=?0", "params=(\"utm\"", 'params=("' + "u" * 2000 + '")']


@pytest.mark.parametrize("rule", NONE)
def test_what_is_no_rule_changes_nothing(site, rule):
    """Sections 4.1 and 4.2: anything odd, and each URL is one of its own."""
    site.fields = {**LONG, "No-Vary-Search": rule}
    assert site.asked("/a?b=1&utm=1") and site.asked("/a?b=1&utm=2") and site.asked("/a?utm=1&b=1")
    assert not site.asked("/a?b=1&utm=1")
    site.edge.expect_stats(search_rules_learned=0)


@pytest.mark.edge(settings={"site.no_vary_search": "no"})
def test_a_site_may_leave_it(site):
    assert site.asked("/a?utm=1") and site.asked("/a?utm=2") and not site.asked("/a?utm=2")


@pytest.mark.parametrize("status, fields", [(404, UTM), (200, {**UTM, "Cache-Control": "private"}),
                                            (200, {**UTM, "Cache-Control": "no-store"})])
def test_a_rule_comes_of_what_is_stored_and_successful(origin, edge, status, fields):
    origin.serve("/a", status, fields, b"x")
    for i in range(2):
        edge.get(f"/a?utm={i}")
    assert origin.count() == 2
    edge.expect_stats(search_rules_learned=0)


def test_a_post_brings_no_rule(site):
    assert site.edge.request("POST", "/a?utm=1", body=b"x").status == 200
    site.edge.expect_stats(search_rules_learned=0)


def test_a_path_has_a_rule_of_its_own(site):
    site.fields = lambda held: UTM if held.target.startswith("/a") else LONG
    assert site.asked("/a?utm=1") and not site.asked("/a?utm=2")
    assert site.asked("/b?utm=1") and site.asked("/b?utm=2")
    host = {"Host": "other.test"}
    assert site.asked("/a?utm=3", host) and not site.asked("/a?utm=4", host)


def test_a_response_without_the_rule_is_for_its_url_alone(site):
    """Section 7: what is reused goes by the stored response's own rule."""
    site.fields = lambda held: UTM if "id=1" in held.target else LONG
    assert site.asked("/a?id=1&utm=1")
    assert site.asked("/a?id=2&utm=1") and site.asked("/a?id=2&utm=2")  # looked up as one, and yet two
    assert not site.asked("/a?id=2&utm=1") and not site.asked("/a?id=2&utm=2")
    assert not site.asked("/a?id=1&utm=3")  # the rule stays


def test_a_new_rule_takes_over(site):
    assert site.asked("/a?utm=1&x=1") and not site.asked("/a?x=1&utm=2")
    site.fields = {**LONG, "No-Vary-Search": 'params=("y")'}
    assert site.asked("/a?utm=2&z=1&y=1")  # another class: it brings the new rule
    assert not site.asked("/a?utm=2&z=1&y=2")
    assert site.asked("/a?x=1&y=5")  # what is under x=1 has another rule, by which y matters
    assert not site.asked("/a?x=1&y=6")
    site.edge.expect_stats(search_rules_learned=2)


def test_vary_goes_on_top(site):
    site.fields = {**UTM, "Vary": "Accept"}
    assert site.asked("/a?utm=1", {"Accept": "a"}) and site.asked("/a?utm=2", {"Accept": "b"})
    assert not site.asked("/a?utm=3", {"Accept": "a"}) and not site.asked("/a?utm=3", {"Accept": "b"})


def test_misses_of_one_class_share_a_fetch(origin, site):
    site.ask("/a?utm=1")
    origin._rules.clear()
    clients = [site.edge.client() for _ in range(2)]
    clients[0].send_request("GET", "/a?id=1&utm=2")
    held = origin.next_request()
    clients[1].send_request("GET", "/a?utm=3&id=1")
    site.edge.wait_for(cache_collapsed=1)
    held.reply(200, UTM, b"both")
    assert [client.read_response().body for client in clients] == [b"both"] * 2


def test_who_shared_a_fetch_that_was_not_for_all_asks_himself(origin, site):
    """The response has the rule no more: it is for the one URL that was asked for."""
    site.ask("/a?utm=1")
    origin._rules.clear()
    clients = [site.edge.client() for _ in range(2)]
    clients[0].send_request("GET", "/a?id=1&utm=2")
    first = origin.next_request()
    clients[1].send_request("GET", "/a?utm=3&id=1")
    site.edge.wait_for(cache_collapsed=1)
    first.reply(200, LONG, b"first")
    second = origin.next_request()
    assert (first.target, second.target) == ("/a?id=1&utm=2", "/a?utm=3&id=1")
    second.reply(200, LONG, b"second")
    assert [client.read_response().body for client in clients] == [b"first", b"second"]


def test_a_stale_one_is_validated_for_all(origin, site):
    stale = {**UTM, "Cache-Control": "max-age=1", "Age": "60", "ETag": '"1"'}
    site.fields = stale
    assert site.asked("/a?utm=1")
    origin._rules.clear()
    client = site.edge.client()
    client.send_request("GET", "/a?utm=2")
    held = origin.next_request()
    assert (held.target, held["If-None-Match"]) == ("/a?utm=2", '"1"')
    held.reply(304, {**LONG, "ETag": '"1"'})
    assert client.read_response().body == b"/a?utm=1"
    site.edge.wait_for(store_updates=1)
    assert site.ask("/a?utm=3") == "/a?utm=1"


def test_a_304_with_another_rule_ends_it(origin, site):
    site.fields = {**UTM, "Cache-Control": "max-age=1", "Age": "60", "ETag": '"1"'}
    assert site.asked("/a?utm=1")
    origin._rules.clear()
    client = site.edge.client()
    client.send_request("GET", "/a?utm=2")
    origin.next_request().reply(304, {**LONG, "ETag": '"1"', "No-Vary-Search": "key-order"})
    assert client.read_response().body == b"/a?utm=1"
    site.edge.wait_for(cache_invalidated=1)
    client.send_request("GET", "/a?utm=2")
    origin.next_request().reply(200, UTM, b"new")
    assert client.read_response().body == b"new"


# --- purges: each URL of a class takes it


def purge(how, edge, origin, target):
    url = f"http://site.test{target}"
    if how == "files":
        return edge.purge(files=[url])["matched"]
    if how == "method":
        return edge.request("PURGE", target).status == 200
    origin._rules.clear()
    origin.serve("/a", 204, {})
    if how == "post":
        assert edge.request("POST", target, body=b"x").status == 204
    else:
        origin.serve("/other", 201, {"Location": target})
        assert edge.request("POST", "/other", body=b"x").status == 201
        origin.forget("/other")
    origin.forget("/a")
    return 1


@pytest.mark.parametrize("how", ["files", "method", "post", "location"])
@pytest.mark.parametrize("target", ["/a?utm=1", "/a?utm=2", "/a?ref=3&utm", "/a"])
def test_a_purge_of_any_of_them_takes_it(origin, site, how, target):
    site.ask("/a?utm=1")
    assert site.ask("/a?utm=2") == "/a?utm=1"
    assert purge(how, site.edge, origin, target)
    site = Site(origin, site.edge)
    assert site.asked("/a?utm=2")


def test_a_purge_of_another_class_does_not(origin, site):
    site.ask("/a?utm=1")
    site.edge.purge(files=["http://site.test/a?id=1"])
    assert not site.asked("/a?utm=2")


def test_a_soft_purge_makes_it_stale_for_all(origin, site):
    site.ask("/a?utm=1")
    assert site.edge.purge(files=["http://site.test/a?utm=7"], soft=True)["matched"] == 1
    assert site.asked("/a?utm=2")


@pytest.mark.parametrize("purged", ["/a?utm=1", "/a", "/a?utm=2"])
def test_a_purge_before_the_rule_was_known_keeps_it_out(origin, edge, purged):
    """Nobody knew that this URL is one of the response's: what was asked for before is not kept."""
    client = edge.client()
    client.send_request("GET", "/a?utm=1")
    held = origin.next_request()
    edge.purge(files=[f"http://site.test{purged}"])
    held.reply(200, UTM, b"old")
    response = client.read_response()
    assert response.body == b"old" and not response.cache_status.stored
    assert response.cache_status.detail == "purged"
    edge.expect_stats(search_rules_learned=1)
    assert Site(origin, edge).asked("/a?utm=2")


def test_a_purge_while_the_rule_was_forgotten(origin, site):
    """It named one URL; what is stored for it under the common key does not come back with the rule."""
    assert site.asked("/a?utm=1") and site.ask("/a?utm=5") == "/a?utm=1"
    site.edge.restart()
    site.edge.purge(files=["http://site.test/a?utm=5"])
    assert site.asked("/a?id=1&utm=1")  # the rule is back
    assert site.ask("/a?id=1&utm=5") == "/a?id=1&utm=1"
    assert site.asked("/a?utm=5")


def test_what_was_stored_before_the_rule_is_for_its_url_alone(origin, site):
    """A purge of another of its URLs would have missed it."""
    site.fields = lambda held: UTM if "utm" in held.target else LONG
    assert site.asked("/a?b=1")
    assert site.asked("/a?b=1&utm=1")
    assert site.ask("/a?b=1&utm=2") == "/a?b=1&utm=1"


def test_a_restart_forgets_the_rules(origin, site):
    """They come back with the next response; what is stored under a URL of its own is a hit still."""
    assert site.asked("/a?utm=1") and site.asked("/a?id=1")
    site.edge.restart()
    assert not site.asked("/a?id=1")
    assert site.ask("/a") == "/a?utm=1"  # its own key is the common one
    assert site.asked("/a?utm=2") and site.ask("/a?utm=3") == "/a?utm=2"


def test_inspect_finds_it_by_any_of_its_urls(site):
    site.ask("/a?utm=1")
    for target in ("/a?utm=1", "/a?ref=2", "/a"):
        url = urllib.parse.quote("http://site.test" + target, safe="")
        assert len(json.loads(site.edge.admin("GET", f"/inspect?url={url}").body)["variants"]) == 1


def test_explain_tells_what_comes(site):
    def explain(target):
        url = urllib.parse.quote("http://site.test" + target, safe="")
        return json.loads(site.edge.admin("GET", f"/explain?url={url}").body)

    site.ask("/a?utm=1")
    told = explain("/a?utm=2")
    assert told["key"]["text"] == "http://site.test/a" and len(told["variants"]) == 1
    assert "No-Vary-Search" in json.dumps(told["lines"])
    assert site.edge.get("/a?utm=2").cache_status.hit
    assert explain("/a?id=1")["key"]["text"] == "http://site.test/a?id=1"
    assert "No-Vary-Search" not in json.dumps(explain("/b?utm=1")["lines"])
    site.fields = {**LONG, "No-Vary-Search": 'params=("y")'}
    site.ask("/a?z=1")  # the rule is another now, and what is under /a does not have it
    told = explain("/a?y=1")
    assert [(variant["matches"], variant["used"]) for variant in told["variants"]] == [(False, False)]
    assert site.asked("/a?y=1")


def test_many_parameters(site):
    """Of more than 256 no class is made."""
    most = "&".join(f"p{i}" for i in range(255))
    assert site.asked(f"/a?{most}&utm=1") and not site.asked(f"/a?utm=2&{most}")
    assert site.asked(f"/a?{most}&x&utm=1") and site.asked(f"/a?{most}&x&utm=2")
    assert not site.asked(f"/a?{most}&x&utm=2")


def test_a_flood_of_paths_is_bounded(site):
    """Rules of other paths may be lost, nothing else."""
    for i in range(300):
        site.edge.get(f"/p{i}?utm=1")
    site.edge.wait_stored(300)
    assert site.ask("/a?utm=1") == "/a?utm=1" and site.ask("/a?utm=2") == "/a?utm=1"
