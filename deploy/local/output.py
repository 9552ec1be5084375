"""The output of a process, kept in a log of limited size."""

import asyncio
import contextlib
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 4 * 1024 * 1024


class Log:
    """A log file and, once it is full, the one before it as ``.log.1``. What a full disk refuses is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self.path.exists() and self.path.stat().st_size + len(data) > LOG_BYTES:
                self.path.replace(self.path.with_suffix(".log.1"))
            with self.path.open("ab") as file:
                file.write(data)

    def note(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        self.write(f"-- {text}\n".encode())

    async def copy(self, output: BinaryIO) -> None:
        """Write what comes through a pipe until its other end is closed. Always reads on: a full pipe would stop the process."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        try:
            while data := await reader.read(65536):
                self.write(data)
        finally:
            transport.close()
