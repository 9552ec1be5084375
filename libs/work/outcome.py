"""How an attempt ends: one value, computed in one place."""

import asyncio
import enum
from dataclasses import dataclass
from typing import TypeAlias

from google.rpc import status_pb2
from grpc import StatusCode

from libs.rpc.errors import Failure
from libs.work.errors import WorkFailedError
from libs.work.retry import is_lost
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2


@dataclass(frozen=True)
class Done:
    """The work reached its end."""


@dataclass(frozen=True)
class Failed:
    """The work failed for good."""

    status: status_pb2.Status


@dataclass(frozen=True)
class Stopped:
    """A user paused or cancelled the work."""

    directive: "messages.Directive.ValueType"
    """DIRECTIVE_PAUSE or DIRECTIVE_CANCEL."""


@dataclass(frozen=True)
class Settled:
    """The claim was for settling only."""

    state: "operation_pb2.Operation.State.ValueType"
    """The state that the claim names for the end."""


@dataclass(frozen=True)
class Released:
    """The process drains, or the slot is wanted: the operation is given back and no attempt counts."""


@dataclass(frozen=True)
class Faulted:
    """An unknown fault ended the attempt: the operation is given back and the attempt counts."""

    status: status_pb2.Status


@dataclass(frozen=True)
class Lost:
    """The lease is gone, and with it the right to write anything."""

    by_silence: bool = False
    """Whether the lease ran out because operation did not answer; then nobody may have taken over."""


Settling: TypeAlias = Done | Failed | Stopped | Settled
"""The outcomes that are settled and finished."""
Outcome: TypeAlias = Settling | Released | Faulted | Lost


class Stop(enum.Enum):
    """What ends an attempt from outside."""

    PAUSE = enum.auto()
    CANCEL = enum.auto()
    YIELD = enum.auto()
    DRAINING = enum.auto()
    STALLED = enum.auto()
    SILENCE = enum.auto()
    LOST = enum.auto()


def outcome_of(intended: Settling, stop: Stop | None, error: BaseException | None, *, is_settling: bool = False) -> Outcome:
    """Return how a phase of an attempt ended.

    ``intended`` is the outcome if the phase reaches its end, ``stop`` is why it was cancelled (None if it was not), and
    ``error`` is what it raised. A phase that was stopped never counts as done, whatever it returned or raised afterwards.
    A failure for good counts while working only: settling that fails is a fault.
    """
    if error is not None and is_lost(error):
        return _STOPPED[Stop.LOST]
    if stop is not None:
        return _STOPPED[stop]
    if error is None:
        return intended
    failure = work_failure(error)
    if failure is not None and not is_settling:
        return Failed(failure.status)
    return Faulted(_fault("the work cancelled itself" if isinstance(error, asyncio.CancelledError) else type(error).__name__))


def work_failure(error: BaseException) -> WorkFailedError | None:
    """Return the failure for good in ``error``, also from within a group."""
    if isinstance(error, BaseExceptionGroup):
        return next((failure for inner in error.exceptions if (failure := work_failure(inner))), None)
    return error if isinstance(error, WorkFailedError) else None


def _fault(message: str) -> status_pb2.Status:
    return Failure(StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, message).proto()


_STOPPED: dict[Stop, Outcome] = {
    Stop.PAUSE: Stopped(messages.DIRECTIVE_PAUSE),
    Stop.CANCEL: Stopped(messages.DIRECTIVE_CANCEL),
    Stop.YIELD: Released(),
    Stop.DRAINING: Released(),
    Stop.STALLED: Faulted(_fault("the work made no progress for too long")),
    Stop.SILENCE: Lost(by_silence=True),
    Stop.LOST: Lost(),
}
