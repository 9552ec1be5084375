"""Reopens a server stream that breaks; the new one begins with the latest state."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from semantik.client.errors import SemantikError

_PASSING = ("UNAVAILABLE", "CANCELLED", "UNKNOWN", "INTERNAL")
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_MOST_FAILURES = 30
_FIRST_FAILURES = 5  # before the first message
_T = TypeVar("_T")


async def resumed(opened: Callable[[], AsyncIterator[_T]], is_last: Callable[[_T], bool]) -> AsyncIterator[_T]:
    """Yield the messages of the streams that ``opened`` returns, until ``is_last``; raises SemantikError."""
    failures, most = 0, _FIRST_FAILURES
    while True:
        try:
            async for message in opened():
                failures, most = 0, _MOST_FAILURES
                yield message
                if is_last(message):
                    return
        except SemantikError as error:
            # The session has other tokens by now if it refused these; it is asked once for each stream that began.
            is_refused_anew = error.reason == "TOKEN_INVALID" and failures == 0
            if not is_refused_anew and (error.code not in _PASSING or failures >= most):
                raise
        failures += 1
        await asyncio.sleep(min(_FIRST_WAIT * 2**failures, _LONGEST_WAIT))
