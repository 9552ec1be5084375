"""Who is let into a lane, whose turn it is, and what becomes of work that nobody waits for."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import lanes
from services.embedding.lanes import Lane


@pytest.fixture
def lane() -> Iterator[Lane]:
    """One thread, 1,000 tokens for all and 600 for one user."""
    made = Lane("test", 1, 1000, 600, yields=True)
    yield made
    made.close()


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
    lane: Lane, before: list[tuple[str, int]], tokens: int, user: str, is_refused: bool
) -> None:
    """Who has nothing waiting gets in whatever the size, up to the limit for all; the mesh itself has no limit of its own."""
    held = [lane.admitted(count, name) for name, count in before]
    for each in held:
        each.__enter__()
    if is_refused:
        with pytest.raises(Failure) as caught, lane.admitted(tokens, user):
            pass
        assert (caught.value.code, caught.value.reason) == (StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED)
    else:
        with lane.admitted(tokens, user):
            pass
    for each in held:
        each.__exit__(None, None, None)
    with lane.admitted(10_000, user):
        pass


async def test_the_time_to_wait_is_what_the_queue_needs(lane: Lane) -> None:
    """Measured: a thread that did 1,000 tokens in no time at all promises less than one that never ran."""
    hints = []
    for _ in range(2):
        with lane.admitted(1000), pytest.raises(Failure) as caught, lane.admitted(20_000):
            pass
        hints.append(caught.value.retry_after)
        await asyncio.gather(*(lane.run(lambda: None, 100_000) for _ in range(50)))
    assert hints == [4.0, 0.1]


class _Gate:
    """Work that says when it has begun and ends when it may."""

    def __init__(self) -> None:
        self._begun, self._open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self._begun.set()
        self._open.wait()

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait)

    def open(self) -> None:
        self._open.set()


async def test_calls_take_turns(lane: Lane) -> None:
    """A small call that comes after a large one does not wait for the whole of it."""
    done: list[str] = []
    gate = _Gate()

    async def small() -> None:
        await gate.begun()
        call = asyncio.gather(lane.run_all([(lambda: done.append("small"), 1)]))
        for _ in range(3):  # the call, its part, and the part's place in the queue
            await asyncio.sleep(0)
        gate.open()
        await call

    await asyncio.gather(lane.run_all([(gate, 1), *((lambda: done.append("large"), 1) for _ in range(20))]), small())
    assert done.index("small") <= 2
    assert len(done) == 21


async def test_work_whose_caller_has_gone_is_dropped(lane: Lane) -> None:
    """What has begun ends; what has not never begins."""
    done: list[int] = []
    gate = _Gate()
    call = asyncio.ensure_future(lane.run_all([(gate, 1), *((lambda: done.append(1), 1) for _ in range(5))]))  # noqa: RUF006 - it is awaited below
    await gate.begun()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.open()
    await lane.run(lambda: None, 1)
    assert done == []


async def test_a_part_that_fails_ends_the_call(lane: Lane) -> None:
    """Its error is the call's, and the other parts are dropped."""
    done: list[int] = []

    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await lane.run_all([(broken, 1), *((lambda: done.append(1), 1) for _ in range(50))])
    await lane.run(lambda: None, 1)
    assert len(done) < 10


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is a nice value of the process")
async def test_bulk_threads_step_back_and_interactive_ones_do_not(lane: Lane) -> None:
    """On Linux a scheduling policy belongs to a thread."""
    quick = lanes.interactive(100)
    policies = [await each.run(lambda: os.sched_getscheduler(threading.get_native_id()), 1) for each in (lane, quick)]
    quick.close()
    assert policies == [os.SCHED_IDLE, os.sched_getscheduler(0)]


_WHO_TOKENISES = """
import os
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from services.embedding import lanes

lane = lanes.ahead()
before = set(os.listdir("/proc/self/task"))
Tokenizer(WordLevel({"": 0}, unk_token="")).encode_batch(["a"] * 1000)
threads = {each: os.sched_getscheduler(int(each)) for each in os.listdir("/proc/self/task")}
print(set(threads) - before, sorted(threads.values()).count(os.SCHED_IDLE))
lane.shutdown()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the policy is Linux's")
def test_the_tokenizers_own_threads_step_back_too() -> None:
    """Whoever tokenises first in the process: none are started after those of the lane."""
    command = [sys.executable, "-P", "-c", _WHO_TOKENISES]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "RAYON_NUM_THREADS": "2"})
    assert ended.stdout == "set() 3\n"
