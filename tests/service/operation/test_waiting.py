"""What waits says for what: behind which operation, behind how many, or that there is no worker."""

import asyncio
from typing import TYPE_CHECKING

import psycopg
from google.protobuf.duration_pb2 import Duration

from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation, Progress
from tests.service.operation.conftest import Claim, Start
from tests.service.operation.house import User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

SECONDS = 20.0
_Wait = tuple[str, str, int]


async def _waits(public: "OperationServiceAsyncStub", user: User, operation_id: str, expected: _Wait) -> None:
    """Wait until an operation says that it waits for this, and nothing else in between after the first word."""
    call = public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=user.metadata, timeout=SECONDS)
    seen = []
    async for answer in call:
        operation = answer.operation
        seen.append((operation.wait_reason, operation.waits_for_operation_id, operation.operations_ahead))
        if seen[-1] == expected:
            call.cancel()
            return
    raise AssertionError(seen)


async def test_what_waits_without_a_worker_says_so(public: "OperationServiceAsyncStub", start: Start, ada: User) -> None:
    """Nobody has asked for work of this queue, nor has any."""
    first, second = [(await start(ada.id)).operation.id for _ in range(2)]
    await _waits(public, ada, first, ("waits for a worker: none is running", "", 0))
    await _waits(public, ada, second, ("waits for a worker: none is running", "", 1))


async def test_what_waits_for_a_slot_says_how_many_are_ahead(
    public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: User
) -> None:
    """And fewer once the first was taken; a position above ten is rounded."""
    await start(ada.id)
    assert await claim() is not None
    ids = [(await start(ada.id)).operation.id for _ in range(14)]
    await _waits(public, ada, ids[0], ("waits for a free slot", "", 0))
    await _waits(public, ada, ids[3], ("waits for a free slot", "", 3))
    await _waits(public, ada, ids[13], ("waits for a free slot", "", 10))
    taken = await claim()
    assert taken is not None
    assert (taken.operation.id, taken.operation.wait_reason, taken.operation.operations_ahead) == (ids[0], "", 0)
    await _waits(public, ada, ids[3], ("waits for a free slot", "", 2))


async def test_what_waits_for_its_collection_names_the_operation(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """The one that a worker has, or the next one of the collection; what takes over is named next."""
    first = (await start(ada.id, collection_id=collection)).operation.id
    held = await claim()
    assert held is not None
    second, third = [(await start(ada.id, collection_id=collection)).operation.id for _ in range(2)]
    reason = "waits for another operation of its collection"
    await _waits(public, ada, second, (reason, first, 1))
    await _waits(public, ada, third, (reason, first, 2))
    finish = internal_messages.FinishOperationRequest(operation_id=first, fence=held.fence, state=Operation.STATE_SUCCEEDED)
    await internal.FinishOperation(finish)
    assert await claim() is not None
    await _waits(public, ada, third, (reason, second, 1))


async def test_a_paused_operation_is_named(
    public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: User, collection: str, rows: psycopg.AsyncConnection
) -> None:
    """It keeps its collection until it is resumed."""
    paused = (await start(ada.id, collection_id=collection)).operation.id
    assert await claim() is not None
    await start(ada.id)
    assert await claim() is not None  # the worker is alive
    query = "UPDATE operation.operations SET state = 'PAUSED', lease_owner = NULL, lease_until = NULL WHERE id = %s"
    await rows.execute(query, (paused,))
    waiting = (await start(ada.id, collection_id=collection)).operation.id
    await _waits(public, ada, waiting, ("waits for a paused operation of its collection", paused, 1))


async def test_a_slot_that_asks_is_a_worker(public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: User) -> None:
    """It has nothing in hand and takes short work only: what is long waits for a free slot."""
    operation_id = (await start(ada.id)).operation.id
    await _waits(public, ada, operation_id, ("waits for a worker: none is running", "", 0))
    asking = asyncio.create_task(claim(internal_messages.SLOT_SHORT, seconds=SECONDS))
    try:
        await _waits(public, ada, operation_id, ("waits for a free slot", "", 0))
    finally:
        asking.cancel()
        await asyncio.wait((asking,))


async def test_what_was_given_back_has_no_rate_and_no_time_left(
    internal: "OperationInternalServiceAsyncStub", public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: User
) -> None:
    """Nothing moves; what is done stays."""
    operation_id = (await start(ada.id)).operation.id
    held = await claim()
    assert held is not None
    progress = Progress(documents_done=3, documents_total=9, tokens_per_second=630, remaining=Duration(seconds=70))
    await internal.ReportOperation(internal_messages.ReportOperationRequest(operation_id=operation_id, fence=held.fence, progress=progress))
    await internal.ReleaseOperation(internal_messages.ReleaseOperationRequest(operation_id=operation_id, fence=held.fence))
    answer = await public.GetOperation(messages.GetOperationRequest(operation_id=operation_id), metadata=ada.metadata)
    assert answer.operation.progress == Progress(documents_done=3, documents_total=9, percent=33)
