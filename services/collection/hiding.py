"""Takes documents out of every search at once, ahead of the work that removes them."""

import grpc

from libs.db.engine import Sessions
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from services.collection.store import collections

_SECONDS = 5.0


class Hiding:
    """Hides in every live generation; when it cannot, the caller's RPC fails and is safe to repeat."""

    def __init__(self, sessions: Sessions, search: grpc.aio.Channel) -> None:
        self._sessions = sessions
        self._search = IndexInternalServiceStub(search)

    async def hide_documents(self, collection_id: str, documents: list[messages.DocumentVersion]) -> None:
        for name in await self._indexes(collection_id):
            await self._search.HideDocuments(messages.HideDocumentsRequest(index_name=name, documents=documents), timeout=_SECONDS)

    async def hide_source(self, collection_id: str, source_id: str) -> None:
        for name in await self._indexes(collection_id):
            await self._search.HideDocuments(messages.HideDocumentsRequest(index_name=name, source_id=source_id), timeout=_SECONDS)

    async def _indexes(self, collection_id: str) -> list[str]:
        async with self._sessions() as session:
            return [generation.qdrant_name for generation in await collections.live_generations(session, collection_id)]
