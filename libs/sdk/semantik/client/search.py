"""Search by meaning and by words."""

from collections.abc import Sequence

from semantik.client.session import Session
from semantik.search.v1 import search_service_pb2, search_service_pb2_grpc

MODES = {
    "hybrid": search_service_pb2.SEARCH_MODE_HYBRID,
    "semantic": search_service_pb2.SEARCH_MODE_SEMANTIC,
    "keyword": search_service_pb2.SEARCH_MODE_KEYWORD,
}


class Search:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = search_service_pb2_grpc.SearchServiceStub(session.channel)

    async def __call__(
        self,
        query: str,
        collection_ids: Sequence[str],
        *,
        mode: str = "hybrid",
        limit: int = 10,
        document_ids: Sequence[str] = (),
        source_ids: Sequence[str] = (),
        mime_types: Sequence[str] = (),
    ) -> search_service_pb2.SearchResponse:
        """Search 1-10 collections; ``mode`` is hybrid, semantic or keyword."""
        chosen = search_service_pb2.SearchFilter(document_ids=document_ids, source_ids=source_ids, mime_types=mime_types)
        request = search_service_pb2.SearchRequest(collection_ids=collection_ids, query=query, mode=MODES[mode], limit=limit, filter=chosen)
        return await self._session.call(self._stub.Search, request)
