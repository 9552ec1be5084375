"""Blocking work beside the event loop, on threads that never hold up the end of the process."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def run(work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns, run on a daemon thread of its own; a bound on how many run at once is the caller's.

    An executor's threads are joined at exit, so that a disk that does not answer would keep the process from ending.
    A caller that is cancelled leaves the thread to end by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # there is a result where there is no error
        else:
            future.set_exception(error)

    def body() -> None:
        result: _T | None = None
        error: Exception | None = None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=contextvars.copy_context().run, args=(body,), name="blocking", daemon=True).start()
    return await future
