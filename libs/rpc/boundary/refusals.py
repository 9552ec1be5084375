"""Makes refusals slow for whoever gets many of them: a loop that nobody lets in must not keep the mesh busy with refusing it."""

import asyncio
from collections import Counter

_FREE_A_SECOND = 100
_HOLD_SECONDS = 1.0
_MOST_HELD = 4096


class Refusals:
    """Counts the refusals of this second by user, or by address without credentials."""

    def __init__(self) -> None:
        self._second = 0
        self._counts: Counter[str] = Counter()
        self._held = 0

    async def hold(self, who: str) -> None:
        """Return at once, or after a second where ``who`` was refused 100 times within this one; 4,096 calls wait at a time."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second = second
            self._counts.clear()
        self._counts[who] += 1
        if self._counts[who] <= _FREE_A_SECOND or self._held >= _MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(_HOLD_SECONDS)
        finally:
            self._held -= 1
