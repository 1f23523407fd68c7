"""The one direction of dependencies, and one owner for each outside library.

Reads every #include of include/, src/, storage/ and tools/brinkctl and says each edge that goes
upward or sideways, as file:line. With --tables it also names the rows of stats.def, log.def,
errors.def and reason.def that nothing uses.

usage: layers.py ROOT [--tables]
"""

import re
import sys
from pathlib import Path

# What each layer may include beside itself. storage's inner headers are for storage alone.
LAYERS = {
    "base": set(),
    "http": {"base"},
    "net": {"base"},
    "storage": {"base"},
    "transform": {"base", "http"},
    "cache": {"base", "http", "storage"},
    "proxy": {"base", "http", "net", "storage", "cache", "transform"},
    "daemon": {"base", "http", "net", "storage", "cache", "transform", "proxy"},
    "brinkctl": {"base"},
}
STORE_INTERFACE = "storage/store.h"
# Tables of a layer above that need no code of it.
TABLES = {("brinkctl", "cache/reason.def")}

# Outside headers and who may include them: prefixes of paths, an interface counting as its module.
OWNERS = [
    (r"event2/.*|event.*\.h|evutil\.h|evdns\.h", ["src/net/", "include/net/"]),
    (r"openssl/.*", ["src/net/tls", "include/net/tls"]),
    (r"ares.*\.h", ["src/net/dns.c"]),
    (r"lmdb\.h", ["storage/", "include/storage/"]),
    (r"xxhash\.h", ["storage/", "include/storage/"]),
    (r"urcu.*", ["storage/"]),
    (r"confuse\.h", ["src/daemon/config"]),
    (r"seccomp\.h", ["src/daemon/confine_seccomp.c"]),
    (r"sys/capability\.h", ["src/daemon/confine.c"]),
    (r"jansson\.h", ["src/daemon/admin", "tools/brinkctl/"]),
    (r"nghttp2/.*", ["src/proxy/h2_conn"]),
    (r"(zstd|zstd_errors|zlib|libdeflate)\.h|brotli/.*", ["src/transform/coding"]),
    (r"pcre2.*\.h", ["src/daemon/route", "src/proxy/route"]),
    (r"hiredis/.*", ["src/daemon/fleet", "src/fleet/"]),
    (r"cmocka\.h", []),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def layer_of(path):
    """The layer that a file of the tree belongs to, None for what has no layer."""
    parts = path.split("/")
    if parts[0] == "storage":
        return "storage"
    if parts[0] in ("src", "include") and len(parts) > 2:
        return parts[1]
    if path.startswith("tools/brinkctl/"):
        return "brinkctl"
    return None


def sources(root):
    for folder in ("include", "src", "storage", "tools/brinkctl"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def check_ours(root, path, name):
    """What is wrong with including our own header `name` in `path`, or None."""
    layer, target = layer_of(path), name.split("/")[0]
    if not (root / "include" / name).is_file():
        beside = (root / path).parent / name
        return None if beside.is_file() else f'"{name}" is not in include/'
    if layer not in LAYERS:
        return f"{layer} is no layer known to tests/layers.py"
    if target == layer:
        return None
    if target not in LAYERS[layer] and (layer, name) not in TABLES:
        return f'{layer} must not include "{name}"'
    if target == "storage" and name != STORE_INTERFACE:
        return f'"{name}" is for storage alone; the interface is "{STORE_INTERFACE}"'
    return None


def check_outside(path, name):
    for pattern, owners in OWNERS:
        if re.fullmatch(pattern, name):
            if any(path.startswith(owner) for owner in owners):
                return None
            return f"<{name}> belongs to {' and '.join(owners) or 'the tests'}"
    return None


def check_includes(root):
    faults = []
    for path, text in sources(root):
        for number, quoted, name in includes(text):
            if quoted or (root / "include" / name).is_file():
                fault = check_ours(root, path, name)
            else:
                fault = check_outside(path, name)
            if fault:
                faults.append(f"{path}:{number}: {fault}")
    return faults


CALL = re.compile(r'\bLOG\(\s*\w+\s*,\s*\w+\s*,\s*((?:"(?:[^"\\]|\\.)*"|PRI\w+|\s)+)')
CONVERSION = re.compile(r"%(?:(?:\.\*)?s|(?:ll?|z)?[dux]|%)")


def check_logs(root):
    """Formats of LOG that base/log.c does not know; see log.h."""
    faults = []
    for path, text in sources(root):
        for call in CALL.finditer(text):
            words = re.sub(r"PRI([dux])64", r'"l\1"', call.group(1))
            literal = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', words))
            if "%" in CONVERSION.sub("", literal):
                line = text.count("\n", 0, call.start()) + 1
                faults.append(f"{path}:{line}: LOG knows %s, %.*s, %d, %u, %x with l, ll or z")
    return faults


def rows(root, table, macro):
    """Line number and name of each row of a table."""
    text = (root / "include" / table).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(rf"{macro}\((\w+)\s*,", line)
        if match:
            yield number, match.group(1)


def check_tables(root):
    """Rows that nothing counts, logs or returns."""
    code = "\n".join(text for path, text in sources(root) if path.endswith((".c", ".h")))
    errors = (root / "include/base/errors.def").read_text(encoding="utf-8")
    code += re.sub(r"(?m)^REFUSAL\(.*?(\w+)\)$", r"STAT_INC(\1)", errors)
    levels = r"(?:DEBUG|INFO|WARN|ERROR)"
    uses = [
        ("base/stats.def", "STAT",
         lambda name: rf"\bSTAT_(?:INC|DEC|ADD|SET)\(\s*{name}\b"
         rf"|(?<!stats_read\()\bSTAT_{name}\b",
         "nothing counts"),
        ("base/log.def", "LOG_EVENT",
         lambda name: rf"\bLOG\(\s*{levels}\s*,\s*{name}\b|\bLOG_{name}\b", "nothing logs"),
        ("base/errors.def", "(?:ERROR|REFUSAL)", lambda name: rf"\bERR_{name}\b",
         "nothing returns"),
        ("cache/reason.def", "REASON", lambda name: rf"\bREASON_{name}\b", "nothing gives"),
    ]
    faults = []
    for table, macro, pattern, what in uses:
        for number, name in rows(root, table, macro):
            if not re.search(pattern(name), code):
                faults.append(f"include/{table}:{number}: {what} {name}")
    return faults


def main(argv):
    names = [argument for argument in argv[1:] if not argument.startswith("--")]
    options = set(argv[1:]) - set(names)
    if len(names) != 1 or options - {"--tables"} or not (Path(names[0]) / "include").is_dir():
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    root = Path(names[0])
    faults = check_includes(root) + check_logs(root)
    if "--tables" in options:
        faults += check_tables(root)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
