"""Commands on the mesh of this machine: ``up``, ``down``, ``status`` and ``logs``. They raise MeshError with a message for people."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from deploy.local import state
from deploy.local.home import MeshError, home_of
from deploy.local.supervisor import Mesh, Options, running
from deploy.local.table import show

__all__ = ["Mesh", "MeshError", "Options", "down", "logs", "running", "status", "up"]

_POLL_SECONDS = 0.1
_STOP_SECONDS = 25.0


async def up(options: Options, on_ready: Callable[[Mesh], Awaitable[None]] | None = None, *, is_quiet: bool = False) -> None:
    """Run a mesh, with a table of its processes on the terminal unless ``is_quiet``, until SIGINT, SIGTERM or ``down``.

    ``on_ready`` is called once everything is ready; the mesh keeps running after it returns.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.create_task(_run(options, on_ready, is_quiet=is_quiet))
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
        if not is_quiet and not work.done():
            _write("Stopping ...")
    finally:
        asked.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    if not is_quiet:
        _write("Stopped.")


async def _run(options: Options, on_ready: Callable[[Mesh], Awaitable[None]] | None, *, is_quiet: bool) -> None:
    async with running(options) as mesh:
        async with contextlib.nullcontext() if is_quiet else show(mesh.snapshot):
            await mesh.start()
            await mesh.wait_ready()
            if on_ready is None:
                await asyncio.Event().wait()
        if on_ready is not None:  # without the table, which would be drawn over what it prints
            await on_ready(mesh)
        await asyncio.Event().wait()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def down(data_dir: Path | None = None) -> bool:
    """Stop the mesh of a data directory and wait until it has ended; False if none runs there."""
    home = home_of(data_dir)
    pid = state.holder(home)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    for _ in range(int(_STOP_SECONDS / _POLL_SECONDS)):
        if state.holder(home) != pid:
            return True
        await asyncio.sleep(_POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    return True


def status(data_dir: Path | None = None) -> dict[str, Any]:
    """Return the contents of ``state.json``, with ``running``."""
    home = home_of(data_dir)
    pid = state.holder(home)
    known = state.read(home)
    if pid is None or known.get("pid") != pid:  # none runs, or it has not written its state yet
        known = {"data_dir": str(home.path), "pid": pid, "gateway": "", "ready": False, "processes": []}
    return {"running": pid is not None, **known}


async def logs(data_dir: Path | None, service: str, lines: int = 100, *, follow: bool = False) -> AsyncIterator[str]:
    """Yield the last lines of a process's log, oldest first, and with ``follow`` new lines until cancelled."""
    home = home_of(data_dir)
    path = home.logs / f"{service}.log"
    if not path.exists():
        known = ", ".join(sorted(log.stem for log in home.logs.glob("*.log"))) or "nothing"
        raise MeshError(f"there is no log of {service!r}; choose one of: {known}")
    older = path.with_suffix(".log.1")
    with path.open("rb") as file:
        inode, newest = os.fstat(file.fileno()).st_ino, file.read()
    known_lines = ((older.read_bytes() if older.exists() else b"") + newest).decode(errors="replace").splitlines()
    for line in known_lines[-lines:] if lines else ():
        yield line
    position = len(newest)
    while follow:
        await asyncio.sleep(_POLL_SECONDS)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != inode:
                position, inode = 0, os.fstat(file.fileno()).st_ino
            file.seek(position)
            text = file.read()
        position += len(text)
        for line in text.decode(errors="replace").splitlines():
            yield line
