"""What the supervisor does when the disk of its data directory is full."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import state
from deploy.local.child import Spec
from deploy.local.home import Home
from deploy.local.supervisor import Mesh, Options
from tests.faults.disk import Disk
from tests.servers import child


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk", 4)
    try:
        disk.mount()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk of limited size is not permitted here")
    if not disk.is_limited:
        pytest.skip("mounting a disk of limited size needs root")
    yield disk
    disk.unmount()


async def _always() -> bool:
    return True


def test_a_full_disk_refuses_and_takes_again(disk: Disk) -> None:
    """The helper itself."""
    disk.fill()
    with pytest.raises(OSError, match="No space left") as caught:
        (disk.path / "more").write_bytes(b"x" * 10_000)
    assert caught.value.errno == errno.ENOSPC
    disk.free()
    (disk.path / "more").write_bytes(b"x" * 10_000)


async def test_a_process_goes_on_though_its_log_cannot_grow(disk: Disk, tmp_path: Path) -> None:
    """What it says is dropped meanwhile; once there is room, its log goes on."""
    done, more = tmp_path / "done", tmp_path / "more"
    program = f"""
import pathlib, time
for n in range(5000): print('x' * 100, flush=True)
pathlib.Path({str(done)!r}).touch()
while not pathlib.Path({str(more)!r}).exists(): time.sleep(0.02)
print('there is room', flush=True)
time.sleep(60)
"""
    disk.fill()
    spec = Spec("it", [sys.executable, "-c", program], _always, environment=dict(os.environ), stop_seconds=1.0)
    async with asyncio.timeout(30), child(spec, disk.path) as process:
        while not done.exists():  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.02)
        disk.free()
        more.touch()
        while "there is room" not in process.log.read_text():  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.02)
        assert process.restarts == 0


def test_the_state_is_written_again_once_there_is_room(disk: Disk) -> None:
    """Until then it says what it said before, whole."""
    mesh = Mesh(Options(data_dir=disk.path))
    mesh._write_state()
    before = state.read(Home(disk.path.resolve()))
    disk.fill()
    mesh.gateway = "http://127.0.0.1:8080"
    mesh._write_state()
    assert state.read(mesh.home) == before
    disk.free()
    mesh._write_state()
    assert state.read(mesh.home)["gateway"] == "http://127.0.0.1:8080"
