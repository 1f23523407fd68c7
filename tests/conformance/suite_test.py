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
EXPECTED = {*REFUSED, *(name for name, answer in WANTED.items() if answer != "yes")}  # to fail


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """One pass of the suite through brink."""
    folder = tmp_path_factory.mktemp("conformance")
    with suite.server(folder) as port:
        edge = Edge(folder / "edge", origin=f"http://127.0.0.1:{port}", settings=suite.SETTINGS)
        try:
            edge.start()
            result = suite.run(f"http://127.0.0.1:{edge.port}", EXPECTED)
        finally:
            faults = edge.finish()
    assert not faults, "\n".join(faults)
    for kind, (passed, of) in suite.totals(result).items():
        print(f"{kind}: {passed} of {of}")
    return result


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


def late(case):
    return f" (the machine was busy: {case.late})" if case.late else ""


def test_lists_name_tests_of_the_suite():
    kinds = {case.id: case.kind for case in CASES.values()}
    assert [name for name in REFUSED if kinds.get(name) not in ("required", "optimal")] == []
    assert [name for name in WANTED if kinds.get(name) != "check"] == []


def test_every_refusal_has_a_reason():
    assert [name for name, why in REFUSED.items() if "RFC" not in why] == []


def test_readme_tells_what_was_found(found):
    """The row of brink in README.md's table is this run's."""
    row = re.search(r"^\| \*\*brink\*\* \|.*$", (suite.ROOT / "README.md").read_text(encoding="utf-8"),
                    re.MULTILINE)
    assert row, "README.md has no row for brink"
    for passed, of in suite.totals(found).values():
        assert f"{passed} of {of}" in row[0]
