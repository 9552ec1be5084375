"""The blocking client has the methods of the asynchronous one, and its loop serves any thread."""

import asyncio
import gc
import inspect
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from semantik.client import Client, SyncClient
from semantik.client.sync.loop import Loop


def _members(client: Client | SyncClient) -> dict[str, Any]:
    return {name: member for name, member in vars(client).items() if not name.startswith("_") and name != "session"}


def _signatures(member: object) -> dict[str, str]:
    methods = inspect.getmembers(type(member), inspect.isfunction)
    return {
        name: str(inspect.signature(method)).replace("AsyncIterator[", "Iterator[")
        for name, method in methods
        if name == "__call__" or not name.startswith("_")
    }


async def test_both_clients_have_the_same_methods() -> None:
    """By member, with their parameters, defaults and results; what is yielded there is yielded here."""
    async with Client() as there:
        with SyncClient() as here:
            assert str(inspect.signature(Client)) == str(inspect.signature(SyncClient))
            assert list(_members(here)) == list(_members(there))
            for name, member in _members(there).items():
                assert _signatures(_members(here)[name]) == _signatures(member), name
                assert _signatures(member), name


@pytest.fixture
def loop() -> Any:
    loop = Loop()
    yield loop
    loop.close()


async def _counted(log: list[str], most: int = 1000) -> AsyncIterator[int]:
    try:
        for number in range(most):
            log.append(f"{number}")
            yield number
    finally:
        log.append("closed")


def test_items_are_fetched_as_they_are_asked_for(loop: Loop) -> None:
    """And the stream is closed when the loop over it is left, or has come to its end."""
    log: list[str] = []
    for number in loop.iterate(_counted(log)):
        assert log == [str(seen) for seen in range(number + 1)]
        if number == 2:
            break
    assert log == ["0", "1", "2", "closed"]
    assert list(loop.iterate(_counted(log, 3))) == [0, 1, 2]


def test_an_error_is_raised_where_the_item_is_asked_for(loop: Loop) -> None:
    """After the items before it."""

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    items = loop.iterate(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


async def test_it_works_where_a_loop_runs_already(loop: Loop) -> None:
    """As in a notebook."""
    assert list(loop.iterate(_counted([], 3))) == [0, 1, 2]


def test_several_threads_call_at_once(loop: Loop) -> None:
    """Their calls run side by side: each waits for all others."""
    barrier = asyncio.Barrier(8)

    async def met() -> int:
        async with asyncio.timeout(10):
            return await barrier.wait()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(lambda _: loop.run(met()), range(8))) == list(range(8))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python as a person starts it: a shell's background job ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_cancels_the_call(loop: Loop) -> None:
    """Ctrl-C ends a wait, and the stream that it was in; later calls are answered."""
    cancelled = threading.Event()

    async def waiting() -> AsyncIterator[int]:
        yield 1
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    items = loop.iterate(waiting())
    assert next(items) == 1
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert cancelled.wait(10)
    assert loop.run(asyncio.sleep(0, "answered")) == "answered"


def test_it_ends_when_nothing_refers_to_it() -> None:
    """As a notebook's cell that is run again leaves it; what it had open is closed."""
    log: list[str] = []
    before = set(threading.enumerate())
    loop = Loop()
    items = loop.iterate(_counted(log))
    next(items)
    [thread] = set(threading.enumerate()) - before
    del loop
    assert thread.is_alive()
    del items
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert log == ["0", "closed"]


def test_a_closed_client_says_so() -> None:
    """Instead of waiting for an answer that does not come; closing twice is no error."""
    client = SyncClient()
    watched = client.collections.list()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.accounts.me()
    with pytest.raises(RuntimeError, match="the client is closed"):
        next(watched)
