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
from semantik.operation.v1 import operation_service_pb2
from semantik.operation.v1.operation_pb2 import Operation, Progress
from tests.service.operation.conftest import Claim, Start
from tests.service.operation.house import House, User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

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
    async with asyncio.timeout(30):
        while (await _column(rows, claim, "lease_owner")) is not None:  # noqa: ASYNC110 - the sweep is in another process
            await asyncio.sleep(0.05)


async def _column(rows: psycopg.AsyncConnection, claim: messages.Claim, name: str) -> object:
    cursor = await rows.execute(f"SELECT {name} FROM operation.operations WHERE id = %s", (claim.operation.id,))  # noqa: S608 - the names are ours
    [(value,)] = await cursor.fetchall()
    return value


async def test_work_is_done_once(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """Queued, claimed with all that it was started with, reported, finished; finishing again changes nothing."""
    collection_id = str(uuid.uuid4())
    started = await start(collection_id=collection_id)
    assert (started.is_new, started.operation.state, started.operation.revision) == (True, Operation.STATE_QUEUED, 1)
    held = await claim()
    assert held is not None
    assert (held.operation.id, held.operation.state) == (started.operation.id, Operation.STATE_RUNNING)
    assert (held.directive, held.lease.seconds, held.principal.user_id) == (messages.DIRECTIVE_CONTINUE, 5, started.operation.user_id)
    assert await claim() is None
    progress = Progress(phase=Progress.PHASE_INDEXING, documents_done=2, documents_total=5, tokens=7, tokens_per_second=1.5)
    answer = await internal.ReportOperation(_report(held, progress=progress, wait_reason="waits for the model"))
    assert answer.directive == messages.DIRECTIVE_CONTINUE
    progress.documents_done = 5
    finished = [(await internal.FinishOperation(_finish(held, Operation.STATE_SUCCEEDED, progress=progress))).operation for _ in range(2)]
    progress.percent = 100
    progress.tokens_per_second = 0  # nobody works on it any more
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
        claims = [each for each in await asyncio.gather(*(claim() for _ in range(8))) if each]
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
    first = await claim()
    assert first is not None
    await _expire(rows, first)
    second = await claim()
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
    """Five silent ends in a row; one with a document committed begins the count anew. It is settled as failed, with a reason."""
    await start(collection_id=str(uuid.uuid4()))
    attempts = []
    for committed in (0, 0, 1, 1, 1, 1, 1, 1):
        held = await claim()
        assert held is not None
        attempts.append(held.operation.attempt)
        if held.operation.progress.documents_indexed < committed:
            await internal.ReportOperation(_report(held, progress=Progress(documents_indexed=committed)))
        await _expire(rows, held)
    last = await claim()
    assert last is not None
    assert (attempts, last.operation.attempt) == ([0, 1, 2, 0, 1, 2, 3, 4], 5)
    assert (last.directive, last.settle_state, last.is_last_settle) == (messages.DIRECTIVE_SETTLE, Operation.STATE_FAILED, False)
    ended = (await internal.FinishOperation(_finish(last, Operation.STATE_FAILED))).operation
    assert (ended.state, ended.error.message) == (Operation.STATE_FAILED, "no progress in 5 attempts in a row")


async def test_a_fault_is_an_attempt_and_the_next_waits_a_little(
    internal: "OperationInternalServiceAsyncStub", rows: psycopg.AsyncConnection, start: Start, claim: Claim
) -> None:
    """A second, then twice as long each time, half a minute at most; the fifth is settled, and the error names the last fault."""
    await start()
    waits = []
    for _ in range(5):
        held = await claim()
        assert held is not None
        assert held.directive == messages.DIRECTIVE_CONTINUE
        release = _release(held)
        release.fault.CopyFrom(status_pb2.Status(code=13, message="ValueError"))
        await internal.ReleaseOperation(release)
        assert await claim() is None
        waits.append(await _column(rows, held, "round(extract(epoch FROM not_before - update_time))::int"))
        await rows.execute("UPDATE operation.operations SET not_before = NULL WHERE id = %s", (held.operation.id,))
    last = await claim()
    assert last is not None
    assert (waits, last.directive) == ([1, 2, 4, 8, 16], messages.DIRECTIVE_SETTLE)
    ended = (await internal.FinishOperation(_finish(last, Operation.STATE_FAILED))).operation
    assert ended.error.message == "no progress in 5 attempts in a row; the last one ended with: ValueError"


async def test_what_nobody_can_settle_ends_failed_and_its_collection_is_told(
    internal: "OperationInternalServiceAsyncStub",
    house: House,
    public: "OperationServiceAsyncStub",
    rows: psycopg.AsyncConnection,
    start: Start,
    claim: Claim,
    ada: User,
) -> None:
    """Five settles and a last one that is said to be the last; then CANCELLING ends, whoever dies or fails (B3)."""
    collection = house.collection_of(ada)
    await start(ada.id, collection_id=collection)
    held = await claim()
    assert held is not None
    await internal.ReleaseOperation(_release(held))
    request = operation_service_pb2.CancelOperationRequest(operation_id=held.operation.id)
    cancelled = (await public.CancelOperation(request, metadata=ada.metadata)).operation
    assert cancelled.state == Operation.STATE_CANCELLING
    lasts = []
    for number in range(6):
        held = await claim()
        assert held is not None
        assert held.directive == messages.DIRECTIVE_SETTLE
        lasts.append(held.is_last_settle)
        if number % 2:
            await _expire(rows, held)
        else:
            release = _release(held)
            release.fault.CopyFrom(status_pb2.Status(code=13, message="ValueError"))
            await internal.ReleaseOperation(release)
            await rows.execute("UPDATE operation.operations SET not_before = NULL WHERE id = %s", (held.operation.id,))
    assert lasts == [False] * 5 + [True]
    get = operation_service_pb2.GetOperationRequest(operation_id=held.operation.id)
    ended = (await public.GetOperation(get, metadata=ada.metadata)).operation
    assert (ended.state, ended.HasField("finish_time")) == (Operation.STATE_FAILED, True)
    assert ended.error.message == "the collection could not be brought up to date in 6 attempts; the last one ended with: ValueError"
    async with asyncio.timeout(10):
        marked = await house.collection.failed.get()
    assert (marked.collection_id, marked.fence, await claim()) == (collection, held.fence, None)


async def test_a_repeated_claim_id_gives_the_same_claim(
    internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, queue: str
) -> None:
    """While its lease lasts, at once or twenty at the same time (B13); with repeat_only nothing new is taken."""
    for _ in range(3):
        await start()
    claim_id = str(uuid.uuid4())
    claims = [held for held in await asyncio.gather(*(claim(claim_id=claim_id, seconds=5) for _ in range(20))) if held]
    assert {(held.operation.id, held.fence) for held in claims} == {(claims[0].operation.id, claims[0].fence)}
    assert len(claims) == 20
    request = messages.ClaimOperationRequest(queue=queue, worker_id="worker", claim_id=claim_id, slot=messages.SLOT_LONG, repeat_only=True)
    repeat = (await internal.ClaimOperation(request)).claim
    assert (repeat.operation.id, repeat.fence) == (claims[0].operation.id, claims[0].fence)
    request.claim_id = str(uuid.uuid4())
    assert not (await internal.ClaimOperation(request)).HasField("claim")
    await internal.FinishOperation(_finish(claims[0], Operation.STATE_SUCCEEDED))
    another = await claim(claim_id=claim_id)
    assert another is not None
    assert another.operation.id != claims[0].operation.id


async def test_a_claim_waits_for_work(start: Start, claim: Claim) -> None:
    """It is answered when work comes, when what stood in its way has ended, or with nothing when its time is over."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(claim(seconds=10))
    began = loop.time()
    assert await claim(seconds=0.2) is None
    assert 0.2 <= loop.time() - began < 2
    started = await start()
    held = await waiting
    assert held is not None
    assert (held.operation.id, loop.time() - began < 5) == (started.operation.id, True)


async def test_a_claim_waits_for_the_collection(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """The end of one operation rings for the next of its collection."""
    collection = str(uuid.uuid4())
    first, second = [(await start(collection_id=collection)).operation.id for _ in range(2)]
    held = await claim()
    assert held is not None
    waiting = asyncio.create_task(claim(seconds=10))
    await internal.FinishOperation(_finish(held, Operation.STATE_SUCCEEDED))
    following = await waiting
    assert following is not None
    assert (held.operation.id, following.operation.id) == (first, second)


async def test_a_report_writes_only_what_changed_and_renews_the_lease_seldom(
    internal: "OperationInternalServiceAsyncStub", rows: psycopg.AsyncConnection, start: Start, claim: Claim
) -> None:
    """The same report again writes nothing; a change leaves the lease's end alone; an ageing lease is renewed."""
    await start()
    held = await claim()
    assert held is not None
    report = _report(held, progress=Progress(documents_done=1, documents_total=4), wait_reason="waits for search")
    seen = []
    for _ in range(3):
        await internal.ReportOperation(report)
        seen.append([await _column(rows, held, name) for name in ("xmin::text", "lease_until", "revision")])
    assert seen[0] == seen[1] == seen[2]
    report.progress.documents_done = 2
    await internal.ReportOperation(report)
    changed = [await _column(rows, held, name) for name in ("lease_until", "revision")]
    assert changed == [seen[0][1], int(str(seen[0][2])) + 1]
    await rows.execute("UPDATE operation.operations SET lease_until = lease_until - interval '4 s' WHERE id = %s", (held.operation.id,))
    await internal.ReportOperation(report)
    assert await _column(rows, held, "lease_until > clock_timestamp() + interval '7 s'") is True
    assert await _column(rows, held, "revision") == changed[1]


async def test_progress_never_goes_back(
    internal: "OperationInternalServiceAsyncStub", rows: psycopg.AsyncConnection, start: Start, claim: Claim
) -> None:
    """Not even when another worker counts from the beginning (V8): phase, percent and what is done stay; totals may change."""
    await start()
    held = await claim()
    assert held is not None
    far = Progress(phase=Progress.PHASE_INDEXING, documents_done=8, documents_total=10, documents_indexed=8, chunks=90, tokens=900)
    await internal.ReportOperation(_report(held, progress=far))
    await _expire(rows, held)
    held = await claim()
    assert held is not None
    back = Progress(phase=Progress.PHASE_LISTING, documents_done=2, documents_total=40, documents_indexed=2, tokens_per_second=3.0)
    await internal.ReportOperation(_report(held, progress=back))
    far.documents_total, far.tokens_per_second, far.percent = 40, 3.0, 80
    finish = _finish(held, Operation.STATE_FAILED, progress=Progress(documents_done=9, documents_total=40))
    far.documents_done, far.tokens_per_second = 9, 0.0
    assert (await internal.FinishOperation(finish)).operation.progress == far


async def test_released_work_is_no_attempt(internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim) -> None:
    """A worker that shuts down gives its work to the next."""
    await start()
    first = await claim()
    assert first is not None
    await internal.ReleaseOperation(_release(first))
    await internal.ReleaseOperation(_release(first))  # the answer was lost
    second = await claim()
    assert second is not None
    assert (second.operation.id, second.operation.attempt, second.fence > first.fence) == (first.operation.id, 0, True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await internal.ReleaseOperation(_release(first))
    assert (caught.value.code(), reason_of(caught.value)) == LEASE_LOST


async def test_unknown_work_is_not_found(internal: "OperationInternalServiceAsyncStub") -> None:
    """A report of it is answered with LOST: its worker is to stop."""
    nothing = messages.Claim(operation=Operation(id=str(uuid.uuid4())), fence=1)
    assert (await internal.ReportOperation(_report(nothing))).directive == messages.DIRECTIVE_LOST
    for call in (internal.ReleaseOperation(_release(nothing)), internal.FinishOperation(_finish(nothing, Operation.STATE_FAILED))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
