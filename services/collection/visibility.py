"""Takes documents out of every search at once, ahead of the work that removes them."""

import logging
from typing import TYPE_CHECKING

import grpc

from libs.db.engine import Sessions
from libs.telemetry import failures
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import DocumentVersion
from services.collection import metrics
from services.collection.store import collections

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

log = logging.getLogger(__name__)
_SECONDS = 5.0


class Visibility:
    """Hides in every live generation, for good: what is published later stays hidden.

    Where search is away the error passes to the caller, whose call is then safe to repeat.
    """

    def __init__(self, sessions: Sessions, search: grpc.aio.Channel) -> None:
        self._sessions = sessions
        self._search: IndexInternalServiceAsyncStub = IndexInternalServiceStub(search)

    async def hide_document(self, collection_id: str, document_id: str, content_version: int) -> None:
        """Hide a document, up to and including ``content_version``."""
        version = DocumentVersion(document_id=document_id, content_version=content_version)
        await self._hide(collection_id, f"document {document_id}", messages.HideDocumentsRequest(documents=[version]))

    async def hide_source(self, collection_id: str, source_id: str) -> None:
        """Hide every document of a source."""
        await self._hide(collection_id, f"source {source_id}", messages.HideDocumentsRequest(source_id=source_id))

    async def _hide(self, collection_id: str, what: str, request: messages.HideDocumentsRequest) -> None:
        async with self._sessions() as session:
            names = [generation.qdrant_name for generation in await collections.live_generations(session, collection_id)]
        for name in names:
            request.index_name = name
            try:
                await self._search.HideDocuments(request, timeout=_SECONDS)
            except grpc.aio.AioRpcError as error:
                metrics.hide_failures.inc()
                failures.record(log, "hide", f"cannot hide {what} in the index {name}", error)
                raise
