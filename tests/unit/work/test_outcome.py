"""How an attempt ends follows from what it intended, why it was stopped and what it raised."""

import asyncio

import grpc
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from libs.work.errors import FencedError, WorkFailedError
from libs.work.outcome import Done, Failed, Faulted, Lost, Released, Settled, Settling, Stop, Stopped, outcome_of
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation

STATUS = status_pb2.Status(code=9, message="the directory is gone")
FAILURE, FENCED = WorkFailedError(STATUS), FencedError()
AWAY = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "away")
PLAIN = [ValueError("boom"), AWAY, FAILURE, FENCED, asyncio.CancelledError()]
ERRORS = [
    None,
    *PLAIN,
    ExceptionGroup("", [ValueError(), ExceptionGroup("", [FAILURE])]),
    ExceptionGroup("", [AWAY, FENCED]),
    BaseExceptionGroup("", [asyncio.CancelledError(), ValueError()]),
]
INTENDED = [Done(), Failed(STATUS), Stopped(messages.DIRECTIVE_CANCEL), Settled(Operation.STATE_FAILED)]


def _holds(kind: type[BaseException], error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_holds(kind, inner) for inner in error.exceptions)
    return isinstance(error, kind)


@given(st.sampled_from(INTENDED), st.sampled_from([None, *Stop]), st.sampled_from(ERRORS), st.booleans())
def test_an_attempt_counts_as_what_it_intended_only_if_nothing_stopped_or_broke_it(
    intended: Settling, stop: Stop | None, error: BaseException | None, is_settling: bool
) -> None:
    """Each combination has one outcome."""
    outcome = outcome_of(intended, stop, error, is_settling=is_settling)
    if _holds(FencedError, error) or stop is Stop.LOST:
        assert outcome == Lost()
    elif stop is not None:
        expected = {
            Stop.PAUSE: Stopped(messages.DIRECTIVE_PAUSE),
            Stop.CANCEL: Stopped(messages.DIRECTIVE_CANCEL),
            Stop.YIELD: Released(),
            Stop.DRAINING: Released(),
            Stop.SILENCE: Lost(by_silence=True),
        }
        assert isinstance(outcome, Faulted) if stop is Stop.STALLED else outcome == expected[stop]
    elif error is None:
        assert outcome == intended
    elif _holds(WorkFailedError, error) and not is_settling:
        assert outcome == Failed(STATUS)
    else:
        assert isinstance(outcome, Faulted)


def test_a_fault_names_the_kind_of_error_and_not_its_words() -> None:
    """The words may quote a document or a secret."""
    outcome = outcome_of(Done(), None, ValueError("password: hunter2"))
    assert isinstance(outcome, Faulted)
    assert outcome.status.message == "ValueError"
