"""Asks each index for its lists: the points nearest by meaning, and those with the words."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search.filters.indexed import without
from services.search.passage import DENSE, TEXT, dense_vector
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.availability import attempted
from services.search.stages.by_words import by_words
from services.search.stages.candidate import Key, Ranking
from services.search.stages.request import IndexQuery, Model, Plan
from services.search.stages.trace import Trace
from services.search.vectors.embeddings import model_mismatch

BM25 = "bm25"
_FLOAT_BYTES = 4
# Indexes that one search asks at a time: those of others have their turn in between.
_AT_A_TIME = 2
# What one of several has until the others are answered without it: an embedded engine opens indexes that nobody used for a while.
_PATIENCE_SECONDS = 5.0
_Lists = dict[str, list[tuple[Key, float]]]
Words = asyncio.Future[Any]


class Retrieved(NamedTuple):
    """The rankings, the collections whose index is missing, and the queries of the plan whose index is not available."""

    rankings: Sequence[Ranking]
    missing: Sequence[str]
    failures: Mapping[int, Failure]


@asynccontextmanager
async def words_ahead(qdrant: Qdrant, plan: Plan) -> AsyncIterator[Words | None]:
    """Ask a single index for its list of words during the block, in which the query is embedded; None where that is no gain."""
    if not (plan.by_meaning and plan.by_words and len(plan.queries) == 1):
        yield None
        return
    [request] = _requests(replace(plan, by_meaning=False), plan.queries[0], {}).values()
    words = asyncio.ensure_future(qdrant.points("Query", request))
    try:
        yield words
    finally:
        words.cancel()
        await asyncio.wait([words])
        if not words.cancelled():
            words.exception()  # seen, also where an earlier failure has left it behind


async def retrieve(qdrant: Qdrant, plan: Plan, vectors: Mapping[Model, bytes], trace: Trace, words: Words | None = None) -> Retrieved:
    """Ask every index; ``words`` is a list that was asked for ahead.

    Scores of one model compare across indexes, and so do those of words: each makes one ranking over all indexes. Fused by
    itself, an index without an answer would be lifted up by its own best. An index that holds vectors of another length than
    the query's fails with MODEL_MISMATCH.
    """
    turns = asyncio.Semaphore(_AT_A_TIME)
    until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS if len(plan.queries) > 1 else None

    async def ask(number: int) -> _Lists | None:
        try:
            async with asyncio.timeout_at(until), turns:
                return await _lists(qdrant, plan, number, vectors, words)
        except TimeoutError:
            raise _late() from None

    attempts = await asyncio.gather(*(attempted(ask(number)) for number in range(len(plan.queries))))
    answers = [{} if isinstance(attempt, Failure) else attempt for attempt in attempts]
    merged: dict[tuple[str, Model | None], list[tuple[Key, float]]] = defaultdict(list)
    for query, lists in zip(plan.queries, answers, strict=True):
        for name, points in (lists or {}).items():
            merged[name, query.model if name == DENSE else None] += points
    rankings = [Ranking(name, sorted(points, key=_order)[: plan.depth], model) for (name, model), points in merged.items()]
    trace.points = {ranking.name: trace.points.get(ranking.name, 0) + len(ranking.points) for ranking in rankings}
    missing = [query.collection_id for query, lists in zip(plan.queries, answers, strict=True) if lists is None]
    failures = {number: attempt for number, attempt in enumerate(attempts) if isinstance(attempt, Failure)}
    return Retrieved(rankings, missing, failures)


def _late() -> Failure:
    message = "its index did not answer in time; search again in a moment, or search it alone"
    return Failure(
        StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE, message, {"dependency": "qdrant"}, retry_after=1.0
    )


def _order(point: tuple[Key, float]) -> tuple[float, Key]:
    """Best first; equal scores by id, whatever order an engine gives them."""
    return -point[1], point[0]


async def _lists(qdrant: Qdrant, plan: Plan, number: int, vectors: Mapping[Model, bytes], words: Words | None) -> _Lists | None:
    """Return the lists of one index by name; None if it is missing."""
    query = plan.queries[number]
    try:
        points = await _points(qdrant, query.index_name, _requests(plan, query, vectors), words)
    except Failure as failure:
        if is_missing(failure):
            return None
        raise
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.INVALID_ARGUMENT and await _is_empty(qdrant, query, vectors):
            return {}
        raise
    return {name: [(Key(number, point.id.uuid), point.score) for point in found] for name, found in points.items()}


async def _points(qdrant: Qdrant, index_name: str, requests: Mapping[str, Any], words: Words | None) -> Mapping[str, Sequence[Any]]:
    if words is not None:
        return {DENSE: (await qdrant.points("Query", requests[DENSE])).result, BM25: (await words).result}
    batch = q.QueryBatchPoints(collection_name=index_name, query_points=requests.values())
    results = (await qdrant.points("QueryBatch", batch)).result
    return {name: each.result for name, each in zip(requests, results, strict=True)}


def _requests(plan: Plan, query: IndexQuery, vectors: Mapping[Model, bytes]) -> Mapping[str, Any]:
    wanted: dict[str, Any] = {}
    common = {"filter": without(plan.filter_, query.unindexed), "limit": plan.depth}
    if plan.by_meaning:
        nearest = q.VectorInput(dense=dense_vector(vectors[query.model]))
        wanted[DENSE] = {"query": q.Query(nearest=nearest), "using": DENSE, **common}
    if plan.by_words:
        wanted[BM25] = by_words(plan.text, common, query.language)
    return {name: q.QueryPoints(collection_name=query.index_name, **each) for name, each in wanted.items()}


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
