"""A process under supervision."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local import output, usage
from deploy.local.activity import Activity
from deploy.local.child import Child, Ready, ShuttingDownError, Spec
from deploy.local.processes import _NEEDS, SERVICES

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
SPIN = "print('up', flush=True)\nwhile True: pass"


async def _always() -> bool:
    return True


async def _never() -> bool:
    return False


def _logged(directory: Path, name: str = "it") -> str:
    log = directory / f"{name}.log"
    return log.read_text() if log.exists() else ""


async def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.02)


def _spec(program: str, ready: Ready = _always, name: str = "it", **options: Any) -> Spec:
    command = [sys.executable, "-c", program]
    return Spec(name, command, ready, environment=dict(os.environ), stop_seconds=1.0, **options)


@asynccontextmanager
async def _started(child: Child) -> AsyncIterator[Child]:
    child.start()
    try:
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def _running(program: str, directory: Path) -> AsyncIterator[Child]:
    async with _started(Child(_spec(program), directory)) as child:
        await child.wait_ready(10)
        yield child


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
        await _until(lambda: "up" in _logged(tmp_path))
        pid = child.pid
    assert not psutil.pid_exists(pid)


async def test_what_a_process_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    """A grandchild that keeps the output open neither hides the end nor survives it."""
    program = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); sys.stdin.read(); p.wait()"
    async with _running(program, tmp_path) as child:
        await _until(lambda: _logged(tmp_path).strip().isdigit())
        grandchild = int((tmp_path / "it.log").read_text())
        os.kill(child.pid, signal.SIGKILL)
        await _until(lambda: child.restarts == 1)
    await _until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


async def test_a_log_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it, the log becomes the older one, and the one before that is gone."""
    monkeypatch.setattr(output, "LOG_BYTES", 10_000)
    program = "import time\nfor n in range(2000): print('line', n, 'x' * 20, flush=True)\ntime.sleep(60)"
    log = tmp_path / "it.log"
    async with _running(program, tmp_path):
        await _until(lambda: log.exists() and "line 1999" in log.read_text())
    assert log.stat().st_size <= 10_000 + 65_536
    assert (tmp_path / "it.log.1").stat().st_size <= 10_000 + 65_536
    assert not (tmp_path / "it.log.2").exists()


async def test_an_idle_process_that_never_gets_ready_is_replaced_and_a_busy_one_is_not(tmp_path: Path) -> None:
    """What computes may be starting on a slow machine; what does nothing hangs."""
    idle = Child(_spec(SLEEP, _never, "idle", unready_seconds=0.6), tmp_path)
    busy = Child(_spec(SPIN, _never, "busy", unready_seconds=0.6), tmp_path)
    async with _started(busy):
        await _until(lambda: "up" in _logged(tmp_path, "busy"))
        async with _started(idle):
            await _until(lambda: idle.restarts == 1)
            assert busy.restarts == 0
        await _until(lambda: busy.restarts == 1)  # its time comes too
    assert "-- idle has not been ready for 1 s; replacing it" in _logged(tmp_path, "idle")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the time a process waits for a processor")
async def test_a_process_that_waits_for_a_processor_is_at_work() -> None:
    """Starved by another on its one processor, it is given time; asleep it is not at work."""
    cpu = min(os.sched_getaffinity(0))
    program = f"import os, sys; os.sched_setaffinity(0, [{cpu}]); os.nice(int(sys.argv[1])); print('up', flush=True)\nwhile True: pass"
    async with (
        _program(sys.executable, "-c", program, "0"),
        _program(sys.executable, "-c", program, "19") as starved,
        _program("sleep", "60") as asleep,
    ):
        assert starved.stdout is not None
        await starved.stdout.readline()
        activities = [Activity(process.pid) for process in (starved, asleep)]
        await asyncio.sleep(0.5)  # what is measured is a span of time
        assert [activity.is_busy() for activity in activities] == [True, False]


@asynccontextmanager
async def _program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_a_stopped_process_is_replaced(tmp_path: Path) -> None:
    """It was ready, answers nothing, does not even take SIGTERM."""

    async def responds() -> bool:
        return child.pid != stopped

    stopped = 0
    child = Child(_spec(SLEEP, responds, unready_seconds=0.6), tmp_path)
    async with _started(child):
        await child.wait_ready(10)
        stopped = child.pid
        os.kill(stopped, signal.SIGSTOP)
        await _until(lambda: child.restarts == 1 and child.state == "ready")
        assert not psutil.pid_exists(stopped)


async def test_a_process_is_not_replaced_while_what_it_needs_is_away(tmp_path: Path) -> None:
    """Its own time begins when the others are ready."""
    may = asyncio.Event()
    waiting = Child(_spec(SLEEP, _never, "waiting", unready_seconds=0.6), tmp_path, may.is_set)
    other = Child(_spec(SLEEP, _never, "other", unready_seconds=0.6), tmp_path)
    async with _started(waiting), _started(other):
        await _until(lambda: other.restarts == 1)
        assert waiting.restarts == 0
        may.set()
        await _until(lambda: waiting.restarts == 1)


async def test_each_replacement_in_vain_doubles_the_time_of_the_next(tmp_path: Path) -> None:
    """A process that cannot get ready, its model being damaged, say, does not keep the machine busy with starting it."""
    child = Child(_spec(SLEEP, _never, unready_seconds=0.3), tmp_path)
    async with _started(child):
        await _until(lambda: child.restarts == 3)
        assert [child._bound, child.spec.unready_seconds * 8] == [2.4, 2.4]


async def test_a_process_that_says_it_is_shutting_down_is_ended_at_once(tmp_path: Path) -> None:
    """Somebody else told it to; its clients may keep it from ending."""
    leaving = False

    async def ready() -> bool:
        if leaving and child.pid == first:
            raise ShuttingDownError("the database system is shutting down")
        return True

    child = Child(_spec(SLEEP, ready), tmp_path)
    async with _started(child):
        await child.wait_ready(10)
        first, leaving = child.pid, True
        await _until(lambda: child.restarts == 1 and child.state == "ready")
    assert "-- it is shutting down; restarting it: the database system is shutting down" in _logged(tmp_path)


async def test_what_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """Its directory was missing; once it is there, the process runs."""
    child = Child(_spec(SLEEP, directory=tmp_path / "later"), tmp_path)
    async with _started(child):
        await _until(lambda: "-- it cannot be started: [Errno 2]" in _logged(tmp_path))
        (tmp_path / "later").mkdir()
        await child.wait_ready(10)


async def test_a_probe_that_fails_is_no_answer(tmp_path: Path) -> None:
    """The log says once what was wrong with it; the process is watched on."""
    broken = True

    async def ready() -> bool:
        if broken:
            raise RuntimeError("no such socket")
        return True

    child = Child(_spec(SLEEP, ready), tmp_path)
    async with _started(child):
        await _until(lambda: "cannot be asked" in _logged(tmp_path))
        broken = False
        await child.wait_ready(10)
    assert _logged(tmp_path).count("no such socket") == 1


async def test_a_log_that_cannot_be_written_does_not_stop_the_process(tmp_path: Path) -> None:
    """It would wait for room in its pipe: the output is read and dropped."""
    done = tmp_path / "done"
    program = f"import pathlib\nfor n in range(5000): print('x' * 100, flush=True)\npathlib.Path({str(done)!r}).touch()\n{SLEEP}"
    async with _started(Child(_spec(program), tmp_path / "no" / "such" / "directory")):
        await _until(done.exists)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal on a parent's death")
async def test_processes_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """Kill -9 of the supervisor leaves nothing behind."""
    program = f"""
import asyncio, pathlib
from deploy.local.child import Child, Ready, ShuttingDownError, Spec
from deploy.local.processes import _NEEDS, SERVICES
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


async def test_the_children_of_a_process_that_outlived_the_supervisor_are_ended() -> None:
    """The process is gone, and what it had started is not: the next start ends it."""
    # The orphan must not hold the pipe: the end of its parent would be seen only with its own.
    program = "from subprocess import DEVNULL, Popen; print(Popen(['sleep', '60'], stdout=DEVNULL).pid, flush=True)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    orphan = int(await process.stdout.readline())
    await process.wait()
    assert psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE
    await asyncio.to_thread(usage.end_leftovers, [{"name": "embedding", "pid": process.pid, "started": 1.0}])
    await _until(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)


def test_what_a_process_needs_is_a_process() -> None:
    """A name that is none would keep it from ever being replaced."""
    names = {*SERVICES, "worker", "postgres", "qdrant", "redis", "envoy"}
    assert names.issuperset(_NEEDS)
    assert names.issuperset(itertools.chain.from_iterable(_NEEDS.values()))
