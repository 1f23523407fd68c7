"""The servers that tools/bench compares: how each is started, reached, and stopped.

Every server gets one worker, one core, loopback, a free port and a private directory. What is
started here is ended here, by pid.
"""

import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"
HOST = "bench.test"
BODY = bytes(ord("a") + i % 26 for i in range(1024))  # what bench-floor answers

NGINX_CONF = """
{user}
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
    proxy_cache_path {home}/cache levels=1:2 keys_zone=bench:128m max_size=4g inactive=1h
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
        }}
    }}
}}
"""


class Failure(Exception):
    """Something that makes the benchmark pointless, in words for the reader."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def output_of(*command):
    """The first line a command prints, on either stream."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((run.stdout or run.stderr).splitlines() or ["?"])[0]


class Server:
    """One process under test. Subclasses fill `command`; `port` is where it listens."""

    name = ""
    caches = True

    def __init__(self, home, core):
        self.home = home
        self.core = core
        self.port = 0
        self.process = None

    def command(self, origin_port):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, origin_port):
        self.home.mkdir(parents=True)
        self.port = free_port()
        with open(self.home / "log", "wb") as log:
            self.process = subprocess.Popen(
                pin(self.core) + self.command(origin_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_it_answers()

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
        log = (self.home / "log").read_text(errors="replace")[-2000:]
        raise Failure(f"{self.name} did not start to answer. Its log ends:\n{log}")

    def get(self, path):
        """One request on its own connection: status, body, and does the server call it a hit."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            conn.request("GET", path, headers={"Host": HOST})
            response = conn.getresponse()
            body = response.read()
        finally:
            conn.close()
        says = response.getheader("X-Cache", "") + " " + response.getheader("Cache-Status", "")
        return response.status, body, re.search(r"\bhit\b", says, re.IGNORECASE) is not None

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

    def start(self, origin_port=0):
        self.home.mkdir(parents=True)
        self.process = subprocess.Popen(
            pin(self.core) + [str(RELEASE / "bench-floor")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())

    def stop(self):
        super().stop()
        if self.process is not None:
            self.process.stdout.close()

    def version(self):
        return "bench-floor"


class Nginx(Server):
    name = "nginx"

    def command(self, origin_port):
        user = "user root;" if os.geteuid() == 0 else ""
        text = NGINX_CONF.format(user=user, home=self.home, port=self.port, origin_port=origin_port)
        (self.home / "nginx.conf").write_text(text)
        errors = str(self.home / "error.log")
        return ["/usr/sbin/nginx", "-p", str(self.home), "-e", errors, "-c", "nginx.conf"]

    def version(self):
        return output_of("/usr/sbin/nginx", "-v").replace("nginx version: ", "")


class Brink(Server):
    name = "brink"

    def command(self, origin_port):
        settings = {
            "--listen": f"127.0.0.1:{self.port}",
            "--origin": f"http://127.0.0.1:{origin_port}",
            "--store": str(self.home / "store"),
            "--store-size": "4GB",
            "--workers": "1",
            "--admin": f"127.0.0.1:{free_port()}",
        }
        return [str(RELEASE / "brink"), *(word for pair in settings.items() for word in pair)]

    def version(self):
        return output_of(str(RELEASE / "brink"), "-V")


ALL = {kind.name: kind for kind in (Brink, Nginx, Floor)}


def pin(core):
    return [shutil.which("taskset") or "taskset", "-c", str(core)]
