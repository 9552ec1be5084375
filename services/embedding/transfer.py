"""One download of a model: what was asked for, how far it is, and the process that brings the files."""

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.embedding.v1.model_service_pb2 import Download
from semantik.error.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)
_REPEAT_SECONDS = 15.0
_COMPLAINTS = 500
_CODES = {
    ErrorReason.ERROR_REASON_DOWNLOAD_FAILED: StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_MODEL_UNSUPPORTED: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_MODEL_MISMATCH: StatusCode.FAILED_PRECONDITION,
}


class Transfer:
    """One download: what was asked for, and how far it is. Only the latest state is kept, for any number of watchers."""

    def __init__(self, repository: str, revision: str, model_id: str, digest: str) -> None:
        self.repository = repository
        self.revision = revision or "main"
        self.digest = digest
        self.latest = Download(model_id=model_id, state=Download.STATE_RUNNING)
        self.task: asyncio.Task[None] | None = None
        self._is_broken_off = False
        self._changed = asyncio.Event()

    @property
    def source(self) -> str:
        return f"{self.repository}@{self.latest.commit or self.revision}"

    def is_for(self, repository: str, revision: str, digest: str) -> bool:
        """Whether it serves a request for this."""
        wanted = (revision or "main") in (self.revision, self.latest.commit)
        return wanted and digest in ("", self.digest) and repository.casefold() == self.repository.casefold()

    def tell(self, **changes: Any) -> None:
        latest = Download()
        latest.CopyFrom(self.latest)
        latest.MergeFrom(Download(**changes))
        self.latest = latest
        self._wake()

    def break_off(self) -> None:
        self._is_broken_off = True
        self._wake()

    async def watch(self) -> AsyncIterator[Download]:
        """Yield the state, then each change until it is terminal; raises DRAINING where the process stops first.

        A state that does not change is repeated, because the gateway takes a silent stream for a dead one.
        """
        while True:
            changed, latest = self._changed, self.latest
            yield latest
            if latest.state != Download.STATE_RUNNING:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _REPEAT_SECONDS)
            if self._is_broken_off:
                raise stopping()

    async def bring(self, directory: Path, environment: dict[str, str]) -> None:
        """Let a process of its own bring the files into ``directory``; it is ended with this task. Raises a Failure that says why not."""
        command = [sys.executable, "-P", "-m", "services.embedding.download", "--repository", self.repository]
        command += ["--revision", self.revision, "--directory", str(directory)]
        said: dict[str, Any] = {}
        with tempfile.TemporaryFile() as complaints, _started(command, environment, complaints) as process:
            lines = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(lines)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
            try:
                async for line in lines:
                    said = json.loads(line)
                    self.tell(commit=said["commit"], done_bytes=said["done"], total_bytes=said["total"])
                await asyncio.to_thread(process.wait)
            finally:
                transport.close()
                process.kill()
                await asyncio.to_thread(process.wait)
            if "reason" in said:
                raise self.failed(said["reason"], said["message"])
            if not said.get("succeeded"):
                complaints.seek(0)
                written = complaints.read().decode(errors="replace")[-_COMPLAINTS:]
                log.error("the download of %s ended with %s: %s", self.source, process.returncode, written)
                raise self.failed("DOWNLOAD_FAILED", "the download ended early")

    def failed(self, reason: str, message: str) -> Failure:
        """Return what becomes ``Download.error``."""
        value = ErrorReason.Value(f"ERROR_REASON_{reason}")
        return Failure(_CODES[value], value, message, {"repository": self.repository})

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _started(command: list[str], environment: dict[str, str], complaints: IO[bytes]) -> "subprocess.Popen[bytes]":
    # Not the event loop's own way: uvloop forks, and what gRPC does in a fork crashed a child now and then; this does none of that.
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, stdin=nothing, stdout=pipe, stderr=complaints, env=environment)  # noqa: S603 - our own module


def stopping() -> Failure:
    """Return the answer to whoever watches or starts a download while the process stops."""
    return Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DRAINING, "shutting down; start it again", retry_after=0.1)
