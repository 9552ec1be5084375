"""People see, watch and cancel their work, and nobody else's."""

import asyncio
import uuid
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation, Progress
from tests.conftest import Person
from tests.service.operation.conftest import Claim, Start

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

SECONDS = 20.0


def _metadata(person: Person) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {person.token}"),)


def _finish(claim: internal_messages.Claim, state: "Operation.State.ValueType") -> internal_messages.FinishOperationRequest:
    return internal_messages.FinishOperationRequest(operation_id=claim.operation.id, fence=claim.fence, state=state)


async def _cancel(public: "OperationServiceAsyncStub", person: Person, operation_id: str) -> Operation:
    request = messages.CancelOperationRequest(operation_id=operation_id)
    return (await public.CancelOperation(request, metadata=_metadata(person))).operation


async def test_work_nobody_began_is_cancelled_at_once(
    public: "OperationServiceAsyncStub", start: Start, claim: Claim, ada: Person, collection: Collection
) -> None:
    """Cancelling again, or what has ended, changes nothing; no worker gets it."""
    started = await start(ada.user.id, collection_id=collection.id)
    cancelled = [await _cancel(public, ada, started.operation.id) for _ in range(2)]
    assert cancelled[0] == cancelled[1]
    assert (cancelled[0].state, cancelled[0].HasField("finish_time")) == (Operation.STATE_CANCELLED, True)
    assert await claim() is None


async def test_running_work_is_told_to_cancel(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: Person,
    collection: Collection,
) -> None:
    """Its worker hears of it with the next report, tidies up, and says that it has ended."""
    await start(ada.user.id, collection_id=collection.id)
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
    ada: Person,
    collection: Collection,
) -> None:
    """What was begun and given back leaves traces; the next worker is told to settle it."""
    await start(ada.user.id, collection_id=collection.id)
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
    ada: Person,
    collection: Collection,
) -> None:
    """Nothing else of the collection starts meanwhile."""
    await start(ada.user.id, collection_id=collection.id)
    other = await start(ada.user.id, collection_id=collection.id)
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


async def test_a_deletion_cancels_its_neighbours(start: Start, claim: Claim, ada: Person, public: "OperationServiceAsyncStub") -> None:
    """In the transaction that starts it; another collection's work is left alone."""
    doomed, other = str(uuid.uuid4()), str(uuid.uuid4())
    running = (await start(ada.user.id, collection_id=doomed)).operation.id
    held = await claim()
    assert held is not None
    waiting = (await start(ada.user.id, collection_id=doomed)).operation.id
    left = (await start(ada.user.id, collection_id=other)).operation.id
    deletion = (await start(ada.user.id, collection_id=doomed, kind=Operation.KIND_DELETE)).operation.id
    states = {}
    for each in (running, waiting, left, deletion):
        answer = await public.GetOperation(messages.GetOperationRequest(operation_id=each), metadata=_metadata(ada))
        states[each] = answer.operation.state
    assert states == {
        running: Operation.STATE_CANCELLING,
        waiting: Operation.STATE_CANCELLED,
        left: Operation.STATE_QUEUED,
        deletion: Operation.STATE_QUEUED,
    }


async def test_a_watch_shows_the_state_now_and_each_change_to_the_end(
    public: "OperationServiceAsyncStub", internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, ada: Person
) -> None:
    """Revisions only rise, the last message is the final state, and then the stream ends OK."""
    operation_id = (await start(ada.user.id)).operation.id
    call = public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=_metadata(ada), timeout=SECONDS)
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


async def test_finished_work_is_watched_as_one_message(
    public: "OperationServiceAsyncStub", http: httpx.AsyncClient, start: Start, ada: Person
) -> None:
    """Its final state, then the end, on both faces and for many watchers at once."""
    operation_id = (await start(ada.user.id)).operation.id
    ended = await _cancel(public, ada, operation_id)

    async def watch() -> list[Operation]:
        call = public.WatchOperation(messages.WatchOperationRequest(operation_id=operation_id), metadata=_metadata(ada), timeout=SECONDS)
        return [answer.operation async for answer in call]

    assert await asyncio.gather(*(watch() for _ in range(10))) == [[ended]] * 10
    answer = await http.get(f"/v1/operations/{operation_id}:watch", headers=ada.headers)
    events = [line for line in answer.text.splitlines() if line]
    assert (len(events), '"STATE_CANCELLED"' in events[0]) == (1, True)


async def test_operations_are_listed_newest_first_by_page(
    public: "OperationServiceAsyncStub", start: Start, ada: Person, stranger: Person, collection: Collection
) -> None:
    """Those the caller started, or those of one collection, by state where it is asked for."""
    ids = [(await start(ada.user.id, collection_id=collection.id)).operation.id for _ in range(3)]
    private = (await start(ada.user.id)).operation.id
    await start(stranger.user.id)
    await _cancel(public, ada, ids[0])

    async def listed(**fields: object) -> list[str]:
        request, found = messages.ListOperationsRequest(page_size=2, **fields), []  # type: ignore[arg-type]
        while True:
            answer = await public.ListOperations(request, metadata=_metadata(ada))
            assert len(answer.operations) <= 2
            found += [each.id for each in answer.operations]
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    assert await listed() == [private, *reversed(ids)]
    assert await listed(collection_id=collection.id) == [*reversed(ids)]
    assert await listed(states=[Operation.STATE_CANCELLED]) == [ids[0]]


async def test_a_strangers_operation_does_not_exist(
    public: "OperationServiceAsyncStub", start: Start, ada: Person, stranger: Person
) -> None:
    """Seeing, watching and cancelling it answer like an id nobody has, word for word."""
    hers, who = (await start(ada.user.id)).operation.id, _metadata(stranger)
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
