"""Faults of the store's disk and file: every client gets the right answer all the while, the log says
what to do, a counter counts, and storing resumes by itself when the cause is gone.

Disks without room are small file systems in memory where the tests may mount, and a limit on the
length of files everywhere.
"""

import contextlib
import ctypes
import os
import signal
import subprocess

import pytest

import content
from client import load
from edge import SANITIZER_OPTIONS, binary

MIB = 1024 * 1024
FRESH = {"Cache-Control": "max-age=6000"}


def check(target, response):
    assert response.status == 200
    assert response.body == content.body_of(target), f"wrong bytes for {target}"


def generate(origin):
    origin.serve_all(lambda target: target.startswith("/g/"),
                     lambda held: held.reply(200, FRESH, content.body_of(held.target)))


def names(prefix, n, size=40000):
    return [content.path_of(size, f"{prefix}{i}") for i in range(n)]


def served(edge, targets, threads=4):
    assert load(edge.port, targets, check, threads=threads) == []


def told(edge, *words):
    """A line in the log with all of these."""
    return any(all(word in line for word in words) for line in edge.log_text().splitlines()
               if "event=store_fault" in line)


def stores_again(edge):
    """What is asked for now is soon a hit."""
    rounds = 0

    def hit():
        nonlocal rounds
        rounds += 1
        target = content.path_of(20000, f"again{rounds // 20}")
        response = edge.get(target)
        check(target, response)
        return response.cache_status.hit

    edge.wait_until(hit, "a hit")


# --- a disk without room

class SmallDisk:
    """A file system of its own."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder],
                              capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("no right to mount")

    def fill(self, _edge=None):
        with open(self.folder / "filler", "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(bytes(65536)) == 65536:
                    pass

    def free(self, _edge=None):
        (self.folder / "filler").unlink()

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class Limit:
    """The process may make no file much longer than it is by now."""

    @staticmethod
    def set(edge, limit):
        subprocess.run(["prlimit", "--pid", str(edge.process.pid), f"--fsize={limit}:unlimited"],
                       check=True)

    def fill(self, edge):
        self.set(edge, max(path.stat().st_size for path in edge.store_files()) + 6 * MIB)

    def free(self, edge):
        self.set(edge, "unlimited")

    def close(self):
        pass


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", "24m")
    yield disk
    disk.close()


@pytest.fixture(params=["file system", "limit"])
def disk(request, tmp_path):
    disk = SmallDisk(tmp_path / "disk", "24m") if request.param == "file system" else Limit()
    yield disk
    disk.close()


def test_a_disk_that_fills_up(origin, start_edge, tmp_path, disk):
    """It goes on in the room it has, and uses more when there is more."""
    generate(origin)
    (tmp_path / "disk" / "store").mkdir(parents=True, exist_ok=True)
    edge = start_edge(origin=origin.url, arguments=["--store", tmp_path / "disk" / "store"])
    edge.store = tmp_path / "disk" / "store"
    served(edge, names("before", 150))
    edge.wait_stored(100)
    disk.fill(edge)
    served(edge, names("full", 400))
    edge.wait_for(store_disk_full=1)
    assert told(edge, "no room", f'path="{edge.store}"', "do=", "free room")
    stores_again(edge)
    full = edge.stats()["store_file_bytes"]
    disk.free(edge)
    served(edge, names("after", 300))
    edge.wait_until(lambda: edge.stats()["store_file_bytes"] > full + MIB or
                    served(edge, names("more", 50)), "a longer file")
    stores_again(edge)
    edge.expect_stats(store_resets=0, store_bad_records=0, fills_open=0, store_down=0)


def test_a_start_on_a_full_disk(origin, start_edge, small_disk):
    generate(origin)
    small_disk.fill()
    edge = start_edge(origin=origin.url, arguments=["--store", small_disk.folder / "store"])
    edge.store = small_disk.folder / "store"
    edge.wait_for(store_down=1, store_disk_full=1)
    assert told(edge, "nothing is stored until this is mended", str(edge.store), "disk")
    targets = names("first", 20)
    served(edge, targets + targets)
    assert origin.count() == 2 * len(targets)  # nothing was stored
    edge.purge(purge_everything=True)
    small_disk.free()
    edge.expect_stats(store_down=0)
    stores_again(edge)
    edge.restart()
    stores_again(edge)


# --- a file that cannot be used

def overwrite(path, off, data):
    with open(path, "r+b") as file:
        file.seek(off)
        file.write(data)


def raise_version(path):
    data = path.read_bytes()
    at = data.find(b"brinkst\n")
    while at != -1:
        overwrite(path, at + 8, b"\x63")
        at = data.find(b"brinkst\n", at + 1)


def make_foreign(path):
    """Another program's database, by the library itself."""
    lmdb = ctypes.CDLL("liblmdb.so.0")
    env, txn, dbi = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
    path.unlink()
    assert lmdb.mdb_env_create(ctypes.byref(env)) == 0
    assert lmdb.mdb_env_open(env, str(path.parent).encode(), 0, 0o600) == 0
    assert lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)) == 0
    assert lmdb.mdb_dbi_open(txn, None, 0, ctypes.byref(dbi)) == 0
    pair = (ctypes.c_size_t * 2)(5, ctypes.cast(b"hello", ctypes.c_void_p).value)
    assert lmdb.mdb_put(txn, dbi, pair, pair, 0) == 0
    assert lmdb.mdb_txn_commit(txn) == 0
    lmdb.mdb_env_close(env)


def make_text(path):
    (path.parent / "brink.lock").unlink()
    path.write_bytes(b"no database\n" * 2000)


DAMAGES = {
    "garbage for roots": (lambda path: overwrite(path, 0, os.urandom(8192)), "store_damaged_files"),
    "cut in half": (lambda path: os.truncate(path, path.stat().st_size // 8192 * 4096),
                    "store_damaged_files"),
    "another version": (raise_version, "store_unknown_versions"),
    "another program's": (make_foreign, "store_foreign_files"),
    "no database": (make_text, "store_foreign_files"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_cannot_be_used_is_set_aside(origin, edge, name):
    damage, counter = DAMAGES[name]
    generate(origin)
    targets = names("a", 20)
    served(edge, targets)
    edge.wait_stored(len(targets))
    edge.stop()
    damage(edge.store / "data.mdb")
    edge.start()
    seen = edge.stats()
    assert (seen[counter], seen["store_resets"], seen["store_objects"]) == (1, 1, 0)
    (aside,) = [path for path in edge.store_files() if path.name.startswith("data.mdb.")]
    assert aside.name.startswith("data.mdb.foreign-" if "foreign" in counter else "data.mdb.bad-")
    assert told(edge, "may be deleted", f'old="{aside}"', "do=", "reason=")
    served(edge, targets)
    stores_again(edge)
    edge.restart()
    served(edge, targets)
    edge.expect_stats(store_resets=0, **{counter: 0})


def test_a_tree_that_breaks_in_use(origin, edge):
    """Every page but the roots is overwritten while it serves."""
    generate(origin)
    targets = names("a", 100)
    served(edge, targets)
    edge.wait_stored(len(targets))
    path = edge.store / "data.mdb"
    overwrite(path, 8192, bytes(path.stat().st_size - 8192))
    served(edge, targets)
    served(edge, names("b", 40))
    edge.wait_for(store_damaged_files=1, store_resets=1)
    assert told(edge, "may be deleted", "do=")
    stores_again(edge)
    served(edge, targets)


def test_a_file_cut_in_use_costs_one_run(origin, start_edge, monkeypatch):
    """SIGBUS: a page that is not there. The line on standard error says so; the next start is well."""
    monkeypatch.setitem(SANITIZER_OPTIONS, "ASAN_OPTIONS", "handle_sigbus=0:handle_segv=0")
    generate(origin)
    edge = start_edge(origin=origin.url)
    targets = names("a", 60)
    served(edge, targets)
    edge.wait_stored(len(targets))
    os.truncate(edge.store / "data.mdb", 8192)
    load(edge.port, targets, check, threads=1)
    status = edge.wait_exit()
    edge.process = None
    assert status == -signal.SIGBUS
    assert f"the store's file in {edge.store} cannot be read" in edge.log_text()
    assert "next start" in edge.log_text()
    edge.start()
    edge.expect_stats(store_damaged_files=1, store_resets=1)
    served(edge, targets)
    stores_again(edge)


# --- no free pages

class Snapshot:
    """Another process's view of the database, held: no page is used again meanwhile."""

    CODE = """
import ctypes, sys
lmdb = ctypes.CDLL("liblmdb.so.0")
env, txn = ctypes.c_void_p(), ctypes.c_void_p()
assert lmdb.mdb_env_create(ctypes.byref(env)) == 0
assert lmdb.mdb_env_open(env, sys.argv[1].encode(), 0x20000, 0) == 0
assert lmdb.mdb_txn_begin(env, None, 0x20000, ctypes.byref(txn)) == 0
print("held", flush=True)
sys.stdin.read()
"""

    def __init__(self, folder):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", self.CODE, str(folder)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"held\n"

    def close(self):
        self.process.communicate(b"")


def test_a_snapshot_that_somebody_holds(origin, start_edge):
    generate(origin)
    edge = start_edge(origin=origin.url, store_size="8MB")
    served(edge, names("a", 20))
    edge.wait_for(store_objects=1)
    snapshot = Snapshot(edge.store)
    rounds = 0

    def is_full():
        nonlocal rounds
        rounds += 1
        served(edge, names(f"full{rounds}.", 30))
        return edge.stats()["store_map_full"] > 0

    edge.wait_until(is_full, "a full map")
    assert told(edge, "no run of free pages", "do=")
    assert edge.stats()["store_file_bytes"] <= 8 * MIB
    snapshot.close()
    served(edge, names("after", 60))
    stores_again(edge)
    assert max(path.stat().st_size for path in edge.store_files()) <= 8 * MIB


# --- what refuses to start

def refused(store, *remedies, command=()):
    done = subprocess.run([*command, binary(), "--origin", "http://127.0.0.1:9",
                           "--listen", "127.0.0.1:0", "--store", str(store)],
                          capture_output=True, text=True, timeout=30, check=False)
    errors = [line for line in done.stderr.splitlines() if "level=error" in line]
    assert done.returncode == 1, done.stderr
    assert len(errors) == 1 and "event=ready" not in done.stderr, done.stderr
    assert str(store) in errors[0] and all(word in errors[0] for word in remedies), errors[0]


def test_a_read_only_file_system_is_told(small_disk):
    small_disk.remount("ro")
    refused(small_disk.folder / "store", "Read-only file system", "mount its file system for writing")
    small_disk.remount("rw")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("part", ["folder", "file"])
def test_a_folder_of_another_user_is_told(small_disk, part):
    store = small_disk.folder / "store"
    store.mkdir(mode=0o755)
    if part == "file":
        store.chmod(0o777)
        (store / "data.mdb").touch(0o600)
    refused(store, "Permission denied", "chown",
            command=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])


def test_another_brink_is_told(origin, edge):
    refused(edge.store, "another process uses the store", "stop it")
    generate(origin)
    stores_again(edge)


def test_missing_folders_are_made(origin, start_edge, tmp_path):
    generate(origin)
    store = tmp_path / "a" / "b" / "c"
    edge = start_edge(origin=origin.url, arguments=["--store", store])
    edge.store = store
    stores_again(edge)
    assert (store / "data.mdb").exists()
