"""The worker's life: claim, work, report, finish; give back when asked to stop."""

import asyncio
import logging
import uuid
from datetime import UTC

import grpc
from google.rpc import status_pb2
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from services.collection.store import collections, indexing
from services.collection.worker import work
from services.collection.worker.connectors.entries import UnreadableSourceError
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job, Tools
from services.collection.worker.lease import Lease, is_lost, is_transient
from services.collection.worker.peers import Index
from services.collection.worker.progress import Progress

log = logging.getLogger(__name__)
State = operation_pb2.Operation.State
_SECONDS = 5.0
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
_ENDS = {messages.DIRECTIVE_CANCEL: State.STATE_CANCELLED, messages.DIRECTIVE_PAUSE: State.STATE_PAUSED}


class Worker:
    """Takes one operation at a time. ``ring`` wakes it; without rings it asks every few seconds by itself."""

    def __init__(self, tools: Tools, operation: grpc.aio.Channel, search: grpc.aio.Channel, draining: asyncio.Event) -> None:
        self._tools = tools
        self._operation = OperationInternalServiceStub(operation)
        self._search = search
        self._draining = draining
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        self._rung.set()

    async def run(self) -> None:
        """Work until draining."""
        while not self._draining.is_set():
            self._rung.clear()
            claim = await self._claim()
            if claim is not None:
                await self._handle(claim)
                continue
            await _first(self._rung, self._draining, timeout=self._tools.settings.poll_seconds)

    async def _claim(self) -> messages.Claim | None:
        request = messages.ClaimOperationRequest(
            queue=self._tools.settings.queue, worker_id=self._tools.settings.worker_id, claim_id=str(uuid.uuid4()), slot=messages.SLOT_LONG
        )
        try:
            answer = await self._operation.ClaimOperation(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            log.warning("cannot ask for work: %s", error.code().name)
            return None
        return answer.claim if answer.HasField("claim") else None

    async def _handle(self, claim: messages.Claim) -> None:
        reach("after_claim")
        operation = claim.operation
        log.info("claimed %s %s (fence %d)", operation_pb2.Operation.Kind.Name(operation.kind), operation.id, claim.fence)
        lease = Lease(self._operation, claim, self._tools.settings.report_seconds)
        try:
            await self._attempt(claim, lease)
        except Exception as error:
            if is_lost(error):
                log.warning("operation %s: a newer claim has taken over, the lease is lost", operation.id)
                return
            # The lease runs out, and the next claim counts this one as an attempt.
            log.exception("operation %s failed", operation.id)

    async def _attempt(self, claim: messages.Claim, lease: Lease) -> None:
        job = await self._job(claim)
        if job is None:
            await self._finish(claim, State.STATE_SUCCEEDED, None)
            return
        progress = Progress(job)
        if claim.directive == messages.DIRECTIVE_SETTLE:
            await self._settle(job, synced=False, error="" if claim.settle_state == State.STATE_CANCELLED else "the work failed too often")
            await self._finish(claim, claim.settle_state, await progress.measure())
            return
        error: status_pb2.Status | None = None
        state = State.STATE_SUCCEEDED
        async with lease.kept(progress.sample):
            doing = asyncio.create_task(self._persist(claim, job, progress, lease))
            try:
                await _first(lease.told, self._draining, task=doing)
                if doing.done():
                    error = doing.result()
            finally:
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)
        if doing.cancelled():
            await self._put_down(job)
        if not doing.cancelled():
            state = State.STATE_FAILED if error else State.STATE_SUCCEEDED
        elif lease.told.is_set():
            if lease.directive == messages.DIRECTIVE_LOST:
                log.warning("operation %s: the lease is lost", claim.operation.id)
                return
            state = _ENDS[lease.directive]
        else:
            await self._release(claim, progress)
            return
        if claim.operation.kind == operation_pb2.Operation.KIND_DELETE and state == State.STATE_SUCCEEDED:
            await self._finish(claim, state, None)
            return
        await self._settle(job, synced=state == State.STATE_SUCCEEDED, error=error.message if error else "")
        reach("after_settle")
        await self._finish(claim, state, await progress.measure(), error)
        reach("after_finish")

    async def _job(self, claim: messages.Claim) -> Job | None:
        """Write the claim's fence and gather what the work needs; None if the collection is gone already."""
        operation = claim.operation
        async with self._tools.sessions.begin() as session:
            if await collections.get(session, operation.collection_id) is None:
                return None
            collection = await indexing.raise_fence(session, operation.collection_id, claim.fence)
            await indexing.count_deaths(session, operation.collection_id)
            generation = await collections.active_generation(session, collection)
        return Job(
            tools=self._tools,
            operation_id=operation.id,
            collection_id=collection.id,
            source_id=operation.source_id or None,
            fence=claim.fence,
            since=operation.start_time.ToDatetime(UTC),
            generation=generation,
            index=Index(self._search, generation.qdrant_name, claim.fence),
        )

    async def _persist(self, claim: messages.Claim, job: Job, progress: Progress, lease: Lease) -> status_pb2.Status | None:
        """Do the work, waiting as long as it takes for stores and peers that are away; returns why it failed for good."""
        wait = _FIRST_WAIT
        while True:
            try:
                if claim.operation.kind != operation_pb2.Operation.KIND_DELETE:
                    await job.index.open(job.generation.dimension)
                await work.do(claim.operation.kind, job, progress)
            except Exception as error:
                if unreadable := _found(UnreadableSourceError, error):
                    code, reason = StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_SOURCE_UNREADABLE
                    return Failure(code, reason, str(unreadable)).proto()
                if not is_transient(error):
                    raise
            else:
                return None
            await self._put_down(job)
            lease.wait_reason = "waits for a store or a service that cannot be reached"
            log.warning("operation %s: %s", claim.operation.id, lease.wait_reason)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            lease.wait_reason = ""

    async def _put_down(self, job: Job) -> None:
        """Note that nothing in hand is to blame for this interruption."""
        try:
            async with self._tools.sessions.begin() as session:
                await indexing.hold_fence(session, job.collection_id, job.fence)
                await indexing.unmark_processing(session, job.collection_id)
        except Exception as error:
            if not (is_transient(error) or is_lost(error)):
                raise

    async def _settle(self, job: Job, *, synced: bool, error: str) -> None:
        if not synced:
            await work.retract(job)
        async with self._tools.sessions.begin() as session:
            await indexing.hold_fence(session, job.collection_id, job.fence)
            await indexing.settle(session, job.collection_id, job.source_id, error=error, synced=synced)

    async def _release(self, claim: messages.Claim, progress: Progress) -> None:
        request = messages.ReleaseOperationRequest(operation_id=claim.operation.id, fence=claim.fence, progress=await progress.measure())
        await self._operation.ReleaseOperation(request, timeout=_SECONDS)
        log.info("gave %s back", claim.operation.id)

    async def _finish(
        self,
        claim: messages.Claim,
        state: "operation_pb2.Operation.State.ValueType",
        progress: operation_pb2.Progress | None,
        error: status_pb2.Status | None = None,
    ) -> None:
        request = messages.FinishOperationRequest(
            operation_id=claim.operation.id, fence=claim.fence, state=state, progress=progress, error=error
        )
        await self._operation.FinishOperation(request, timeout=_SECONDS)
        log.info("%s ended %s", claim.operation.id, operation_pb2.Operation.State.Name(state))


def _found(kind: type[Exception], error: BaseException) -> BaseException | None:
    """Return the first error of a kind, also from within a group."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _found(kind, each))), None)
    return error if isinstance(error, kind) else None


async def _first(*events: asyncio.Event, task: asyncio.Task[object] | None = None, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the caller's budget
    """Wait for the first of some events, or the end of ``task``, or the timeout."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    watched: set[asyncio.Task[object]] = {*waits, *([task] if task else [])}
    try:
        await asyncio.wait(watched, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
