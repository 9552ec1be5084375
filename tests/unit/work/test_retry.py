"""A call is repeated while its error is transient, and a cancellation always wins."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from psycopg import errors as postgres
from sqlalchemy.exc import OperationalError

from libs.rpc.errors import invalid, unavailable
from libs.work.errors import FencedError
from libs.work.failpoints import nothing, parse
from libs.work.report import Report
from libs.work.retry import is_lost, is_transient, patiently, retry_after


def _peer(code: grpc.StatusCode, *, reason: str = "", retry_seconds: float | None = None) -> grpc.aio.AioRpcError:
    """Return what a stub raises for a peer's answer."""
    status = status_pb2.Status(code=code.value[0], message="no")
    if reason:
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="semantik"))
    if retry_seconds is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromMilliseconds(round(retry_seconds * 1000))
        status.details.add().Pack(info)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, "no")


AWAY = _peer(grpc.StatusCode.UNAVAILABLE)
TRANSIENT = [
    AWAY,
    _peer(grpc.StatusCode.DEADLINE_EXCEEDED),
    _peer(grpc.StatusCode.RESOURCE_EXHAUSTED),
    OperationalError("SELECT 1", {}, postgres.AdminShutdown()),
    OperationalError("SELECT 1", {}, postgres.DeadlockDetected()),
    ExceptionGroup("", [AWAY, ExceptionGroup("", [AWAY])]),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    unavailable("the vector store"),
]
OTHERS = [
    _peer(grpc.StatusCode.INTERNAL),
    _peer(grpc.StatusCode.INVALID_ARGUMENT),
    OperationalError("SELECT 1", {}, postgres.QueryCanceled()),
    ExceptionGroup("", [AWAY, ValueError()]),
    ValueError(),
    invalid("query", "is empty"),
    OSError(errno.EACCES, "Permission denied"),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize(("error", "expected"), [*((error, True) for error in TRANSIENT), *((error, False) for error in OTHERS)])
def test_what_waiting_may_heal_is_transient(error: BaseException, expected: bool) -> None:
    """A peer or Postgres that is away, full or busy, a full disk; not a statement that was too slow, nor a fault beside it."""
    assert is_transient(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_peer(grpc.StatusCode.FAILED_PRECONDITION, reason="FENCED"), True),
        (_peer(grpc.StatusCode.FAILED_PRECONDITION, reason="LEASE_LOST"), True),
        (FencedError(), True),
        (ExceptionGroup("", [AWAY, FencedError()]), True),
        (_peer(grpc.StatusCode.FAILED_PRECONDITION, reason="STATE_CONFLICT"), False),
        (AWAY, False),
    ],
)
def test_a_refused_fence_means_that_the_claim_is_lost(error: BaseException, expected: bool) -> None:
    """Whoever refuses it: operation, the index or the database."""
    assert is_lost(error) is expected


def test_a_peer_says_how_long_to_wait() -> None:
    """The longest of several; None where nobody says."""
    short, long = (_peer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_seconds=seconds) for seconds in (0.5, 2.5))
    assert (retry_after(short), retry_after(ExceptionGroup("", [long, short, AWAY])), retry_after(AWAY)) == (0.5, 2.5, None)
    assert unavailable("postgres").retry_after == 1.0


def _failing(times: int, error: Exception) -> Callable[[], Awaitable[str]]:
    left = iter([error] * times)

    async def attempt() -> str:
        if failure := next(left, None):
            raise failure
        return "done"

    return attempt


async def test_a_transient_error_is_waited_out_and_shown_after_a_second() -> None:
    """While it waits the report says for what, and the stall clock rests."""
    report = Report()
    waiting = asyncio.create_task(patiently(_failing(3, AWAY), report, "search"))
    seen = set()
    while not waiting.done():
        seen.add(report.wait_reason)
        await asyncio.wait((waiting,), timeout=0.02)
    assert (await waiting, seen, report.wait_reason) == ("done", {"", "waits for search"}, "")


async def test_another_error_is_raised_at_once() -> None:
    """And nothing is repeated."""
    attempt = _failing(1, ValueError("boom"))
    with pytest.raises(ValueError, match="boom"):
        await patiently(attempt, Report(), "search")
    assert await attempt() == "done"


async def test_a_cancellation_that_meets_a_transient_error_is_not_lost() -> None:
    """A TaskGroup of Python 3.11 raises the errors of its children alone; without the check the call is repeated (B1)."""
    attempts = 0

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise AWAY from None

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())

    task = asyncio.create_task(patiently(attempt, Report(), "search"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=3)
    assert (task.cancelled(), attempts) == (True, 1)


async def test_a_cancellation_during_the_wait_ends_it() -> None:
    """A worker that drains does not wait for a peer."""
    task = asyncio.create_task(patiently(_failing(100, AWAY), Report(), "search"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=5)
    assert task.cancelled()


def test_the_longest_wait_is_shown_and_the_stall_clock_rests_meanwhile() -> None:
    """Several tasks of one attempt may wait at once."""
    now = [0.0]
    report = Report(clock=lambda: now[0])
    now[0] = 5.0
    with report.waiting("search"):
        with report.waiting("embedding"):
            assert (report.wait_reason, report.idle_seconds) == ("waits for search", 0.0)
        now[0] = 100.0
    assert (report.wait_reason, report.idle_seconds) == ("", 0.0)
    now[0] = 107.0
    assert report.idle_seconds == 7.0
    report.advanced()
    assert report.idle_seconds == 0.0


def test_failpoints_are_read_or_refused() -> None:
    """Nothing is armed by an empty text."""
    assert parse("") is nothing
    parse("after_upsert:kill@3,after_claim:kill")("elsewhere")
    with pytest.raises(ValueError, match="unknown failpoint action 'sleep'"):
        parse("after_upsert:sleep@3")
