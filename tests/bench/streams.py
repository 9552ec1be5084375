"""``make bench-streams``: many authorised watches of operations at once, through Envoy.

A stand-in for a worker claims an operation for each user over the internal contract and reports progress; the watchers, in processes of
their own, see each report. Clients, gateway and services share this machine's cores.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import uvloop

from deploy.local.supervisor import Mesh, Options, running
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.client import Client
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.operation.v1.operation_pb2 import Operation, Progress

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

_QUEUE = "bench"
# A user may have 256 streams open.
_ON_A_USER = 250
_PROCESSES = 4
_HEARTBEAT_SECONDS = 5.0
_UNARY_SECONDS = 0.05


class Watchers:
    """A process of watchers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def order(self, order: str, **details: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"order": order, **details}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer


@asynccontextmanager
async def _watchers(address: str) -> AsyncIterator[Watchers]:
    command = [sys.executable, "-P", "-m", "tests.bench.streams_client", address]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=256 << 20)
    try:
        yield Watchers(process)
    finally:
        process.kill()
        await process.wait()


class Reports:
    """Holds one claimed operation for each user, and reports progress on all of them in turn, each once in so many seconds."""

    def __init__(self, stub: "OperationInternalServiceAsyncStub") -> None:
        self._stub = stub
        self._claims: list[messages.Claim] = []

    async def start(self, user_id: str) -> str:
        """Start an operation of a user, and claim it; return its id."""
        principal = principal_pb2.Principal(user_id=user_id, role=user_pb2.User.ROLE_POWER_USER)
        request = messages.StartOperationRequest(principal=principal, request_id=str(uuid.uuid4()), kind=Operation.KIND_SYNC, queue=_QUEUE)
        operation = (await self._stub.StartOperation(request)).operation
        claim = messages.ClaimOperationRequest(queue=_QUEUE, worker_id="bench", claim_id=str(uuid.uuid4()), slot=messages.SLOT_LONG)
        self._claims.append((await self._stub.ClaimOperation(claim)).claim)
        return str(operation.id)

    async def run(self, every_seconds: float) -> None:
        await asyncio.gather(self._heartbeats(), self._progress(every_seconds))

    async def _heartbeats(self) -> None:
        while True:
            for claim in self._claims:
                await self._stub.ReportOperation(messages.ReportOperationRequest(operation_id=claim.operation.id, fence=claim.fence))
                await asyncio.sleep(_HEARTBEAT_SECONDS / len(self._claims))

    async def _progress(self, every_seconds: float) -> None:
        for done in itertools.count(1):
            for claim in self._claims:
                progress = Progress(phase=Progress.PHASE_INDEXING, documents_done=done, documents_total=1_000_000)
                request = messages.ReportOperationRequest(operation_id=claim.operation.id, fence=claim.fence, progress=progress)
                await self._stub.ReportOperation(request)
                await asyncio.sleep(every_seconds / len(self._claims))


class Unary:
    """A user who asks for something small twenty times a second."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.milliseconds: list[float] = []

    async def run(self) -> None:
        while True:
            started = time.perf_counter()
            await self._client.accounts.me()
            self.milliseconds.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(_UNARY_SECONDS)


def _pss_kib(mesh: Mesh) -> dict[str, int]:
    """Return the memory of the gateway and of operation, shared pages by share."""
    pids = {child.spec.name: child.pid for child in mesh.children if child.spec.name in ("envoy", "operation")}
    return {name: int(psutil.Process(pid).memory_full_info().pss) // 1024 for name, pid in pids.items()}


def _p(values: Sequence[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)


async def _users(address: str, count: int) -> list[tuple[str, str]]:
    """Register users; return each one's id and access token."""
    found = []
    for number in range(count):
        async with Client(address) as client:
            user = await client.accounts.register(f"watcher-{number}", f"watcher-{number}@example.org", "correct horse battery staple")
            assert client.session.tokens is not None
            found.append((user.id, client.session.tokens.access_token))
    return found


async def _measured(unary: Unary, watchers: Sequence[Watchers], seconds: float) -> dict[str, Any]:
    unary.milliseconds.clear()
    answers = await asyncio.gather(*(each.order("measure", seconds=seconds) for each in watchers))
    latencies = [value for answer in answers for value in answer["latencies"]]
    return {
        "messages": len(latencies),
        "p50_ms": _p(latencies, 50),
        "p99_ms": _p(latencies, 99),
        "unary_p99_ms": _p(unary.milliseconds, 99),
        "breaks": dict(sum((Counter(answer["breaks"]) for answer in answers), Counter[str]())),
    }


async def _run(steps: Sequence[int], per_second: float, seconds: float, every_seconds: float) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semantik-bench-")))
        mesh = await stack.enter_async_context(running(Options(data_dir=directory, port=None)))
        await mesh.start()
        await mesh.wait_ready()
        address = mesh.gateway.removeprefix("http://")
        people = await _users(address, -(-max(steps) // _ON_A_USER))
        port = next(child.spec.port for child in mesh.children if child.spec.name == "operation")
        identity = MeshIdentity("collection", (mesh.home.keys / "mesh.pem").read_bytes())
        channel = await stack.enter_async_context(channels.connect(f"127.0.0.1:{port}", "operation", identity))
        reports = Reports(OperationInternalServiceStub(channel))
        watched = [(token, await reports.start(user_id)) for user_id, token in people]
        client = await stack.enter_async_context(Client(address))
        await client.accounts.register("asker", "asker@example.org", "correct horse battery staple")
        unary = Unary(client)
        processes = [await stack.enter_async_context(_watchers(address)) for _ in range(_PROCESSES)]
        tasks = [asyncio.create_task(reports.run(every_seconds)), asyncio.create_task(unary.run())]
        before, held, result = _pss_kib(mesh), 0, {}
        try:
            for step in steps:
                streams = [watched[number // _ON_A_USER] for number in range(held, step)]
                shares = [streams[number::_PROCESSES] for number in range(_PROCESSES)]
                orders = zip(processes, shares, strict=True)
                opened = await asyncio.gather(
                    *(each.order("open", watched=share, per_second=per_second / _PROCESSES) for each, share in orders)
                )
                held = sum(answer["held"] for answer in opened)
                result = {"held": held, "opened_s": max(answer["seconds"] for answer in opened)}
                result |= await _measured(unary, processes, seconds)
                grown = {name: (value - before[name]) / held for name, value in _pss_kib(mesh).items()}
                result |= {f"{name}_kib": round(value, 1) for name, value in grown.items()}
                result["kib_per_stream"] = round(sum(grown.values()), 1)
                print(json.dumps(result), flush=True)
            unary.milliseconds.clear()
            again = await asyncio.gather(*(each.order("reconnect") for each in processes))
            result["reconnected_s"] = max(answer["seconds"] for answer in again)
            result["reconnecting_unary_p99_ms"] = _p(unary.milliseconds, 99)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, grpc.aio.AioRpcError):
                raise end
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, nargs="+", default=[10_000, 20_000], help="how many streams, step by step")
    parser.add_argument("--per-second", type=float, default=400.0, help="how many more are opened a second")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long each step is measured")
    parser.add_argument("--every-seconds", type=float, default=20.0, help="the time between two reports of an operation")
    options = parser.parse_args()
    result = uvloop.run(_run(options.held, options.per_second, options.seconds, options.every_seconds))
    names = ("held", "p50_ms", "p99_ms", "kib_per_stream", "unary_p99_ms", "reconnected_s")
    print(json.dumps({"name": "bench-streams", **{name: result[name] for name in names}}))


if __name__ == "__main__":
    main()
