"""Whose turn it is on the bulk threads, and what becomes of work whose caller has gone."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.embedding.inference.turns import Part, Turns
from tests.unit.embedding.gate import Gate


@pytest.fixture
def turns() -> Iterator[Turns]:
    """One thread, so that turns have one order."""
    turns = Turns("test", 1)
    yield turns
    turns.close()


async def _begun(*calls: "asyncio.Task[float]") -> None:
    """Let each call put its parts into the queue."""
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)


async def test_calls_take_turns_part_by_part(turns: Turns) -> None:
    """A small call that comes after two large ones waits for one part of each, and large ones share alike."""
    order: list[str] = []
    gate = Gate()
    parts: list[Part] = [gate, *[lambda: order.append("first")] * 20]
    first = asyncio.create_task(turns.run(parts))
    await gate.begun()
    second = asyncio.create_task(turns.run([lambda: order.append("second")] * 20))
    await _begun(second)
    small = asyncio.create_task(turns.run([lambda: order.append("small")] * 2))
    await _begun(small)
    gate.open()
    await asyncio.gather(first, second, small)
    assert order == ["first", "second", "small"] * 2 + ["first", "second"] * 18


async def test_a_small_call_ends_while_a_large_one_goes_on(turns: Turns) -> None:
    """It has its answer as soon as its own parts have run."""
    before, after = Gate(), Gate()
    large = asyncio.create_task(turns.run([before, lambda: None, after, lambda: None]))
    await before.begun()
    small = asyncio.create_task(turns.run([lambda: None]))
    await _begun(small)
    before.open()
    await small
    await after.begun()
    assert not large.done()
    after.open()
    await large


async def test_all_threads_work_on_one_call() -> None:
    """Parts of a single call run at the same time, as many as there are threads."""
    turns = Turns("test", 3)
    barrier = threading.Barrier(3)
    await turns.run([lambda: (barrier.wait(), None)[1]] * 9)
    turns.close()


async def test_threads_that_rested_begin_again(turns: Turns) -> None:
    """Whatever the moment at which the next call comes."""
    for _ in range(300):
        await turns.run([lambda: None])
    assert await turns.run([]) == 0


async def test_work_whose_caller_has_gone_is_dropped(turns: Turns) -> None:
    """What has begun ends; what has not never begins."""
    done: list[int] = []
    gate = Gate()
    parts: list[Part] = [gate, *[lambda: done.append(1)] * 5]
    call = asyncio.create_task(turns.run(parts))
    await gate.begun()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.open()
    await turns.run([lambda: None])
    assert done == []


async def test_a_part_that_fails_ends_the_call(turns: Turns) -> None:
    """Its error is the call's, the other parts are dropped, and the thread goes on with the next call."""
    done: list[int] = []

    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await turns.run([broken, *[lambda: done.append(1)] * 50])
    await turns.run([lambda: None])
    assert len(done) < 10


async def test_the_wait_for_the_first_part_is_measured(turns: Turns) -> None:
    """From the call's own begin, behind the others."""
    gate = Gate()
    first = asyncio.create_task(turns.run([gate]))
    await gate.begun()
    second = asyncio.create_task(turns.run([lambda: None]))
    await _begun(second)
    begin = time.perf_counter()
    await asyncio.to_thread(lambda: None)
    held = time.perf_counter() - begin
    gate.open()
    await first
    assert await second >= held


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is a nice value of the process")
async def test_bulk_threads_have_the_lowest_priority(turns: Turns) -> None:
    """On Linux a scheduling policy belongs to a thread; those of the executors beside them keep theirs."""
    policies: list[int] = []
    await turns.run([lambda: policies.append(os.sched_getscheduler(threading.get_native_id()))])
    with ThreadPoolExecutor(1) as other:
        policies.append(other.submit(lambda: os.sched_getscheduler(threading.get_native_id())).result())
    assert policies == [os.SCHED_IDLE, os.sched_getscheduler(0)]


_WHO_TOKENISES = """
import os
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from services.embedding.inference.priority import tokenizer_executor

executor = tokenizer_executor()
before = set(os.listdir("/proc/self/task"))
Tokenizer(WordLevel({"": 0}, unk_token="")).encode_batch(["a"] * 1000)
threads = {thread: os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}
print(set(threads) - before, sorted(threads.values()).count(os.SCHED_IDLE))
executor.shutdown()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the policy is Linux's")
def test_the_tokenizers_own_threads_have_the_lowest_priority_too() -> None:
    """They are started once in a process, before any other thread tokenises."""
    command = [sys.executable, "-P", "-c", _WHO_TOKENISES]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "RAYON_NUM_THREADS": "2"})
    assert ended.stdout == "set() 3\n"
