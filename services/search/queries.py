"""Turns a search into Qdrant's queries: dense, BM25, or both fused."""

from dataclasses import dataclass

from qdrant_client import models as q

from semantik.search.v1 import search_service_pb2 as messages
from services.search.index import DENSE, HIDDEN, TEXT

# What each side brings to the fusion; more changes little, less loses hits (see DECISIONS.md).
PREFETCH = 100
_PAYLOAD = [
    "document_id", "source_id", "path", "name", "mime_type", "ordinal", "text", "start_offset", "end_offset", "page", "section",
]  # fmt: skip


@dataclass(frozen=True)
class IndexQuery:
    """What ``AsyncQdrantClient.query_points`` takes."""

    query: q.Query | list[float]
    using: str | None
    prefetch: list[q.Prefetch] | None
    query_filter: q.Filter
    limit: int

    @property
    def with_payload(self) -> list[str]:
        return _PAYLOAD


def index_query(mode: "messages.SearchMode.ValueType", text: str, vector: list[float] | None, chosen: q.Filter, limit: int) -> IndexQuery:
    """Return the query for one index; ``vector`` is the embedded text, None for a keyword search."""
    words = q.TextQuery(text=text)
    if mode == messages.SEARCH_MODE_KEYWORD or vector is None:
        return IndexQuery(words, TEXT, None, chosen, limit)
    if mode == messages.SEARCH_MODE_SEMANTIC:
        return IndexQuery(vector, DENSE, None, chosen, limit)
    depth = max(PREFETCH, limit)
    prefetch = [
        q.Prefetch(query=vector, using=DENSE, filter=chosen, limit=depth),
        q.Prefetch(query=words, using=TEXT, filter=chosen, limit=depth),
    ]
    return IndexQuery(q.FusionQuery(fusion=q.Fusion.DBSF), None, prefetch, chosen, limit)


def index_filter(message: messages.SearchFilter) -> q.Filter:
    """Return the filter of a search; what is hidden never passes."""
    must: list[q.Condition] = []
    for key, values in (("document_id", message.document_ids), ("source_id", message.source_ids), ("mime_type", message.mime_types)):
        if values:
            must.append(q.FieldCondition(key=key, match=q.MatchAny(any=list(values))))
    return q.Filter(must=must, must_not=[q.FieldCondition(key="hidden", match=q.MatchValue(value=HIDDEN))])
