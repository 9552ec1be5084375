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
from libs.rpc.boundary.refusals import Refusals
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
        admit, weigh = Admit(self.users, Refusals()), Weigh(self.users)
        methods = {name: f"/{name}/Do" for name in ("One", "Two")}
        self.wrapped = {name: admit.unary(method, weigh.unary(method, self._behavior)) for name, method in methods.items()}

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


async def test_behind_a_large_request_comes_a_pause_by_its_size() -> None:
    """While somebody else is about: it cost the gateway and the network before it began."""
    bench = Bench(Share(calls=8, shared_calls=8, request_bytes=200))
    grace = bench.start(9, "grace")
    await _settle()
    bench.running[9].set_result(None)
    await grace
    tasks = [bench.start(0, "ada", LARGE), bench.start(1, "ada", LARGE)]
    await _settle()
    bench.running[0].set_result(None)
    ended = asyncio.get_running_loop().time()
    await bench.until(lambda: 1 in bench.running)
    assert asyncio.get_running_loop().time() - ended > 0.2
    bench.running[1].set_result(None)
    await asyncio.gather(*tasks)
    await bench.until(lambda: not len(bench.users))


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
    watch = Admit(users, Refusals()).stream("tests", endless)
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


async def test_streams_are_opened_in_turn_and_stay_open_beside_each_other() -> None:
    """Somebody who opens and leaves streams without end has the rate of who calls without end."""
    users, opened = Users(Share(calls=2, shared_calls=2)), 0
    first = asyncio.Event()

    async def watched(_request: Any, _context: Any) -> AsyncIterator[int]:
        nonlocal opened
        opened += 1
        await first.wait()
        yield 1
        await asyncio.Event().wait()

    call.enter(Call(principal=Principal("ada", user_pb2.User.ROLE_USER)))
    watch = Admit(users, Refusals()).stream("tests", watched)
    streams = [watch(SMALL, None) for _ in range(6)]
    answers = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await _settle()
    assert opened == 2
    first.set()
    assert await asyncio.gather(*answers) == [1] * 6
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    assert not len(users)


async def test_a_stream_that_says_nothing_holds_up_the_next_for_a_moment_only() -> None:
    users, opened = Users(Share(calls=1)), 0

    async def silent(_request: Any, _context: Any) -> AsyncIterator[int]:
        nonlocal opened
        opened += 1
        await asyncio.Event().wait()
        yield 1

    call.enter(Call(principal=Principal("ada", user_pb2.User.ROLE_USER)))
    watch = Admit(users, Refusals()).stream("tests", silent)
    waiting = [asyncio.ensure_future(anext(watch(SMALL, None))) for _ in range(2)]
    async with asyncio.timeout(5):
        while opened < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)


async def test_a_flood_has_a_rate_and_a_burst_has_none() -> None:
    """While somebody else is about: the calls of a page are answered one after the other, a loop's leave pauses however short they are."""
    bench = Bench(Share(calls=1, shared_calls=1))
    grace = bench.start(99, "grace")
    await _settle()
    bench.running[99].set_result(None)
    await grace
    tasks = [bench.start(number, "ada") for number in range(40)]
    started, ends = asyncio.get_running_loop().time(), []
    for number in range(40):
        await bench.until(lambda number=number: number in bench.running)  # type: ignore[misc]
        ends.append(asyncio.get_running_loop().time() - started)
        bench.running[number].set_result(None)
    await asyncio.gather(*tasks)
    assert ends[30] - ends[20] > 0.2
    await bench.until(lambda: not len(bench.users))


async def test_whoever_is_refused_without_end_waits_for_it() -> None:
    refusals = Refusals()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(refusals.hold("address 192.0.2.1") for _ in range(90)), refusals.hold("address 192.0.2.2"))
    assert loop.time() - started < 0.5
    many = [asyncio.ensure_future(refusals.hold("address 192.0.2.1")) for _ in range(300)]
    await asyncio.sleep(0.1)
    assert sum(each.done() for each in many) <= 200, "of two seconds at most"
    assert sum(not each.done() for each in many) >= 100
    await refusals.hold("address 192.0.2.2")
    for each in many:
        each.cancel()
    await asyncio.wait(many)
