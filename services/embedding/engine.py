"""The embedder: texts in, vectors out, through one of two lanes."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import lanes
from services.embedding.batches import arrays, batches
from services.embedding.models import ModelDamagedError, ModelFiles, installed
from services.embedding.sessions import Session, Sessions
from services.embedding.settings import Settings
from services.embedding.tokens import Tokenized, Tokens

log = logging.getLogger(__name__)
_T = TypeVar("_T")
DEFAULT_PRECISION = "INT8"
PRECISIONS = ("INT8", "FLOAT32")


@dataclass(frozen=True)
class Embedded:
    """Embeddings [texts, dimension] float32 of length 1, with what was read of each text."""

    vectors: npt.NDArray[np.float32]
    token_counts: list[int]
    truncated: list[int]


class Engine:
    """Keeps the installed models, their tokenizers and sessions; the same session serves both lanes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sessions = Sessions(settings.model_dir)
        self._tokens: dict[str, Tokens] = {}
        self._damaged: dict[str, str] = {}
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="tokenize")
        self._lanes = {
            messages.LANE_INTERACTIVE: lanes.interactive(settings.interactive_queue_tokens),
            messages.LANE_BULK: lanes.bulk(settings.threads, settings.bulk_queue_tokens),
        }
        self.models = installed(settings.model_dir)

    async def load_default(self) -> None:
        """Load the default model; until then, or while its files are damaged, the service is not ready."""
        files = self.model("")
        while True:
            try:
                await asyncio.to_thread(self._load, files, DEFAULT_PRECISION)
            except ModelDamagedError as error:
                self._damaged[files.id] = str(error)
                log.error("the default model cannot be loaded: %s", error)  # noqa: TRY400 - the reason is the whole story
                await asyncio.sleep(5)
            else:
                self._damaged.pop(files.id, None)
                await asyncio.Event().wait()

    async def ready(self) -> None:
        """Raise while the default model does not answer."""
        files = self.model("")
        if files.id in self._damaged or not self._sessions.is_open(files):
            raise ModelDamagedError(self._damaged.get(files.id, f"{files.id} is not loaded yet"))

    def model(self, model_id: str) -> ModelFiles:
        """Return an installed model, the default one for an empty id; raises MODEL_NOT_FOUND."""
        wanted = model_id or self._settings.default_model
        if wanted not in self.models:
            raise Failure(
                StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, f"the model {wanted} is not installed", {"model": wanted}
            )
        return self.models[wanted]

    def is_loaded(self, files: ModelFiles) -> bool:
        return files.id not in self._damaged and self._sessions.is_open(files)

    def damage(self, files: ModelFiles) -> str:
        return self._damaged.get(files.id, "")

    async def count(self, files: ModelFiles, texts: list[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return await self._beside(lambda: self._tokenizer(files).count(texts))

    async def special_count(self, files: ModelFiles) -> int:
        return await self._beside(lambda: self._tokenizer(files).special_count)

    async def embed(self, files: ModelFiles, precision: str, texts: list[str], *, lane: int, is_query: bool, truncate: bool) -> Embedded:
        """Embed ``texts`` in their order; equal texts are computed once.

        Raises TEXT_TOO_LONG, PRECISION_UNSUPPORTED, and OVERLOADED when the lane is full.
        """
        chosen = self._lanes[messages.LANE_INTERACTIVE if lane == messages.LANE_INTERACTIVE else messages.LANE_BULK]
        session = await self._session(files, precision)
        prefix = files.prefixes[0 if is_query else 1]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        unique = [prefix + text for text in places]
        tokenized = await self._beside(lambda: self._tokenizer(files).tokenize(unique, truncate=truncate))
        total = sum(len(text.ids) for text in tokenized)
        chosen.admit(total)
        computed = np.empty((len(unique), files.dimension), np.float32)
        runs = [
            asyncio.ensure_future(
                chosen.run(sum(len(tokenized[position].ids) for position in batch), partial(_compute, session, tokenized, batch, computed))
            )
            for batch in batches(tokenized, self._settings.batch_tokens)
        ]
        try:
            await asyncio.gather(*runs)
        finally:
            # When the caller has gone or one batch failed, the batches that wait are dropped.
            for each in runs:
                each.cancel()
        order = [places[text] for text in texts]
        return Embedded(
            vectors=computed[order] if len(order) != len(unique) else computed,
            token_counts=[len(tokenized[place].ids) for place in order],
            truncated=[position for position, place in enumerate(order) if tokenized[place].is_truncated],
        )

    async def _session(self, files: ModelFiles, precision: str) -> Session:
        try:
            return await asyncio.to_thread(self._sessions.get, files, precision)
        except ModelDamagedError as error:
            self._damaged[files.id] = str(error)
            log.error("a model cannot be loaded: %s", error)  # noqa: TRY400 - the reason is the whole story
            raise Failure(
                StatusCode.UNAVAILABLE,
                ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
                f"the model {files.id} cannot be loaded",
                {"dependency": files.id},
            ) from error

    def _load(self, files: ModelFiles, precision: str) -> None:
        self._tokenizer(files)
        self._sessions.get(files, precision)

    def _tokenizer(self, files: ModelFiles) -> Tokens:
        if files.id not in self._tokens:
            self._tokens[files.id] = Tokens(files)
        return self._tokens[files.id]

    async def _beside(self, work: Callable[[], _T]) -> _T:
        """Run tokenisation on its own thread: it gives up the GIL and never waits behind a batch."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)


def _compute(session: Session, texts: list[Tokenized], batch: list[int], out: npt.NDArray[np.float32]) -> None:
    out[batch] = session.run(arrays(texts[position] for position in batch))
