"""Follows an operation on the terminal, from the Watch stream."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.console import Console

from semantik.client import Client
from semantik.command.context import err, escape, out, print_json
from semantik.command.live import LiveLine
from semantik.command.states import details, drawn, stage, summary
from semantik.operation.v1.operation_pb2 import Operation

__all__ = ["follow"]
_DRAWN_SECONDS = 0.25
_LOGGED_SECONDS = 10.0


async def follow(semantik: Client, operation_id: str, *, as_json: bool = False) -> int:
    """Show an operation until it ends; returns the exit code. Ctrl-C stops watching, not the work.

    On a terminal a line is drawn in place. Elsewhere a line goes to standard error every ten seconds in which something changed.
    """
    try:
        last = await _watched(semantik, operation_id, as_json=as_json)
    except (asyncio.CancelledError, KeyboardInterrupt):
        err.print(f"\nStopped watching; the work goes on. `semantik operations watch {operation_id}` or `... cancel {operation_id}`.")
        raise
    if last is None:
        return 1
    if not as_json:
        out.print(summary(last))
    return 0 if last.state == Operation.STATE_SUCCEEDED else 1


async def _watched(semantik: Client, operation_id: str, *, as_json: bool) -> Operation | None:
    last = None
    if as_json:
        async for last in semantik.operations.watch(operation_id):
            print_json(last)
        return last
    face = _Line() if sys.stdout.isatty() and not Console().is_dumb_terminal else _Log()
    try:
        async with _every(face.seconds, face.show):
            async for last in semantik.operations.watch(operation_id):
                face.operation = last
    finally:
        face.close()
    return last


@asynccontextmanager
async def _every(seconds: float, show: Callable[[], None]) -> AsyncIterator[None]:
    async def tick() -> None:
        while True:
            await asyncio.sleep(seconds)
            show()

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.wait((ticker,))


class _Line:
    """Draws the latest state several times a second, so that it fits the terminal soon after that was resized."""

    seconds = _DRAWN_SECONDS

    def __init__(self) -> None:
        self.operation: Operation | None = None
        self._line = LiveLine()
        self._frame = 0

    def show(self) -> None:
        self._frame += 1
        if self.operation is not None:
            self._line.draw(drawn(self.operation, self._line.width, self._frame))

    def close(self) -> None:
        self._line.erase()


class _Log:
    """Prints the latest state now and then if it is another than before."""

    seconds = _LOGGED_SECONDS

    def __init__(self) -> None:
        self.operation: Operation | None = None
        self._printed = ""

    def show(self) -> None:
        if self.operation is None:
            return
        line = f"{stage(self.operation)}: {details(self.operation)}"
        if line != self._printed:
            self._printed = line
            err.print(escape(line))

    def close(self) -> None:
        """Nothing is left to erase."""
