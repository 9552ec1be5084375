"""Which calls are let into a lane, and what the others are told."""

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.inference.admission import Admission


@pytest.fixture
def admission() -> Admission:
    """One thread of 5,000 tokens a second; 1,000 tokens for all and 600 for one user."""
    return Admission("test", 1, 1000, 600, 5000.0)


@pytest.mark.abuse(32, 38)
@pytest.mark.parametrize(
    ("before", "tokens", "user", "is_refused"),
    [
        ([], 10_000, "", False),
        ([], 10_000, "ada", False),
        ([("", 400)], 600, "", False),
        ([("", 400)], 601, "", True),
        ([("ada", 400)], 200, "ada", False),
        ([("ada", 400)], 201, "ada", True),
        ([("ada", 400)], 600, "bob", False),
        ([("ada", 400), ("bob", 400)], 200, "bob", False),
        ([("ada", 400), ("bob", 400)], 201, "", True),
    ],
)
def test_a_lane_takes_so_much_of_all_and_of_each(
    admission: Admission, before: list[tuple[str, int]], tokens: int, user: str, is_refused: bool
) -> None:
    """A caller with nothing waiting gets in whatever the size, up to the limit for all; the mesh itself has no limit of its own."""
    held = [admission.admitted(count, name) for name, count in before]
    for place in held:
        place.__enter__()
    if is_refused:
        with pytest.raises(Failure) as caught, admission.admitted(tokens, user):
            pass
        assert (caught.value.code, caught.value.reason) == (StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED)
    else:
        with admission.admitted(tokens, user):
            pass
    for place in held:
        place.__exit__(None, None, None)
    with admission.admitted(10_000, user):
        pass


def test_an_admitted_call_is_counted_again_when_its_tokens_are_known(admission: Admission) -> None:
    """It is not refused any more, but what comes after it may be."""
    with admission.admitted(100, "ada") as place:
        place.recount(900)
        with pytest.raises(Failure), admission.admitted(101, "bob"):
            pass
        place.recount(50)
        with admission.admitted(550, "ada"):
            pass
    with admission.admitted(10_000, "ada"):
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
