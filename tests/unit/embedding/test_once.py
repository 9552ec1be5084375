"""One task for all who want the same thing."""

import asyncio

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.once import Once


async def _settled() -> None:
    """Let tasks that can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_all_share_one_task_and_each_may_leave() -> None:
    """The task goes on for those who stay, and for those who come later."""
    once, may_end, runs = Once[int](3, "too many wait"), asyncio.Event(), []

    async def work() -> int:
        runs.append(1)
        await may_end.wait()
        return 7

    callers = [asyncio.create_task(once.get("key", work)) for _ in range(3)]
    await _settled()
    callers[0].cancel()
    callers[1].cancel()
    await asyncio.wait(callers[:2])
    assert once.is_running("key")
    callers.append(asyncio.create_task(once.get("key", work)))
    await _settled()
    may_end.set()
    assert [await callers[2], await callers[3], len(runs)] == [7, 7, 1]
    assert not once.is_running("key")
    assert await once.get("key", work) == 7
    assert len(runs) == 2


async def test_no_more_wait_than_are_allowed() -> None:
    """The others are told when to come back; another key has its own places."""
    once, may_end = Once[None](2, "too many wait"), asyncio.Event()

    async def work() -> None:
        await may_end.wait()

    callers = [asyncio.create_task(once.get("key", work)) for _ in range(2)]
    await _settled()
    with pytest.raises(Failure) as caught:
        await once.get("key", work)
    assert (caught.value.code, caught.value.reason) == (StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED)
    assert caught.value.retry_after == 5.0
    callers.append(asyncio.create_task(once.get("other", work)))
    await _settled()
    may_end.set()
    await asyncio.gather(*callers)


async def test_all_get_the_error() -> None:
    """And the next caller begins again, even where all callers had gone."""
    once, may_fail = Once[None](2, "too many wait"), asyncio.Event()

    async def work() -> None:
        await may_fail.wait()
        raise ValueError("broken")

    callers = [asyncio.create_task(once.get("key", work)) for _ in range(2)]
    await _settled()
    callers[0].cancel()
    may_fail.set()
    with pytest.raises(ValueError, match="broken"):
        await callers[1]
    with pytest.raises(ValueError, match="broken"):
        await once.get("key", work)


async def test_a_stop_ends_the_tasks_and_says_so() -> None:
    """Callers are told to try another replica; a task that does not end is not waited for without bound."""
    once, never = Once[None](2, "too many wait"), asyncio.Event()

    async def work() -> None:
        await never.wait()

    async def stubborn() -> None:
        try:
            await never.wait()
        finally:
            await never.wait()

    callers = [asyncio.create_task(once.get("key", work)), asyncio.create_task(once.get("stubborn", stubborn))]
    await _settled()
    await once.close(0.01)
    with pytest.raises(Failure) as caught:
        await callers[0]
    assert (caught.value.code, caught.value.reason) == (StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DRAINING)
    assert not callers[1].done()
    never.set()
    with pytest.raises(Failure):
        await callers[1]
