"""What the worker asks of search: one generation's index, written under one claim's fence."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import grpc

from libs.rpc.errors import reason_of
from libs.work.report import Report
from libs.work.retry import patiently
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.evaluation_internal_service_pb2 import ForgetCollectionRequest
from semantik.search.v1.evaluation_internal_service_pb2_grpc import EvaluationInternalServiceStub
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import Chunk, DocumentMetadata, DocumentVersion
from services.collection.store.indexing.writes import Version

_UPSERT_CHUNKS = 64
_DOCUMENTS = 1000
_PEER = "search"


class Index:
    """Every call waits while search is away; a lower fence than the index has is refused with FENCED."""

    def __init__(self, search: grpc.aio.Channel, name: str, fence: int, report: Report) -> None:
        self._search = IndexInternalServiceStub(search)
        self._name = name
        self._fence = fence
        self._report = report

    async def open(self, dimension: int, language: str) -> None:
        """Create the index where it is missing, its words in ``language``, and raise its fence."""
        create = messages.CreateIndexRequest(index_name=self._name, dimension=dimension, language=language)
        await self._call(lambda: self._search.CreateIndex(create))
        fence = messages.FenceIndexRequest(index_name=self._name, fence=self._fence)
        await self._call(lambda: self._search.FenceIndex(fence))

    async def set_language(self, language: str) -> None:
        """Index the words of all texts anew, in another language."""
        request = messages.SetIndexLanguageRequest(index_name=self._name, fence=self._fence, language=language)
        await self._call(lambda: self._search.SetIndexLanguage(request))

    async def upsert(self, chunks: Iterable[Chunk], written: Callable[[int], None]) -> None:
        """Write chunks that no search finds until their documents are published; ``written`` gets the number of each part."""
        remaining = iter(chunks)
        while part := list(islice(remaining, _UPSERT_CHUNKS)):
            request = messages.UpsertChunksRequest(index_name=self._name, fence=self._fence, chunks=part)
            await self._call(lambda request=request: self._search.UpsertChunks(request))  # type: ignore[misc]
            written(len(part))

    async def set_metadata(self, documents: Sequence[DocumentMetadata]) -> None:
        """Set what is noted on at most 100 documents, in place of what was."""
        request = messages.SetMetadataRequest(index_name=self._name, fence=self._fence, documents=documents)
        await self._call(lambda: self._search.SetMetadata(request))

    async def publish(self, versions: Sequence[Version]) -> None:
        """Show committed documents to searches; their earlier versions go."""
        for start in range(0, len(versions), _DOCUMENTS):
            documents = [
                DocumentVersion(document_id=document_id, content_version=version)
                for document_id, version in versions[start : start + _DOCUMENTS]
            ]
            request = messages.PublishDocumentsRequest(index_name=self._name, fence=self._fence, documents=documents)
            await self._call(lambda request=request: self._search.PublishDocuments(request))  # type: ignore[misc]

    async def delete(self, document_ids: Sequence[str], *, keep_from: int = 0, keep_below: int = 0) -> None:
        """Delete chunks of documents, but for content versions from ``keep_from`` on and below ``keep_below``.

        An index that is missing has nothing to delete.
        """
        for start in range(0, len(document_ids), _DOCUMENTS):
            request = messages.DeleteChunksRequest(
                index_name=self._name,
                fence=self._fence,
                document_ids=document_ids[start : start + _DOCUMENTS],
                keep_from_version=keep_from,
                keep_below_version=keep_below,
            )
            await self._call(lambda request=request: self._search.DeleteChunks(request), may_be_missing=True)  # type: ignore[misc]

    async def delete_versions(self, versions: Iterable[Version]) -> None:
        """Delete the chunks of documents of just the given content version: what was written and not committed."""
        for version, document_ids in _by_version(versions).items():
            await self.delete(document_ids, keep_from=version + 1, keep_below=version)

    async def delete_through(self, versions: Iterable[Version]) -> None:
        """Delete the chunks of documents up to the given content version: what was deleted."""
        for version, document_ids in _by_version(versions).items():
            await self.delete(document_ids, keep_from=version + 1)

    async def drop(self) -> None:
        """Drop the index; one that is missing is dropped already."""
        request = messages.DropIndexRequest(index_name=self._name, fence=self._fence)
        await self._call(lambda: self._search.DropIndex(request))

    async def _call(self, call: Callable[[], Awaitable[Any]], *, may_be_missing: bool = False) -> None:
        try:
            await patiently(call, self._report, _PEER)
        except grpc.aio.AioRpcError as error:
            if not (may_be_missing and reason_of(error) == "INDEX_NOT_FOUND"):
                raise
        self._report.advanced()


async def forget_measurements(search: grpc.aio.Channel, collection_id: str, report: Report) -> None:
    """Delete the judged sets and evaluations of a collection that goes; waits while search is away."""
    evaluations = EvaluationInternalServiceStub(search)
    await patiently(lambda: evaluations.ForgetCollection(ForgetCollectionRequest(collection_id=collection_id)), report, _PEER)


def _by_version(versions: Iterable[Version]) -> dict[int, list[str]]:
    by_version: dict[int, list[str]] = defaultdict(list)
    for document_id, version in versions:
        by_version[version].append(document_id)
    return by_version
