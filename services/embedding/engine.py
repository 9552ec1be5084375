"""The embedder: texts in, vectors or scores out, through one of two lanes."""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import lanes, usage
from services.embedding.batches import batches, padding
from services.embedding.catalog import Catalog
from services.embedding.models import ModelDamagedError, ModelFiles
from services.embedding.sessions import Loaded, Sessions
from services.embedding.settings import Settings
from services.embedding.tokens import Tokenized, Tokens

log = logging.getLogger(__name__)
_RETRY_SECONDS = 5
_SWITCH_SECONDS = 0.0005
_CHARACTERS_A_TOKEN = 4  # about, in English


@dataclass(frozen=True)
class Embedded:
    """Embeddings [texts, dimension] float32 of length 1, with what was read of each text."""

    vectors: npt.NDArray[np.float32]
    token_counts: list[int]
    truncated: list[int]


@dataclass(frozen=True)
class Scored:
    """A score of 0 to 1 for each text, and which texts were cut."""

    scores: list[float]
    truncated: list[int]


class Engine:
    """Keeps the installed models, their tokenizers and sessions; the same session serves both lanes."""

    def __init__(self, settings: Settings) -> None:
        # Of Python's default, 5 ms, a query would wait all whenever bulk texts are being put together.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._settings = settings
        self.catalog = Catalog(settings.model_dir, settings.default_model)
        self.sessions = Sessions(settings.model_dir, settings.provider_order, settings.memory_budget_mib << 20, self._keeps)
        self.default_precision = self.sessions.precisions[0]
        self._tokens: dict[str, Tokens] = {}
        self._damaged: dict[str, str] = {}
        self._ahead = lanes.ahead()
        self._lanes = {
            messages.LANE_INTERACTIVE: lanes.interactive(settings.interactive_queue_tokens),
            messages.LANE_BULK: lanes.bulk(settings.threads, settings.bulk_queue_tokens, settings.user_queue_tokens),
        }

    async def load_default(self) -> None:
        """Keep the default model loaded, also when its files change; while they are damaged, the service is not ready."""
        while True:
            try:
                await self.load(self.catalog.get(""), self.default_precision)
            except (ModelDamagedError, Failure) as error:
                log.error("the default model cannot be loaded: %s", error)  # noqa: TRY400 - the reason is the whole story
                await asyncio.to_thread(self.catalog.refresh)
            await asyncio.sleep(_RETRY_SECONDS)

    async def ready(self) -> None:
        """Raise while the default model does not answer."""
        files = self.catalog.get("")
        if files.id in self._damaged or not self.is_loaded(files):
            raise ModelDamagedError(self._damaged.get(files.id, f"{files.id} is not loaded yet"))

    def is_loaded(self, files: ModelFiles) -> bool:
        return files.id not in self._damaged and bool(self.sessions.of(files))

    def damage(self, files: ModelFiles) -> str:
        """Return why a model could not be loaded when that was last tried."""
        return self._damaged.get(files.id, "")

    async def load(self, files: ModelFiles, precision: str) -> Loaded:
        """Return the session, loaded where it is not yet; raises ModelDamagedError, MODEL_TOO_LARGE, PRECISION_UNSUPPORTED."""
        if files.id not in self._damaged and (found := self.sessions.find(files, precision)) is not None:
            return found
        try:
            await asyncio.to_thread(self._tokenizer, files)
            found = await asyncio.to_thread(self.sessions.get, files, precision)
        except ModelDamagedError as error:
            self._damaged[files.id] = str(error)
            raise
        self._damaged.pop(files.id, None)
        return found

    async def unload(self, files: ModelFiles) -> None:
        """Take a model out of memory; raises MODEL_REQUIRED for the default one."""
        if files.id == self._settings.default_model:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_MODEL_REQUIRED,
                f"{files.id} is the default model; the service is not ready without it",
                {"model": files.id},
            )
        await asyncio.to_thread(self.sessions.unload, files)
        self._tokens.pop(files.id, None)
        self._damaged.pop(files.id, None)

    async def count(self, files: ModelFiles, texts: list[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        tokens = await asyncio.to_thread(self._tokenizer, files)
        return await asyncio.get_running_loop().run_in_executor(self._ahead, tokens.count, texts)

    async def added_tokens(self, files: ModelFiles) -> int:
        """Return how many tokens every passage gets besides its own: special ones and those of the prefix."""
        [count] = await self.count(files, [files.prefixes[1]])
        return count

    async def embed(
        self, files: ModelFiles, precision: str, texts: list[str], *, lane: int, is_query: bool, truncate: bool, user: str = ""
    ) -> Embedded:
        """Embed ``texts`` in their order; equal texts are computed once. ``user`` is empty for the mesh itself.

        Raises ModelDamagedError, TEXT_TOO_LONG, PRECISION_UNSUPPORTED, and OVERLOADED when the lane is full.
        """
        prefix = files.prefixes[0 if is_query else 1]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        unique = [prefix + text for text in places]
        tokenized, computed = await self._compute(
            files, precision, lane, user, lambda tokens: tokens.tokenize(unique, truncate=truncate), unique
        )
        order = [places[text] for text in texts]
        return Embedded(
            vectors=computed[order] if len(order) != len(unique) else computed,
            token_counts=[len(tokenized[place].ids) for place in order],
            truncated=[position for position, place in enumerate(order) if tokenized[place].is_truncated],
        )

    async def rerank(
        self, files: ModelFiles, precision: str, query: str, texts: list[str], *, lane: int, truncate: bool, user: str = ""
    ) -> Scored:
        """Score each text against the query; raises as ``embed`` does."""
        tokenized, computed = await self._compute(
            files, precision, lane, user, lambda tokens: tokens.pairs(query, texts, truncate=truncate), texts
        )
        scores = 1 / (1 + np.exp(-computed[:, 0].astype(np.float64)))
        return Scored([float(score) for score in scores], [place for place, text in enumerate(tokenized) if text.is_truncated])

    async def _compute(
        self, files: ModelFiles, precision: str, lane: int, user: str, read: Callable[[Tokens], list[Tokenized]], texts: list[str]
    ) -> tuple[list[Tokenized], npt.NDArray[np.float32]]:
        loaded = await self.load(files, precision)
        tokens = self._tokenizer(files)
        budget = self._settings.gpu_batch_tokens if loaded.session.pads else self._settings.batch_tokens
        out = np.empty((len(texts), files.dimension), np.float32)
        chosen = self._lanes[messages.LANE_INTERACTIVE if lane == messages.LANE_INTERACTIVE else messages.LANE_BULK]
        about = sum(min(len(text) // _CHARACTERS_A_TOKEN + 2, files.max_length) for text in texts)
        with chosen.admitted(about, user):
            if lane == messages.LANE_INTERACTIVE:
                # Tokenised and computed in one go on one thread: changing threads costs a query more than its tokens do.
                return await chosen.run(lambda: _all(loaded, read(tokens), budget, out), about), out
            tokenized = await asyncio.get_running_loop().run_in_executor(self._ahead, read, tokens)
        with chosen.admitted(sum(len(text.ids) for text in tokenized), user):
            await chosen.run_all(
                (partial(_fill, loaded, "bulk", tokenized, batch, out), sum(len(tokenized[position].ids) for position in batch))
                for batch in batches(tokenized, budget)
            )
        return tokenized, out

    def _tokenizer(self, files: ModelFiles) -> Tokens:
        found = self._tokens.get(files.id)
        if found is None or found.files is not files:
            found = self._tokens[files.id] = Tokens(files)
        return found

    def _keeps(self, files: ModelFiles, precision: str) -> bool:
        return files.id == self._settings.default_model and precision == self.default_precision

    def close(self) -> None:
        """Stop the threads, work that waits dropped."""
        self._ahead.shutdown(cancel_futures=True)
        for lane in self._lanes.values():
            lane.close()


def damaged(error: Exception) -> Failure | None:
    """Return the answer for a model whose files are not what they should be; None for any other error."""
    if not isinstance(error, ModelDamagedError):
        return None
    model = str(error).partition(":")[0]
    return Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_MODEL_DAMAGED, str(error), {"model": model}, retry_after=_RETRY_SECONDS)


def _all(loaded: Loaded, texts: list[Tokenized], budget: int, out: npt.NDArray[np.float32]) -> list[Tokenized]:
    for batch in batches(texts, budget):
        _fill(loaded, "interactive", texts, batch, out)
    return texts


def _fill(loaded: Loaded, lane: str, texts: list[Tokenized], batch: list[int], out: npt.NDArray[np.float32]) -> None:
    out[batch] = loaded.session.run([texts[position] for position in batch])
    tokens, padded = padding(texts, batch) if loaded.session.pads else (sum(len(texts[position].ids) for position in batch), 0)
    loaded.used(tokens)
    usage.computed(loaded.files.id, loaded.precision, lane, tokens, padded)
