"""The directive table, its sample, its manual and the command line say the same."""

import re

import pytest

from edge import ROOT, run_tool

SAMPLE = ROOT / "conf/brink.conf"
DIRECTIVE = re.compile(r"^( *)#?([a-z_]+) = (.+)$")
SECTION = re.compile(r'^( *)([a-z]+)(?: "[^"]*")? \{(\})?$')


def directives():
    """{section.name: (kind, default, help)} as the program prints them."""
    done = run_tool("brink", "--help-directives")
    assert done.returncode == 0
    rows = re.findall(r"^(\S+)\n    ([\w/ ]+); default ([^;\n]*)[^\n]*\n    (.+)$", done.stdout, re.M)
    found = {name: (kind, default, text) for name, kind, default, text in rows}
    assert len(found) == done.stdout.count("; default ") > 40
    return found


def sample_directives():
    """{section.name: (value, the comment above it)} of conf/brink.conf."""
    found, sections, comment = {}, [], []
    for line in SAMPLE.read_text().splitlines():
        section, directive = SECTION.match(line), DIRECTIVE.match(line)
        if section and not section[3]:
            sections.append(section[2])
        elif line.strip() == "}":
            sections.pop()
        elif directive:
            name = ".".join(sections[-1:] + [directive[2]])
            assert name not in found, f"{name} twice"
            found[name] = (directive[3], comment)
        if line.strip().startswith("# "):
            comment = comment + [line.strip()[2:]]
        else:
            comment = []
    assert not sections
    return found


def as_written(kind, default):
    if default == "none":
        default = ""
    if kind.startswith("list"):
        return "{" + ", ".join(f'"{item}"' for item in default.split() or [""]) + "}"
    return f'"{default}"' if kind == "text" else default


def test_the_sample_shows_every_directive_with_default_and_help():
    table, sample = directives(), sample_directives()
    assert sorted(sample) == sorted(table)
    for name, (kind, default, text) in table.items():
        value, comment = sample[name]
        assert text in comment, f"{name}: its help is not above it"
        if name not in ("store.path", "site.origin"):  # set in the sample
            assert value == as_written(kind, default), name


def test_the_sample_is_right_with_every_directive_taken_in(tmp_path):
    """Each default, written out, is a value the directive takes."""
    text = re.sub(r"^( *)#([a-z_]+ = )", r"\1\2", SAMPLE.read_text(), flags=re.M)
    assert text != SAMPLE.read_text()
    file = tmp_path / "all.conf"
    file.write_text(text)
    done = run_tool("brink", "-t", "-c", file)
    assert (done.returncode, done.stderr) == (0, "")
    plain = run_tool("brink", "-t", "-c", SAMPLE)
    assert done.stdout.splitlines()[1:] == plain.stdout.splitlines()[1:]


def test_the_manual_has_every_directive():
    page = (ROOT / "conf/man/brink.conf.5").read_text()
    parts = dict(re.findall(r"^\.Ss (?:Section )?(\w+).*?$(.*?)(?=^\.S[sh] )", page, re.M | re.S))
    for name, (_, _, text) in directives().items():
        section, _, word = name.rpartition(".")
        assert re.search(rf"^\.It Ic {word} = Ar .*\n{re.escape(text)}$", parts[section or "Top"],
                         re.M), f"{name} is not in brink.conf(5) as the program tells it"


@pytest.mark.parametrize("name", ["-h", "--help"])
@pytest.mark.parametrize("program", ["brink", "brinkctl"])
def test_help_fits_a_screen(program, name):
    done = run_tool(program, name)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 24 and max(map(len, lines)) <= 80


def test_an_environment_variable_is_put_in(tmp_path, monkeypatch):
    monkeypatch.setenv("BRINK_TEST_PORT", "4711")
    file = tmp_path / "env.conf"
    file.write_text('listen "127.0.0.1:${BRINK_TEST_PORT}" {}\norigin "a" { server "a" {} }\n')
    done = run_tool("brink", "-t", "-c", file)
    assert "127.0.0.1:4711" in done.stdout, done.stdout + done.stderr


def test_every_fault_is_told_at_once(tmp_path):
    file = tmp_path / "bad.conf"
    file.write_text("workers = many\n# a comment\nhead_max = 1\n")
    done = run_tool("brink", "-t", "-c", file)
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [f"{file}:1", f"{file}:3"]


@pytest.mark.parametrize("words", [["--frob"], ["--listen"], ["stray"]], ids=" ".join)
def test_words_that_are_no_options_end_with_2(words):
    done = run_tool("brink", *words)
    assert done.returncode == 2
    assert "--help" in done.stderr
