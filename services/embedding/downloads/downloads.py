"""The downloads of models under way: each runs to its end in a process of its own, whether or not a client watches."""

import asyncio
import contextlib
import logging
from typing import Any

from grpc import StatusCode

from libs.rpc.errors import Failure, draining, invalid
from semantik.embedding.v1.model_service_pb2 import Download
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import blocking, metrics
from services.embedding.catalog import staging
from services.embedding.catalog.catalog import Catalog
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles, read
from services.embedding.downloads.transfer import Transfer
from services.embedding.settings import Settings

log = logging.getLogger(__name__)
_AT_ONCE = 2
_MOST_ID = 100
_STOP_SECONDS = 10.0


class Downloads:
    """Starts downloads and keeps them by the id that their model gets."""

    def __init__(self, settings: Settings, catalog: Catalog, draining: asyncio.Event) -> None:
        self._settings = settings
        self._catalog = catalog
        self._draining = draining
        self._running: dict[str, Transfer] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Clear what dead processes left, and end the downloads under way when this one stops."""
        try:
            await blocking.run(lambda: staging.clear(self._settings.model_dir))
        except OSError as error:
            log.warning("%s cannot be cleared of what dead processes left", self._settings.model_dir, exc_info=error)
        try:
            await self._draining.wait()
        finally:
            await self._end_all()

    async def _end_all(self) -> None:
        tasks = [transfer.task for transfer in self._running.values() if transfer.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            if left:
                log.warning("%d downloads have not ended within %g s", len(left), _STOP_SECONDS)

    async def start(self, repository: str, revision: str, model_id: str, digest: str) -> Transfer:
        """Start a download, join the one under way for the same request, or return one that is done.

        Raises MODEL_EXISTS, DOWNLOADS_DISABLED, and INVALID_REQUEST where the repository's name makes no id.
        """
        model_id = model_id or repository.rpartition("/")[2].lower()
        if len(model_id) > _MOST_ID:
            raise invalid("model_id", f"the name of the repository is longer than {_MOST_ID} characters; choose an id")
        transfer = Transfer(repository, revision, model_id, digest)
        if await self._is_installed(transfer, revision):
            return transfer
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
            raise draining("shutting down; try again")
        self._running[model_id] = transfer
        transfer.task = asyncio.create_task(self._complete(transfer))
        return transfer

    async def _is_installed(self, transfer: Transfer, revision: str) -> bool:
        """Whether the very model is here, and if so, say so to its watchers; raises MODEL_EXISTS for another one."""
        await self._catalog.refresh()
        model_id = transfer.latest.model_id
        files = self._catalog.models.get(model_id)
        if files is None:
            if (self._settings.model_dir / model_id).exists():
                raise _exists(model_id, "", "exists already, and is not a model")
            return False
        repository, _, commit = files.source.partition("@")
        if repository.casefold() != transfer.repository.casefold() or revision not in ("", commit, _requested_revision(files)):
            raise _exists(model_id, files.source, "is installed; choose another id")
        if not await self._catalog.is_usable(files):
            raise _exists(model_id, files.source, "is installed, but damaged; remove its directory from MODEL_DIR first")
        if transfer.digest not in ("", files.digest):
            raise _exists(model_id, files.source, f"is installed, with the digest {files.digest}")
        size = files.size_bytes
        transfer.update(state=Download.STATE_SUCCEEDED, commit=commit, done_bytes=size, total_bytes=size)
        return True

    async def _complete(self, transfer: Transfer) -> None:
        try:
            async with self._places:
                await self._install(transfer)
        except asyncio.CancelledError:
            transfer.drain()
            raise
        except Failure as failure:
            log.warning("%s is not installed: %s", transfer.source, failure.message)
            self._end(transfer, state=Download.STATE_FAILED, error=failure.proto())
        except Exception as error:
            log.exception("%s is not installed", transfer.source)
            message = f"the model cannot be written: {error.strerror}" if isinstance(error, OSError) else "the download ended early"
            self._end(transfer, state=Download.STATE_FAILED, error=transfer.failed("DOWNLOAD_FAILED", message).proto())
        else:
            log.info("installed %s from %s", transfer.latest.model_id, transfer.source)
            self._end(transfer, state=Download.STATE_SUCCEEDED)

    def _end(self, transfer: Transfer, **changes: Any) -> None:
        # First, so that a watcher who sees the end and asks again gets an answer to that.
        del self._running[transfer.latest.model_id]
        transfer.update(**changes)
        metrics.download_ended(Download.State.Name(transfer.latest.state).removeprefix("STATE_").lower())

    async def _install(self, transfer: Transfer) -> None:
        model_id, model_dir = transfer.latest.model_id, self._settings.model_dir
        async with staging.staged(model_dir, model_id) as directory:
            await transfer.fetch(directory, self._settings.hub_environment)
            await self._check(transfer, read(directory, model_id))
            try:
                directory.rename(model_dir / model_id)
            except OSError:
                # Another replica may have been faster; the same model is as good from there.
                await self._catalog.refresh()
                installed = self._catalog.models.get(model_id)
                if installed is None or installed.source != transfer.source:
                    raise
        await self._catalog.refresh()

    async def _check(self, transfer: Transfer, files: ModelFiles) -> None:
        try:
            digest = await self._catalog.digest(files)
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


def _requested_revision(files: ModelFiles) -> str:
    """Return the branch or tag that the download of an installed model was asked for by; empty where nothing says so."""
    with contextlib.suppress(ModelDamagedError):
        return str(files.description.get("revision", ""))
    return ""
