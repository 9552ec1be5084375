"""The downloads of models under way: each runs to its end in a process of its own, whoever watches."""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

from grpc import StatusCode

from libs.rpc.errors import Failure, invalid
from semantik.embedding.v1.model_service_pb2 import Download
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import staging
from services.embedding.catalog import Catalog
from services.embedding.models import ModelDamagedError, ModelFiles, read
from services.embedding.settings import Settings
from services.embedding.transfer import Transfer, stopping

log = logging.getLogger(__name__)
_AT_ONCE = 2
_MOST_ID = 100


class Downloads:
    """Starts downloads and keeps them by the id of the model that is to be."""

    def __init__(self, settings: Settings, catalog: Catalog, draining: asyncio.Event) -> None:
        self._settings = settings
        self._catalog = catalog
        self._draining = draining
        self._running: dict[str, Transfer] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Clear what dead downloads left, and end those under way when the process stops."""
        try:
            await asyncio.to_thread(staging.clear, self._settings.model_dir)
        except OSError as error:
            log.warning("left-overs of downloads cannot be cleared: %s", error)
        try:
            await self._draining.wait()
        finally:
            tasks = [running.task for running in self._running.values() if running.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, repository: str, revision: str, model_id: str, digest: str) -> Transfer:
        """Start a download, join the one under way for the same request, or return one that is done.

        Raises MODEL_EXISTS, DOWNLOADS_DISABLED, and INVALID_REQUEST where the repository's name makes no id.
        """
        model_id = model_id or repository.rpartition("/")[2].lower()
        if len(model_id) > _MOST_ID:
            raise invalid("model_id", f"the name of the repository is longer than {_MOST_ID} characters; choose an id")
        asked = Transfer(repository, revision, model_id, digest)
        if await asyncio.to_thread(self._is_installed, asked, revision):
            return asked
        running = self._running.get(model_id)
        if running is not None:
            if not running.is_for(repository, revision, digest):
                raise _exists(model_id, running.source, "is being downloaded; choose another id")
            return running
        if self._settings.is_offline:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_DOWNLOADS_DISABLED,
                "this installation downloads nothing, because HF_HUB_OFFLINE is set",
            )
        if self._draining.is_set():
            raise stopping()
        self._running[model_id] = asked
        asked.task = asyncio.create_task(self._carry_out(asked))
        return asked

    def _is_installed(self, asked: Transfer, revision: str) -> bool:
        """Whether the very model is here, and if so, say so; raises MODEL_EXISTS for another one. Reads files."""
        self._catalog.refresh()
        model_id = asked.latest.model_id
        files = self._catalog.models.get(model_id)
        if files is None:
            if (self._settings.model_dir / model_id).exists():
                raise _exists(model_id, "", "lies there already, and is no model")
            return False
        repository, _, commit = files.source.partition("@")
        if repository.casefold() != asked.repository.casefold() or revision not in ("", commit, _asked_revision(files)):
            raise _exists(model_id, files.source, "is installed; choose another id")
        if not files.is_usable:
            raise _exists(model_id, files.source, "is installed, but damaged; remove its directory from MODEL_DIR first")
        if asked.digest not in ("", files.digest):
            raise _exists(model_id, files.source, f"is installed, with the digest {files.digest}")
        size = files.size_bytes
        asked.tell(state=Download.STATE_SUCCEEDED, commit=commit, done_bytes=size, total_bytes=size)
        return True

    async def _carry_out(self, transfer: Transfer) -> None:
        try:
            async with self._turn:
                await self._fetch(transfer)
        except asyncio.CancelledError:
            transfer.break_off()
            raise
        except Failure as failure:
            log.warning("%s is not installed: %s", transfer.source, failure.message)
            self._end(transfer, state=Download.STATE_FAILED, error=failure.proto())
        except Exception as error:
            log.exception("the download of %s failed", transfer.source)
            message = f"the model cannot be written: {error.strerror}" if isinstance(error, OSError) else "the download ended early"
            self._end(transfer, state=Download.STATE_FAILED, error=transfer.failed("DOWNLOAD_FAILED", message).proto())
        else:
            log.info("installed %s from %s", transfer.latest.model_id, transfer.source)
            self._end(transfer, state=Download.STATE_SUCCEEDED)

    def _end(self, transfer: Transfer, **changes: Any) -> None:
        # First, so that whoever is told of the end and asks again gets an answer to that.
        del self._running[transfer.latest.model_id]
        transfer.tell(**changes)

    async def _fetch(self, transfer: Transfer) -> None:
        model_id, model_dir = transfer.latest.model_id, self._settings.model_dir
        with staging.staged(model_dir, model_id) as directory:
            await transfer.bring(directory, self._settings.hub_environment)
            await asyncio.to_thread(_check, transfer, replace(read(directory), id=model_id))
            try:
                directory.rename(model_dir / model_id)
            except OSError:
                # Another replica may have been faster; the same model is as good from there.
                await asyncio.to_thread(self._catalog.refresh)
                found = self._catalog.models.get(model_id)
                if found is None or found.source != transfer.source:
                    raise
        await asyncio.to_thread(self._catalog.refresh)


def _check(transfer: Transfer, files: ModelFiles) -> None:
    try:
        digest = files.digest
    except ModelDamagedError as error:
        raise transfer.failed("MODEL_UNSUPPORTED", str(error)) from error
    if transfer.digest not in ("", digest):
        raise transfer.failed("MODEL_MISMATCH", f"the digest of {transfer.source} is {digest}, which is not the one it was pinned to")


def _exists(model_id: str, source: str, how: str) -> Failure:
    return Failure(
        StatusCode.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_MODEL_EXISTS,
        f"{model_id} {f'from {source} ' if source else ''}{how}",
        {"model": model_id, "source": source},
    )


def _asked_revision(files: ModelFiles) -> str:
    """Return the branch or tag that an installed model was asked for by."""
    try:
        return str(json.loads((files.directory / "semantik.json").read_text()).get("revision", ""))
    except (OSError, ValueError):
        return ""
