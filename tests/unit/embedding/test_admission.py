"""Which calls are let into a lane, and what the others are told."""

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.inference.admission import Admission


@pytest.fixture
def admission() -> Admission:
    """One thread of 5,000 tokens a second; 1,000 tokens."""
    return Admission("test", 1, 1000, 5000.0)


@pytest.mark.abuse(32, 38)
@pytest.mark.parametrize(
    ("before", "tokens", "is_refused"),
    [([], 10_000, False), ([400], 600, False), ([400], 601, True), ([400, 400], 200, False), ([400, 400], 201, True)],
)
def test_a_lane_takes_so_much(admission: Admission, before: list[int], tokens: int, is_refused: bool) -> None:
    """An idle one takes anything."""
    held = [admission.admitted(count) for count in before]
    for place in held:
        place.__enter__()
    if is_refused:
        with pytest.raises(Failure) as caught, admission.admitted(tokens):
            pass
        assert (caught.value.code, caught.value.reason) == (StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED)
    else:
        with admission.admitted(tokens):
            pass
    for place in held:
        place.__exit__(None, None, None)
    with admission.admitted(10_000):
        pass


def test_an_admitted_call_is_counted_again_when_its_tokens_are_known(admission: Admission) -> None:
    """It is not refused any more, but what comes after it may be."""
    with admission.admitted(100) as place:
        place.recount(900)
        with pytest.raises(Failure), admission.admitted(101):
            pass
        place.recount(50)
        with admission.admitted(550):
            pass
    with admission.admitted(10_000):
        pass


def test_the_time_to_wait_is_what_the_queue_needs(admission: Admission) -> None:
    """Measured: a thread that did 1,000 tokens in no time at all promises less than one that never ran."""
    hints = []
    for _ in range(2):
        with admission.admitted(1000), pytest.raises(Failure) as caught, admission.admitted(20_000):
            pass
        hints.append(caught.value.retry_after)
        for _ in range(50):
            admission.computed(100_000, 0.0)
    assert hints == [4.0, 0.1]
