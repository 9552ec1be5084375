"""People see, watch and cancel their work, and nobody else's."""

import asyncio
import itertools
import uuid
from typing import TYPE_CHECKING

import grpc
import pytest

from libs.rpc.errors import reason_of
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation, Progress
from tests.service.operation.conftest import Claim, Start
from tests.service.operation.house import User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

SECONDS = 20.0


def _finish(claim: internal_messages.Claim, state: "Operation.State.ValueType") -> internal_messages.FinishOperationRequest:
    return internal_messages.FinishOperationRequest(operation_id=claim.operation.id, fence=claim.fence, state=state)


async def _cancel(public: "OperationServiceAsyncStub", person: User, operation_id: str) -> Operation:
    request = messages.CancelOperationRequest(operation_id=operation_id)
    return (await public.CancelOperation(request, metadata=person.metadata)).operation


async def test_work_nobody_began_is_cancelled_at_once(
    public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: User, collection: str
) -> None:
    """Cancelling again, or what has ended, changes nothing; no worker gets it."""
    started = await start(ada.id, collection_id=collection)
    cancelled = [await _cancel(public, ada, started.operation.id) for _ in range(2)]
    assert cancelled[0] == cancelled[1]
    assert (cancelled[0].state, cancelled[0].HasField("finish_time")) == (Operation.STATE_CANCELLED, True)
    assert await claim() is None


async def _watched(public: "OperationServiceAsyncStub", person: User, operation_id: str) -> list[Operation]:
    request = messages.WatchOperationRequest(operation_id=operation_id)
    return [answer.operation async for answer in public.WatchOperation(request, metadata=person.metadata, timeout=SECONDS)]


async def test_running_work_is_told_to_cancel(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """Its worker hears of it with the next report, tidies up, and says that it has ended."""
    await start(ada.id, collection_id=collection)
    held = await claim()
    assert held is not None
    cancelled = [await _cancel(public, ada, held.operation.id) for _ in range(2)]
    assert cancelled[0] == cancelled[1]
    assert cancelled[0].state == Operation.STATE_CANCELLING
    report = internal_messages.ReportOperationRequest(operation_id=held.operation.id, fence=held.fence)
    assert (await internal.ReportOperation(report)).directive == internal_messages.DIRECTIVE_CANCEL
    ended = (await internal.FinishOperation(_finish(held, Operation.STATE_CANCELLED))).operation
    assert ended.state == Operation.STATE_CANCELLED
    assert await _cancel(public, ada, held.operation.id) == ended


async def test_cancelled_work_without_a_worker_is_claimed_once_more_to_tidy_up(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """What was begun and given back leaves traces; the next worker is told to settle it."""
    await start(ada.id, collection_id=collection)
    first = await claim()
    assert first is not None
    await internal.ReleaseOperation(internal_messages.ReleaseOperationRequest(operation_id=first.operation.id, fence=first.fence))
    assert (await _cancel(public, ada, first.operation.id)).state == Operation.STATE_CANCELLING
    last = await claim()
    assert last is not None
    assert (last.operation.id, last.directive, last.settle_state) == (
        first.operation.id,
        internal_messages.DIRECTIVE_SETTLE,
        Operation.STATE_CANCELLED,
    )
    assert (await internal.FinishOperation(_finish(last, Operation.STATE_CANCELLED))).operation.state == Operation.STATE_CANCELLED
    assert await claim() is None


async def test_paused_work_keeps_its_collection_and_can_be_cancelled(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """Nothing else of the collection starts meanwhile."""
    await start(ada.id, collection_id=collection)
    other = await start(ada.id, collection_id=collection)
    held = await claim()
    assert held is not None
    paused = (await internal.FinishOperation(_finish(held, Operation.STATE_PAUSED))).operation
    assert (paused.state, paused.HasField("finish_time")) == (Operation.STATE_PAUSED, False)
    assert await claim() is None
    assert (await _cancel(public, ada, held.operation.id)).state == Operation.STATE_CANCELLING
    last = await claim()
    assert last is not None
    assert (last.operation.id, last.settle_state) == (held.operation.id, Operation.STATE_CANCELLED)
    await internal.FinishOperation(_finish(last, Operation.STATE_CANCELLED))
    following = await claim()
    assert following is not None
    assert following.operation.id == other.operation.id


async def test_a_deletion_cancels_its_neighbours(start: Start, claim: Claim, ada: User, public: "OperationServiceAsyncStub") -> None:
    """In the transaction that starts it; another collection's work is left alone."""
    doomed, other = str(uuid.uuid4()), str(uuid.uuid4())
    running = (await start(ada.id, collection_id=doomed)).operation.id
    held = await claim()
    assert held is not None
    waiting = (await start(ada.id, collection_id=doomed)).operation.id
    left = (await start(ada.id, collection_id=other)).operation.id
    deletion = (await start(ada.id, collection_id=doomed, kind=Operation.KIND_DELETE)).operation.id
    states = {}
    for each in (running, waiting, left, deletion):
        answer = await public.GetOperation(messages.GetOperationRequest(operation_id=each), metadata=ada.metadata)
        states[each] = answer.operation.state
    assert states == {
        running: Operation.STATE_CANCELLING,
        waiting: Operation.STATE_CANCELLED,
        left: Operation.STATE_QUEUED,
        deletion: Operation.STATE_QUEUED,
    }


async def test_a_watch_shows_the_state_now_and_each_change_to_the_end(
    public: "OperationServiceAsyncStub", internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, ada: User
) -> None:
    """Revisions only rise, the last message is the final state, and then the stream ends OK."""
    operation_id = (await start(ada.id)).operation.id
    call = public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=ada.metadata, timeout=SECONDS)
    updates = call.__aiter__()
    seen = [(await anext(updates)).operation]
    assert seen[0].state == Operation.STATE_QUEUED
    held = await claim()
    assert held is not None
    seen.append((await anext(updates)).operation)
    assert (seen[1].state, seen[1].revision) == (Operation.STATE_RUNNING, held.operation.revision)
    for done in range(1, 6):
        progress = Progress(documents_done=done)
        report = internal_messages.ReportOperationRequest(operation_id=operation_id, fence=held.fence, progress=progress)
        await internal.ReportOperation(report)
    ended = (await internal.FinishOperation(_finish(held, Operation.STATE_SUCCEEDED))).operation
    seen += [answer.operation async for answer in updates]
    assert seen[-1] == ended
    assert [each.revision for each in seen] == sorted({each.revision for each in seen})
    assert await call.code() == grpc.StatusCode.OK


@pytest.mark.abuse(28)
async def test_finished_work_is_watched_as_one_message(public: "OperationServiceAsyncStub", start: Start, ada: User) -> None:
    """Its final state, then the end, for many watchers at once."""
    operation_id = (await start(ada.id)).operation.id
    ended = await _cancel(public, ada, operation_id)
    assert await asyncio.gather(*(_watched(public, ada, operation_id) for _ in range(10))) == [[ended]] * 10


async def test_a_silent_state_is_repeated_once_an_interval(public: "OperationServiceAsyncStub", start: Start, ada: User) -> None:
    """Exactly once, so that proxies leave the stream open; the interval is half a second here."""
    operation_id = (await start(ada.id)).operation.id
    call = public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=ada.metadata, timeout=SECONDS)
    times, states, loop = [], [], asyncio.get_running_loop()
    async for answer in call:
        times.append(loop.time())
        states.append(answer.operation)
        if len(times) == 7:
            break
    call.cancel()
    # The first change is the reason it waits for, a second after the start.
    assert [state.wait_reason for state in states][0::6] == ["", "waits for a worker: none is running"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    changes = [earlier != later for earlier, later in itertools.pairwise(states)]
    assert all(0.45 < gap < 1.5 for gap, is_change in zip(gaps, changes, strict=True) if not is_change)
    assert changes.count(True) == 1


async def test_operations_are_listed_newest_first_by_page(
    public: "OperationServiceAsyncStub", start: Start, ada: User, stranger: User, collection: str
) -> None:
    """Those the caller started, or those of one collection, by state where it is asked for."""
    ids = [(await start(ada.id, collection_id=collection)).operation.id for _ in range(3)]
    private = (await start(ada.id)).operation.id
    await start(stranger.id)
    await _cancel(public, ada, ids[0])

    async def listed(**fields: object) -> list[str]:
        request, found = messages.ListOperationsRequest(page_size=2, **fields), []  # type: ignore[arg-type]
        while True:
            answer = await public.ListOperations(request, metadata=ada.metadata)
            assert len(answer.operations) <= 2
            found += [each.id for each in answer.operations]
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    assert await listed() == [private, *reversed(ids)]
    assert await listed(collection_id=collection) == [*reversed(ids)]
    assert await listed(states=[Operation.STATE_CANCELLED]) == [ids[0]]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(states=[Operation.STATE_UNSPECIFIED])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.abuse(7)
async def test_a_strangers_operation_does_not_exist(public: "OperationServiceAsyncStub", start: Start, ada: User, stranger: User) -> None:
    """Seeing, watching and cancelling it answer like an id nobody has, word for word."""
    hers, who = (await start(ada.id)).operation.id, stranger.metadata
    for operation_id in (hers, str(uuid.uuid4())):
        said = set()
        for call in (
            public.GetOperation(messages.GetOperationRequest(operation_id=operation_id), metadata=who),
            public.CancelOperation(messages.CancelOperationRequest(operation_id=operation_id), metadata=who),
            anext(public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=who).__aiter__()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            said.add((caught.value.code(), reason_of(caught.value), caught.value.details()))
        assert said == {(grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND", f"operation {operation_id} does not exist")}


async def test_two_released_operations_of_a_collection_are_cancelled_at_once(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """Both become CANCELLING in the same moment, and are settled one after the other."""
    ids = []
    for priority in (0, 5):
        ids.append((await start(ada.id, collection_id=collection, priority=priority)).operation.id)
        held = await claim()
        assert held is not None
        await internal.ReleaseOperation(internal_messages.ReleaseOperationRequest(operation_id=held.operation.id, fence=held.fence))
    cancelled = await asyncio.gather(*(_cancel(public, ada, operation_id) for operation_id in ids))
    assert [operation.state for operation in cancelled] == [Operation.STATE_CANCELLING] * 2
    for _ in ids:
        held = await claim()
        assert held is not None
        assert (held.directive, await claim()) == (internal_messages.DIRECTIVE_SETTLE, None)
        await internal.FinishOperation(_finish(held, Operation.STATE_CANCELLED))
    assert await claim() is None


async def test_a_cancellation_while_work_pauses_is_not_lost(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """The worker that was told to pause says PAUSED after the user has cancelled: it is settled as cancelled."""
    await start(ada.id, collection_id=collection)
    held = await claim()
    assert held is not None
    await _cancel(public, ada, held.operation.id)
    assert (await internal.FinishOperation(_finish(held, Operation.STATE_PAUSED))).operation.state == Operation.STATE_CANCELLING
    last = await claim()
    assert last is not None
    assert (last.operation.id, last.settle_state) == (held.operation.id, Operation.STATE_CANCELLED)


@pytest.mark.parametrize("kind", [Operation.KIND_DELETE, Operation.KIND_PURGE, Operation.KIND_REMOVE_SOURCE])
async def test_what_removes_is_not_cancelled(
    public: "OperationServiceAsyncStub", start: Start, ada: User, collection: str, kind: "Operation.Kind.ValueType"
) -> None:
    """But a deletion of the collection cancels it all the same."""
    operation = (await start(ada.id, collection_id=collection, kind=kind)).operation
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _cancel(public, ada, operation.id)
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_CANCELLABLE")
    await start(ada.id, collection_id=collection, kind=Operation.KIND_DELETE)
    assert (await _cancel(public, ada, operation.id)).state == Operation.STATE_CANCELLED
