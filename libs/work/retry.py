"""One call at a time is repeated while its error is transient; the work around it never starts over."""

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from libs.db import engine as db
from libs.rpc.errors import Failure, reason_of
from libs.telemetry import failures
from libs.work import metrics
from libs.work.errors import FencedError
from libs.work.report import Report

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_TRANSIENT = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED)
_LOST = ("LEASE_LOST", "FENCED")
_FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk that somebody will free
_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0
_MOST_SECONDS = 60.0  # however long a peer asks for
_SHOWN_AFTER_SECONDS = 1.0


async def patiently(attempt: Callable[[], Awaitable[_T]], report: Report, what: str) -> _T:
    """Return what ``attempt`` returns, and repeat it while its error is transient.

    Waits as long as the peer asks for (RetryInfo), otherwise 0.2 s doubling to 5 s. After the first second the report shows
    "waits for ``what``". A cancellation that meets an error wins over it.
    """
    backoff, began = Backoff(), time.monotonic()
    with ExitStack() as shown:
        while True:
            try:
                return await attempt()
            except Exception as error:  # noqa: BLE001 - what is not transient is raised again
                seconds = backoff.seconds(error)
                failures.record(log, "work_retry", f"waits {seconds:.1f} s for {what}", error)
                metrics.retries.labels(what).inc()
                if time.monotonic() + seconds - began > _SHOWN_AFTER_SECONDS:
                    shown.enter_context(report.waiting(what))
                    began = float("inf")
                await asyncio.sleep(seconds)


class Backoff:
    """The growing waits between the repeats of one call: what RetryInfo says, or 0.2 s doubling to 5 s."""

    def __init__(self) -> None:
        self._next = _FIRST_SECONDS

    def seconds(self, error: Exception) -> float:
        """Return how long to wait before the next repeat; raises ``error`` if it is not transient.

        Raises CancelledError if the task was cancelled at the time of the error: before Python 3.13 a TaskGroup reports the
        errors of its children only, and the cancellation would be lost.
        """
        if is_cancelled():
            raise asyncio.CancelledError from error
        if not is_transient(error):
            raise error
        seconds = min(max(self._next, retry_after(error) or 0.0), _MOST_SECONDS)
        self._next = min(self._next * 2, _LONGEST_SECONDS)
        return seconds


def is_cancelled() -> bool:
    """Return whether somebody has asked the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_transient(error: BaseException) -> bool:
    """Return whether waiting may help: a store or a peer is away or has too much to do, a disk is full. Of a group, every error must be."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_transient(inner) for inner in error.exceptions)
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in _TRANSIENT
    if isinstance(error, Failure):
        return error.code in _TRANSIENT
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # Postgres away or full; not a statement that took too long, which will take too long again.
    failure = db.translate(error) if isinstance(error, Exception) else None
    return failure is not None and failure.code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)


def is_lost(error: BaseException) -> bool:
    """Return whether a store or a peer refused the claim because a newer one has taken over."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_lost(inner) for inner in error.exceptions)
    if isinstance(error, grpc.aio.AioRpcError):
        return reason_of(error) in _LOST
    return isinstance(error, FencedError)


def retry_after(error: BaseException) -> float | None:
    """Return the seconds a peer asks to wait (RetryInfo), the longest of a group; None if it does not say."""
    if isinstance(error, BaseExceptionGroup):
        return max((seconds for inner in error.exceptions if (seconds := retry_after(inner)) is not None), default=None)
    if isinstance(error, Failure):
        return error.retry_after
    if not isinstance(error, grpc.aio.AioRpcError):
        return None
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None
