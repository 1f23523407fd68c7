"""What brink gives up once it listens: its user, capabilities, system calls, core dumps."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import tempfile

import pytest

from edge import run_tool

NOBODY = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder():
    """A folder that every user can enter, unlike pytest's own."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="brink-confine."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def port_of_root():
    """A free port that an ordinary user may not bind."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port below 1024 is free")


def status(edge):
    """/proc/PID/status of each of its threads, as dicts."""
    tasks = pathlib.Path(f"/proc/{edge.process.pid}/task").iterdir()
    return [dict(re.findall(r"^(\w+):\s*(.*)$", (task / "status").read_text(), re.M))
            for task in tasks]


def core_limit(edge):
    text = pathlib.Path(f"/proc/{edge.process.pid}/limits").read_text()
    return re.search(r"^Max core file size\s+(\S+)\s+(\S+)", text, re.M).groups()


def owner(path):
    return pwd.getpwuid(path.stat().st_uid).pw_name


def cacheable(origin):
    origin.serve("/a", 200, {"Cache-Control": "max-age=60"}, b"hello")


@pytest.mark.edge(settings={"core_dumps": "no"})
def test_rights_are_given_up_by_default(edge):
    """Every thread: no capability that could be had back, no new privileges, the filter."""
    for thread in status(edge):
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2"), thread
        assert int(thread["CapInh"], 16) == int(thread["CapAmb"], 16) == 0
        if os.geteuid() == 0:
            assert int(thread["CapBnd"], 16) == 0
            assert int(thread["CapEff"], 16) == int(thread["CapPrm"], 16) == 1 << 1  # DAC_OVERRIDE
    assert core_limit(edge) == ("0", "0")


@as_root
def test_root_is_told_how_not_to_be(edge):
    told = [line for line in edge.log_events("confined") if line.get("what") == "user"]
    assert [line["level"] for line in told] == ["warn"]
    assert "user = NAME" in edge.log_text()


def test_sandbox_and_core_dumps_can_be_had_otherwise(start_edge, origin):
    edge = start_edge(origin=origin.url, settings={"sandbox": "no"})
    for thread in status(edge):
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "0")
    edge = start_edge(origin=origin.url, settings={"sandbox": "log"})
    assert {thread["Seccomp"] for thread in status(edge)} == {"2"}
    edge = start_edge(origin=origin.url, settings={"core_dumps": "yes"})
    assert core_limit(edge)[0] == core_limit(edge)[1]


@as_root
def test_user_is_changed_after_binding(start_edge, origin, open_folder):
    """A port of root's, the store and the access log: all of it works as another user, and the log
    can be opened anew."""
    cacheable(origin)
    port, log = port_of_root(), open_folder / "logs" / "access.log"
    log.parent.mkdir()
    shutil.chown(log.parent, NOBODY)
    edge = start_edge(origin=origin.url, settings={"user": NOBODY, "log.access": log},
                      arguments=["--store", open_folder / "var" / "store",
                                 "--listen", f"127.0.0.1:{port}"])
    edge.port = port
    entry = pwd.getpwnam(NOBODY)
    for thread in status(edge):
        assert thread["Uid"].split() == [str(entry.pw_uid)] * 4
        assert thread["Gid"].split() == [str(entry.pw_gid)] * 4
        assert thread["Groups"].split() == [str(entry.pw_gid)]
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(thread[name], 16) == 0, name
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2")
    assert edge.get("/a").body == b"hello"
    edge.wait_stored(1)
    assert edge.get("/a").cache_status.hit
    store = open_folder / "var" / "store"
    assert {owner(path) for path in [store, *store.iterdir()]} == {NOBODY}
    assert stat.S_IMODE(store.stat().st_mode) == 0o750

    edge.wait_until(lambda: log.read_text().count("\n") == 2, "both lines in the log")
    log.rename(log.with_suffix(".1"))
    edge.process.send_signal(signal.SIGUSR1)
    edge.wait_until(log.exists, "the new log")
    edge.get("/a")
    edge.wait_until(lambda: log.read_text().count("\n") == 1, "a line in the new log")
    assert owner(log) == NOBODY


@as_root
def test_store_survives_a_restart_as_another_user(start_edge, origin, open_folder):
    cacheable(origin)
    edge = start_edge(origin=origin.url, settings={"user": f"{NOBODY}:nogroup"},
                      arguments=["--store", open_folder / "store"])
    edge.get("/a")
    edge.wait_stored(1)
    edge.restart()
    assert edge.get("/a").cache_status.hit


@as_root
def test_log_is_made_for_the_user_where_he_may_not_make_it(start_edge, origin, open_folder):
    """In a folder of root's, such as /var/log."""
    cacheable(origin)
    log = open_folder / "access.log"
    edge = start_edge(origin=origin.url, settings={"user": NOBODY, "log.access": log},
                      arguments=["--store", open_folder / "store"])
    edge.get("/a")
    edge.wait_until(lambda: log.read_text().count("\n") == 1, "a line in the log")
    assert owner(log) == NOBODY


@as_root
@pytest.mark.parametrize("part", ["the folder", "a file in it", "the way to it"])
def test_store_of_another_is_told_with_the_remedy(open_folder, part):
    store = open_folder / "way" / "store"
    store.mkdir(parents=True)
    if part == "a file in it":
        shutil.chown(store, NOBODY)
        (store / "data.mdb").touch(0o600)
    elif part == "the way to it":
        shutil.chown(store, NOBODY)
        store.parent.chmod(0o700)
    done = run_tool("brink", "--origin", "http://127.0.0.1:9", "--listen", "127.0.0.1:0",
                    "--store", store, "--set", f"user={NOBODY}")
    assert done.returncode == 1
    remedy = f"chmod a+x {store.parent}" if part == "the way to it" else f"chown -R {NOBODY} {store}"
    assert f"as root: {remedy}" in done.stderr, done.stderr


def test_t_knows_the_users(tmp_path):
    file = tmp_path / "brink.conf"
    file.write_text('origin "app" { server "127.0.0.1:3000" {} }\nuser = "brink-no-such-user"\n')
    done = run_tool("brink", "-t", "-c", file)
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(str(file))}:2: .*no user \"brink-no-such-user\"; ", done.stderr)
    file.write_text('origin "app" { server "127.0.0.1:3000" {} }\nuser = "nobody:nogroup"\n')
    done = run_tool("brink", "-t", "-c", file)
    assert done.returncode == 0, done.stderr
    assert "nobody:nogroup" in done.stdout


def test_a_port_that_is_taken_is_told_before_the_store_is_made(edge, tmp_path):
    store = tmp_path / "other"
    done = run_tool("brink", "--origin", "http://127.0.0.1:9", "--store", store,
                    "--listen", f"127.0.0.1:{edge.port}")
    assert done.returncode == 1
    assert "stop what listens there" in done.stderr
    assert not store.exists()
