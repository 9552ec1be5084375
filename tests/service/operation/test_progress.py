"""Hundreds of operations are watched while workers take them over, fail and are cancelled: what is shown never goes back."""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import psycopg

from libs.work.report import Report
from libs.work.retry import patiently
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation
from services.collection.chunking.chunk import Chunk
from services.collection.store.indexing.worklist import Item
from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.progress import Progress
from services.collection.worker.reading import ChunkedDocument
from tests.service.operation.conftest import Claim, Start
from tests.service.operation.house import House, User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

_T = TypeVar("_T")
# A thousand take some minutes: WATCHED_OPERATIONS=1000.
_OPERATIONS = int(os.environ.get("WATCHED_OPERATIONS", "100"))
_AT_ONCE = 24
_WORKERS = 8
_DOCUMENTS = 2
_SECONDS = 120.0
_NEVER_FALLS = (
    "phase",
    "percent",
    "documents_done",
    "documents_indexed",
    "documents_skipped",
    "documents_removed",
    "documents_unchanged",
    "bytes_done",
    "chunks",
    "chunks_embedded",
    "chunks_total",
    "tokens",
)
_ITEM = Item("", 1, "s", "DIRECTORY", {}, "p", "n", "text/plain", "", 0, "", None, 0)
_CHUNK = Chunk(0, "text", 0, 4, 100, 0, "")


@dataclass
class _Workers:
    """Stand-ins for workers, with the counting of the real one; what they commit outlives them."""

    internal: "OperationInternalServiceAsyncStub"
    rows: psycopg.AsyncConnection
    numbers: random.Random
    committed: dict[str, Counter[str]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)

    async def attempt(self, held: internal_messages.Claim) -> None:
        """Work on a claim like the real one: list, read, embed, write, remove; at any step it may end in any way."""
        operation, numbers = held.operation, self.numbers
        message = operation_pb2.Progress()
        message.CopyFrom(operation.progress)
        committed = self.committed.setdefault(operation.id, Counter())
        if held.directive == internal_messages.DIRECTIVE_SETTLE:
            await self._finish(held, message, held.settle_state)
            return
        progress = Progress(message, committed)
        waiting = [_document(number, numbers) for number in range(committed["indexed"], _DOCUMENTS)]
        progress.enter(operation_pb2.Progress.PHASE_LISTING)
        progress.unchanged(numbers.randrange(3), numbers.randrange(50))
        if not await self._reported(held, message):
            return
        ended = sum(committed[name] for name in ("indexed", "removed"))
        size_bytes = committed["size_bytes"] + sum(document.item.size_bytes for document in waiting)
        progress.listed(ended + len(waiting), size_bytes)
        progress.enter(operation_pb2.Progress.PHASE_INDEXING)
        progress.begun.read(waiting)
        for document in waiting:
            with suppress(ConnectionError), progress.begun.embedding([document]) as stage:
                stage.embedded(1, 100)
                if not await self._reported(held, message):
                    return
                if numbers.random() < 0.1:
                    raise ConnectionError
            with progress.begun.writing([document]):
                if numbers.random() < 0.3 and not await self._reported(held, message):
                    return
            size_bytes, chunks = document.item.size_bytes, len(document.chunks)
            amounts = {"indexed": 1, "size_bytes": size_bytes, "chunks": chunks, "tokens": document.token_count}
            committed.update(amounts)
            progress.ended([document.item], amounts)
        progress.enter(operation_pb2.Progress.PHASE_REMOVING)
        committed.update(removed=1)
        progress.committed({"removed": 1})
        await self._finish(held, message, Operation.STATE_SUCCEEDED)

    async def _reported(self, held: internal_messages.Claim, message: operation_pb2.Progress) -> bool:
        """Report; return whether the attempt goes on."""
        operation_id, chance = held.operation.id, self.numbers.random()
        report = internal_messages.ReportOperationRequest(operation_id=operation_id, fence=held.fence, progress=message)
        answer = await _patiently(lambda: self.internal.ReportOperation(report))
        if answer.directive == internal_messages.DIRECTIVE_CANCEL:
            await self._finish(held, message, Operation.STATE_CANCELLED)
            return False
        if chance < 0.03:
            self.ends["released"] += 1
            release = internal_messages.ReleaseOperationRequest(operation_id=operation_id, fence=held.fence, progress=message)
            await _patiently(lambda: self.internal.ReleaseOperation(release))
        elif chance < 0.06:
            self.ends["died"] += 1
            query = "UPDATE operation.operations SET lease_until = clock_timestamp() WHERE id = %s"
            await self.rows.execute(query, (operation_id,))
        return chance >= 0.06

    async def _finish(self, held: internal_messages.Claim, message: operation_pb2.Progress, state: "Operation.State.ValueType") -> None:
        finish = internal_messages.FinishOperationRequest(operation_id=held.operation.id, fence=held.fence, progress=message, state=state)
        await _patiently(lambda: self.internal.FinishOperation(finish))


def _document(number: int, numbers: random.Random) -> ChunkedDocument:
    item = replace(_ITEM, document_id=str(number), size_bytes=numbers.randrange(10_000))
    count = numbers.randrange(1, 5)
    return ChunkedDocument(item, Extracted("", "text/plain"), [_CHUNK] * count, [_CHUNK.text] * count)


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Return the answer of a busy service; a worker and the SDK repeat such calls too."""
    return await patiently(call, Report(), "operation")


async def _watched(public: "OperationServiceAsyncStub", user: User, operation_id: str, fallen: list[str]) -> Operation:
    """Watch an operation to its end, noting what falls."""
    before = operation_pb2.Progress()

    async def watch() -> Operation:
        nonlocal before
        last = Operation()
        request = messages.WatchOperationRequest(operation_id=operation_id)
        async for answer in public.WatchOperation(request, metadata=user.metadata, timeout=_SECONDS):
            last, now = answer.operation, answer.operation.progress
            fallen.extend(f"{operation_id} {name}: {before}\n{now}" for name in _NEVER_FALLS if getattr(now, name) < getattr(before, name))
            if now.documents_total:
                assert (now.documents_done <= now.documents_total, now.bytes_done <= now.bytes_total) == (True, True)
            before = now
        return last

    return await _patiently(watch)


async def test_nothing_that_is_shown_goes_back(
    house: House,
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    rows: psycopg.AsyncConnection,
) -> None:
    """Several at once of each collection, some cancelled, some taken over, and each ends."""
    numbers = random.Random(1)  # noqa: S311 - not for secrets
    workers = _Workers(internal, rows, numbers)
    fallen: list[str] = []
    states: Counter[str] = Counter()

    async def work() -> None:
        while True:
            claim_id = str(uuid.uuid4())
            held = await _patiently(lambda claim_id=claim_id: claim(claim_id=claim_id, seconds=2.0))  # type: ignore[misc]
            if held is not None:
                await workers.attempt(held)

    collections = [house.collection_of(ada) for _ in range(_AT_ONCE // 2)]
    left = iter(range(_OPERATIONS))

    async def follow_each() -> None:
        for _ in left:
            await follow(numbers.choice(collections))

    async def follow(collection: str) -> None:
        request_id = uuid.uuid4().hex
        started = await _patiently(lambda: start(ada.id, collection_id=collection, request_id=request_id))
        operation_id = started.operation.id
        watch = asyncio.create_task(_watched(public, ada, operation_id, fallen))
        if numbers.random() < 0.15:
            await asyncio.wait((watch,), timeout=numbers.random() / 2)
            cancel = messages.CancelOperationRequest(operation_id=operation_id)
            await _patiently(lambda: public.CancelOperation(cancel, metadata=ada.metadata))
        states[Operation.State.Name((await watch).state)] += 1

    working = [asyncio.create_task(work()) for _ in range(_WORKERS)]
    try:
        async with asyncio.TaskGroup() as followers:
            for _ in range(_AT_ONCE):
                followers.create_task(follow_each())
    finally:
        for task in working:
            task.cancel()
        await asyncio.wait(working)
    assert [task.exception() for task in working if not task.cancelled()] == []
    assert fallen == []
    assert sum(states.values()) == _OPERATIONS
    assert set(states) == {"STATE_SUCCEEDED", "STATE_CANCELLED"}
    assert min(states["STATE_CANCELLED"], workers.ends["released"], workers.ends["died"]) > 0
