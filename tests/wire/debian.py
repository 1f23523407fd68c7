"""Debian's nginx and apache2 as origins: real servers on a free port, in the foreground, as our child.

Both say that files, and the absence of files, stay fresh for an hour.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import time

from client import DEADLINE_S
from ports import free_port

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        {more}
        expires 1h;
        error_page 404 = @missing;
        location @missing {{
            add_header Cache-Control "max-age=3600" always;
            return 404;
        }}
    }}
}}
"""

APACHE = """
ServerName 127.0.0.1
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
{modules}
<IfModule unixd_module>
    User www-data
    Group www-data
</IfModule>
TypesConfig /etc/mime.types
LogFormat "%h %t \\"%r\\" %>s %b" plain
CustomLog {folder}/access.log plain
StartServers 1
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {root}
<Directory {root}>
    Require all granted
    Options FollowSymLinks
</Directory>
ExpiresActive On
ExpiresDefault "access plus 1 hour"
Header always set Cache-Control "max-age=3600" "expr=%{{REQUEST_STATUS}} == 404"
"""
APACHE_MODULES = ("mpm_event", "authz_core", "mime", "expires", "headers")


def need(program, package):
    """The program's path. Without its package the test fails: it is not skipped."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path, f"{program} is missing; as root: apt-get install {package}"
    return path


class Server:
    """A web server that serves `root` from its own configuration until stop()."""

    def __init__(self, folder, root):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        config = self.folder / "server.conf"
        config.write_text(self.configuration(root))
        self.process = subprocess.Popen(self.command(config), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_ready()

    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def _wait_ready(self):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                log = self.folder / "error.log"
                assert self.process.poll() is None and time.monotonic() < deadline, \
                    f"{self.command('')[0]}: {log.read_text() if log.exists() else 'no log'}"
                time.sleep(0.02)

    def log_lines(self, at_least=0):
        """Its access log: a line for each request, once there are so many (they come late)."""
        log = self.folder / "access.log"
        deadline = time.monotonic() + DEADLINE_S
        while True:
            lines = log.read_text().splitlines() if log.exists() else []
            if len(lines) >= at_least:
                return lines
            assert time.monotonic() < deadline, f"{len(lines)} lines, not {at_least}: {lines[-3:]}"
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Nginx(Server):
    """`more`: directives of its own for this server."""

    def __init__(self, folder, root, more=""):
        self.more = more
        super().__init__(folder, root)

    def configuration(self, root):
        return NGINX.format(folder=self.folder, port=self.port, root=root, more=self.more)

    def command(self, config):
        return [need("nginx", "nginx-light"), "-e", f"{self.folder}/error.log", "-c", str(config)]


class Apache(Server):
    def configuration(self, root):
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                            for name in APACHE_MODULES)
        return APACHE.format(folder=self.folder, port=self.port, root=root, modules=modules)

    def command(self, config):
        return [need("apache2", "apache2"), "-D", "FOREGROUND", "-f", str(config)]
