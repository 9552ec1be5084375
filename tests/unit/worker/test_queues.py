"""The queues between the stages of the pipeline: bounded in bytes, in order, with an end."""

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from services.collection.worker.queues import StageQueue


@given(weights=st.lists(st.integers(0, 50), max_size=30), producers=st.integers(1, 3), consumers=st.integers(1, 3))
def test_everything_put_comes_out_once_and_within_the_bound(weights: list[int], producers: int, consumers: int) -> None:
    """Whatever the weights and however many take part, nothing is lost, and the queue holds its bound or a single item."""

    async def run() -> tuple[list[int], list[int]]:
        queue: StageQueue[int] = StageQueue(40, producers)
        taken: list[int] = []
        held: list[int] = []

        async def produce(part: int) -> None:
            for number in range(part, len(weights), producers):
                await queue.put(number, weights[number])
                held.append(queue._bytes if len(queue._items) > 1 else 0)
            await queue.close()

        async def consume() -> None:
            while (number := await queue.get()) is not None:
                taken.append(number)

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for part in range(producers):
                group.create_task(produce(part))
            for _ in range(consumers):
                group.create_task(consume())
        return taken, held

    # A loop of its own, beside the session's, which stays the current one.
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        taken, held = loop.run_until_complete(run())
    assert sorted(taken) == list(range(len(weights)))
    assert all(size_bytes <= 40 for size_bytes in held)


async def test_a_heavy_item_passes_alone() -> None:
    """An item beyond the bound is not refused: it waits until the queue is empty."""
    queue: StageQueue[str] = StageQueue(10)
    await queue.put("light", 1)
    putting = asyncio.create_task(queue.put("heavy", 1000))
    assert await queue.get() == "light"
    await putting
    assert await queue.get() == "heavy"


async def test_a_cancelled_producer_leaves_the_queue_usable() -> None:
    """A cancellation while waiting for room takes nothing and blocks nobody."""
    queue: StageQueue[str] = StageQueue(1)
    await queue.put("first", 1)
    putting = asyncio.create_task(queue.put("second", 1))
    await asyncio.sleep(0)
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)
    assert await queue.get() == "first"
    await queue.close()
    assert await queue.get() is None
