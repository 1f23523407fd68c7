"""Debian's other caches as our children: their command lines, for who compares brink with them.

Each runs from a folder of its own on loopback and ends by its process id. What differs between uses
(room, what is stored, headers) the caller says.
"""

import re
import shutil
import subprocess
import os
import sys

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
"""

# A reverse proxy by itself: one port, remap.config, a cache, no logs.
TRAFFICSERVER = """
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT {threads}
CONFIG proxy.config.http.cache.http INT 1
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.reverse_proxy.enabled INT 1
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.diags.output.error STRING E
"""


def need(program, package):
    path = shutil.which(program, path=PATH)
    if path is None:
        sys.exit(f"{program} is missing; as root: apt-get install {package}")
    return path


def write(path, text, **values):
    path.write_text(text.format(**values) if values else text, encoding="utf-8")
    return str(path)


def version(program, pattern, *arguments):
    """What `program` says that matches the pattern's group; ? when it says nothing like it."""
    done = subprocess.run([shutil.which(program, path=PATH), *arguments], capture_output=True,
                          text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1].rstrip(",") if found else "?"


def varnish(folder, port, origin, size, parameters, vcl=""):
    """`size`: of its memory, as "64M"; `vcl`: subroutines to add."""
    config = write(folder / "default.vcl", VARNISH.format(origin=origin) + vcl)
    settings = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
    return [need("varnishd", "varnish"), "-F", "-j", "none", "-n", str(folder / "work"),
            "-f", config, "-a", f"127.0.0.1:{port}", "-s", f"malloc,{size}", *settings]


def trafficserver(folder, port, origin, size, threads, records):
    """`size`: of its store, as "64M"; `records`: more lines of records.config. What it stores lies
    in folder/cachedir. A folder that has been used before is used on."""
    layout = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin",
              "includedir": "/usr/include", "libdir": "/usr/lib/trafficserver",
              "libexecdir": "/usr/lib/trafficserver/modules", "localstatedir": folder}
    for name in ("sysconfdir", "datadir", "runtimedir", "logdir", "cachedir"):
        layout[name] = folder / name
        layout[name].mkdir(exist_ok=True)
    write(folder / "runroot.yaml", "".join(f"{name}: {path}\n" for name, path in layout.items()))
    etc = layout["sysconfdir"]
    write(etc / "records.config", TRAFFICSERVER.format(port=port, threads=threads) + records)
    write(etc / "remap.config", "map / http://127.0.0.1:{origin}/\n", origin=origin)
    write(etc / "storage.config", f"{layout['cachedir']} {size}\n")
    write(etc / "ip_allow.yaml",
          "ip_allow:\n  - {apply: in, ip_addrs: 0/0, action: allow, methods: ALL}\n")
    return [need("traffic_server", "trafficserver"), f"--run-root={folder / 'runroot.yaml'}"]
