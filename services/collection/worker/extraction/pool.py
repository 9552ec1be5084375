"""A pool of reading children: started on demand, killed when a file makes them hang or swell, stopped when idle."""

import asyncio
import contextlib
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.collection.worker.extraction.formats import Extracted, UnreadableError

_IDLE_SECONDS = 30.0
_LINE_BYTES = 512 * 1024 * 1024
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")


@dataclass
class _Reader:
    process: asyncio.subprocess.Process
    idle: asyncio.TimerHandle | None = None


class ExtractionPool:
    """At most ``processes`` files are read at once; each may take ``seconds`` and ``memory_mib``."""

    def __init__(self, processes: int, seconds: float, memory_mib: int, max_characters: int) -> None:
        self._places = asyncio.Semaphore(processes)
        self._seconds = seconds
        self._memory_mib = memory_mib
        self._max_characters = max_characters
        self._resting: list[_Reader] = []

    async def extract(self, path: Path, name: str, mime_type: str) -> Extracted:
        """Return the text of a file; raises UnreadableError, also when reading it killed the child."""
        request = {"path": str(path), "name": name, "mime_type": mime_type, "max_characters": self._max_characters}
        async with self._places:
            reader = await self._take()
            try:
                answer = await asyncio.wait_for(_ask(reader.process, request), self._seconds)
            except (TimeoutError, EOFError, OSError):
                await _kill(reader.process)
                raise UnreadableError("TOO_COSTLY", "reading it takes too much time or memory") from None
            except BaseException:
                await _kill(reader.process)
                raise
            self._rest(reader)
        if "reason" in answer:
            raise UnreadableError(str(answer["reason"]), str(answer["message"]), skip=bool(answer["skip"]))
        answer["headings"] = [(int(offset), str(title)) for offset, title in answer["headings"]]
        answer["blocks"] = [(int(start), int(end)) for start, end in answer["blocks"]]
        return Extracted(**answer)

    async def _take(self) -> _Reader:
        while self._resting:
            reader = self._resting.pop()
            if reader.idle is not None:
                reader.idle.cancel()
            if reader.process.returncode is None:
                return reader
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.collection.worker.extraction", str(self._memory_mib), str(math.ceil(self._seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_BYTES,
            # The child parses hostile files: it gets none of our secrets.
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )  # fmt: skip
        return _Reader(process)

    def _rest(self, reader: _Reader) -> None:
        def retire() -> None:
            if reader in self._resting:
                self._resting.remove(reader)
                with contextlib.suppress(ProcessLookupError):
                    reader.process.kill()

        reader.idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, retire)
        self._resting.append(reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for reader in self._resting:
            if reader.idle is not None:
                reader.idle.cancel()
            await _kill(reader.process)
        self._resting.clear()


async def _ask(process: asyncio.subprocess.Process, request: dict[str, object]) -> dict[str, Any]:
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101 - for the type checker
    process.stdin.write(json.dumps(request).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer: dict[str, Any] = json.loads(line)
    return answer


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
