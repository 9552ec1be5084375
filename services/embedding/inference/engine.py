"""The embedder: texts in, vectors or scores out, through one of two lanes."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.catalog import Catalog
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles
from services.embedding.inference.lanes import BulkLane, Computed, Computing, InteractiveLane, Lane, Work
from services.embedding.inference.loaded import Loaded
from services.embedding.inference.priority import Queries
from services.embedding.inference.sessions import RETRY_SECONDS, Sessions
from services.embedding.inference.tokens import Tokenized, are_short, require_whole
from services.embedding.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedded:
    """Embeddings [texts, dimension] float32 of length 1, how many tokens of each text were read, and which texts were cut."""

    vectors: npt.NDArray[np.float32]
    token_counts: list[int]
    truncated: list[int]


@dataclass(frozen=True)
class Scored:
    """A score of 0 to 1 for each text, and which texts were cut."""

    scores: list[float]
    truncated: list[int]


class Engine:
    """Computes with the models of ``catalog``; the same session serves both lanes."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self.catalog = catalog
        budget = settings.memory_budget_mib << 20
        self.sessions = Sessions(settings.model_dir, catalog.digest, settings.provider_order, budget, self._keeps)
        self.default_precision = self.sessions.precisions[0]
        queries = Queries()
        self._bulk = BulkLane(settings.threads, settings.bulk_queue_tokens, queries)
        interactive = InteractiveLane(settings.interactive_queue_tokens, queries)
        self._lanes: Mapping[Lane, Computing] = {Lane.INTERACTIVE: interactive, Lane.BULK: self._bulk}

    async def run(self, draining: asyncio.Event) -> None:
        """Keep the default model loaded, also when its files change, until the process stops; then end the loads under way."""
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_default_loaded())
            try:
                await draining.wait()
            finally:
                keeping.cancel()
                await self.sessions.end_loads()

    async def _keep_default_loaded(self) -> None:
        while True:
            try:
                await self.load(self.catalog.get(""), self.default_precision)
            except (ModelDamagedError, Failure) as error:
                log.error("the default model cannot be loaded: %s", error)  # noqa: TRY400 - the attempt itself was logged in full
                await self.catalog.refresh()
            await asyncio.sleep(RETRY_SECONDS)

    async def ready(self) -> None:
        """Raise while the default model does not answer."""
        files = self.catalog.get("")
        if self.sessions.find(files, self.default_precision) is None:
            raise ModelDamagedError(files.id, self.sessions.damage(files) or "it is not loaded yet")

    async def load(self, files: ModelFiles, precision: str) -> Loaded:
        """Return the session, loaded where it is not yet; raises as ``Sessions.get`` does."""
        return await self.sessions.get(files, precision)

    def unload(self, files: ModelFiles) -> None:
        """Take a model out of memory; raises MODEL_REQUIRED for the default one."""
        if files.id == self._settings.default_model:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_MODEL_REQUIRED,
                f"{files.id} is the default model; the service is not ready without it",
                {"model": files.id},
            )
        self.sessions.unload(files)

    async def count(self, files: ModelFiles, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included; raises ModelDamagedError, OVERLOADED."""
        tokens = await self.sessions.tokens(files)
        if are_short(texts):  # waiting for a turn among many long texts would take longer
            return tokens.count(texts)
        return await self._bulk.count(texts, lambda some, _: tokens.count(some))

    async def embed(
        self, files: ModelFiles, precision: str, texts: Sequence[str], *, lane: Lane, is_query: bool, truncate: bool
    ) -> Embedded:
        """Embed ``texts`` in their order; equal texts are computed once.

        Raises ModelDamagedError, TEXT_TOO_LONG, PRECISION_UNSUPPORTED, MODEL_TOO_LARGE, and OVERLOADED when the lane is full.
        """
        loaded = await self.load(files, precision)
        prefix = files.prefixes[0 if is_query else 1]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        computed = await self._compute(
            loaded, [prefix + text for text in places], loaded.tokens.tokenize, None if truncate else _first_positions(texts), lane
        )
        order = [places[text] for text in texts]
        return Embedded(
            vectors=computed.rows[order] if len(order) != len(places) else computed.rows,
            token_counts=[len(computed.tokenized[place].ids) for place in order],
            truncated=[position for position, place in enumerate(order) if computed.tokenized[place].excess],
        )

    async def rerank(self, files: ModelFiles, precision: str, query: str, texts: Sequence[str], *, lane: Lane, truncate: bool) -> Scored:
        """Score each text against the query; raises as ``embed`` does."""
        loaded = await self.load(files, precision)
        whole = None if truncate else range(len(texts))
        computed = await self._compute(loaded, texts, partial(loaded.tokens.pairs, query), whole, lane)
        scores = 1 / (1 + np.exp(-computed.rows[:, 0].astype(np.float64)))
        truncated = [position for position, text in enumerate(computed.tokenized) if text.excess]
        return Scored([float(score) for score in scores], truncated)

    async def _compute(
        self,
        loaded: Loaded,
        texts: Sequence[str],
        tokenize: Callable[[Sequence[str]], list[Tokenized]],
        whole: Sequence[int] | None,
        lane: Lane,
    ) -> Computed:
        """Compute ``texts`` in a lane; ``whole`` holds their positions in the request where none may be cut."""

        def read(some: Sequence[str], first: int) -> list[Tokenized]:
            tokenized = tokenize(some)
            if whole is not None:
                require_whole(tokenized, whole[first : first + len(some)], loaded.files.max_length)
            return tokenized

        batch_tokens = self._settings.gpu_batch_tokens if loaded.session.pads else self._settings.batch_tokens
        return await self._lanes[lane].compute(Work(loaded, texts, read, batch_tokens))

    def _keeps(self, files: ModelFiles, precision: str) -> bool:
        return files.id == self._settings.default_model and precision == self.default_precision

    def close(self) -> None:
        """Stop the threads: what waits is dropped, what runs is a batch and ends by itself."""
        for lane in self._lanes.values():
            lane.close()


def _first_positions(texts: Sequence[str]) -> list[int]:
    """Return where each text that differs from those before it stands."""
    positions: dict[str, int] = {}
    for position, text in enumerate(texts):
        positions.setdefault(text, position)
    return list(positions.values())
