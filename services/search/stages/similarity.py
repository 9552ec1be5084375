"""Compares candidates with the query by meaning: those that were found by their words alone, too."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from libs.rpc.errors import Failure
from services.search import conditions
from services.search.passage import DENSE, dense_vector
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.candidate import Candidate, Key, by_query
from services.search.stages.request import IndexQuery, Model, Plan


async def with_similarity(qdrant: Qdrant, plan: Plan, vectors: Mapping[Model, bytes], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, each with its similarity among its scores; one that was deleted meanwhile is left out."""
    ids = by_query(candidate for candidate in candidates if DENSE not in candidate.scores)
    answers = await asyncio.gather(*(_scored(qdrant, plan.queries[number], vectors, wanted) for number, wanted in ids.items()))
    known = {Key(number, point.id.uuid): point.score for number, points in zip(ids, answers, strict=True) for point in points}
    return [
        replace(each, scores={**each.scores, DENSE: known[each.key]}) if each.key in known else each
        for each in candidates
        if DENSE in each.scores or each.key in known
    ]


async def _scored(qdrant: Qdrant, query: IndexQuery, vectors: Mapping[Model, bytes], ids: Sequence[str]) -> Sequence[Any]:
    nearest = q.Query(nearest=q.VectorInput(dense=dense_vector(vectors[query.model])))
    among = conditions.all_of(conditions.has_id(ids))
    request = q.QueryPoints(collection_name=query.index_name, query=nearest, using=DENSE, filter=among, limit=len(ids))
    try:
        points: Sequence[Any] = (await qdrant.points("Query", request)).result
    except Failure as failure:
        if is_missing(failure):
            return []
        raise
    return points
