"""Waiting for a state, with a bound; every wait that is too long is a failure with a name."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.05


class CaseFailedError(Exception):
    """A pass criterion that does not hold; the message says which."""


async def until(what: str, seconds: float, holds: Callable[[], object | Awaitable[object]], poll: float = _POLL_SECONDS) -> float:
    """Wait until ``holds`` returns something true; return the seconds it took. Raises CaseFailedError after ``seconds``."""
    started = time.monotonic()
    while True:
        answer = holds()
        if inspect.isawaitable(answer):
            answer = await answer
        waited = time.monotonic() - started
        if answer:
            return waited
        if waited > seconds:
            raise CaseFailedError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(poll)
