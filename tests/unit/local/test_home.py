"""The data directory: its secrets, its ports, its lock, what others read in it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import mesh, ports, state
from deploy.local.home import Home, MeshError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for directory in (home.logs, home.keys, home.run):
        directory.mkdir()
    return home


@pytest.mark.abuse(40)
def test_a_secret_is_made_once_and_is_the_owners(home: Home) -> None:
    """The second reader gets the first one's secret."""
    made = home.secret("redis-password")
    assert home.secret("redis-password") == made
    assert len(made) >= 32
    assert (home.keys / "redis-password").stat().st_mode & 0o777 == 0o600


def test_ports_stay_the_same(home: Home) -> None:
    """A restart finds the same ports; a new name gets a new one."""
    first = ports.choose(["a", "b"], home.ports, "seed")
    again = ports.choose(["b", "a", "c"], home.ports, "seed")
    assert {name: again[name] for name in first} == first
    assert len(set(again.values())) == 3


def test_a_port_that_was_taken_is_replaced(home: Home) -> None:
    """Somebody listens where we listened: that name moves."""
    before = ports.choose(["a"], home.ports, "seed")["a"]
    with socket.create_server(("127.0.0.1", before)):
        assert ports.choose(["a"], home.ports, "seed")["a"] != before


def test_two_homes_get_different_ports(tmp_path: Path) -> None:
    """Two meshes start at once and do not meet."""
    one = ports.choose(["a"], tmp_path / "one.json", "one")
    two = ports.choose(["a"], tmp_path / "two.json", "two")
    assert one["a"] != two["a"]


def test_a_second_mesh_on_the_same_data_is_refused(home: Home) -> None:
    """It says who holds it."""
    with state.locked(home):
        assert state.holder(home) == os.getpid()
        with pytest.raises(MeshError, match=f"a mesh already runs on .* \\(pid {os.getpid()}"), state.locked(home):
            pass
    assert state.holder(home) is None


def test_a_killed_holder_holds_nothing(home: Home) -> None:
    """After kill -9 the lock file is still there, the lock is not."""
    program = (
        "import pathlib, sys, time; from deploy.local import state; from deploy.local.home import Home\n"
        f"with state.locked(Home(pathlib.Path({str(home.path)!r}))): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert state.holder(home) == holder.pid
        holder.send_signal(signal.SIGKILL)
    assert state.holder(home) is None
    with state.locked(home):
        assert state.holder(home) == os.getpid()


async def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    """`status` says so, `down` has nothing to do, `logs` says what there is."""
    assert mesh.status(tmp_path)["running"] is False
    assert await mesh.down(tmp_path) is False
    with pytest.raises(MeshError, match="there is no log of 'auth'"):
        [line async for line in mesh.logs(tmp_path, "auth")]


async def test_logs_end_with_the_last_lines(home: Home) -> None:
    """Across the older file and the newer one."""
    (home.logs / "auth.log.1").write_text("one\ntwo\n")
    (home.logs / "auth.log").write_text("three\n")
    assert [line async for line in mesh.logs(home.path, "auth", lines=2)] == ["two", "three"]


async def test_logs_follow(home: Home) -> None:
    """What is written later comes too."""
    log = home.logs / "auth.log"
    log.write_text("one\n")
    lines = mesh.logs(home.path, "auth", lines=1, follow=True)
    assert await anext(lines) == "one"
    with log.open("a") as file:
        file.write("two\n")
    async with asyncio.timeout(5):
        assert await anext(lines) == "two"
    await lines.aclose()  # type: ignore[attr-defined]
