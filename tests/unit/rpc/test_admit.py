"""What one user has under way is bounded, in the order it came, and the bound never leaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.rpc import call
from libs.rpc.boundary.admit import Admit, Share, Users, Weigh
from libs.rpc.call import Call, Principal
from libs.rpc.errors import Failure
from semantik.auth.v1 import user_pb2
from semantik.search.v1.search_service_pb2 import SearchRequest

SMALL = SearchRequest(query="x" * 8)
MIDDLE = SearchRequest(query="x" * 200)
LARGE = SearchRequest(query="x" * 500)


class Bench:
    """A handler whose calls end when they are told to."""

    def __init__(self, share: Share) -> None:
        self.users = Users(share)
        self.running: dict[int, asyncio.Future[None]] = {}
        self.wrapped = {
            name: Admit(self.users).unary(f"/{name}/Do", Weigh(self.users).unary(f"/{name}/Do", self._behavior)) for name in ("One", "Two")
        }

    async def _behavior(self, _request: Any, context: int) -> int:
        done = self.running[context] = asyncio.get_running_loop().create_future()
        try:
            await done
        finally:
            del self.running[context]
        return context

    def start(self, number: int, who: str, request: SearchRequest = SMALL, service: str = "One") -> "asyncio.Task[int]":
        async def one() -> int:
            user = Principal(who, user_pb2.User.ROLE_USER) if who else None
            call.enter(Call(principal=user, peer="" if who else "worker"))
            return int(await self.wrapped[service](request, number))

        return asyncio.create_task(one())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what a pause holds up, which ends by itself."""
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_over_a_users_share_waits_in_its_order_and_leaves_others_alone() -> None:
    bench = Bench(Share(calls=3))
    tasks = [bench.start(9, "grace")] + [bench.start(number, "ada") for number in range(4)]
    await _settle()
    assert set(bench.running) == {0, 1, 9}
    bench.running[1].set_result(None)
    await bench.until(lambda: set(bench.running) == {0, 2, 9})
    while not all(task.done() for task in tasks):
        for done in bench.running.values():
            if not done.done():
                done.set_result(None)
        await _settle()
    assert await asyncio.gather(*tasks) == [9, 0, 1, 2, 3]
    await bench.until(lambda: not len(bench.users))


async def test_large_requests_run_one_after_the_other_and_small_ones_beside_them() -> None:
    bench = Bench(Share(calls=8, request_bytes=600))
    tasks = [bench.start(0, "ada", LARGE), bench.start(1, "ada", LARGE), bench.start(2, "ada", MIDDLE), bench.start(3, "ada")]
    await _settle()
    assert set(bench.running) == {0, 3}, "a middle one overtook the large one that waits"
    bench.running[0].set_result(None)
    await _settle()
    assert set(bench.running) == {1, 3}
    bench.running[1].set_result(None)
    await _settle()
    for number in (2, 3):
        bench.running[number].set_result(None)
    await asyncio.gather(*tasks)


async def test_the_calls_of_one_service_hold_up_none_of_another() -> None:
    bench = Bench(Share(calls=1, shared_calls=1))
    tasks = [bench.start(0, "ada"), bench.start(1, "ada"), bench.start(2, "ada", service="Two")]
    await _settle()
    assert set(bench.running) == {0, 2}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert not len(bench.users)


async def test_who_leaves_in_the_moment_of_their_turn_is_forgotten() -> None:
    bench = Bench(Share(calls=1))
    first, second = bench.start(0, "ada"), bench.start(1, "ada")
    await _settle()
    bench.running[0].set_result(None)
    asyncio.get_running_loop().call_soon(second.cancel)  # after the first has let it in, before it goes on
    await asyncio.wait([first, second])
    assert second.cancelled()
    assert not bench.running
    assert not len(bench.users)


async def test_what_waits_is_bounded_too() -> None:
    bench = Bench(Share(calls=1, waiting=3))
    tasks = [bench.start(number, "ada") for number in range(6)]
    await _settle()
    refused = [task for task in tasks if task.done()]
    assert refused == tasks[4:]
    for task in refused:
        with pytest.raises(Failure) as caught:
            task.result()
        assert (caught.value.reason_name, caught.value.retry_after) == ("OVERLOADED", 1.0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert not len(bench.users)


@pytest.mark.parametrize("others", [True, False], ids=["others are about", "alone"])
async def test_who_keeps_calls_waiting_leaves_pauses_for_others(others: bool) -> None:
    """While somebody else calls too; alone, one call follows the other."""
    bench = Bench(Share(calls=1, shared_calls=1))
    if others:
        grace = bench.start(9, "grace")
        await _settle()
        bench.running[9].set_result(None)
        await grace
    tasks = [bench.start(number, "ada") for number in range(2)]
    await _settle()
    await asyncio.sleep(0.01)  # the length of the call, which that of the pause follows
    bench.running[0].set_result(None)
    await _settle()
    assert (1 in bench.running) is not others
    await bench.until(lambda: 1 in bench.running)
    bench.running[1].set_result(None)
    await asyncio.gather(*tasks)
    await bench.until(lambda: not len(bench.users))


async def test_the_mesh_is_not_counted() -> None:
    bench = Bench(Share(calls=1))
    tasks = [bench.start(number, "") for number in range(5)]
    await _settle()
    assert len(bench.running) == 5
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_streams_are_bounded_and_their_end_makes_room() -> None:
    users = Users(Share(streams=2))

    async def endless(_request: Any, _context: Any) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    call.enter(Call(principal=Principal("ada", user_pb2.User.ROLE_USER)))
    watch = Admit(users).stream("tests", endless)
    first, second = watch(SMALL, None), watch(SMALL, None)
    assert [await anext(first), await anext(second)] == [1, 1]
    with pytest.raises(Failure, match="2 of your streams"):
        await anext(watch(SMALL, None))
    await first.aclose()  # type: ignore[attr-defined]
    async with aclosing(watch(SMALL, None)) as third:  # type: ignore[type-var]
        assert await anext(third) == 1
    await second.aclose()  # type: ignore[attr-defined]
    assert not len(users)


@given(st.lists(st.tuples(st.sampled_from(["start", "start large", "end", "cancel"]), st.integers(0, 30)), max_size=60))
async def test_whatever_comes_and_goes_the_share_is_kept_and_given_back(steps: list[tuple[str, int]]) -> None:
    share = Share(calls=3, shared_calls=3, request_bytes=600, waiting=4)
    bench = Bench(share)
    tasks: dict[int, asyncio.Task[int]] = {}
    sizes: dict[int, int] = {}
    for number, (step, which) in enumerate(steps):
        if step.startswith("start"):
            request = LARGE if step.endswith("large") else SMALL
            tasks[number], sizes[number] = bench.start(number, "ada", request), request.ByteSize()
        elif step == "end" and bench.running:
            done = list(bench.running.values())[which % len(bench.running)]
            if not done.done():
                done.set_result(None)
        elif step == "cancel" and tasks:
            list(tasks.values())[which % len(tasks)].cancel()
        if which % 2:
            await _settle()
            assert len(bench.running) <= share.calls
            weighed = [sizes[each] for each in bench.running if sizes[each] > share.request_bytes // 8]
            assert len(weighed) <= 1 or sum(weighed) <= share.request_bytes
    for task in tasks.values():
        task.cancel()
    await _settle()
    if tasks:
        await asyncio.wait(tasks.values())
    for task in tasks.values():
        assert task.cancelled() or task.exception() is None or isinstance(task.exception(), Failure)
    assert not len(bench.users)
