#!/usr/bin/python3
"""How soon is a full store back: after a clean stop, and after kill -9.

tools/bench.d/restart.py [--objects 1000000] [--mean 1024] [--folder DIR] [--rounds 3] [--keep]
                         [--smaller]

Builds a store of that many objects (bench-fill-store, release build), then starts the real daemon on
it and measures from before exec: the first byte of any answer, the first byte of a hit, the end of
the scan; with the file's pages in memory and dropped from it (posix_fadvise). Without --folder it
works in a private directory, which is removed. Loopback only.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"
POLL_S = 0.002


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def ask(port, target, host="bench.test", limit_s=60):
    """Seconds are counted by the caller. Returns the head's text, or None when nobody listens yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit_s) as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            got = b""
            while b"\r\n\r\n" not in got:
                part = sock.recv(65536)
                if not part:
                    break
                got += part
            return got.decode("latin-1").split("\r\n\r\n")[0] + "\r\n"
    except ConnectionError:
        return None


def body_of(port, target):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while part := sock.recv(65536):
            got += part
    return got.split(b"\r\n\r\n", 1)[1]


class Daemon:
    def __init__(self, args, folder):
        self.port, self.admin = free_port(), free_port()
        origin = free_port()  # nobody listens: a miss is answered at once, by 502
        command = [RELEASE / "brink", "--listen", f"127.0.0.1:{self.port}", "--store", folder,
                   "--store-size", str(args.size), "--workers", "1", "--admin",
                   f"127.0.0.1:{self.admin}", "--origin", f"http://127.0.0.1:{origin}",
                   "--set", "store.scan_wait=0"]
        self.log = open(folder / "bench.log", "ab")
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)

    def since(self):
        return time.monotonic() - self.began

    def first_answer(self, target):
        while (head := ask(self.port, target)) is None:
            if self.process.poll() is not None:
                sys.exit("brink ended; see bench.log")
            time.sleep(POLL_S / 4)
        return self.since(), "; hit" in head

    def first_hit(self, target):
        while True:
            seconds, hit = self.first_answer(target)
            if hit:
                return seconds
            time.sleep(POLL_S)

    def stats(self):
        return json.loads(body_of(self.admin, "/stats"))["counters"]

    def wait_objects(self, objects):
        while self.stats()["store_objects"] < objects:
            time.sleep(0.01)
        return self.since()

    def end(self, number):
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait()
        self.log.close()
        return time.monotonic() - began


def drop_pages(folder):
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_pages(folder):
    for path in folder.iterdir():
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


def run(args, folder, how, cold, target):
    """One start in that state, and its end in the same way."""
    drop_pages(folder) if cold else read_pages(folder)
    daemon = Daemon(args, folder)
    answer, _ = daemon.first_answer(target)
    hit = daemon.first_hit(target)
    whole = daemon.wait_objects(args.objects)
    stop = daemon.end(signal.SIGTERM if how == "stop" else signal.SIGKILL)
    return answer, hit, whole, stop


def forget_save(folder):
    """What a kill after the first write leaves: no saved index that counts."""
    (folder / "index.save").unlink(missing_ok=True)


def make_smaller(args, folder, target):
    """A start with half of the file's length as the size."""
    args.size = (folder / "data.mdb").stat().st_size // 2
    daemon = Daemon(args, folder)
    hit = daemon.first_hit(target)
    while daemon.stats()["store_resizes"] == 0:
        time.sleep(0.05)
    moved = daemon.since()
    objects = daemon.stats()["store_objects"]
    daemon.end(signal.SIGTERM)
    print(f"half the size: first hit after {hit:.3f} s, moved after {moved:.3f} s, {objects} objects, "
          f"{(folder / 'data.mdb').stat().st_size / 1e9:.2f} GB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--mean", type=int, default=1024)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="keep the store, for the next run")
    parser.add_argument("--smaller", action="store_true", help="at last, half of the size")
    args = parser.parse_args()
    args.size = args.objects * (args.mean + 3000) * 3 // 2 + (64 << 20)
    base = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="brink-restart-"))
    folder = base / f"{args.objects}x{args.mean}"
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", "brink",
                    "bench-fill-store"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    if not (folder / "data.mdb").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([RELEASE / "bench-fill-store", folder, str(args.size), str(args.objects),
                        str(args.mean)], check=True)
    target = f"/o/{args.objects - 1}"
    print(f"{args.objects} objects, mean {args.mean} bytes, file "
          f"{(folder / 'data.mdb').stat().st_size / 1e9:.2f} GB; seconds since before exec")
    print("| start after | pages | first answer | first hit | index whole | stop |\n"
          "| --- | --- | --- | --- | --- | --- |")
    for how in ("stop", "kill"):
        for cold in (False, True):
            for _ in range(args.rounds):
                if how == "kill":
                    forget_save(folder)
                times = run(args, folder, how, cold, target)
                print(f"| {how} | {'cold' if cold else 'warm'} | " +
                      " | ".join(f"{seconds:.3f}" for seconds in times) + " |", flush=True)
        if how == "stop":
            continue
        Daemon(args, folder).end(signal.SIGTERM)
    if args.smaller:
        make_smaller(args, folder, target)
    if not args.keep:
        shutil.rmtree(folder)
    if not args.folder and not args.keep:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
