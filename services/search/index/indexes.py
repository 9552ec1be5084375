"""The indexes of generations, as the workers write them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1.index_pb2 import Chunk, DocumentMetadata, DocumentVersion, Point
from services.search import conditions, metadata, metrics
from services.search.index import creation, fence
from services.search.index.turns import Turns
from services.search.languages.language import ENGLISH, Language
from services.search.passage import (
    DOCUMENT,
    HIDDEN,
    HIDDEN_FOR_GOOD,
    LISTED,
    PUBLISHED,
    SOURCE,
    UNPUBLISHED,
    VERSION,
    listed,
    points,
    set_metadata,
    vector_invalid,
)
from services.search.qdrant import Qdrant, is_missing, q
from services.search.replication import Placement

_PAGE = 1000
_FINISH_SECONDS = 5.0
# Everything but the fence belongs to a document.
_CHUNKS = conditions.exists(DOCUMENT)
_NOT_HIDDEN_FOR_GOOD = conditions.none_of(conditions.equals(HIDDEN, HIDDEN_FOR_GOOD))
_UNPLACED = Placement()
_T = TypeVar("_T")


@dataclass(frozen=True)
class Stats:
    point_count: int
    fence: int


class Indexes:
    """Writes carry a fence, and check it and write in one turn.

    So within a replica of this service a late writer never passes. Between replicas a write that began before the fence rose
    may end after it. Its ids and content follow from the document's version: it repeats what is there, or leaves unpublished
    chunks that the next delete or the reconciler removes.

    A point is unpublished, then published, then hidden for good, and never goes back from there: Qdrant compares as it writes,
    so no order of upserts, publications and hides shows a document whose hide has returned.
    """

    def __init__(self, qdrant: Qdrant, placement: Placement = _UNPLACED) -> None:
        self._qdrant = qdrant
        self._placement = placement
        self._turns = Turns()
        # Fields of metadata that are known to be indexed.
        self._indexed: dict[str, set[str]] = defaultdict(set)

    async def create(self, name: str, dimension: int, language: Language = ENGLISH) -> bool:
        """Create the index; return whether it is new. One that was dropped comes back empty and without a fence."""
        return await self._write("create", name, lambda: creation.create(self._qdrant, name, dimension, language, self._placement))

    async def set_language(self, name: str, claim: int, language: Language) -> None:
        """Index the words of all texts anew, in this language."""

        async def write() -> None:
            await fence.check(self._qdrant, name, claim)
            await creation.index_words(self._qdrant, name, language)

        await self._write("set_language", name, write)

    async def raise_fence(self, name: str, to: int) -> None:
        """Refuse writes with a lower fence from now on."""
        await self._write("fence", name, lambda: fence.raise_to(self._qdrant, name, to))

    async def upsert(self, name: str, claim: int, chunks: Sequence[Chunk]) -> None:
        """Write chunks unpublished, but for those hidden for good; the engine has them durably when this returns."""
        written = points(name, chunks)

        async def write() -> None:
            await fence.check(self._qdrant, name, claim)
            await self._index_metadata(name, metadata.fields(chunk.metadata for chunk in chunks))
            request = q.UpsertPoints(collection_name=name, wait=True, points=written, update_filter=_NOT_HIDDEN_FOR_GOOD)
            try:
                await self._qdrant.points("Upsert", request)
            except grpc.aio.AioRpcError as error:
                if error.code() is StatusCode.INVALID_ARGUMENT:
                    raise vector_invalid("a vector does not fit the index") from error
                raise

        await self._write("upsert", name, write)
        metrics.points_written.inc(len(chunks))

    async def set_metadata(self, name: str, claim: int, documents: Sequence[DocumentMetadata]) -> None:
        """Set what is noted on documents, in place of what was."""

        async def write() -> None:
            await fence.check(self._qdrant, name, claim)
            await self._index_metadata(name, metadata.fields(document.metadata for document in documents))
            for document in documents:
                selector = q.PointsSelector(filter=conditions.all_of(conditions.equals(DOCUMENT, document.document_id)))
                request = q.SetPayloadPoints(collection_name=name, wait=True, points_selector=selector)
                set_metadata(request.payload, document.metadata)
                await self._qdrant.points("SetPayload", request)

        await self._write("set_metadata", name, write)

    async def publish(self, name: str, claim: int, documents: Sequence[DocumentVersion]) -> None:
        """Show each document's version, unless it was hidden, and delete the earlier ones."""
        ids = _by_version(documents)
        shown = _of_versions(ids, lambda version: conditions.equals(VERSION, version))
        changed = {version: each for version, each in ids.items() if version > 1}
        earlier = _of_versions(changed, lambda version: conditions.in_range(VERSION, lt=version))

        async def write() -> None:
            await fence.check(self._qdrant, name, claim)
            await self._set_hidden(name, PUBLISHED, conditions.equals(HIDDEN, UNPUBLISHED), shown)
            if changed:
                await self._delete(name, earlier)

        await self._write("publish", name, write)
        metrics.documents_published.inc(len(documents))

    async def hide(self, name: str, documents: Sequence[DocumentVersion], source_id: str) -> None:
        """Hide versions of documents and those before, or all of a source, for good; a missing index has nothing to hide."""
        hidden = conditions.equals(SOURCE, source_id)
        if documents:
            hidden = _of_versions(_by_version(documents), lambda version: conditions.in_range(VERSION, lte=version))

        async def write() -> None:
            try:
                await self._set_hidden(name, HIDDEN_FOR_GOOD, hidden)
            except Failure as failure:
                if not is_missing(failure):
                    raise

        await self._write("hide", name, write)
        metrics.documents_hidden.inc(len(documents))
        metrics.sources_hidden.inc(0 if documents else 1)

    async def delete(self, name: str, claim: int, document_ids: Sequence[str], keep_from: int, keep_below: int) -> None:
        """Delete chunks of documents, but for content versions from ``keep_from`` on and below ``keep_below``; 0 sets no bound."""
        bounds = {**({"lt": keep_from} if keep_from else {}), **({"gte": keep_below} if keep_below else {})}
        deleted = [conditions.is_in(DOCUMENT, document_ids), *([conditions.in_range(VERSION, **bounds)] if bounds else [])]

        async def write() -> None:
            await fence.check(self._qdrant, name, claim)
            await self._delete(name, *deleted)

        await self._write("delete", name, write)

    async def drop(self, name: str, claim: int) -> None:
        """Drop an index; one that is missing is dropped already."""

        async def write() -> None:
            try:
                await fence.check(self._qdrant, name, claim)
            except Failure as failure:
                if not is_missing(failure):
                    raise
            else:
                self._indexed.pop(name, None)
                await creation.drop(self._qdrant, name)

        await self._write("drop", name, write)

    async def stats(self, name: str) -> Stats:
        highest = await fence.current(self._qdrant, name)
        count = await self._qdrant.points("Count", q.CountPoints(collection_name=name, filter=_CHUNKS, exact=True))
        return Stats(count.result.count, highest)

    async def names(self) -> list[str]:
        """Return the names of all indexes, in order."""
        return await creation.names(self._qdrant)

    async def points(self, name: str) -> AsyncIterator[list[Point]]:
        """Yield every chunk's point, in pages."""
        request = q.ScrollPoints(collection_name=name, filter=_CHUNKS, limit=_PAGE, with_payload=LISTED)
        while True:
            page = await self._qdrant.points("Scroll", request)
            yield [listed(point) for point in page.result]
            if not page.HasField("next_page_offset"):
                return
            request.offset.CopyFrom(page.next_page_offset)

    async def close(self) -> None:
        """Wait a few seconds for writes under way."""
        await self._turns.finish(_FINISH_SECONDS)

    async def _index_metadata(self, name: str, fields: set[str]) -> None:
        """Index what a write brings before it: HNSW and filters then cover all of it."""
        if new := fields - self._indexed[name]:
            await creation.index_metadata(self._qdrant, name, sorted(new))
            self._indexed[name] |= new

    async def _set_hidden(self, name: str, value: int, *wanted: Any) -> None:
        selector = q.PointsSelector(filter=conditions.all_of(*wanted))
        payload = {HIDDEN: q.Value(integer_value=value)}
        await self._qdrant.points(
            "SetPayload", q.SetPayloadPoints(collection_name=name, wait=True, payload=payload, points_selector=selector)
        )

    async def _delete(self, name: str, *wanted: Any) -> None:
        selector = q.PointsSelector(filter=conditions.all_of(*wanted))
        await self._qdrant.points("Delete", q.DeletePoints(collection_name=name, wait=True, points=selector))

    async def _write(self, kind: str, name: str, write: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        with _counted(kind):
            return await self._turns.take(name, write)


def _by_version(documents: Sequence[DocumentVersion]) -> dict[int, list[str]]:
    """Return the documents' ids by version: most documents of a call have the same, so a filter has few branches."""
    ids: dict[int, list[str]] = defaultdict(list)
    for document in documents:
        ids[document.content_version].append(document.document_id)
    return ids


def _of_versions(ids: Mapping[int, Sequence[str]], versions: Callable[[int], Any]) -> Any:
    """Return a condition: the point is of one of the documents, of a version that ``versions`` makes a condition of."""
    return conditions.any_of(conditions.all_of(conditions.is_in(DOCUMENT, each), versions(version)) for version, each in ids.items())


@contextmanager
def _counted(kind: str) -> Iterator[None]:
    with metrics.write_seconds.labels(kind).time():
        try:
            yield
        except Failure as failure:
            if failure.reason == ErrorReason.ERROR_REASON_FENCED:
                metrics.fences_refused.labels(kind).inc()
            raise
