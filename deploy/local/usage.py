"""Measures the memory of processes, and ends those that a dead supervisor left running."""

import contextlib
import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError, PermissionError)


def pss_mib(pids: Iterable[int]) -> dict[int, float]:
    """Return the proportional set size in MiB of each process with all its descendants."""
    return {pid: round(sum(map(_pss_kib, _family(pid))) / 1024, 1) for pid in pids if pid}


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Return the processor time that each process and its living descendants have used, in seconds."""
    return {pid: sum(map(_cpu_seconds, _family(pid))) for pid in pids if pid}


def own_pss_mib() -> float:
    """Return the proportional set size in MiB of this process alone."""
    return round(_pss_kib(os.getpid()) / 1024, 1)


def started_at(pid: int) -> float:
    """Return when the process began, which identifies it together with the pid; 0 if it has ended."""
    try:
        return float(psutil.Process(pid).create_time())
    except _GONE:
        return 0.0


def end_leftovers(processes: Iterable[dict[str, Any]]) -> None:
    """End those of ``processes`` (name, pid, started) and of their children that outlived their supervisor."""
    processes = list(processes)
    leftovers = []
    for entry in processes:
        with contextlib.suppress(*_GONE):
            process = psutil.Process(entry["pid"])
            if process.pid and abs(process.create_time() - entry["started"]) < 0.05:
                process.send_signal(signal.SIGINT if entry["name"] == "postgres" else signal.SIGTERM)
                leftovers.append(process)
    _, alive = psutil.wait_procs(leftovers, timeout=8)
    for process in alive:
        with contextlib.suppress(*_GONE):
            process.kill()
    psutil.wait_procs(alive, timeout=2)
    for entry in processes:
        # Each leads a process group, and no other process gets its pid while a child is left in the group.
        if entry["pid"] and not psutil.pid_exists(entry["pid"]):
            with contextlib.suppress(*_GONE):
                os.killpg(entry["pid"], signal.SIGKILL)


def _family(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except _GONE:
        return []


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except _GONE:
        return 0.0
    return float(times.user + times.system)


def _pss_kib(pid: int) -> float:
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        if match:
            return float(match[1])
    except _GONE:
        pass
    try:  # no such file on this system, or not ours to read
        return float(psutil.Process(pid).memory_info().rss) / 1024
    except _GONE:
        return 0.0
