"""One download of a model: what was asked for, how far it is, and the process that brings the files."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from grpc import StatusCode

from libs.feed.topic import Topic
from libs.rpc.errors import Failure, draining
from semantik.embedding.v1.model_service_pb2 import Download
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import child

log = logging.getLogger(__name__)
_REPEAT_SECONDS = 15.0
_CODES = {
    ErrorReason.ERROR_REASON_DOWNLOAD_FAILED: StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_MODEL_UNSUPPORTED: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_MODEL_MISMATCH: StatusCode.FAILED_PRECONDITION,
}


class Transfer:
    """One download; any number of watchers see its latest state."""

    def __init__(self, repository: str, revision: str, model_id: str, digest: str) -> None:
        self.repository = repository
        self.revision = revision or "main"
        self.digest = digest
        self.latest = Download(model_id=model_id, state=Download.STATE_RUNNING)
        self.task: asyncio.Task[None] | None = None
        self._states: Topic[Download] = Topic()
        self._states.publish(self.latest)

    @property
    def source(self) -> str:
        return f"{self.repository}@{self.latest.commit or self.revision}"

    def is_for(self, repository: str, revision: str, digest: str) -> bool:
        """Whether it serves a request for this."""
        is_revision = (revision or "main") in (self.revision, self.latest.commit)
        return is_revision and digest in ("", self.digest) and repository.casefold() == self.repository.casefold()

    def update(self, **changes: Any) -> None:
        """Change the state, and tell the watchers."""
        latest = Download()
        latest.CopyFrom(self.latest)
        latest.MergeFrom(Download(**changes))
        self.latest = latest
        self._states.publish(latest)

    def drain(self) -> None:
        """Let the watchers go: the process stops, and the download with it."""
        self._states.close()

    async def watch(self) -> AsyncIterator[Download]:
        """Yield the state, then each change until it is terminal; raises DRAINING where the process stops first.

        A state that does not change is repeated, because the gateway takes a silent stream for a dead one.
        """
        async for state in self._states.read(_REPEAT_SECONDS):
            yield state
            if state.state != Download.STATE_RUNNING:
                return
        raise draining("shutting down; try again")

    async def fetch(self, directory: Path, environment: dict[str, str]) -> None:
        """Let a process of its own bring the files into ``directory``; it is ended with this task. Raises a Failure that says why not."""
        result: dict[str, Any] = {}

        def report(line: bytes) -> None:
            result.clear()
            result.update(json.loads(line))
            self.update(commit=result["commit"], done_bytes=result["done"], total_bytes=result["total"])

        arguments = ["--repository", self.repository, "--revision", self.revision, "--directory", str(directory)]
        ended = await child.run("services.embedding.downloads.hub", arguments, report, environment)
        if "reason" in result:
            if ended.complaint:
                log.warning("the process that downloads %s says: %s", self.source, ended.complaint)
            raise self.failed(result["reason"], result["message"])
        if not result.get("succeeded"):
            log.error("the process that downloads %s ended with %d: %s", self.source, ended.status, ended.complaint)
            raise self.failed("DOWNLOAD_FAILED", "the download ended early")

    def failed(self, reason: str, message: str) -> Failure:
        """Return what becomes ``Download.error``."""
        value = ErrorReason.Value(f"ERROR_REASON_{reason}")
        return Failure(_CODES[value], value, message, {"repository": self.repository})
