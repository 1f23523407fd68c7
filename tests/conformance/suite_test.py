"""Every test of the public suite of HTTP caches is a test here; README.md says what is asked of it.

    BRINK_BUILD=build/dev /usr/bin/python3 -m pytest tests/conformance
"""

import re

import pytest

import suite

from edge import Edge  # of tests/wire, which suite.py makes known

CASES = suite.cases()
REFUSED = suite.refused()
WANTED = suite.wanted()
COMPRESSED = suite.compressed()
EXPECTED = {*REFUSED, *(name for name, answer in WANTED.items() if answer != "yes")}  # to fail


def one_pass(folder, settings, expected, *options):
    """A pass of the suite through brink, and brink's counters after it."""
    with suite.server(folder) as port:
        edge = Edge(folder / "edge", origin=f"http://127.0.0.1:{port}",
                    settings={**suite.SETTINGS, **settings})
        try:
            edge.start()
            result = suite.run(f"http://127.0.0.1:{edge.port}", expected, options)
            counters = edge.stats()
        finally:
            faults = edge.finish()
    assert not faults, "\n".join(faults)
    for kind, (passed, of) in suite.totals(result).items():
        print(f"{kind}: {passed} of {of}")
    return result, counters


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """The pass that the lists are about: brink as it comes."""
    return one_pass(tmp_path_factory.mktemp("conformance"), {}, EXPECTED)[0]


@pytest.mark.parametrize("name", [case.id for case in CASES.values() if case.kind != "check"])
def test_passes_or_is_refused(found, name):
    case = found[name]
    if name in REFUSED:
        assert not case.passed, f"passes now: take it off refused.txt, which says {REFUSED[name]}"
    else:
        assert case.passed, f"{case.kind}: {case.name}: {case.why}{late(case)}"


@pytest.mark.parametrize("name", [case.id for case in CASES.values() if case.kind == "check"])
def test_answers_as_wanted(found, name):
    case = found[name]
    assert case.answer == WANTED.get(name), f"{case.name} {case.why}{late(case)}"


def otherwise(one, other):
    """{id: what it is in `other`} of the tests that come out otherwise there than in `one`."""
    return {name: f"{case.answer if case.kind == 'check' else case.passed} {case.why}"
            for name, case in other.items()
            if (case.passed, case.kind == "check" and case.answer)
            != (one[name].passed, one[name].kind == "check" and one[name].answer)}


def test_without_compression_nothing_is_different(found, tmp_path):
    result, counters = one_pass(tmp_path, suite.PLAIN, EXPECTED)
    assert otherwise(found, result) == {}
    assert counters["coded_gzip_out_bytes"] == 0


def test_what_compression_changes_is_known(found, tmp_path):
    """With everything compressed that has a type for it, whatever its length. What that adds to ETag
    and Vary is taken off before the tests compare it, or a fourth of them would not begin."""
    result, counters = one_pass(tmp_path, suite.COMPRESSED, EXPECTED | COMPRESSED.keys(), "--coded")
    different = otherwise(found, result)
    assert {name: why for name, why in different.items() if name not in COMPRESSED} == {}
    assert [name for name in COMPRESSED if name not in different] == [], "these are as ever"
    assert counters["coded_gzip_out_bytes"] > 0


def late(case):
    return f" (the machine was busy: {case.late})" if case.late else ""


def test_lists_name_tests_of_the_suite():
    kinds = {case.id: case.kind for case in CASES.values()}
    assert [name for name in REFUSED if kinds.get(name) not in ("required", "optimal")] == []
    assert [name for name in WANTED if kinds.get(name) != "check"] == []
    assert [name for name in COMPRESSED if name not in kinds] == []


def test_every_refusal_has_a_reason():
    assert [name for name, why in {**REFUSED, **COMPRESSED}.items() if "RFC" not in why] == []


def test_readme_tells_what_was_found(found):
    """The row of brink in README.md's table is this run's."""
    text = (suite.ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(r"^\| \*\*brink\*\* \| \d+ of \d+.*$", text, re.MULTILINE)
    assert row, "README.md has no row for brink"
    for passed, of in suite.totals(found).values():
        assert f"{passed} of {of}" in row[0]
