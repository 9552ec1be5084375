"""Keeps a claim alive: renews its lease, carries progress out and the directive back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from libs.db import engine as db
from libs.rpc.errors import reason_of
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from services.collection.store import indexing
from services.collection.worker.failpoints import reach

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

log = logging.getLogger(__name__)
_REPORT_SECONDS = 3.0
_LOST = ("LEASE_LOST", "FENCED")
Measure = Callable[[], Awaitable[operation_pb2.Progress]]


class Lease:
    """``directive`` is what operation last said; ``told`` is set once that is anything but CONTINUE."""

    def __init__(self, operation: "OperationInternalServiceAsyncStub", claim: messages.Claim, every_seconds: float) -> None:
        self._operation = operation
        self._id = claim.operation.id
        self._fence = claim.fence
        self._lease_seconds = claim.lease.ToTimedelta().total_seconds()
        self._every_seconds = every_seconds
        self.directive: messages.Directive.ValueType = messages.DIRECTIVE_CONTINUE
        self.told = asyncio.Event()
        self.wait_reason = ""

    @asynccontextmanager
    async def kept(self, measure: Measure) -> AsyncIterator[None]:
        """Renew the lease in the background for as long as the block runs."""
        task = asyncio.create_task(self._keep(measure))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self, measure: Measure) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while not self.told.is_set():
            await asyncio.sleep(self._every_seconds)
            request = messages.ReportOperationRequest(operation_id=self._id, fence=self._fence, wait_reason=self.wait_reason)
            try:
                request.progress.CopyFrom(await measure())
            except Exception as error:  # noqa: BLE001 - a heartbeat without progress is better than none
                log.debug("cannot measure progress: %s", type(error).__name__)
            try:
                answer = await self._operation.ReportOperation(request, timeout=_REPORT_SECONDS)
            except grpc.aio.AioRpcError as error:
                log.warning("cannot report: %s", error.code().name)
                # Nobody else has it before the lease is out; after that somebody may.
                if loop.time() - renewed > self._lease_seconds:
                    self._tell(messages.DIRECTIVE_LOST)
                continue
            reach("after_report")
            renewed = loop.time()
            if answer.directive != messages.DIRECTIVE_CONTINUE:
                self._tell(answer.directive)

    def _tell(self, directive: "messages.Directive.ValueType") -> None:
        self.directive = directive
        self.told.set()


def is_transient(error: BaseException) -> bool:
    """Tell whether waiting may help: a store or a peer is away, or has too much to do."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_transient(each) for each in error.exceptions)
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    failure = db.translate(error) if isinstance(error, Exception) else None
    return failure is not None and failure.code is grpc.StatusCode.UNAVAILABLE


def is_lost(error: BaseException) -> bool:
    """Tell whether somebody refused us because a newer claim has taken over."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_lost(each) for each in error.exceptions)
    if isinstance(error, grpc.aio.AioRpcError):
        return reason_of(error) in _LOST
    return isinstance(error, indexing.FencedError)
