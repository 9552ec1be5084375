"""The models that are installed: the default one from its wheel, others as directories below MODEL_DIR."""

import asyncio
import importlib.util
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import blocking, metrics
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles, read
from services.embedding.once import Once

log = logging.getLogger(__name__)
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_WHEEL = "semantik_minilm"
_MOST_WAITING = 1000
_CLOSE_SECONDS = 1.0


class Catalog:
    """Finds models by id, kind or digest.

    Finding by id costs at most a look at one file. Walks of MODEL_DIR run on another thread, one at a time; so does hashing,
    one model after another.
    """

    def __init__(self, model_dir: Path, default_model: str) -> None:
        self._model_dir = model_dir
        self._default_model = default_model
        self._hashes: Once[str] = Once(_MOST_WAITING, "too many calls wait for this model to be read already")
        self._hashing = asyncio.Lock()
        self._walking = asyncio.Lock()
        self._next_refresh: asyncio.Task[None] | None = None
        self.models = {files.id: files for files in _installed(model_dir)}

    async def refresh(self) -> None:
        """Look again at what is installed; a model whose files changed is another one from now on.

        All who ask while one walk is under way share the next one.
        """
        if self._next_refresh is None:
            self._next_refresh = asyncio.create_task(self._refresh())
        await asyncio.shield(self._next_refresh)

    async def _refresh(self) -> None:
        async with self._walking:
            self._next_refresh = None
            installed = await blocking.run(lambda: list(_installed(self._model_dir)))
            self.models = {files.id: self._unchanged(files) or files for files in installed}

    def _unchanged(self, files: ModelFiles) -> ModelFiles | None:
        known = self.models.get(files.id)
        return known if known is not None and known.signature == files.signature else None

    def get(self, model_id: str) -> ModelFiles:
        """Return a model by id, the default one for an empty id; raises MODEL_NOT_FOUND."""
        wanted = model_id or self._default_model
        if wanted not in self.models and _ID.fullmatch(wanted):
            # Another replica may have downloaded it. One look at one place, so that unknown names cost next to nothing.
            directory = self._model_dir / wanted
            if (directory / "config.json").is_file():
                self.models[wanted] = _signed(read(directory))
        if wanted not in self.models:
            raise _not_found(f"the model {wanted} is not installed", wanted)
        return self.models[wanted]

    def embedder(self, model_id: str) -> ModelFiles:
        """Return an embedding model; raises MODEL_NOT_FOUND, MODEL_KIND_WRONG."""
        return _of_kind(self.get(model_id), "EMBEDDING", "is a cross-encoder: it scores texts and gives no vectors")

    async def reranker(self, model_id: str) -> ModelFiles:
        """Return a cross-encoder, any one for an empty id; raises MODEL_NOT_FOUND, MODEL_KIND_WRONG, RERANKER_MISSING."""
        if model_id:
            return _of_kind(self.get(model_id), "RERANKER", "gives vectors; scoring texts takes a cross-encoder")
        async for files in self.usable("RERANKER"):
            return files
        await self.refresh()
        async for files in self.usable("RERANKER"):
            return files
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_RERANKER_MISSING,
            "no cross-encoder is installed; an administrator can fetch one: semantik models download cross-encoder/ms-marco-MiniLM-L6-v2",
        )

    async def by_digest(self, digest: str) -> ModelFiles:
        """Return the model with this digest; raises MODEL_NOT_FOUND."""
        # Those that were read already first.
        for files in sorted(self.models.values(), key=lambda files: not files.is_hashed):
            if await self.is_usable(files) and files.digest == digest:
                return files
        raise _not_found("no installed model has this digest", digest)

    async def usable(self, kind: str) -> AsyncIterator[ModelFiles]:
        """Yield the undamaged models of a kind; only those are read."""
        for files in list(self.models.values()):
            if _kind(files) == kind and await self.is_usable(files):
                yield files

    async def is_usable(self, files: ModelFiles) -> bool:
        """Whether the files are what they should be, as far as reading them tells."""
        try:
            return bool(await self.digest(files))
        except ModelDamagedError:
            return False

    async def digest(self, files: ModelFiles) -> str:
        """Return a model's digest, read on another thread where it is not known yet.

        All who need it wait for one reading. Raises ModelDamagedError, and OVERLOADED where too many wait.
        """
        return files.digest if files.is_hashed else await self._hashes.get(id(files), lambda: self._hash(files))

    async def _hash(self, files: ModelFiles) -> str:
        async with self._hashing:
            try:
                return await blocking.run(lambda: files.digest)
            except ModelDamagedError as error:
                log.warning("the model %s cannot be used: %s", files.id, error)
                metrics.damaged(files.id)
                raise

    async def close(self) -> None:
        """Drop what waits to be read."""
        await self._hashes.close(_CLOSE_SECONDS)


def _kind(files: ModelFiles) -> str:
    try:
        return files.kind
    except ModelDamagedError:
        return ""  # ListModels says what is wrong with it


def _of_kind(files: ModelFiles, kind: str, otherwise: str) -> ModelFiles:
    if files.kind != kind:
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_MODEL_KIND_WRONG,
            f"the model {files.id} {otherwise}",
            {"model": files.id},
        )
    return files


def _not_found(message: str, model: str) -> Failure:
    return Failure(StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, message, {"model": model})


def _installed(model_dir: Path) -> Iterator[ModelFiles]:
    """Yield the installed models by id; a directory below ``model_dir`` wins over the wheel."""
    models = {files.id: _signed(files) for files in _from_wheel()}
    for config in model_dir.glob("*/config.json"):
        if _ID.fullmatch(config.parent.name):
            try:
                models[config.parent.name] = _signed(read(config.parent))
            except OSError as error:
                # It is being put there or removed; the next walk sees the whole of it.
                log.warning("the model in %s is passed over: %s", config.parent, error)
    yield from (models[model_id] for model_id in sorted(models))


def _from_wheel() -> Iterator[ModelFiles]:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is not None and spec.submodule_search_locations:
        yield ModelFiles(
            "all-minilm-l6-v2",
            Path(next(iter(spec.submodule_search_locations))) / "model",
            license="Apache-2.0",
            languages=("en",),
            source="sentence-transformers/all-MiniLM-L6-v2",
            pins={"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
        )


def _signed(files: ModelFiles) -> ModelFiles:
    """Return the model with its signature taken, so that later changes of its files are seen."""
    _ = files.signature
    return files
