"""Which threads give way to others, and when."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)
# How long a thread may run Python while another waits for it (``sys.setswitchinterval``): of Python's default, 5 ms, a query
# would wait all whenever bulk texts are being put together.
SWITCH_SECONDS = 0.0005
_LOWEST_NICENESS = 19
# Beside a busy loop on each processor, work at this nice value has a third of them (the kernel's weights 526 and 1,024).
_NICENESS = 3
_QUIET_SECONDS = 0.5


class Queries:
    """Knows whether queries are being answered: now, or within the last half second. Any thread may ask."""

    def __init__(self) -> None:
        self._running = 0
        self._quiet: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def are_answered(self) -> bool:
        return self._running > 0 or self._quiet is not None

    def on_quiet(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` on the event loop each time queries have been away for half a second."""
        self._listeners.append(listener)

    @contextmanager
    def answering(self) -> Iterator[None]:
        self._running += 1
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._quiet = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._end)

    def _end(self) -> None:
        self._quiet = None
        for listener in self._listeners:
            listener()


def share_processor() -> None:
    """Let this thread have a smaller part of the processor than others, but a part of it."""
    try:
        if sys.platform == "linux":  # where nice values belong to threads
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS, _LOWEST_NICENESS))
    except OSError as error:
        log.warning("bulk threads keep their priority, so that queries wait for them: %s", error)


def lower_priority() -> None:
    """Let this thread run only when no other wants the processor.

    On Linux, policies and nice values belong to threads. SCHED_IDLE gives way to a query the moment it wakes, which a thread at
    nice 19 does not always: its turn may have just begun. There is no way back without privileges.
    """
    try:
        if sys.platform == "linux":
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_NICENESS)
    except OSError as error:
        log.warning("bulk threads keep their priority, so that queries wait for them: %s", error)
