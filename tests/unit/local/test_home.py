"""The data directory: its secrets, its ports, its lock, what others read in it."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local import mesh, ports, purging, state
from deploy.local.home import Home, MeshError
from deploy.local.supervisor import Mesh, Options


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


def test_a_purge_deletes_what_a_mesh_made_and_nothing_else(tmp_path: Path) -> None:
    """Also the database outside the directory; not while a mesh runs, and not in a directory that is no mesh's."""
    home = Home(tmp_path / "data")
    assert purging.belongings(home.path) == []
    home.prepare()
    home.secret("operator")
    (home.postgres / "data").mkdir(parents=True)
    outside = [path for path in home.belongings if path.exists() and not path.is_relative_to(home.path)]
    assert bool(outside) == (os.geteuid() == 0)
    (home.path / "mine.txt").write_text("not Semantik's")
    with state.locked(home):
        state.write(home, {"gateway": "http://127.0.0.1:1"})
        with pytest.raises(MeshError, match="stop it first: semantik down"):
            purging.belongings(home.path)
    assert purging.gateway(home.path) == "http://127.0.0.1:1"
    assert purging.belongings(home.path) == [home.path, *(path for path in home.belongings if path in outside)]
    purging.delete(home.path)
    assert [path.name for path in home.path.iterdir()] == ["mine.txt"]
    assert [path for path in outside if path.exists()] == []


def test_a_purge_leaves_no_empty_directory(tmp_path: Path) -> None:
    """Nothing else was in it."""
    home = Home(tmp_path / "data")
    home.prepare()
    with state.locked(home):
        pass
    purging.delete(home.path)
    assert not home.path.exists()


async def test_a_model_that_is_not_installed_is_no_default(tmp_path: Path) -> None:
    """Said before anything starts, with the way to install it; one that is installed reaches the embedding service alone."""
    started = Mesh(Options(data_dir=tmp_path / "data", model="../keys"))
    started.home.prepare()
    with pytest.raises(MeshError, match=r"'\.\./keys' is not in .*models; start without --model, install it"):
        started._plan()
    (started.home.models / "moon").mkdir()
    (started.home.models / "moon" / "config.json").write_text("{}")
    plan = Mesh(Options(data_dir=tmp_path / "data", model="moon"))._plan()
    models = {spec.name: spec.environment.get("DEFAULT_MODEL") for spec in plan.services()}
    assert models == {"auth": None, "collection": None, "operation": None, "embedding": "moon", "search": None}
    shutil.rmtree(started.home.postgres, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's databases lie outside the data directory")
def test_meshes_of_root_come_and_go_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None deletes the database of one that begins; with the last one goes what they shared."""
    shared = tmp_path / "state" / "semantik"
    monkeypatch.setattr("deploy.local.home._ROOTS_STATE", shared)

    def come_and_go(number: int) -> bool:
        home = Home(tmp_path / f"mesh{number}")
        home.prepare()
        (shared / "server-1.0").mkdir(exist_ok=True)
        home.lock.touch()
        is_there = home.postgres.is_dir()
        purging.delete(home.path)
        return is_there

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(come_and_go, range(200)))
    assert not shared.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's databases lie outside the data directory")
def test_a_purge_leaves_a_database_that_has_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost the note has not lost the data."""
    shared = tmp_path / "state" / "semantik"
    monkeypatch.setattr("deploy.local.home._ROOTS_STATE", shared)
    home = Home(tmp_path / "mesh")
    home.prepare()
    home.lock.touch()
    (shared / "other" / "data").mkdir(parents=True)
    purging.delete(home.path)
    assert [path.name for path in shared.iterdir()] == ["other"]
