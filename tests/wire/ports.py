"""Ports for servers of the tests, each for one user at a time, however many runs of the tests there
are on this machine.

A port lies below the range that the kernel takes ports of its own from: one from there may be a
client's by the time a server listens, or listens again. A port that was chosen is claimed by an
abstract socket of its number, which ends with this process at the latest.
"""

import pathlib
import random
import socket

FIRST, END = 10240, 32768
KERNELS = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")

_claims = {}


def _end():
    """The first port that the kernel may choose by itself, where there is room below it."""
    first = int(KERNELS.read_text().split()[0])
    return first if first > 2 * FIRST else END


def _claim(port):
    """A socket that nobody else can have at the same time; None when somebody has."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0brink-test-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """A port that nobody listens on, and that no other test gets until it is released."""
    end = _end()
    while True:
        port = random.randrange(FIRST, end)
        claim = _claim(port)
        if claim is None:
            continue
        if _is_free(port):
            _claims[port] = claim
            return port
        claim.close()


def claimed():
    return set(_claims)


def release(ports):
    for port in ports:
        _claims.pop(port).close()
