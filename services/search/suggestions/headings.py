"""Titles of documents and headings of sections with a word that begins with a prefix, counted by the indexes.

Only the first passage of a document, and of a section, has the words of its title or heading, so that counts are of documents and
sections, and few points are looked at.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from libs.rpc.errors import Failure
from semantik.search.v1.suggestion_pb2 import Suggestion
from services.search import conditions, metrics
from services.search.passage import HIDDEN, NAME, PUBLISHED, SECTION, SECTION_WORDS, TITLE_WORDS, selector
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.availability import attempted
from services.search.stages.request import IndexQuery

# Of each index and kind: five times what is ever shown, so that what several indexes have is added up.
_COUNTED = 100
# To count more points takes longer than people wait; a sample of them has what is common among them.
_MOST_POINTS = 5_000
_KEEP_SECONDS = 30.0
_CAPACITY = 10_000

Counts = Mapping[tuple["Suggestion.Kind.ValueType", str], int]


class _Source(NamedTuple):
    kind: "Suggestion.Kind.ValueType"
    field: str
    words: str


class Headings(NamedTuple):
    """``counts`` are by kind and text, of what has the prefix and little else; ``missing`` are the collections without an index."""

    counts: Counts
    missing: Sequence[str]


_SOURCES = (_Source(Suggestion.KIND_TITLE, NAME, TITLE_WORDS), _Source(Suggestion.KIND_SECTION, SECTION, SECTION_WORDS))
_FIELDS = {field for source in _SOURCES for field in (source.field, source.words)}


class HeadingIndex:
    def __init__(self, qdrant: Qdrant, clock: Callable[[], float] = time.monotonic) -> None:
        self._qdrant = qdrant
        self._clock = clock
        # How many points an index had that can be asked, and until when that is believed.
        self._sizes: dict[str, tuple[float, int]] = {}

    async def find(self, queries: Sequence[IndexQuery], prefix: str) -> Headings:
        """Return how many documents and sections of the indexes have each text, for a folded prefix of at least one character.

        Raises DEPENDENCY_UNAVAILABLE where no index is available.
        """
        answers = await asyncio.gather(*(attempted(self._of_index(query.index_name, prefix)) for query in queries))
        failed = [answer for answer in answers if isinstance(answer, Failure)]
        if failed and len(failed) == len(queries):
            raise failed[0]
        for failure in failed:
            metrics.left_out.labels(failure.reason_name).inc()
        counts: Counter[tuple[Suggestion.Kind.ValueType, str]] = Counter()
        missing = []
        for query, answer in zip(queries, answers, strict=True):
            if answer is None:
                missing.append(query.collection_id)
            elif not isinstance(answer, Failure):
                counts.update(answer)
        return Headings(counts, missing)

    async def _of_index(self, name: str, prefix: str) -> Counts | None:
        """Return the counts of an index, none of one that is older than its fields for this; None where it is missing."""
        try:
            size = await self._size(name)
            if size is None:
                return {}
            parts = await asyncio.gather(*(self._counted(name, source, prefix, size) for source in _SOURCES))
        except Failure as failure:
            if is_missing(failure):
                self._sizes.pop(name, None)
                return None
            raise
        return {(source.kind, text): count for source, part in zip(_SOURCES, parts, strict=True) for text, count in part.items()}

    async def _size(self, name: str) -> int | None:
        """Return how many points an index has, kept for 30 s; None of one that lacks a field: to look into each payload takes seconds."""
        until, size = self._sizes.pop(name, (0.0, 0))
        if self._clock() >= until:
            info = (await self._qdrant.collections("Get", q.GetCollectionInfoRequest(collection_name=name))).result
            if not set(info.payload_schema) >= _FIELDS:
                return None
            until, size = self._clock() + _KEEP_SECONDS, info.points_count
        self._sizes[name] = until, size
        while len(self._sizes) > _CAPACITY:
            del self._sizes[next(iter(self._sizes))]
        return size

    async def _counted(self, name: str, source: _Source, prefix: str, size: int) -> Counter[str]:
        filter_ = conditions.all_of(conditions.has_words(source.words, prefix), conditions.equals(HIDDEN, PUBLISHED))
        if size > _MOST_POINTS:
            about = await self._qdrant.points("Count", q.CountPoints(collection_name=name, filter=filter_, exact=False))
            if about.result.count > _MOST_POINTS:
                return await self._sampled(name, source.field, filter_, about.result.count)
        answer = await self._qdrant.points("Facet", q.FacetCounts(collection_name=name, key=source.field, filter=filter_, limit=_COUNTED))
        return Counter({hit.value.string_value: hit.count for hit in answer.hits})

    async def _sampled(self, name: str, field: str, filter_: Any, total: int) -> Counter[str]:
        """Return counts as of all points, from the first by id: ids are hashes, so that these are drawn evenly."""
        request = q.ScrollPoints(collection_name=name, filter=filter_, limit=_COUNTED, with_payload=selector(field))
        drawn = (await self._qdrant.points("Scroll", request)).result
        counts = Counter(point.payload[field].string_value for point in drawn)
        return Counter({text: count * total // len(drawn) for text, count in counts.items()})
