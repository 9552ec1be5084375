"""``make bench-index``: indexing through the whole mesh, as a share of what the embedder alone does in the same run.

``efficiency`` is tokens a second of the whole to those of the embedder alone. On a machine that does other things too it says
little; then ``embedding_share``, the embedder's part of all processor time that the mesh spends, says what efficiency could be
at most on as few cores as there are bulk threads.
"""

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from tests.bench import index_corpus
from tests.bench.cpu import measured
from tests.faults import sql
from tests.faults.ledger import Ledger
from tests.faults.mesh import LocalMesh
from tests.faults.people import Person, registered
from tests.faults.waiting import until

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub

_FILES, _PASSAGES, _SMALL, _LARGE, _LISTED = 1000, 30_000, 1000, 10_000, 50_000
_WARM_FILES, _WARM_PASSAGES = 100, 1500
_CALL_TOKENS, _CALL_TEXTS, _AT_ONCE = 8192, 512, 2
_SAMPLE_TOKENS, _RUNS = 60_000, 3
_LONGEST_SECONDS = 3600.0


class Bench:
    """One mesh and one user; each part fills in its numbers."""

    def __init__(self, mesh: LocalMesh, person: Person, embedder: "EmbeddingInternalServiceAsyncStub", scale: float) -> None:
        self._mesh = mesh
        self._person = person
        self._embedder = embedder
        self._scale = scale
        self.result: dict[str, float] = {}
        self._embedding_share = 0.0

    def _count(self, full: int) -> int:
        return max(20, int(full * self._scale))

    async def files(self) -> None:
        """Index mixed files, then change a tenth of them."""
        count = self._count(_FILES)
        folder, warm = self._mesh.library / "files", self._mesh.library / "warm"
        index_corpus.mixed(warm, self._count(_WARM_FILES), "warm")
        warm_id, _ = await self._index("warm", warm)
        before = await self._own_rates(warm_id)
        index_corpus.mixed(folder, count)
        collection_id, full = await self._index("files", folder)
        await self._efficiency("efficiency", collection_id, full, before)
        self.result["documents_per_second"] = round(count / seconds(full), 1)
        index_corpus.change(folder, count, 10, "changed")
        changed = await self._sync("a tenth changed", collection_id)
        self.result["changed_cost"] = round(seconds(changed) / seconds(full), 3)

    async def passages(self) -> None:
        """Index short passages, enough that the vector store builds its graphs meanwhile."""
        file, warm = self._mesh.library / "passages.jsonl", self._mesh.library / "warm.jsonl"
        index_corpus.passages(warm, self._count(_WARM_PASSAGES))
        warm_id, _ = await self._index("warm passages", warm)
        before = await self._own_rates(warm_id)
        index_corpus.passages(file, self._count(_PASSAGES))
        collection_id, ended = await self._index("passages", file)
        await self._efficiency("efficiency_30k", collection_id, ended, before)

    async def small(self) -> None:
        """Index tiny files: the worker's memory at ten times as many, and what an unchanged file costs."""
        peaks = []
        for name, full in (("small", _SMALL), ("many", _LARGE)):
            folder = self._mesh.library / name
            index_corpus.tiny(folder, self._count(full))
            await self._mesh.kill("worker")
            await self._mesh.ready(60)
            collection_id, ended = await self._index(name, folder)
            peaks.append(_peak_mib(self._mesh.process("worker").pid))
            note(f"{name}: {self._count(full) / seconds(ended):.0f} files/s, worker's peak {peaks[-1]:.0f} MiB")
        self.result["worker_peak_mib"] = round(peaks[1], 1)
        self.result["memory_growth"] = round(peaks[1] / peaks[0], 3)
        ended = await self._sync("nothing changed", collection_id)
        self.result["unchanged_files_per_second"] = round(self._count(_LARGE) / seconds(ended))

    async def listing(self) -> None:
        """Add a large folder; wait until each of its files has a row."""
        count = self._count(_LISTED)
        folder = self._mesh.library / "listed"
        index_corpus.tiny(folder, count)
        collection_id = await self._person.collection("listed")
        async with measured(self._mesh) as cpu:
            started = time.monotonic()
            _, operation_id = await self._person.add(collection_id, folder)

            async def is_listed() -> bool:
                rows = await self._mesh.rows(sql.ROW_COUNT, {"id": collection_id})
                return int(rows[0]["documents"]) >= count

            await until("every file has a row", _LONGEST_SECONDS, is_listed, poll=0.25)
            self.result["listed_per_second"] = round(count / (time.monotonic() - started), 1)
        note(f"listing: {self.result['listed_per_second']} files/s; processor seconds {cpu.seconds}")
        await self._person.cancel(operation_id)
        await self._person.ended(operation_id, 120)

    async def _index(self, name: str, path: Path) -> tuple[str, Operation]:
        collection_id = await self._person.collection(name)
        return collection_id, await self._ended(name, (await self._person.add(collection_id, path))[1])

    async def _sync(self, name: str, collection_id: str) -> Operation:
        [source] = [source async for source in self._person.client.sources.list(collection_id)]
        return await self._ended(name, await self._person.sync(source.id))

    async def _ended(self, name: str, operation_id: str) -> Operation:
        async with measured(self._mesh) as cpu:
            operation = await self._person.ended(operation_id, _LONGEST_SECONDS)
        self._embedding_share = cpu.seconds.get("embedding", 0.0) / max(0.1, sum(cpu.seconds.values()))
        if operation.state != Operation.STATE_SUCCEEDED or operation.progress.documents_failed:
            raise SystemExit(f"bench-index: {name} did not end well: {operation}")
        note(f"{name}: {seconds(operation):.1f} s; processor seconds {cpu.seconds}")
        return operation

    async def _efficiency(self, name: str, collection_id: str, operation: Operation, before: list[float]) -> None:
        share = self._embedding_share
        [row] = await self._mesh.rows(sql.TOKENS, {"id": collection_id})
        rate = int(row["tokens"]) / seconds(operation)
        own = statistics.median(before + await self._own_rates(collection_id))
        self.result[name] = round(rate / own, 3)
        self.result[f"{name}_embedding_share"] = round(share, 3)
        note(f"{name}: {rate:.0f} tokens/s of the embedder's own {own:.0f}")

    async def _own_rates(self, collection_id: str) -> list[float]:
        """Send the embedder the same texts without anything else; return tokens a second of each run."""
        rows = await self._mesh.rows(sql.SOME_TEXTS, {"id": collection_id, "limit": 4000})
        calls = _calls([(row["text"], row["token_count"]) for row in rows])
        rates = []
        for _ in range(_RUNS):
            slots = asyncio.Semaphore(_AT_ONCE)

            async def embed(texts: Sequence[str], slots: asyncio.Semaphore = slots) -> None:
                async with slots:
                    request = messages.EmbedBatchRequest(texts=texts, lane=messages.LANE_BULK, truncate=True)
                    await self._embedder.EmbedBatch(request, timeout=120)

            started = time.monotonic()
            await asyncio.gather(*(embed(texts) for texts, _ in calls))
            rates.append(sum(tokens for _, tokens in calls) / (time.monotonic() - started))
        note(f"the embedder alone: {', '.join(f'{rate:.0f}' for rate in rates)} tokens/s")
        return rates


def _calls(texts: list[tuple[str, int]]) -> list[tuple[list[str], int]]:
    """Divide texts into calls as large as a worker's, up to a sample of some seconds."""
    calls: list[tuple[list[str], int]] = []
    total = 0
    for text, tokens in texts:
        if total > _SAMPLE_TOKENS:
            break
        total += tokens
        if not calls or calls[-1][1] + tokens > _CALL_TOKENS or len(calls[-1][0]) == _CALL_TEXTS:
            calls.append(([], 0))
        calls[-1] = ([*calls[-1][0], text], calls[-1][1] + tokens)
    return calls


def seconds(operation: Operation) -> float:
    """Return how long an operation was at work."""
    return (operation.finish_time.ToNanoseconds() - operation.start_time.ToNanoseconds()) / 1e9


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def note(text: str) -> None:
    sys.stderr.write(f"bench-index: {text}\n")
    sys.stderr.flush()


def _stop_in_good_order() -> None:
    """Let SIGTERM and SIGINT take the mesh down before this process ends."""
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and task.cancel())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=("files", "passages", "small", "listing"), help="one part; all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="how large a share of the corpus")
    arguments = parser.parse_args()
    _stop_in_good_order()
    mesh = LocalMesh(is_limited=False)
    started = time.monotonic()
    try:
        await mesh.up()
        async with AsyncExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
            person = await stack.enter_async_context(registered(mesh.address, "bench", Ledger(), scratch))
            identity = MeshIdentity("bench", (mesh.home.keys / "mesh.pem").read_bytes())
            channel = await stack.enter_async_context(
                channels.connect(f"127.0.0.1:{mesh.process('embedding').port}", "embedding", identity)
            )
            bench = Bench(mesh, person, EmbeddingInternalServiceStub(channel), arguments.scale)
            parts: dict[str, Callable[[], Awaitable[None]]] = {
                "files": bench.files,
                "passages": bench.passages,
                "small": bench.small,
                "listing": bench.listing,
            }
            for part in arguments.part or parts:
                await parts[part]()
    finally:
        await mesh.remove()
    result = {"name": "bench-index", **bench.result, "scale": arguments.scale, "seconds": round(time.monotonic() - started)}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
