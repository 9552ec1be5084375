"""Turns a search into Qdrant's queries: dense, BM25, or both."""

from collections.abc import Sequence

from qdrant_client import models as q

from semantik.search.v1 import search_service_pb2 as messages
from services.search.points import DENSE, HIDDEN, TEXT

# What each side brings to the fusion; more changes little, less loses hits (see DECISIONS.md).
PREFETCH = 100
PAYLOAD = [
    "document_id", "source_id", "path", "name", "mime_type", "ordinal", "text", "start_offset", "end_offset", "page", "section",
]  # fmt: skip


def fused(text: str, vector: Sequence[float] | None, chosen: q.Filter, limit: int) -> q.QueryRequest:
    """Return the one query for one index: both sides fused where there are both, with the payload of a hit."""
    sides = apart(text, vector, chosen, max(PREFETCH, limit))
    if len(sides) == 1:
        return sides[0].model_copy(update={"limit": limit, "with_payload": PAYLOAD})
    prefetch = [q.Prefetch(query=side.query, using=side.using, filter=chosen, limit=side.limit) for side in sides]
    fusion = q.FusionQuery(fusion=q.Fusion.DBSF)
    return q.QueryRequest(prefetch=prefetch, query=fusion, filter=chosen, limit=limit, with_payload=PAYLOAD)


def apart(text: str, vector: Sequence[float] | None, chosen: q.Filter, limit: int) -> list[q.QueryRequest]:
    """Return a query for each side: by meaning if there is a vector, by words if there are words; ids and scores only."""
    sides = []
    if vector is not None:
        sides.append(q.QueryRequest(query=list(vector), using=DENSE, filter=chosen, limit=limit))
    if text:
        sides.append(q.QueryRequest(query=q.TextQuery(text=text), using=TEXT, filter=chosen, limit=limit))
    return sides


def index_filter(message: messages.SearchFilter) -> q.Filter:
    """Return the filter of a search; what is hidden never passes."""
    must: list[q.Condition] = []
    for key, values in (("document_id", message.document_ids), ("source_id", message.source_ids), ("mime_type", message.mime_types)):
        if values:
            must.append(q.FieldCondition(key=key, match=q.MatchAny(any=list(values))))
    return q.Filter(must=must, must_not=[q.FieldCondition(key="hidden", match=q.MatchValue(value=HIDDEN))])
