"""Cache groups: what goes together, goes together. RFC 9875."""

import pytest

LONG = {"Cache-Control": "max-age=600"}


def stored(origin, edge, path, groups, host="site.test"):
    """One object of these groups is in the store."""
    puts = edge.stats()["store_puts"]
    fields = {**LONG, **({"Cache-Groups": groups} if groups else {})}
    origin.serve(path, 200, fields, b"x")
    response = edge.get(path, {"Host": host})
    assert response.get("Cache-Groups") == groups  # section 2: for the caches behind us too
    edge.wait_for(store_puts=puts + 1)


def is_hit(edge, path, host="site.test"):
    return edge.get(path, {"Host": host, "Cache-Control": "only-if-cached"}).status == 200


def change(origin, edge, fields, method="POST", status=200, host="site.test"):
    origin.serve("/change", status, fields)
    response = edge.request(method, "/change", {"Host": host}, b"" if method == "GET" else b"x")
    assert response.status == status
    return response


@pytest.fixture
def shop(origin, edge):
    stored(origin, edge, "/a", '"red"')
    stored(origin, edge, "/b", '"blue", "red";x=1')
    stored(origin, edge, "/c", '"blue"')
    stored(origin, edge, "/d", None)
    stored(origin, edge, "/e", "red")  # no string: no group
    return edge


def left(edge):
    return "".join(name for name in "abcde" if is_hit(edge, "/" + name))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_3_an_unsafe_method_takes_the_groups_it_names(origin, shop, method):
    """Before its response goes on; what shares other groups with them stays (section 2.2.1)."""
    response = change(origin, shop, {"Cache-Group-Invalidation": '"red"'}, method)
    assert response["Cache-Group-Invalidation"] == '"red"'
    assert left(shop) == "cde"
    shop.expect_stats(cache_groups_invalidated=1)


@pytest.mark.parametrize("value, kept", [
    ('"red", "blue"', "de"), ('"green"', "abcde"), ('"Red"', "abcde"), ("red", "abcde"),
    ('"red", blue', "abcde"), ('"red', "abcde"), ('"blue";q=0', "ade"),
])
def test_3_the_field_is_a_list_of_strings(origin, shop, value, kept):
    change(origin, shop, {"Cache-Group-Invalidation": value})
    assert left(shop) == kept


@pytest.mark.parametrize("status", [302, 404, 500])
def test_3_whatever_the_status(origin, shop, status):
    change(origin, shop, {"Cache-Group-Invalidation": '"red"'}, status=status)
    assert left(shop) == "cde"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_3_a_safe_method_takes_nothing(origin, shop, method):
    change(origin, shop, {"Cache-Group-Invalidation": '"red"'}, method)
    assert left(shop) == "abcde"


def test_2_1_another_origin_is_not_reached(origin, edge):
    stored(origin, edge, "/a", '"red"')
    stored(origin, edge, "/a", '"red"', host="other.test")
    stored(origin, edge, "/a", '"red"', host="site.test:8080")
    change(origin, edge, {"Cache-Group-Invalidation": '"red"'})
    assert not is_hit(edge, "/a")
    assert is_hit(edge, "/a", host="other.test") and is_hit(edge, "/a", host="site.test:8080")


def test_2_a_304_changes_the_groups(origin, edge):
    """The merged head's groups count from then on (RFC 9111 section 4.3.4)."""
    stale = {"Cache-Control": "max-age=1", "Age": "60", "ETag": '"1"', "Cache-Groups": '"old", "both"'}
    for path, fields in (("/a", {"Cache-Groups": '"new"'}), ("/b", {})):
        origin.serve(path, 200, stale, b"x")
        edge.get(path)
    edge.wait_stored(2)
    for n, (path, fields) in enumerate((("/a", {"Cache-Groups": '"new"'}), ("/b", {}))):
        origin.serve(path, 304, {**LONG, "ETag": '"1"', **fields})
        assert edge.get(path).status == 200
        edge.wait_for(store_updates=n + 1)
    change(origin, edge, {"Cache-Group-Invalidation": '"old"'})
    assert is_hit(edge, "/a") and not is_hit(edge, "/b")
    change(origin, edge, {"Cache-Group-Invalidation": '"new"'})
    assert not is_hit(edge, "/a")


def test_what_is_on_its_way_in_goes_too(origin, edge):
    """A response that was asked for before the change does not bring back what is obsolete."""
    client = edge.client()
    client.send_request("GET", "/slow")
    held = origin.next_request()
    change(origin, edge, {"Cache-Group-Invalidation": '"red"'})
    held.reply(200, {**LONG, "Cache-Groups": '"red"'}, b"old")
    assert client.read_response().body == b"old"
    edge.expect_stats(store_puts=0)
    assert not is_hit(edge, "/slow")


def test_groups_outlive_a_restart(origin, edge):
    stored(origin, edge, "/a", '"red"')
    edge.restart()
    assert is_hit(edge, "/a")
    change(origin, edge, {"Cache-Group-Invalidation": '"red"'})
    assert not is_hit(edge, "/a")
