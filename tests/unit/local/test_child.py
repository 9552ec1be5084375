"""A process under supervision."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local import child as child_module
from deploy.local.child import Child, Spec


async def _always() -> bool:
    return True


def _said(directory: Path) -> str:
    log = directory / "it.log"
    return log.read_text() if log.exists() else ""


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _running(program: str, directory: Path) -> AsyncIterator[Child]:
    child = Child(Spec("it", [sys.executable, "-c", program], _always, environment=dict(os.environ), stop_seconds=1.0), directory)
    child.start()
    try:
        await child.wait_ready(10)
        yield child
    finally:
        await child.stop()


async def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    """The new one has another pid, and the restart is counted."""
    async with _running("import time; time.sleep(60)", tmp_path) as child:
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await _until(lambda: child.restarts == 1 and child.pid not in (0, first))
        await child.wait_ready(10)
        assert child.state == "ready"
    assert child.state == "stopped"
    assert "-- it ended with code -9" in (tmp_path / "it.log").read_text()


async def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    """SIGTERM first, SIGKILL after the time it has."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    async with _running(program, tmp_path) as child:
        await _until(lambda: "up" in _said(tmp_path))
        pid = child.pid
    assert not psutil.pid_exists(pid)


async def test_what_a_process_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    """A grandchild that keeps the output open neither hides the end nor survives it."""
    program = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); sys.stdin.read(); p.wait()"
    async with _running(program, tmp_path) as child:
        await _until(lambda: _said(tmp_path).strip().isdigit())
        grandchild = int((tmp_path / "it.log").read_text())
        os.kill(child.pid, signal.SIGKILL)
        await _until(lambda: child.restarts == 1)
    await _until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


async def test_a_log_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it, the log becomes the older one, and the one before that is gone."""
    monkeypatch.setattr(child_module, "_LOG_BYTES", 10_000)
    program = "import time\nfor n in range(2000): print('line', n, 'x' * 20, flush=True)\ntime.sleep(60)"
    log = tmp_path / "it.log"
    async with _running(program, tmp_path):
        await _until(lambda: log.exists() and "line 1999" in log.read_text())
    assert log.stat().st_size <= 10_000 + 65_536
    assert (tmp_path / "it.log.1").stat().st_size <= 10_000 + 65_536
    assert not (tmp_path / "it.log.2").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal on a parent's death")
async def test_processes_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """Kill -9 of the supervisor leaves nothing behind."""
    program = f"""
import asyncio, pathlib
from deploy.local.child import Child, Spec
async def always(): return True
async def main():
    child = Child(Spec("it", ["sleep", "60"], always), pathlib.Path({str(tmp_path)!r}))
    child.start()
    await child.wait_ready(10)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-P", "-c", program, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    pid = int(await supervisor.stdout.readline())
    assert psutil.pid_exists(pid)
    supervisor.kill()
    await supervisor.wait()
    await _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
