"""Work goes to one worker at a time, fairly, and comes back from one that falls silent."""

import asyncio
import uuid
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest
from google.rpc import status_pb2

from libs.rpc.errors import reason_of
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation, Progress
from tests.service.operation.conftest import Claim, Start

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

LEASE_LOST = (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST")


def _report(claim: messages.Claim, **fields: object) -> messages.ReportOperationRequest:
    return messages.ReportOperationRequest(operation_id=claim.operation.id, fence=claim.fence, **fields)  # type: ignore[arg-type]


def _finish(claim: messages.Claim, state: "Operation.State.ValueType", **fields: object) -> messages.FinishOperationRequest:
    return messages.FinishOperationRequest(operation_id=claim.operation.id, fence=claim.fence, state=state, **fields)  # type: ignore[arg-type]


def _release(claim: messages.Claim) -> messages.ReleaseOperationRequest:
    return messages.ReleaseOperationRequest(operation_id=claim.operation.id, fence=claim.fence)


async def _expire(rows: psycopg.AsyncConnection, claim: messages.Claim) -> None:
    """Let the lease run out now, and wait until the sweeper has taken it back."""
    await rows.execute("UPDATE operation.operations SET lease_until = now() - interval '1 second' WHERE id = %s", (claim.operation.id,))
    async with asyncio.timeout(20):
        while True:
            cursor = await rows.execute("SELECT lease_owner FROM operation.operations WHERE id = %s", (claim.operation.id,))
            [(owner,)] = await cursor.fetchall()
            if owner is None:
                return
            await asyncio.sleep(0.1)


async def test_work_is_done_once(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """Queued, claimed with all that it was started with, reported, finished; finishing again changes nothing."""
    collection_id = str(uuid.uuid4())
    started = await start(collection_id=collection_id)
    assert (started.is_new, started.operation.state, started.operation.revision) == (True, Operation.STATE_QUEUED, 1)
    held = await claim()
    assert held is not None
    assert (held.operation.id, held.operation.state) == (started.operation.id, Operation.STATE_RUNNING)
    assert (held.directive, held.lease.seconds, held.principal.user_id) == (messages.DIRECTIVE_CONTINUE, 15, started.operation.user_id)
    assert await claim() is None
    progress = Progress(phase=Progress.PHASE_INDEXING, documents_done=2, documents_total=5, tokens=7, tokens_per_second=1.5)
    answer = await internal.ReportOperation(_report(held, progress=progress, wait_reason="waits for the model"))
    assert answer.directive == messages.DIRECTIVE_CONTINUE
    progress.documents_done = 5
    finished = [(await internal.FinishOperation(_finish(held, Operation.STATE_SUCCEEDED, progress=progress))).operation for _ in range(2)]
    assert finished[0] == finished[1]
    assert (finished[0].state, finished[0].progress, finished[0].wait_reason) == (Operation.STATE_SUCCEEDED, progress, "")
    assert finished[0].HasField("finish_time")
    assert await claim() is None


async def test_a_failure_is_kept(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """With its words."""
    await start()
    held = await claim()
    assert held is not None
    error = status_pb2.Status(code=9, message="the directory is gone")
    ended = (await internal.FinishOperation(_finish(held, Operation.STATE_FAILED, error=error))).operation
    assert (ended.state, ended.error) == (Operation.STATE_FAILED, error)


async def test_a_request_id_names_one_operation(start: Start) -> None:
    """The same again is the same; another body is refused; another user's is another."""
    user, collection = str(uuid.uuid4()), str(uuid.uuid4())
    first = await start(user, request_id="once", collection_id=collection)
    again = await start(user, request_id="once", collection_id=collection)
    assert (again.is_new, again.operation) == (False, first.operation)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await start(user, request_id="once", collection_id=collection, kind=Operation.KIND_SYNC)
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    other = await start(request_id="once", collection_id=collection)
    assert (other.is_new, other.operation.id != first.operation.id) == (True, True)


async def test_twenty_starts_at_once_make_one_operation(start: Start) -> None:
    """Exactly one of them made it."""
    user = str(uuid.uuid4())
    answers = await asyncio.gather(*(start(user, request_id="at once") for _ in range(20)))
    assert ([each.is_new for each in answers].count(True), len({each.operation.id for each in answers})) == (1, 1)


async def test_queued_work_is_joined_and_running_work_is_not(start: Start, claim: Claim) -> None:
    """What has not begun will see the latest; what has begun may have passed it already."""
    user, collection = str(uuid.uuid4()), str(uuid.uuid4())
    fields = {"collection_id": collection, "join_queued": True}
    first = await start(user, **fields)
    assert (await start(user, **fields)).operation.id == first.operation.id
    assert (await start(user, **fields, kind=Operation.KIND_SYNC)).is_new
    assert (await start(**fields)).is_new
    held = await claim()
    assert held is not None
    assert held.operation.id == first.operation.id
    assert (await start(user, **fields)).is_new


async def test_one_worker_at_a_time_holds_a_collection(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """However many workers ask at once; the next one starts when the first has ended."""
    collection = str(uuid.uuid4())
    ids = [(await start(collection_id=collection)).operation.id for _ in range(3)]
    for expected in ids:
        claims = [each for each in await asyncio.gather(*(claim(f"worker{number}") for number in range(8))) if each]
        assert [each.operation.id for each in claims] == [expected]
        await internal.FinishOperation(_finish(claims[0], Operation.STATE_SUCCEEDED))


async def test_a_collection_keeps_its_order_while_a_claim_is_under_way(rows: psycopg.AsyncConnection, start: Start, claim: Claim) -> None:
    """What another worker is about to take is not passed over for what follows it, nor for an older one of less priority."""
    collection = str(uuid.uuid4())
    _, urgent, _ = [(await start(collection_id=collection, priority=priority)).operation.id for priority in (0, 5, 0)]
    async with rows.transaction():
        await rows.execute("SELECT id FROM operation.operations WHERE id = %s FOR UPDATE", [urgent])
        assert await claim() is None
    held = await claim()
    assert held is not None
    assert held.operation.id == urgent


async def test_a_user_with_much_work_does_not_starve_another(start: Start, claim: Claim) -> None:
    """Priority goes first, then who has the least running, then age."""
    busy, quiet = str(uuid.uuid4()), str(uuid.uuid4())
    many = [(await start(busy)).operation.id for _ in range(3)]
    one = (await start(quiet)).operation.id
    urgent = (await start(busy, priority=5)).operation.id
    order = [held.operation.id for _ in range(5) if (held := await claim())]
    assert order == [urgent, one, *many]


async def test_a_worker_that_falls_silent_loses_its_work(
    internal: "OperationInternalServiceAsyncStub", rows: psycopg.AsyncConnection, start: Start, claim: Claim
) -> None:
    """The next claim has a higher fence, and nothing the first worker says counts any more."""
    await start(collection_id=str(uuid.uuid4()))
    first = await claim("first")
    assert first is not None
    await _expire(rows, first)
    second = await claim("second")
    assert second is not None
    assert (second.operation.id, second.operation.attempt, second.fence > first.fence) == (first.operation.id, 1, True)
    assert (await internal.ReportOperation(_report(first, wait_reason="still here"))).directive == messages.DIRECTIVE_LOST
    for call in (internal.ReleaseOperation(_release(first)), internal.FinishOperation(_finish(first, Operation.STATE_FAILED))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code(), reason_of(caught.value)) == LEASE_LOST
    ended = (await internal.FinishOperation(_finish(second, Operation.STATE_SUCCEEDED))).operation
    assert (ended.state, ended.wait_reason) == (Operation.STATE_SUCCEEDED, "")


async def test_work_without_progress_is_given_up(
    internal: "OperationInternalServiceAsyncStub", rows: psycopg.AsyncConnection, start: Start, claim: Claim
) -> None:
    """An attempt with progress does not count; the fifth without is settled as failed, with a reason."""
    started = await start(collection_id=str(uuid.uuid4()))
    await rows.execute("UPDATE operation.operations SET attempt = 3 WHERE id = %s", (started.operation.id,))
    attempts = []
    for done in (1, 0):
        held = await claim()
        assert held is not None
        if done:
            await internal.ReportOperation(_report(held, progress=Progress(documents_done=done)))
        await _expire(rows, held)
        attempts.append(held.operation.attempt)
    await rows.execute("UPDATE operation.operations SET attempt = 4 WHERE id = %s", (started.operation.id,))
    held = await claim()
    assert held is not None
    await _expire(rows, held)
    last = await claim()
    assert last is not None
    assert (attempts, last.operation.attempt) == ([3, 3], 5)
    assert (last.directive, last.settle_state) == (messages.DIRECTIVE_SETTLE, Operation.STATE_FAILED)
    ended = (await internal.FinishOperation(_finish(last, Operation.STATE_FAILED))).operation
    assert (ended.state, ended.error.message) == (Operation.STATE_FAILED, "no progress in 5 attempts")


async def test_released_work_is_no_attempt(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """A worker that shuts down gives its work to the next."""
    await start()
    first = await claim()
    assert first is not None
    await internal.ReleaseOperation(_release(first))
    second = await claim()
    assert second is not None
    assert (second.operation.id, second.operation.attempt, second.fence > first.fence) == (first.operation.id, 0, True)


async def test_unknown_work_is_not_found(internal: "OperationInternalServiceAsyncStub") -> None:
    """A report of it is answered with LOST: its worker is to stop."""
    nothing = messages.Claim(operation=Operation(id=str(uuid.uuid4())), fence=1)
    assert (await internal.ReportOperation(_report(nothing))).directive == messages.DIRECTIVE_LOST
    for call in (internal.ReleaseOperation(_release(nothing)), internal.FinishOperation(_finish(nothing, Operation.STATE_FAILED))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
