"""Whose turn it is on the bulk threads, and what becomes of work whose caller has gone."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.embedding.inference.priority import Queries
from services.embedding.inference.turns import Part, Turns
from tests.unit.embedding.gate import Gate


@pytest.fixture
async def queries() -> Queries:
    return Queries()


@pytest.fixture
def turns(queries: Queries) -> Iterator[Turns]:
    """One thread, so that turns have one order."""
    turns = Turns("test", 1, queries)
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
    turns = Turns("test", 3, Queries())
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


def _priority() -> tuple[int, int]:
    """Return this thread's policy, and its nice value beside the process's."""
    thread = threading.get_native_id()
    return os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread) - os.getpriority(os.PRIO_PROCESS, os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priorities belong to processes")
async def test_bulk_threads_step_back_while_queries_are_answered(turns: Turns, queries: Queries) -> None:
    """They share the processor otherwise; those of the executors beside them keep their priority."""
    priorities: list[tuple[int, int]] = []

    async def look() -> None:
        await turns.run([lambda: priorities.append(_priority())])

    await look()
    with queries.answering():
        await look()
    await look()  # the next query is not far
    await _quiet(queries)
    await look()
    with ThreadPoolExecutor(1) as other:
        priorities.append(other.submit(_priority).result())
    sharing, yielding = (os.SCHED_OTHER, 3), (os.SCHED_IDLE, 0)
    assert priorities == [sharing, yielding, yielding, sharing, (os.SCHED_OTHER, 0)]


async def _quiet(queries: Queries) -> None:
    ended = asyncio.Event()
    queries.on_quiet(ended.set)
    await ended.wait()


async def test_parts_go_on_elsewhere_when_the_priority_changes(turns: Turns, queries: Queries) -> None:
    """Of one call some run before a query, some while it is answered and some behind it; each runs once."""
    names: list[str] = []
    before, during = Gate(), Gate()

    def name() -> None:
        names.append(threading.current_thread().name.rpartition("_")[0])

    call = asyncio.create_task(turns.run([name, before, name, during, name]))
    await before.begun()
    with queries.answering():
        before.open()
        await during.begun()
    await _quiet(queries)
    during.open()
    await call
    assert names == ["test", "test-yielding", "test"]


async def test_what_yields_to_other_programs_is_done_again(turns: Turns, queries: Queries) -> None:
    """A part in the hands of a thread that gets no processor is not waited for once the queries have ended."""
    stuck, ran = Gate(), list[str]()

    def part() -> None:
        ran.append(threading.current_thread().name.rpartition("_")[0])
        if ran[-1] == "test-yielding":
            stuck()

    with queries.answering():
        call = asyncio.create_task(turns.run([part, lambda: None]))
        await stuck.begun()
    await call
    assert ran == ["test-yielding", "test"]
    stuck.open()
