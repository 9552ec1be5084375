"""One task for all who want the same thing at the same time."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from libs.rpc.errors import draining, overloaded

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_RETRY_SECONDS = 5.0


class Once(Generic[_T]):
    """Runs one task for each key; callers wait for it together, ``most_waiting`` of them at most.

    ``refusal`` is what the others are told.
    """

    def __init__(self, most_waiting: int, refusal: str) -> None:
        self._most_waiting = most_waiting
        self._refusal = refusal
        self._tasks: dict[Hashable, asyncio.Task[_T]] = {}
        self._waiting: Counter[Hashable] = Counter()

    def is_running(self, key: Hashable) -> bool:
        return key in self._tasks

    async def get(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return the result of the key's task, which is begun where there is none.

        A caller that is cancelled leaves the task to the others, and to those who come later. Raises what the task raises,
        OVERLOADED, and DRAINING where ``close`` ends the task.
        """
        if self._waiting[key] >= self._most_waiting:
            raise overloaded(self._refusal, _RETRY_SECONDS)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda ended: self._forget(key, ended))
        self._waiting[key] += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and not (caller and caller.cancelling()):
                raise draining("shutting down; try again") from None
            raise
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    def _forget(self, key: Hashable, ended: "asyncio.Task[_T]") -> None:
        del self._tasks[key]
        if not ended.cancelled():
            ended.exception()  # all callers may have gone

    async def close(self, seconds: float) -> None:
        """Cancel what runs, and wait for its end, ``seconds`` at most."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=seconds)
            if left:
                log.warning("%d tasks have not ended within %g s", len(left), seconds)
