"""Two lanes to the processor: a query runs at once, bulk work takes what is left."""

import asyncio
import enum
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from services.embedding import metrics
from services.embedding.inference.admission import Admission
from services.embedding.inference.batches import batches, token_count
from services.embedding.inference.loaded import Loaded
from services.embedding.inference.priority import Queries
from services.embedding.inference.tokens import Tokenized
from services.embedding.inference.turns import Turns

_INTERACTIVE_THREADS = 2
# One long text, which cannot be cut, leaves the other.
_TOKENIZING_THREADS = 2
_COMPUTE_RATE = 5000.0  # tokens/s of a thread, until there is a measurement
_READ_RATE = 300_000.0
_CHARACTERS_A_TOKEN = 4  # about, in English
# What is tokenised in one go: some 4,000 tokens, 10 ms.
_SLICE_CHARACTERS = 16_000
# What may wait to be counted: twice the most that one message holds.
_COUNT_TOKENS = 4_200_000
_T = TypeVar("_T")
Rows = npt.NDArray[np.float32]
# Tokenises some texts of a request; ``first`` is the position of the first of them.
Read = Callable[[Sequence[str], int], list[_T]]


class Lane(enum.StrEnum):
    """Who waits for a result: a person, or work in the background."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class Work:
    """Texts for one model. ``batch_tokens`` is what a thread computes before others have their turn."""

    loaded: Loaded
    texts: Sequence[str]
    read: Read[Tokenized]
    batch_tokens: int

    @property
    def estimated_tokens(self) -> int:
        limit = self.loaded.files.max_length
        return sum(min(len(text) // _CHARACTERS_A_TOKEN + 2, limit) for text in self.texts)


@dataclass(frozen=True)
class Computed:
    """What was read of each text, and its row [texts, width]."""

    tokenized: list[Tokenized]
    rows: Rows


class Computing(Protocol):
    """A lane: raises OVERLOADED, and whatever reading and computing raise."""

    async def compute(self, work: Work) -> Computed: ...

    def close(self) -> None: ...


class InteractiveLane:
    """Tokenises and computes a call in one go on one thread: changing threads costs a query more than its tokens do."""

    def __init__(self, queue_tokens: int, queries: Queries) -> None:
        self._queries = queries
        self._threads = ThreadPoolExecutor(_INTERACTIVE_THREADS, thread_name_prefix=Lane.INTERACTIVE)
        self._admission = Admission(Lane.INTERACTIVE, _INTERACTIVE_THREADS, queue_tokens, _COMPUTE_RATE)

    async def compute(self, work: Work) -> Computed:
        create_time = time.perf_counter()
        with self._admission.admitted(work.estimated_tokens), self._queries.answering():
            loop = asyncio.get_running_loop()
            computed, start_time, seconds = await loop.run_in_executor(self._threads, _compute_at_once, work)
        metrics.waited(Lane.INTERACTIVE, start_time - create_time)
        self._admission.computed(token_count(computed.tokenized), seconds)
        return computed

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class BulkLane:
    """Tokenises a call slice by slice and computes it batch by batch, in turn with the other calls."""

    def __init__(self, threads: int, queue_tokens: int, queries: Queries) -> None:
        self._tokenizing = Turns("tokenize", _TOKENIZING_THREADS, queries)
        self._turns = Turns(Lane.BULK, threads, queries)
        self._admission = Admission(Lane.BULK, threads, queue_tokens, _COMPUTE_RATE)
        self._counting = Admission("count", 1, _COUNT_TOKENS, _READ_RATE)

    async def compute(self, work: Work) -> Computed:
        with self._admission.admitted(work.estimated_tokens) as place:
            create_time = time.perf_counter()
            tokenized = await self._read(work.texts, work.read)
            place.recount(token_count(tokenized))
            rows = _empty(work)
            read_seconds = time.perf_counter() - create_time
            parts = [partial(self._fill, work, tokenized, batch, rows) for batch in batches(tokenized, work.batch_tokens)]
            metrics.waited(Lane.BULK, read_seconds + await self._turns.run(parts))
        return Computed(tokenized, rows)

    async def count(self, texts: Sequence[str], read: Read[int]) -> list[int]:
        """Return what ``read`` says of each text; raises OVERLOADED."""
        with self._counting.admitted(sum(map(len, texts)) // _CHARACTERS_A_TOKEN):
            return await self._read(texts, read)

    async def _read(self, texts: Sequence[str], read: Read[_T]) -> list[_T]:
        result = list[_T]()
        for part in _slices(texts):
            answers: list[list[_T]] = []
            await self._tokenizing.run([partial(_append, answers, read, part, len(result))])
            result += answers[0]
        return result

    def _fill(self, work: Work, tokenized: list[Tokenized], batch: list[int], rows: Rows) -> None:
        """Compute one batch; on a thread."""
        started = time.perf_counter()
        texts = [tokenized[position] for position in batch]
        rows[batch] = work.loaded.compute(texts, Lane.BULK)
        self._admission.computed(token_count(texts), time.perf_counter() - started)

    def close(self) -> None:
        self._tokenizing.close()
        self._turns.close()


def _append(answers: list[list[_T]], read: Read[_T], texts: Sequence[str], first: int) -> None:
    answers.append(read(texts, first))


def _compute_at_once(work: Work) -> tuple[Computed, float, float]:
    """Return the result, when the work began and how long it took; on a thread."""
    start_time = time.perf_counter()
    tokenized, rows = work.read(work.texts, 0), _empty(work)
    for batch in batches(tokenized, work.batch_tokens):
        rows[batch] = work.loaded.compute([tokenized[position] for position in batch], Lane.INTERACTIVE)
    return Computed(tokenized, rows), start_time, time.perf_counter() - start_time


def _empty(work: Work) -> Rows:
    return np.empty((len(work.texts), work.loaded.files.dimension), np.float32)


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in their order, cut where some thousand tokens are together; a long text is alone."""
    start, characters = 0, 0
    for position, text in enumerate(texts):
        if characters and characters + len(text) > _SLICE_CHARACTERS:
            yield texts[start:position]
            start, characters = position, 0
        characters += len(text)
    yield texts[start:]
