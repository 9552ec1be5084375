"""Work on a thread that says when it has begun and ends when it may."""

import asyncio
import threading


class Gate:
    def __init__(self) -> None:
        self._begun, self._open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self._begun.set()
        self._open.wait()

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait)

    def open(self) -> None:
        self._open.set()
