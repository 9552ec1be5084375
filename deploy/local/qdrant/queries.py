"""Qdrant's query messages as the engine's queries."""

from typing import Any

import qdrant_edge as edge

from deploy.local.qdrant.filters import engine_condition, optional_filter
from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.values import floats, only, unsupported

_DEFAULT_LIMIT = 10
_DEFAULT_RRF_K = 2
# Points that the compressed vectors find, for each one wanted, are compared again by their vectors as they were written.
_OVERSAMPLING = 4.0


def engine_query(message: Any) -> Any:
    """Return the engine's request for a ``QueryPoints``."""
    only(
        message,
        "collection_name", "prefetch", "query", "using", "filter", "params", "score_threshold", "limit", "offset",
        "with_payload", "with_vectors", "timeout", "read_consistency",
    )  # fmt: skip
    return edge.QueryRequest(
        limit=message.limit if message.HasField("limit") else _DEFAULT_LIMIT,
        offset=message.offset if message.HasField("offset") else None,
        query=_scoring(message),
        prefetches=[_prefetch(each) for each in message.prefetch] or None,
        with_payload=with_payload(message),
        with_vector=with_vectors(message),
        filter=optional_filter(message),
        score_threshold=_threshold(message),
        params=_params(message),
    )


def _prefetch(message: Any) -> Any:
    only(message, "prefetch", "query", "using", "filter", "params", "score_threshold", "limit")
    return edge.Prefetch(
        limit=message.limit if message.HasField("limit") else _DEFAULT_LIMIT,
        query=_scoring(message),
        prefetches=[_prefetch(each) for each in message.prefetch] or None,
        filter=optional_filter(message),
        score_threshold=_threshold(message),
        params=_params(message),
    )


def _scoring(message: Any) -> Any:
    if not message.HasField("query"):
        return None
    query, kind = message.query, message.query.WhichOneof("variant")
    if kind == "nearest":
        if query.nearest.WhichOneof("variant") != "dense":
            raise unsupported("queries by anything but a dense vector")
        return edge.Query.Nearest(floats(query.nearest.dense), using=message.using or None)
    if kind == "text":
        scoring = (
            edge.Bm25Params(**{field.name: value for field, value in query.text.bm25.ListFields()}) if query.text.HasField("bm25") else None
        )
        return edge.TextQuery(message.using, query.text.query, scoring)
    if kind == "fusion":
        return edge.Fusion.Rrf(_DEFAULT_RRF_K) if query.fusion == q.Fusion.RRF else edge.Fusion.Dbsf()
    if kind == "formula":
        only(query.formula, "expression")
        return edge.Formula(_expression(query.formula.expression))
    if kind == "rrf":
        return edge.Fusion.Rrf(query.rrf.k if query.rrf.HasField("k") else _DEFAULT_RRF_K, list(query.rrf.weights) or None)
    raise unsupported(f"the query {kind}")


def _expression(message: Any) -> Any:
    kind = message.WhichOneof("variant")
    if kind == "constant":
        return edge.Expression.Constant(message.constant)
    if kind == "variable":
        return edge.Expression.Variable(message.variable)
    if kind == "condition":
        return edge.Expression.Condition(engine_condition(message.condition))
    if kind == "sum":
        return edge.Expression.Sum([_expression(each) for each in message.sum.sum])
    if kind == "mult":
        return edge.Expression.Mult([_expression(each) for each in message.mult.mult])
    raise unsupported(f"the expression {kind}")


def _threshold(message: Any) -> float | None:
    return float(message.score_threshold) if message.HasField("score_threshold") else None


def _params(message: Any) -> Any:
    only(message.params, "hnsw_ef", "exact", "indexed_only")
    again = edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
    return edge.SearchParams(**{field.name: value for field, value in message.params.ListFields()}, quantization=again)


def with_payload(message: Any) -> Any:
    """Return which payload is asked for; none unless it is."""
    selector = message.with_payload
    kind = selector.WhichOneof("selector_options") if message.HasField("with_payload") else None
    if kind == "include":
        return list(selector.include.fields)
    if kind == "exclude":
        return edge.PayloadSelector.Exclude(list(selector.exclude.fields))
    return bool(selector.enable) if kind == "enable" else False


def with_vectors(message: Any) -> Any:
    selector = message.with_vectors
    kind = selector.WhichOneof("selector_options") if message.HasField("with_vectors") else None
    if kind == "include":
        return list(selector.include.names)
    return bool(selector.enable) if kind == "enable" else False
