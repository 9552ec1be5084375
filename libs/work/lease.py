"""Keeps a claim alive: renews its lease, carries the report out and the directive back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from libs.telemetry import failures
from libs.work import metrics
from libs.work.failpoints import Failpoint
from libs.work.outcome import Stop
from libs.work.report import Report
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

log = logging.getLogger(__name__)
_RPC_SECONDS = 3.0
_LEAST_RPC_SECONDS = 0.5
_STOPS = {
    messages.DIRECTIVE_PAUSE: Stop.PAUSE,
    messages.DIRECTIVE_CANCEL: Stop.CANCEL,
    messages.DIRECTIVE_YIELD: Stop.YIELD,
    messages.DIRECTIVE_LOST: Stop.LOST,
}
_FINAL = (Stop.LOST, Stop.SILENCE, Stop.STALLED)


class Lease:
    """The lease of one claim; ``stop`` is what ends the attempt, None while it may go on.

    The heartbeat waits for nothing but its own call. It ends for good when another claim has taken over (LOST), when operation
    did not answer for as long as the lease lasts (SILENCE), and when the work did not advance for ``stall_seconds`` (STALLED).
    """

    def __init__(
        self,
        operation: "OperationInternalServiceAsyncStub",
        claim: messages.Claim,
        report: Report,
        *,
        report_seconds: float,
        stall_seconds: float,
        failpoint: Failpoint,
    ) -> None:
        self.stop: Stop | None = None
        self._operation = operation
        self._claim = claim
        self._report = report
        self._report_seconds = report_seconds
        self._stall_seconds = stall_seconds
        self._failpoint = failpoint
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._expires = self._loop.time() + claim.lease.ToTimedelta().total_seconds()

    @property
    def remaining_seconds(self) -> float:
        """Seconds for which nobody else can have the operation."""
        return self._expires - self._loop.time()

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Renew the lease in the background for as long as the block runs."""
        heartbeat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            heartbeat.cancel()
            await asyncio.wait((heartbeat,), timeout=_RPC_SECONDS)

    async def stopped(self, heeded: Collection[Stop]) -> Stop:
        """Wait for one of the stops in ``heeded`` and return it."""
        while self.stop is None or self.stop not in heeded:
            await self._changed.wait()
        return self.stop

    async def _beat(self) -> None:
        while self.stop not in _FINAL:
            await asyncio.sleep(self._report_seconds)
            if self._report.idle_seconds > self._stall_seconds:
                operation = self._claim.operation
                log.error("operation %s: nothing moved for %.0f s, the attempt ends", operation.id, self._report.idle_seconds)
                metrics.stalls.labels(operation_pb2.Operation.Kind.Name(operation.kind).removeprefix("KIND_")).inc()
                self._set(Stop.STALLED)
                return
            await self._renew()

    async def _renew(self) -> None:
        sent = self._loop.time()
        request = messages.ReportOperationRequest(
            operation_id=self._claim.operation.id,
            fence=self._claim.fence,
            progress=self._report.progress,
            wait_reason=self._report.wait_reason,
        )
        timeout = min(_RPC_SECONDS, max(_LEAST_RPC_SECONDS, self.remaining_seconds))
        try:
            answer = await self._operation.ReportOperation(request, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - a heartbeat that ends would lose the lease
            failures.record(log, "work_report", f"operation {self._claim.operation.id}: cannot report", error)
            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.NOT_FOUND:
                self._set(Stop.LOST)
            elif self.remaining_seconds <= 0:
                self._set(Stop.SILENCE)
            return
        self._failpoint("after_report")
        self._expires = sent + self._claim.lease.ToTimedelta().total_seconds()
        stop = _STOPS.get(answer.directive)
        if stop is not self.stop and stop is not None:
            self._set(stop)

    def _set(self, stop: Stop) -> None:
        if stop in (Stop.LOST, Stop.SILENCE):
            metrics.leases_lost.labels("taken_over" if stop is Stop.LOST else "silence").inc()
        self.stop = stop
        # The event is replaced so that the next change wakes waiters again.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
