"""Search by meaning and by words."""

from collections.abc import Sequence

from semantik.client.session import Session
from semantik.search.v1 import filter_pb2, rerank_pb2, search_service_pb2, search_service_pb2_grpc, suggestion_pb2

# A rerank of 200 passages takes seconds.
_SECONDS = 60.0

MODES = {
    "hybrid": search_service_pb2.SEARCH_MODE_HYBRID,
    "semantic": search_service_pb2.SEARCH_MODE_SEMANTIC,
    "keyword": search_service_pb2.SEARCH_MODE_KEYWORD,
}
FACETS = {
    "mime": filter_pb2.Facet.KIND_MIME_TYPE,
    "ext": filter_pb2.Facet.KIND_EXTENSION,
    "lang": filter_pb2.Facet.KIND_LANGUAGE,
    "source": filter_pb2.Facet.KIND_SOURCE,
    "folder": filter_pb2.Facet.KIND_FOLDER,
}


METADATA = "meta."


class Search:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = search_service_pb2_grpc.SearchServiceStub(session.channel)

    async def __call__(
        self,
        query: str,
        collection_ids: Sequence[str] = (),
        *,
        mode: str = "hybrid",
        limit: int = 10,
        document_ids: Sequence[str] = (),
        source_ids: Sequence[str] = (),
        mime_types: Sequence[str] = (),
        condition: filter_pb2.Condition | None = None,
        filter_text: str = "",
        min_similarity: float | None = None,
        max_hits_per_document: int | None = None,
        facets: Sequence[str] = (),
        page_token: str = "",
        explain: bool = False,
        rerank: rerank_pb2.Rerank | None = None,
        neighbours: int = 0,
        section_neighbours: bool = False,
    ) -> search_service_pb2.SearchResponse:
        """Search up to 10 collections, or all that may be read; ``mode`` is hybrid, semantic or keyword.

        ``filter_text`` is a filter such as ``mime:pdf -draft``, ``condition`` one as messages; ``facets`` are of mime, ext, lang, source,
        folder, and meta.KEY of metadata. ``page_token`` is the ``next_page_token`` of the page before, where all but the limit was the
        same. ``rerank`` names a cross-encoder (``Rerank()`` takes any), ``neighbours`` asks for as many passages before and after each
        hit, ``section_neighbours`` for its whole section, at most 20 passages, instead.
        """
        chosen = filter_pb2.SearchFilter(document_ids=document_ids, source_ids=source_ids, mime_types=mime_types, condition=condition)
        request = search_service_pb2.SearchRequest(
            collection_ids=collection_ids,
            query=query,
            mode=MODES[mode],
            limit=limit,
            filter=chosen,
            page_token=page_token,
            min_similarity=min_similarity,
            max_hits_per_document=max_hits_per_document,
            facets=[FACETS[name] for name in facets if not name.startswith(METADATA)],
            metadata_facets=[name.removeprefix(METADATA) for name in facets if name.startswith(METADATA)],
            filter_text=filter_text,
            explain=explain,
            rerank=rerank,
            neighbours=neighbours,
            section_neighbours=section_neighbours,
        )
        return await self._session.call(self._stub.Search, request, timeout=_SECONDS)

    async def batch(
        self, searches: Sequence[str | search_service_pb2.SearchRequest], collection_ids: Sequence[str] = ()
    ) -> list[search_service_pb2.SearchResponse]:
        """Search 1-50 times, with questions or whole requests; ``collection_ids`` are for those that name none."""
        requests = [search_service_pb2.SearchRequest(query=each) if isinstance(each, str) else each for each in searches]
        request = search_service_pb2.BatchSearchRequest(searches=requests, collection_ids=collection_ids)
        return list((await self._session.call(self._stub.BatchSearch, request, timeout=_SECONDS)).responses)

    async def similar(
        self,
        collection_ids: Sequence[str] = (),
        *,
        document_id: str = "",
        ordinal: int | None = None,
        text: str = "",
        limit: int = 10,
    ) -> search_service_pb2.FindSimilarResponse:
        """Find what is near in meaning to a document, to its passage ``ordinal``, or to a text; other documents only."""
        request = search_service_pb2.FindSimilarRequest(collection_ids=collection_ids, limit=limit)
        if ordinal is not None:
            request.chunk.document_id, request.chunk.ordinal = document_id, ordinal
        elif document_id:
            request.document_id = document_id
        else:
            request.text = text
        return await self._session.call(self._stub.FindSimilar, request, timeout=_SECONDS)

    async def suggest(self, prefix: str, collection_ids: Sequence[str] = (), *, limit: int = 8) -> list[suggestion_pb2.Suggestion]:
        """Complete what is being typed, from your recent queries, titles and headings, in at most ``limit`` (1-20) ways.

        Titles and headings are of up to 10 collections, or of all that may be read. Raises COLLECTION_NOT_FOUND.
        """
        request = suggestion_pb2.SuggestQueriesRequest(prefix=prefix, collection_ids=collection_ids, limit=limit)
        return list((await self._session.call(self._stub.SuggestQueries, request)).suggestions)

    async def forget(self, text: str = "") -> None:
        """Delete one of your recent queries, or all of them."""
        await self._session.call(self._stub.DeleteRecentQueries, suggestion_pb2.DeleteRecentQueriesRequest(text=text))
