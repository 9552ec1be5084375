"""A child process for what needs much memory or must be ended at any moment: a module of this package with its own ``main``."""

import asyncio
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from services.embedding import blocking

log = logging.getLogger(__name__)
_COMPLAINT_CHARACTERS = 500
_REAP_SECONDS = 5.0


@dataclass(frozen=True)
class Ended:
    """The exit status of a child, and the end of what it wrote to standard error."""

    status: int
    complaint: str


async def run(
    module: str, arguments: Sequence[str], on_line: Callable[[bytes], None], environment: Mapping[str, str] | None = None
) -> Ended:
    """Run ``python -m module`` to its end, each line of its output given to ``on_line``; it is killed with the task that waits.

    Without ``environment`` it has this process's.
    """
    command = [sys.executable, "-P", "-m", module, *arguments]
    with tempfile.TemporaryFile() as complaints:
        process = _started(command, environment, complaints)
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
        try:
            async for line in lines:
                on_line(line)
            # Its output has ended, so it is about to.
            await blocking.run(lambda: process.wait(_REAP_SECONDS))
        finally:
            transport.close()
            process.kill()
            await _reap(process, module)
        complaints.seek(0)
        return Ended(process.returncode, complaints.read().decode(errors="replace")[-_COMPLAINT_CHARACTERS:].strip())


async def _reap(process: "subprocess.Popen[bytes]", module: str) -> None:
    """Wait for a killed child, which takes milliseconds unless the kernel holds it."""
    try:
        await blocking.run(lambda: process.wait(_REAP_SECONDS))
    except subprocess.TimeoutExpired:
        log.warning("process %d of %s does not end after SIGKILL", process.pid, module)


def _started(command: list[str], environment: Mapping[str, str] | None, complaints: IO[bytes]) -> "subprocess.Popen[bytes]":
    # Not the event loop's own way: uvloop forks, and what gRPC does in a fork crashed a child now and then; this does none of that.
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, stdin=nothing, stdout=pipe, stderr=complaints, env=environment)  # noqa: S603 - our own module
