"""A process that takes work from operation: some slots, each with one claim at a time."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import grpc

from libs.rpc import call
from libs.rpc.timestamps import duration
from libs.telemetry import failures, logs
from libs.work import metrics
from libs.work.attempt import Attempt, Pace, exit_process
from libs.work.failpoints import Failpoint, nothing
from libs.work.handler import Handler
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

log = logging.getLogger(__name__)
_POLL_SECONDS = 20.0
_GRACE_SECONDS = 5.0
_LEAST_POLL_SECONDS = 0.5  # however soon an empty answer comes
_LAST_CLAIM_SECONDS = 1.0
_BREAK_OFF_SECONDS = 1.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_T = TypeVar("_T")


class Worker:
    """Claims, attempts and finishes operations of ``queue`` with ``handler`` until ``draining`` is set.

    Long slots take work of every kind, short slots short work only. What draining interrupts is given back within 5 s.
    """

    def __init__(
        self,
        operation: grpc.aio.Channel,
        handler: Handler,
        draining: asyncio.Event,
        *,
        queue: str,
        worker_id: str,
        long_slots: int = 2,
        short_slots: int = 1,
        pace: Pace | None = None,
        failpoint: Failpoint = nothing,
        on_hang: Callable[[], None] = exit_process,
    ) -> None:
        self._operation: OperationInternalServiceAsyncStub = OperationInternalServiceStub(operation)
        self._handler = handler
        self._draining = draining
        self._queue = queue
        self._worker_id = worker_id
        self._slots = [messages.SLOT_LONG] * long_slots + [messages.SLOT_SHORT] * short_slots
        self._pace = pace or Pace()
        self._failpoint = failpoint
        self._on_hang = on_hang

    async def run(self) -> None:
        """Work until draining."""
        async with asyncio.TaskGroup() as slots:
            for slot in self._slots:
                slots.create_task(self._work(slot))

    async def _work(self, slot: "messages.Slot.ValueType") -> None:
        while (claim := await self._claim(slot)) is not None:
            # A task of its own, so that the log and the calls of each attempt carry its operation's id.
            attempt = asyncio.create_task(self._attempt(slot, claim))
            try:
                await attempt
            except Exception as error:  # noqa: BLE001 - see the comment
                # The lease runs out, and the attempt counts.
                failures.record(log, "work_attempt", f"operation {claim.operation.id}: the attempt broke off", error)

    async def _claim(self, slot: "messages.Slot.ValueType") -> messages.Claim | None:
        """Wait for a claim; None once the process drains. One claim id serves until it has brought a claim."""
        request = messages.ClaimOperationRequest(
            queue=self._queue, worker_id=self._worker_id, claim_id=str(uuid.uuid4()), slot=slot, wait=duration(_POLL_SECONDS)
        )
        wait = _FIRST_WAIT
        while not self._draining.is_set():
            asked = time.monotonic()
            try:
                answer = await self._or_draining(self._operation.ClaimOperation(request, timeout=_POLL_SECONDS + _GRACE_SECONDS))
            except grpc.aio.AioRpcError as error:
                failures.record(log, "work_claim", "cannot claim work", error)
                await self._or_draining(asyncio.sleep(wait))
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            wait = _FIRST_WAIT
            if answer is not None and answer.HasField("claim"):
                return answer.claim
            if time.monotonic() - asked < _LEAST_POLL_SECONDS:
                await self._or_draining(asyncio.sleep(_LEAST_POLL_SECONDS))
        # The answer to a call that draining broke off may have been a claim: ask for it, to give it back.
        request.ClearField("wait")
        request.repeat_only = True
        try:
            answer = await self._operation.ClaimOperation(request, timeout=_LAST_CLAIM_SECONDS)
        except grpc.aio.AioRpcError as error:
            log.info("draining, and no last answer to a claim: %s", error.code().name)
            return None
        return answer.claim if answer.HasField("claim") else None

    async def _or_draining(self, awaitable: Awaitable[_T]) -> _T | None:
        """Return what ``awaitable`` returns, or None once the process drains."""
        waiting = asyncio.ensure_future(_result(awaitable))
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait((waiting, draining), return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            draining.cancel()
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait((waiting,), timeout=_BREAK_OFF_SECONDS)

    async def _attempt(self, slot: "messages.Slot.ValueType", claim: messages.Claim) -> None:
        operation, kind = claim.operation, operation_pb2.Operation.Kind.Name(claim.operation.kind).removeprefix("KIND_")
        call.enter(call.Call(method="work", correlation_id=operation.id))
        logs.correlate(operation.id)
        log.info("operation %s: claimed %s (fence %d)", operation.id, kind, claim.fence)
        self._failpoint("after_claim")
        began = time.monotonic()
        with metrics.running.labels(messages.Slot.Name(slot).removeprefix("SLOT_").lower()).track_inprogress():
            outcome = await Attempt(self._operation, claim, self._handler, self._draining, self._pace, self._failpoint, self._on_hang).run()
        metrics.attempts.labels(kind, type(outcome).__name__.lower()).inc()
        metrics.seconds.labels(kind).observe(time.monotonic() - began)
        log.info("operation %s: %s after %.1f s", operation.id, type(outcome).__name__.lower(), time.monotonic() - began)


async def _result(awaitable: Awaitable[_T]) -> _T:
    return await awaitable
