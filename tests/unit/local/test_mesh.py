"""A mesh as commands see it, from its first process to its last; whether it ever gets ready is the smoke test's question."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local import mesh, ports

_UP = """
import asyncio, pathlib, sys
from deploy.local import supervisor
from deploy.local.mesh import MeshError, Options, up
supervisor._READY_SECONDS = float(sys.argv[3])
try:
    asyncio.run(up(Options(data_dir=pathlib.Path(sys.argv[1]), port=int(sys.argv[2]))))
except MeshError as error:
    sys.exit(str(error))
"""


@pytest.fixture
async def data(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "data"
    await mesh.down(tmp_path / "data")
    shutil.rmtree((tmp_path / "data" / "postgres").resolve(), ignore_errors=True)


@pytest.fixture
def port(tmp_path: Path) -> int:
    """A free port, of which other runs of this test on the machine choose another."""
    return ports.choose(["gateway"], tmp_path / "ports.json", str(tmp_path))["gateway"]


async def _up(data: Path, port: int, ready_seconds: float = 120) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _UP, str(data), str(port), str(ready_seconds)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


async def _status(data: Path, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not fits(found := mesh.status(data)):  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.05)
    return found


def _all_started(status: dict[str, Any]) -> bool:
    states = {process["name"]: process["state"] for process in status["processes"]}
    return {"postgres", "auth", "worker", "envoy"} <= set(states) and states["postgres"] == "ready" and states["auth"] != "waiting"


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def test_it_starts_once_survives_a_kill_and_stops_whole(data: Path, port: int) -> None:
    """Only its owner can read it; a second one is refused; killed, it leaves nothing and starts again; `down` ends it all."""
    first = await _up(data, port)
    before = await _status(data, _all_started)
    assert (before["running"], before["pid"], before["gateway"]) == (True, first.pid, f"http://127.0.0.1:{port}")
    assert data.stat().st_mode & 0o777 == 0o700
    assert not [path for path in data.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    second = await _up(data, port)
    output, _ = await second.communicate()
    assert (second.returncode, f"(pid {first.pid}".encode() in output) == (1, True)

    left = data / "tmp" / "semantik-read-left"
    left.mkdir()
    (left / "document.pdf").write_bytes(b"%PDF")
    first.kill()
    await first.communicate()
    assert mesh.status(data)["running"] is False
    third = await _up(data, port)
    after = await _status(data, lambda status: status["pid"] == third.pid and _all_started(status))
    assert _alive(_pids(before)) == []
    assert _ports(after) == _ports(before)
    assert not left.exists()  # what killed processes had there for a moment

    assert await mesh.down(data) is True
    await third.communicate()
    assert third.returncode == 0
    assert _alive(_pids(after)) == []
    assert mesh.status(data)["running"] is False


def _pids(status: dict[str, Any]) -> list[int]:
    return [process["pid"] for process in status["processes"] if process["pid"]]


def _ports(status: dict[str, Any]) -> dict[str, int]:
    return {process["name"]: process["port"] for process in status["processes"]}


async def test_a_taken_port_is_refused(data: Path, port: int) -> None:
    """A port asked for and not free ends the start with a sentence."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        output, _ = await (await _up(data, port)).communicate()
    assert output.decode().strip() == f"port {port} is taken; choose another with --port"


async def test_what_never_gets_ready_is_named_and_everything_stops(data: Path, port: int) -> None:
    """With the log to look at, and exit code 1; its time is cut short here, so that nothing but the engines can be ready."""
    process = await _up(data, port, ready_seconds=0)
    started = await _status(data, lambda status: bool(_pids(status)))
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 1
    logs = output.decode().partition("not ready after 0 s")[2].splitlines()[1:]
    assert f"  envoy: {data}/logs/envoy.log" in logs
    assert f"  worker: {data}/logs/worker.log" in logs
    assert _alive(_pids(started) + _pids(mesh.status(data))) == []
    assert mesh.status(data)["running"] is False
