"""Measures whether a process is at work, which distinguishes one that hangs from one that a busy machine slows down."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_BUSY_SHARE = 0.1
_PROC = Path("/proc")


class Activity:
    """The work of a process and its descendants between two samples. On Linux it includes waiting for a processor or a disk."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seconds = _seconds(pid)
        self._time = time.monotonic()

    def is_busy(self) -> bool:
        """Return whether they ran or waited to run for a tenth of the time since the last call, or wait now for a disk or to run."""
        before, self._seconds = self._seconds, _seconds(self._pid)
        elapsed, self._time = time.monotonic() - self._time, time.monotonic()
        used = sum(max(0.0, seconds - before.get(task, 0.0)) for task, seconds in self._seconds.items())
        return used >= elapsed * _BUSY_SHARE or any(map(_is_waiting, self._seconds))


def _seconds(pid: int) -> dict[str, float]:
    """Return, by thread, the seconds spent running or waiting to run."""
    try:
        return {task: _of_task(task) for task in _tasks(str(pid))}
    except OSError:  # no such process, or no such directory on this system
        pass
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return {}
    return {"": times.user + times.system}


def _tasks(pid: str) -> Iterator[str]:
    for directory in (_PROC / pid / "task").iterdir():
        yield f"{pid}/task/{directory.name}"
        try:
            children = (directory / "children").read_text().split()
        except OSError:
            children = []
        for child in children:
            try:
                yield from _tasks(child)
            except OSError:  # it has ended
                continue


def _of_task(task: str) -> float:
    try:
        running, waiting, _ = (_PROC / task / "schedstat").read_text().split()
    except (OSError, ValueError):  # it has ended, or the kernel does not count
        return 0.0
    return (int(running) + int(waiting)) / 1e9


def _is_waiting(task: str) -> bool:
    """Return whether it waits for a disk, or could run: the kernel adds the time it waited for a processor only once it has one."""
    try:
        return (_PROC / task / "stat").read_text().rpartition(")")[2].split()[0] in "DR"
    except (OSError, IndexError):
        return False
