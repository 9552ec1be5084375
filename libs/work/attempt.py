"""One claim in a worker's slot, from its first heartbeat to its end."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libs.telemetry import failures
from libs.work import metrics
from libs.work.failpoints import Failpoint, nothing
from libs.work.handler import Handler
from libs.work.lease import Lease
from libs.work.outcome import Done, Failed, Faulted, Lost, Outcome, Released, Settled, Settling, Stop, Stopped, outcome_of
from libs.work.report import Report
from libs.work.retry import Backoff, patiently
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

log = logging.getLogger(__name__)
State = operation_pb2.Operation.State
_RPC_SECONDS = 5.0
_DRAIN_SECONDS = 3.0  # for the last call to operation once the process drains
_HAND_BACK_SECONDS = 1.0
_END_SECONDS = 5.0  # twice: a task that ends at neither cancellation ends the process
_STORE = "a store or a service"
_GONE = (Stop.LOST, Stop.SILENCE, Stop.STALLED)


def exit_process() -> None:
    """End the process at once; its supervisor starts another."""
    os._exit(70)


@dataclass(frozen=True)
class Pace:
    """The intervals of an attempt, in seconds."""

    report_seconds: float = 0.5
    """Between two heartbeats."""
    stall_seconds: float = 300.0
    """After which work that neither advances nor waits is ended."""
    end_seconds: float = _END_SECONDS
    """For a cancelled task to end; after twice that the process exits."""


class Attempt:
    """The lease is held around everything: the work, settling and finishing."""

    def __init__(
        self,
        operation: "OperationInternalServiceAsyncStub",
        claim: messages.Claim,
        handler: Handler,
        draining: asyncio.Event,
        pace: Pace,
        failpoint: Failpoint = nothing,
        on_hang: Callable[[], None] = exit_process,
    ) -> None:
        self._operation = operation
        self._claim = claim
        self._id = claim.operation.id
        self._handler = handler
        self._draining = draining
        self._pace = pace
        self._failpoint = failpoint
        self._on_hang = on_hang
        self._report = Report(claim.operation.progress)
        self._lease = Lease(
            operation,
            claim,
            self._report,
            report_seconds=pace.report_seconds,
            stall_seconds=pace.stall_seconds,
            failpoint=failpoint,
        )

    async def run(self) -> Outcome:
        """Work, settle and finish, or give the operation back; returns how it ended."""
        async with self._lease.renewing():
            outcome = await self._work()
            if isinstance(outcome, Settling):
                outcome = await self._settle(outcome)
            if isinstance(outcome, Settling):
                outcome = await self._finish(outcome)
            if isinstance(outcome, Released | Faulted):
                outcome = await self._give_back(outcome)
        if isinstance(outcome, Lost) and outcome.by_silence:
            await self._give_back_late()
        return outcome

    async def _work(self) -> Outcome:
        if self._claim.directive == messages.DIRECTIVE_SETTLE:
            return Settled(self._claim.settle_state)
        stop, error = await self._until(self._repeated(lambda: self._handler.run(self._claim, self._report)), frozenset(Stop))
        return self._outcome(Done(), stop, error)

    async def _settle(self, intended: Settling) -> Outcome:
        stop, error = await self._until(self._repeated(lambda: self._handler.settle(self._claim, intended, self._report)), _GONE)
        outcome = self._outcome(intended, stop, error, is_settling=True)
        self._failpoint("after_settle")
        return outcome

    def _outcome(self, intended: Settling, stop: Stop | None, error: BaseException | None, *, is_settling: bool = False) -> Outcome:
        outcome = outcome_of(intended, stop, error, is_settling=is_settling)
        if isinstance(outcome, Faulted):
            log.error("operation %s: the attempt failed: %s", self._id, outcome.status.message, exc_info=error)
            metrics.faults.labels("settle" if is_settling else "run").inc()
        elif stop is not None and error is not None and not isinstance(error, asyncio.CancelledError):
            failures.record(log, "work_stopped", f"operation {self._id}: failed while it was stopped ({stop.name})", error)
        return outcome

    async def _repeated(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Repeat what a transient error ended. The work waits at its own calls; this is for what it does not foresee."""
        backoff = Backoff()
        while True:
            try:
                return await attempt()
            except Exception as error:  # noqa: BLE001 - what is not transient is raised again
                seconds = backoff.seconds(error)
                failures.record(log, "work_retry", f"operation {self._id}: waits {seconds:.1f} s for {_STORE}", error)
                metrics.retries.labels(_STORE).inc()
            with self._report.waiting(_STORE):
                await self._hand_back()
                await asyncio.sleep(seconds)

    async def _finish(self, outcome: Settling) -> Outcome:
        error = outcome.status if isinstance(outcome, Failed) else None
        request = messages.FinishOperationRequest(
            operation_id=self._id, fence=self._claim.fence, state=_end_state(outcome), error=error, progress=self._report.progress
        )

        async def finish() -> None:
            await patiently(lambda: self._operation.FinishOperation(request, timeout=_RPC_SECONDS), self._report, "operation")

        stop, failure = await self._until(finish(), _GONE, drain_seconds=_DRAIN_SECONDS)
        self._failpoint("after_finish")
        if stop is None and failure is None:
            return outcome
        return self._outcome(outcome, stop, failure, is_settling=True)

    async def _give_back(self, outcome: Released | Faulted) -> Outcome:
        await self._hand_back()
        request = messages.ReleaseOperationRequest(operation_id=self._id, fence=self._claim.fence, progress=self._report.progress)
        if isinstance(outcome, Faulted):
            request.fault.CopyFrom(outcome.status)

        async def release() -> None:
            await patiently(lambda: self._operation.ReleaseOperation(request, timeout=_RPC_SECONDS), self._report, "operation")

        # A stalled lease is not renewed any more, but it still has seconds to run.
        stop, error = await self._until(release(), (Stop.LOST, Stop.SILENCE), drain_seconds=_DRAIN_SECONDS, seconds=self._seconds_left())
        if stop is None and error is None:
            return outcome
        message = f"operation {self._id}: cannot be given back, its lease runs out"
        failures.record(log, "work_release", message, error or TimeoutError("no answer in time"))
        return Lost()

    async def _give_back_late(self) -> None:
        """Release an operation whose lease ran out in silence: if nobody has taken over, no attempt counts."""
        request = messages.ReleaseOperationRequest(operation_id=self._id, fence=self._claim.fence)

        async def release() -> None:
            await patiently(lambda: self._operation.ReleaseOperation(request, timeout=_RPC_SECONDS), self._report, "operation")

        _, error = await self._until(release(), ())
        if error is not None:
            failures.record(log, "work_release", f"operation {self._id}: not given back after a silence", error)

    def _seconds_left(self) -> float | None:
        return max(0.5, self._lease.remaining_seconds) if self._lease.stop is Stop.STALLED else None

    async def _hand_back(self) -> None:
        task = asyncio.create_task(self._handler.hand_back(self._claim, self._report))
        try:
            await asyncio.wait((task,), timeout=_HAND_BACK_SECONDS)
        finally:
            error = await self._end(task)
        if error is not None:
            failures.record(log, "work_hand_back", f"operation {self._id}: cannot hand back what was in flight", error)

    async def _until(
        self, work: Coroutine[Any, Any, None], heeded: Collection[Stop], *, drain_seconds: float = 0.0, seconds: float | None = None
    ) -> tuple[Stop | None, BaseException | None]:
        """Do ``work`` until it ends or is stopped; returns why it was stopped and what it raised.

        Heeds the lease's stops in ``heeded``; draining stops it after ``drain_seconds``, and ``seconds`` is the longest it may take.
        """
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(self._lease.stopped(heeded))
        drained = asyncio.create_task(_after(self._draining, drain_seconds))
        try:
            await asyncio.wait((task, stopped, drained), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            stop = None if task.done() else stopped.result() if stopped.done() else Stop.DRAINING
        finally:
            stopped.cancel()
            drained.cancel()
            error = await self._end(task)
        if self._lease.stop in (Stop.LOST, Stop.SILENCE) and stop is not None:
            stop = self._lease.stop
        return stop, error

    async def _end(self, task: asyncio.Task[None]) -> BaseException | None:
        """Cancel ``task`` unless it has ended, and return what it raised; a task that does not end ends the process."""
        for _ in range(2):
            if task.done():
                break
            # A second cancellation: the first may have been swallowed.
            task.cancel()
            await asyncio.wait((task,), timeout=self._pace.end_seconds)
        if not task.done():
            log.critical("operation %s: the cancelled work does not end, the process exits", self._id)
            self._on_hang()
            return asyncio.CancelledError()
        return asyncio.CancelledError() if task.cancelled() else task.exception()


def _end_state(outcome: Settling) -> "operation_pb2.Operation.State.ValueType":
    match outcome:
        case Done():
            return State.STATE_SUCCEEDED
        case Failed():
            return State.STATE_FAILED
        case Settled(state):
            return state
        case Stopped(directive):
            return State.STATE_PAUSED if directive == messages.DIRECTIVE_PAUSE else State.STATE_CANCELLED


async def _after(event: asyncio.Event, seconds: float) -> None:
    await event.wait()
    await asyncio.sleep(seconds)
