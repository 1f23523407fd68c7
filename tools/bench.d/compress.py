"""tools/bench compress: what a compressed answer costs, the first time and again, and how long it is.

The body is 100 KiB of JavaScript as sites send it, from Debian's packages. Every server is asked for
each coding that it knows; an answer that does not decompress to the body has no figure. "First" are
URLs that are asked for once: fetched, compressed, stored. "Again" is one URL for each coding, after
brink has made what it keeps. A plain hit is brink's own, of an object as long as the compressed one.
"""

import os
import pathlib
import random
import shutil
import time
import zlib

import measure
import peers
import servers
from scenarios import middle_of, say
from servers import Failure

BODY_LEN = 100 << 10
# Beginning with the first, as many as make up the length.
SCRIPTS = ("/usr/share/javascript/jquery/jquery.min.js",
           "/usr/share/javascript/underscore/underscore.min.js")
CODINGS = ("br", "gzip", "zstd")
MADE_N = 5  # strong forms that are timed
MADE_WITHIN_S = 60
HEAD_LEN = 1024  # the most of a head that is expected
ROUNDS_MOST = 3
PAIRS = 2  # of brink and its plain hit, in a round: what the goal compares

NGINX_MODULES = "load_module /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so;"
NGINX_MORE = """
            proxy_set_header Accept-Encoding "";
            gzip on;
            gzip_types text/javascript;
            brotli on;
            brotli_types text/javascript;
"""
VARNISH_VCL = servers.VARNISH_VCL + "sub vcl_backend_response { set beresp.do_gzip = true; }\n"
TRAFFICSERVER_COMPRESS = """
cache true
remove-accept-encoding true
compressible-content-type text/*
supported-algorithms br,gzip
"""
APACHE = """
ServerName bench.test
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
User www-data
Group www-data
{modules}
ServerLimit 1
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
KeepAliveTimeout 300
MaxKeepAliveRequests 0
ProxyPass "/" "http://127.0.0.1:{origin}/" keepalive=On
CacheEnable disk /
CacheRoot {folder}/cache
CacheLock on
CacheLockPath {folder}/cache/locks
CacheHeader On
AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/javascript
RequestHeader set Host bench.test
"""
APACHE_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "cache", "cache_disk", "filter",
                  "headers", "deflate", "brotli")
CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    root * {folder}/site
    rewrite * /script.js
    encode zstd gzip
    file_server
}}
"""


def script():
    """The body; Failure when Debian's packages have no such files any more."""
    try:
        text = b"".join(pathlib.Path(path).read_bytes() for path in SCRIPTS)
    except OSError as error:
        raise Failure(f"there is no JavaScript to send: {error}") from error
    if len(text) < BODY_LEN:
        raise Failure(f"{' and '.join(SCRIPTS)} have less than {BODY_LEN} bytes")
    return text[:BODY_LEN]


def decoded(coding, body):
    import brotli  # pylint: disable=import-outside-toplevel  # after they are installed
    import zstandard  # pylint: disable=import-outside-toplevel

    if coding == "gzip":
        return zlib.decompress(body, 31)
    if coding == "br":
        return brotli.decompress(body)
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


# --- the servers ---


class Nginx(servers.Nginx):
    codings = ("br", "gzip")
    modules, more = NGINX_MODULES, NGINX_MORE


class NginxStrong(Nginx):
    name = "nginx-strong"
    title = "nginx, br 11, gzip 9"
    more = NGINX_MORE + "brotli_comp_level 11; gzip_comp_level 9;"
    slow = ("br",)


class Varnish(servers.Varnish):
    codings = ("gzip",)
    vcl = VARNISH_VCL


class TrafficServer(servers.TrafficServer):
    codings = ("br", "gzip")

    def command(self, origin_port):
        command = super().command(origin_port)
        etc = self.home / "sysconfdir"
        rules = peers.write(etc / "compress.config", TRAFFICSERVER_COMPRESS)
        peers.write(etc / "plugin.config", f"compress.so {rules}\n")
        return command


class Apache(servers.Server):
    """Its children are another user's when root starts it, so the way to its folder is open."""

    name = "apache"
    title = "httpd"
    codings = ("br", "gzip")
    stores_in = "cache"

    def command(self, origin_port):
        cache = self.home / "cache"
        cache.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(cache, "www-data", "www-data")
            for folder in self.home.parents[:2]:
                folder.chmod(0o711)
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                            for name in APACHE_MODULES)
        config = peers.write(self.home / "apache.conf", APACHE, folder=self.home, port=self.port,
                             origin=origin_port, modules=modules)
        return [peers.need("apache2", "apache2"), "-DFOREGROUND", "-f", config]

    @staticmethod
    def version():
        return "httpd " + peers.version("apache2", r"Apache/(\S+)", "-v")


class Caddy(servers.Server):
    """It has no cache; the file lies on its disk."""

    name = "caddy"
    title = "caddy (a file)"
    codings = ("gzip", "zstd")
    caches = False

    def command(self, origin_port):
        site = self.home / "site"
        site.mkdir(exist_ok=True)
        (site / "script.js").write_bytes(script())
        config = peers.write(self.home / "Caddyfile", CADDY, port=self.port, folder=self.home)
        return ["env", f"HOME={self.home}", "GOMAXPROCS=1", peers.need("caddy", "caddy"), "run",
                "--adapter", "caddyfile", "--config", config]

    @staticmethod
    def version():
        return "caddy " + peers.version("caddy", r"v?(\d\S*)", "version")


class Brink(servers.Brink):
    codings = CODINGS


class BrinkQuick(servers.Brink):
    """One that keeps nothing compressed: what a first answer costs without what follows it."""

    name = "brink-quick"
    title = "brink, nothing kept"
    codings = CODINGS
    sets = ("site.compress_max=0",)


class BrinkPlain(servers.Brink):
    """Its origin has a body of the compressed length that nothing can compress."""

    name = "brink-plain"


KINDS = (Brink, BrinkQuick, Nginx, NginxStrong, Apache, Varnish, TrafficServer, Caddy)
PROGRAMS = {"nginx": "nginx", "apache": "apache2", "varnish": "varnishd", "caddy": "caddy",
            "trafficserver": "traffic_server"}
NAMES = ("brink", *PROGRAMS)


def base_of(kind):
    return kind.name.partition("-")[0]


def is_there(kind):
    """Is what it needs installed?"""
    if base_of(kind) == "brink":
        return True
    if base_of(kind) == "nginx" and not pathlib.Path(NGINX_MODULES.split()[1][:-1]).exists():
        return False
    return shutil.which(PROGRAMS[base_of(kind)], path=peers.PATH) is not None


# --- the scenario ---


def spent(us):
    """Time as people write it."""
    return f"{us / 1000:.1f} ms" if us >= 1000 else f"{us:.0f} us"


class Row:
    """One server and one coding: what it sends, and the runs of each round."""

    def __init__(self, server, coding):
        self.server, self.coding = server, coding
        self.again_word = f"again-{coding}"  # its own: some keep one coding of a URL at a time
        self.bytes = self.first_bytes = 0
        self.first_coding = None
        self.made_ms = None
        self.first, self.again, self.plain = [], [], []

    def connections(self):
        """One where an answer may take long: what is under way at the end is not counted."""
        return 1 if self.coding in getattr(self.server, "slow", ()) else measure.CONNECTIONS

    def cell(self):
        first = f"{spent(middle_of(self.first, 'us'))}, " if self.first else ""
        if self.first and self.first_coding != self.coding:
            first = "not compressed, "
        return f"{self.bytes:,}; {first}{spent(middle_of(self.again, 'us'))}"

    def cells(self, by_coding):
        us = middle_of(self.again, "us")
        plain = by_coding.get(self.coding)
        return [self.server.title, self.coding, f"{self.first_bytes:,}" if self.first else "-",
                f"{middle_of(self.first, 'us'):.0f}" if self.first else "-", f"{self.bytes:,}",
                f"{us:.1f}",
                f"{us / plain:.2f}" if plain else "-", f"{middle_of(self.again, 'rate'):.0f}",
                f"{middle_of(self.again, 'p50_us'):.0f}", f"{middle_of(self.again, 'p99_us'):.0f}"]


class Compress:
    """Its servers run at once, each idle while another has its turn."""

    text = "100 KiB of JavaScript, compressed: asked for once (first), and again and again"
    titles = ("server", "coding", "first: bytes", "CPU us", "again: bytes", "CPU us",
              "x plain hit of brink", "answers/s", "p50 us", "p99 us")

    def __init__(self, name, home, cores, options):
        self.name, self.home, self.cores, self.options = name, home / name, cores, options
        self.rounds = min(options.rounds, ROUNDS_MOST)
        self.notes, self.rows, self.plain = [], [], {}
        self.origins = []
        self.servers = []
        for kind in KINDS:
            if base_of(kind) not in options.servers:
                continue
            if is_there(kind):
                self.servers.append(kind(self.home / kind.name, cores[0]))
            else:
                self.note(f"{kind.name}: not installed, so not measured")

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    # --- what is started ---

    def origin_of(self, name, body, media_type):
        origin = servers.Floor(self.home / f"origin-{name}", self.cores[1])
        path = self.home / f"{name}.body"
        path.write_bytes(body)
        origin.file = (path, media_type)
        origin.start()
        self.origins.append(origin)
        return origin

    def run(self):
        self.home.mkdir(parents=True)
        try:
            self.body = script()
            origin = self.origin_of("script", self.body, "text/javascript")
            for server in self.servers:
                server.start(origin.port)
            for server in self.servers:
                server.wait_until_it_answers()
                for coding in server.codings:
                    self.begin(server, coding)
            for number in range(1, self.rounds + 1):
                self.round(number)
        finally:
            for server in [*self.servers, *self.plain.values(), *self.origins]:
                server.stop()
            shutil.rmtree(self.home, ignore_errors=True)

    def begin(self, server, coding):
        """Its row, if it sends the coding. brink is given the time to make what it keeps."""
        row = Row(server, coding)
        response, body = server.ask(f"/first-{coding}", **{"Accept-Encoding": coding})
        row.first_bytes, row.first_coding = len(body), response.getheader("Content-Encoding")
        if server.name == "brink":
            self.time_making(row)
        for _ in range(3):
            response, body = server.ask(f"/{row.again_word}", **{"Accept-Encoding": coding})
        sent = response.getheader("Content-Encoding", "identity")
        if response.status != 200 or sent != coding:
            self.note(f"{server.title}: answers {response.status} in {sent}, not {coding}")
            return
        if decoded(coding, body) != self.body:
            raise Failure(f"{server.name} sends a {coding} body that is not the origin's")
        if server.caches and server.name != "brink-quick" and not server.is_hit(response):
            self.note(f"{server.title}: {coding} does not come from its store")
        row.bytes = len(body)
        self.rows.append(row)
        if server.name == "brink":
            self.start_plain(row)

    def start_plain(self, row):
        """A brink that has an object of that length, as the origin sent it."""
        body = random.Random(row.coding).randbytes(row.bytes)
        origin = self.origin_of(f"plain-{row.coding}", body, "application/octet-stream")
        server = BrinkPlain(self.home / f"plain-{row.coding}", self.cores[0])
        self.plain[row.coding] = server
        server.start(origin.port)
        server.wait_until_it_answers()
        for _ in range(3):
            response, got = server.ask("/again")
        if got != body or not server.is_hit(response):
            raise Failure("brink does not answer a plain object from its store")

    def time_making(self, row):
        """CPU time of the strong form, made once; the last one is that of the URL that is asked for again."""
        server, coding = row.server, row.coding
        counter = f"variants_made_{coding}"
        before = server.counters().get(counter)
        if before is None:
            self.note(f"brink: has no counter {counter}")
            return
        cpu_s = measure.settled_cpu_s(server.process.pid)
        for path in [f"/made-{n}" for n in range(1, MADE_N)] + [f"/{row.again_word}"]:
            server.ask(path, **{"Accept-Encoding": coding})
        deadline = time.monotonic() + MADE_WITHIN_S
        while server.counters()[counter] < before + MADE_N:
            if time.monotonic() > deadline:
                self.note(f"brink: makes no strong form in {coding}")
                return
            time.sleep(0.05)
        row.made_ms = (measure.settled_cpu_s(server.process.pid) - cpu_s) * 1000 / MADE_N

    # --- what is measured ---

    def load(self, row, server, word, kind, coding):
        run = measure.load(server, self.cores[1], self.options.seconds, word, kind, coding=coding,
                           connections=row.connections())
        if run.errors > 0:
            raise Failure(f"{server.name} failed {run.errors} of {run.requests} times in {coding}")
        want = row.first_bytes if kind == "unique" else row.bytes
        most = (want * 1.02 + HEAD_LEN) * (1 + row.connections() / run.requests)  # the last are cut
        if run.requests > 100 and not want <= run.answer_len < most:
            self.note(f"{server.title}: {coding}, {'first' if kind == 'unique' else 'again'}: answers "
                      f"of {run.answer_len:.0f} bytes in the middle, not of {want}")
        return run

    def round(self, number):
        for row in self.rows:
            if row.server.caches and row.server.name != "brink":
                row.first.append(self.load(row, row.server, f"first-{row.coding}-{number}", "unique",
                                           row.coding))
            for _ in range(PAIRS if row.server.name == "brink" else 1):
                row.again.append(self.load(row, row.server, row.again_word, "same", row.coding))
                if row.server.name == "brink":
                    plain = self.plain[row.coding]
                    row.plain.append(self.load(row, plain, "again", "same", None))
            first = f"{row.first[-1].us:9.1f} first," if row.first else "          no first,"
            say(f"compress round {number}: {row.server.name:13} {row.coding:4} CPU us: {first} "
                f"{row.again[-1].us:9.1f} again")

    # --- what is printed ---

    def table(self):
        plain = {row.coding: middle_of(row.plain, "us") for row in self.rows if row.plain}
        quick = {row.coding: row for row in self.rows if row.server.name == "brink-quick"}
        for row in self.rows:
            if row.server.name == "brink" and row.coding in quick:
                other = quick[row.coding]
                row.first, row.first_bytes = other.first, other.first_bytes
        print(f"\n### {self.name}: {self.text}\n")
        print("| " + " | ".join(self.titles) + " |")
        print("| --- | --- " + "| ---: " * (len(self.titles) - 2) + "|")
        for row in self.rows:
            print("| " + " | ".join(row.cells(plain)) + " |")
        for coding, server in self.plain.items():
            row = next(row for row in self.rows if row.server.name == "brink"
                       and row.coding == coding)
            print(f"| {server.name}, no coding | - | - | - | {row.bytes:,} | {plain[coding]:.1f} "
                  f"| 1.00 | {middle_of(row.plain, 'rate'):.0f} | {middle_of(row.plain, 'p50_us'):.0f} "
                  f"| {middle_of(row.plain, 'p99_us'):.0f} |")
        self.in_short()
        self.goals(plain)

    def in_short(self):
        """One line a server, as README.md has them."""
        print("\nIn short, bytes of a repeated answer and CPU of the first one and of that:\n")
        print("| server | " + " | ".join(CODINGS) + " |")
        print("| --- " + "| --- " * len(CODINGS) + "|")
        for title in dict.fromkeys(row.server.title for row in self.rows):
            rows = {row.coding: row for row in self.rows if row.server.title == title}
            cells = [rows[coding].cell() if coding in rows else "-" for coding in CODINGS]
            if title != BrinkQuick.title:
                print(f"| {'**brink**' if title == 'brink' else title} | " + " | ".join(cells) + " |")

    def goals(self, plain):
        print("\nbrink's first answers are those of a brink that keeps nothing compressed; what is "
              "kept is made once, by other threads:\n")
        ours = [row for row in self.rows if row.server.name == "brink"]
        for row in ours:
            if row.made_ms is not None:
                print(f"- {row.coding}: {row.made_ms:.0f} ms of CPU")
        print("\nGoals: a repeated answer costs what a plain hit of its length costs, and has the "
              "fewest bytes:\n")
        for row in ours:
            others = [other.bytes for other in self.rows
                      if other.coding == row.coding and base_of(other.server) != "brink"]
            ratio = middle_of(row.again, "us") / plain[row.coding]
            words = "alone" if not others else f"{row.bytes / min(others):.3f} x the fewest of others"
            print(f"- {row.coding}: {ratio:.2f} x a plain hit; {words}")
        for note in self.notes:
            print(f"- note: {note}")

    def versions(self):
        return list(dict.fromkeys(server.version() for server in self.servers))
