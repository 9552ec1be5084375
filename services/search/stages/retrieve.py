"""Asks each index for its lists: the points nearest by meaning, and those with the words."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure
from services.search.passage import DENSE, TEXT, dense_vector
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.candidate import Key, Ranking
from services.search.stages.embed import model_mismatch
from services.search.stages.request import IndexQuery, Model, Plan
from services.search.stages.trace import Trace
from services.search.words import with_parts

BM25 = "bm25"
_FLOAT_BYTES = 4
_Lists = dict[str, list[tuple[Key, float]]]


async def retrieve(qdrant: Qdrant, plan: Plan, vectors: Mapping[Model, bytes], trace: Trace) -> tuple[list[Ranking], list[str]]:
    """Return the rankings and the collections whose index is missing.

    Scores of one model compare across indexes, and so do those of words: each makes one ranking over all indexes. Fused by
    itself, an index without an answer would be lifted up by its own best. Raises MODEL_MISMATCH where an index holds vectors
    of another length than the query's.
    """
    answers = await asyncio.gather(*(_lists(qdrant, plan, number, vectors) for number in range(len(plan.queries))))
    merged: dict[tuple[str, Model | None], list[tuple[Key, float]]] = defaultdict(list)
    for query, lists in zip(plan.queries, answers, strict=True):
        for name, points in (lists or {}).items():
            merged[name, query.model if name == DENSE else None] += points
    rankings = [Ranking(name, sorted(points, key=lambda entry: -entry[1])[: plan.depth]) for (name, _), points in merged.items()]
    trace.points = {ranking.name: trace.points.get(ranking.name, 0) + len(ranking.points) for ranking in rankings}
    missing = [query.collection_id for query, lists in zip(plan.queries, answers, strict=True) if lists is None]
    return rankings, missing


async def _lists(qdrant: Qdrant, plan: Plan, number: int, vectors: Mapping[Model, bytes]) -> _Lists | None:
    """Return the lists of one index by name; None if it is missing."""
    query = plan.queries[number]
    names, requests = _requests(plan, query, vectors)
    try:
        answer = await qdrant.points("QueryBatch", q.QueryBatchPoints(collection_name=query.index_name, query_points=requests))
    except Failure as failure:
        if is_missing(failure):
            return None
        raise
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.INVALID_ARGUMENT and await _is_empty(qdrant, query, vectors):
            return {}
        raise
    return {
        name: [(Key(number, point.id.uuid), point.score) for point in batch.result]
        for name, batch in zip(names, answer.result, strict=True)
    }


def _requests(plan: Plan, query: IndexQuery, vectors: Mapping[Model, bytes]) -> tuple[Sequence[str], Sequence[Any]]:
    wanted: dict[str, Any] = {}
    if plan.by_meaning:
        nearest = q.VectorInput(dense=dense_vector(vectors[query.model]))
        wanted[DENSE] = {"query": q.Query(nearest=nearest), "using": DENSE}
    if plan.by_words:
        wanted[BM25] = {"query": q.Query(text=q.TextQuery(query=with_parts(plan.text))), "using": TEXT}
    common = {"collection_name": query.index_name, "filter": plan.filter_, "limit": plan.depth}
    return list(wanted), [q.QueryPoints(**common, **each) for each in wanted.values()]


async def _is_empty(qdrant: Qdrant, query: IndexQuery, vectors: Mapping[Model, bytes]) -> bool:
    """Return whether an index that refused its queries is still being created, so that nothing can be in it.

    Raises MODEL_MISMATCH if it holds vectors of another length.
    """
    info = (await qdrant.collections("Get", q.GetCollectionInfoRequest(collection_name=query.index_name))).result
    stored = info.config.params.vectors_config.params_map.map[DENSE].size
    length = len(vectors.get(query.model, b"")) // _FLOAT_BYTES
    if length and stored != length:
        raise model_mismatch(f"the index holds vectors of {stored} numbers, its model makes {length}; index the collection again")
    return TEXT not in info.payload_schema
