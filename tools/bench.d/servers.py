"""The servers that tools/bench compares: how each is started, reached, and stopped.

Every server gets one worker, one core, loopback, a free port and a private directory. What is
started here is ended here, by pid.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "lib"))

import peers  # noqa: E402

RELEASE = ROOT / "build" / "release"
HOST = "bench.test"

NGINX_CONF = """
{user}
{modules}
worker_processes 1;
worker_rlimit_nofile 65536;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    aio off;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    open_file_cache max=10000 inactive=10m;
    open_file_cache_valid 10m;
    client_body_temp_path {home}/body;
    fastcgi_temp_path {home}/fastcgi;
    proxy_temp_path {home}/proxy;
    scgi_temp_path {home}/scgi;
    uwsgi_temp_path {home}/uwsgi;
    proxy_cache_path {home}/cache levels=1:2 keys_zone=bench:128m max_size={size_mb}m inactive=1h
                     use_temp_path=off;
    upstream origin {{
        server 127.0.0.1:{origin_port};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_cache bench;
            add_header X-Cache $upstream_cache_status;
            {more}
        }}
    }}
}}
"""

# Says of each answer whether it came from the cache.
VARNISH_VCL = """
sub vcl_deliver { if (obj.hits > 0) { set resp.http.X-Cache = "hit"; } }
"""
TRAFFICSERVER_RECORDS = """
CONFIG proxy.config.http.insert_response_via_str INT 2
CONFIG proxy.config.cache.dir.sync_frequency INT 60
"""


class Failure(Exception):
    """Something that makes the benchmark pointless, in words for the reader."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def body_of(length):
    """What bench-floor answers."""
    return bytes(ord("a") + i % 26 for i in range(length))


def output_of(*command):
    """The first line a command prints, on either stream."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((run.stdout or run.stderr).splitlines() or ["?"])[0]


def stat_of(pid):
    """What /proc says of a process, from its state on; None when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def is_alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def children_of(root):
    """A process and all its descendants."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        stat = stat_of(entry)
        if stat is not None:
            parents[int(entry)] = int(stat[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


class Server:
    """One process under test. Subclasses fill `command`; `port` is where it listens. `size_mb`: of
    what it may store; `stores_in`: the folder of its home, None for what is in memory only."""

    name = ""
    title = ""  # in tables
    caches = True
    stores_in = None

    def __init__(self, home, core, size_mb=4096):
        self.home = home
        self.core = core
        self.size_mb = size_mb
        self.port = 0
        self.process = None
        self.title = self.title or self.name

    def command(self, origin_port):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, origin_port):
        """For the first time, or again with what it has stored."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(
                pin(self.core) + self.command(origin_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
            )

    def wait_until_it_answers(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.get("/ready")
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise self.silence("when it was started")

    def silence(self, when):
        log = (self.home / "log").read_text(errors="replace")[-2000:]
        return Failure(f"{self.name} does not answer {when}. Its log ends:\n{log}")

    def ask(self, path, **fields):
        """One request on its own connection: the response, and its body as it was sent."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            conn.request("GET", path, headers={"Host": HOST, **fields})
            response = conn.getresponse()
            return response, response.read()
        finally:
            conn.close()

    def get(self, path):
        """Of one request: status, body, and does the server call it a hit."""
        response, body = self.ask(path)
        return response.status, body, self.is_hit(response)

    @staticmethod
    def is_hit(response):
        says = response.getheader("X-Cache", "") + " " + response.getheader("Cache-Status", "")
        return re.search(r"\bhit\b", says, re.IGNORECASE) is not None

    def disk_len(self):
        """Bytes of the disk that its store takes now."""
        total = 0
        for folder, _, names in os.walk(self.home / self.stores_in):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except OSError:
                    pass  # it has just gone
        return total

    def kill(self):
        """-9, of every process of it; returns when they have let go of their ports."""
        pids = children_of(self.process.pid)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        while any(is_alive(pid) for pid in pids):
            time.sleep(0.01)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Floor(Server):
    """The bare responder: it chooses its port itself and prints it."""

    name = "floor"
    caches = False
    body_len = 1024
    file = None  # in its place: a path and a media type

    def start(self, origin_port=0):
        self.home.mkdir(parents=True)
        body = [str(word) for word in self.file or [self.body_len]]
        self.process = subprocess.Popen(
            pin(self.core) + [str(RELEASE / "bench-floor"), *body],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())

    def stop(self):
        super().stop()
        if self.process is not None:
            self.process.stdout.close()

    @staticmethod
    def version():
        return "bench-floor"


class Nginx(Server):
    name = "nginx"
    stores_in = "cache"
    modules, more = "", ""  # lines of its configuration, at the top and for the location

    def command(self, origin_port):
        user = "user root;" if os.geteuid() == 0 else ""
        text = NGINX_CONF.format(user=user, home=self.home, port=self.port, size_mb=self.size_mb,
                                 origin_port=origin_port, modules=self.modules, more=self.more)
        (self.home / "nginx.conf").write_text(text)
        errors = str(self.home / "error.log")
        return ["/usr/sbin/nginx", "-p", str(self.home), "-e", errors, "-c", "nginx.conf"]

    @staticmethod
    def version():
        return output_of("/usr/sbin/nginx", "-v").replace("nginx version: ", "")


class Varnish(Server):
    name = "varnish"
    title = "varnish (RAM)"
    vcl = VARNISH_VCL

    def command(self, origin_port):
        return peers.varnish(self.home, self.port, origin_port, f"{self.size_mb}M",
                             {"thread_pools": 1}, self.vcl)

    @staticmethod
    def version():
        return "varnish " + peers.version("varnishd", r"varnish-(\S+)", "-V")


class TrafficServer(Server):
    name = "trafficserver"
    stores_in = "cachedir"

    def command(self, origin_port):
        return peers.trafficserver(self.home, self.port, origin_port, f"{self.size_mb}M", 1,
                                   TRAFFICSERVER_RECORDS)

    @staticmethod
    def is_hit(response):
        """Via says, behind c, what was found: R in memory, H on the disk."""
        return re.search(r"\[[^\]]*c[RH]", response.getheader("Via", "")) is not None

    @staticmethod
    def version():
        return "Traffic Server " + peers.version("traffic_server", r"Traffic Server (\S+)", "-V")


class Brink(Server):
    name = "brink"
    stores_in = "store"
    sets = ()  # "KEY=VALUE"
    admin_port = 0

    def command(self, origin_port):
        self.admin_port = free_port()
        settings = {
            "--listen": f"127.0.0.1:{self.port}",
            "--origin": f"http://127.0.0.1:{origin_port}",
            "--store": str(self.home / "store"),
            "--store-size": f"{self.size_mb}MB",
            "--workers": "1",
            "--admin": f"127.0.0.1:{self.admin_port}",
        }
        words = [word for pair in settings.items() for word in pair]
        return [str(RELEASE / "brink"), *words, *(f"--set={pair}" for pair in self.sets)]

    def counters(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            conn.request("GET", "/stats")
            return json.loads(conn.getresponse().read())["counters"]
        finally:
            conn.close()

    @staticmethod
    def version():
        return output_of(str(RELEASE / "brink"), "-V")


ALL = {kind.name: kind for kind in (Brink, Nginx, Varnish, TrafficServer, Floor)}
PACKAGED = {"varnish", "trafficserver"}  # of PACKAGES_PEERS, for who asks for one


def pin(core):
    return [shutil.which("taskset") or "taskset", "-c", str(core)]
