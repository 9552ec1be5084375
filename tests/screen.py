"""A program on a terminal of a given size, and what a person at it sees, scrollback included."""

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyte


class Screen:
    """An emulated terminal; ``lines`` is everything that was ever shown and not painted over, oldest first."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self._has_ended = False

    def end(self) -> None:
        """Note that nothing more comes."""
        self._has_ended = True
        self._changed.set()

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)
        self._changed.set()

    @property
    def lines(self) -> list[str]:
        width = self._screen.columns
        above = ["".join(line[column].data for column in range(width)) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display)]

    @property
    def is_cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    @property
    def text(self) -> str:
        """The lines as one text, without empty ones at its end."""
        return "\n".join(self.lines).rstrip()

    async def wait(self, shows: Callable[[str], bool], seconds: float) -> None:
        """Wait until the text on the screen is right; raises TimeoutError, and AssertionError if the program ends before."""
        async with asyncio.timeout(seconds):
            while not shows(self.text):
                assert not self._has_ended, self.text
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def on_a_terminal(
    command: Sequence[str], columns: int, rows: int, environment: Mapping[str, str], directory: Path | None = None
) -> AsyncIterator[tuple[Screen, asyncio.subprocess.Process]]:
    """Run a command on a terminal during the block; it is ended with SIGINT, as Ctrl-C does."""
    screen, loop = Screen(columns, rows), asyncio.get_running_loop()
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=its, stdout=its, stderr=its, cwd=directory, env={**inherited, "TERM": "xterm-256color", **environment}
    )
    os.close(its)

    def read() -> None:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            data = b""
        if data:
            screen.feed(data)
        else:
            loop.remove_reader(ours)
            screen.end()

    loop.add_reader(ours, read)
    try:
        yield screen, process
    finally:
        if process.returncode is None:
            process.send_signal(2)
        await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
