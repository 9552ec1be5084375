"""What the processes of a mesh do between two samples: processor time, memory, and the RPCs that they count."""

import asyncio
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from deploy.local import mesh, usage

_SECONDS = 2.0


@dataclass(frozen=True)
class Calls:
    """What was counted of one method since its process started."""

    count: float = 0.0
    failures: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Sample:
    """A mesh at one time. ``state`` is that of ``semantik status``; the numbers of processes are by pid."""

    state: dict[str, Any]
    time: float
    cpu_seconds: Mapping[int, float] = field(default_factory=dict)
    mib: Mapping[int, float] = field(default_factory=dict)
    calls: Mapping[str, Calls] = field(default_factory=dict)
    queued: Mapping[str, float] = field(default_factory=dict)
    """The number of operations that wait, by kind."""


async def sample(data_dir: Path | None) -> Sample:
    """Measure now; a process that does not answer is left out."""
    state = mesh.status(data_dir)
    pids = [process["pid"] for process in state["processes"] if process["pid"]]
    addresses = [process["metrics"] for process in state["processes"] if process["metrics"].startswith("http://")]
    now = time.monotonic()
    cpu = await asyncio.to_thread(usage.cpu_seconds, pids)
    mib = await asyncio.to_thread(usage.pss_mib, pids)
    texts = await asyncio.gather(*(asyncio.to_thread(_fetched, address) for address in addresses))
    calls: dict[str, Calls] = {}
    queued: dict[str, float] = {}
    for text in texts:
        _count(text, calls, queued)
    return Sample(state, now, cpu, mib, calls, queued)


def changes(before: Sample, after: Sample) -> dict[str, Any]:
    """Return what happened between two samples, as ``semantik top --json`` prints it."""
    seconds = max(after.time - before.time, 1e-6)
    processes = []
    for process in after.state["processes"]:
        pid = process["pid"]
        used = after.cpu_seconds.get(pid, 0.0) - before.cpu_seconds.get(pid, after.cpu_seconds.get(pid, 0.0))
        # Children that have ended take their time with them.
        share = round(100 * max(used, 0.0) / seconds, 1)
        processes.append({"name": process["name"], "state": process["state"], "cpu_percent": share, "mib": after.mib.get(pid, 0.0)})
    rpcs: list[dict[str, Any]] = []
    for method, calls in after.calls.items():
        earlier = before.calls.get(method, Calls())
        count = calls.count - earlier.count
        if count > 0:
            mean = 1000 * (calls.seconds - earlier.seconds) / count
            failed = (calls.failures - earlier.failures) / seconds
            rates = {"per_second": round(count / seconds, 1), "failed_per_second": round(failed, 1)}
            rpcs.append({"method": method, **rates, "mean_milliseconds": round(mean, 1)})
    rpcs.sort(key=lambda rpc: -rpc["per_second"])
    return {"seconds": round(seconds, 1), "processes": processes, "rpcs": rpcs, "queued": {k: int(n) for k, n in after.queued.items() if n}}


def _fetched(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - of our own mesh, on loopback
            return str(answer.read().decode())
    except OSError:  # it is starting or stopping
        return ""


def _count(text: str, calls: dict[str, Calls], queued: dict[str, float]) -> None:
    """Add a process's metrics; the same method counts together in all replicas."""
    for family in text_string_to_metric_families(text):
        if family.name == "semantik_rpc_handled":
            for series in family.samples:
                if series.name.endswith("_total"):
                    method = series.labels["method"]
                    known, failed = calls.get(method, Calls()), series.labels["code"] != "OK"
                    calls[method] = Calls(known.count + series.value, known.failures + series.value * failed, known.seconds)
        elif family.name == "semantik_rpc_seconds":
            for series in family.samples:
                if series.name.endswith("_sum"):
                    known = calls.get(series.labels["method"], Calls())
                    calls[series.labels["method"]] = Calls(known.count, known.failures, known.seconds + series.value)
        elif family.name == "semantik_operation_queued":
            for series in family.samples:
                queued[series.labels["kind"]] = queued.get(series.labels["kind"], 0.0) + series.value
