"""Reads the candidates' passages: only of those that won."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from libs.rpc.errors import Failure
from services.search.passage import WHOLE, is_published, passage
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.candidate import Candidate, Key, by_query
from services.search.stages.request import Plan


async def read(qdrant: Qdrant, plan: Plan, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with their passages; one that was hidden or deleted meanwhile is left out."""
    found = await stored(qdrant, plan, candidates, WHOLE)
    passages = {key: passage(point.payload) for key, point in found.items() if is_published(point.payload)}
    return [replace(candidate, passage=passages[candidate.key]) for candidate in candidates if candidate.key in passages]


async def stored(qdrant: Qdrant, plan: Plan, candidates: Sequence[Candidate], payload: Any) -> Mapping[Key, Any]:
    """Return the points of candidates with what ``payload`` selects, as far as they are still there."""
    ids = by_query(candidates)
    answers = await asyncio.gather(*(points(qdrant, plan.queries[number].index_name, wanted, payload) for number, wanted in ids.items()))
    return {Key(number, point.id.uuid): point for number, found in zip(ids, answers, strict=True) for point in found}


async def points(qdrant: Qdrant, index_name: str, ids: Sequence[str], payload: Any) -> Sequence[Any]:
    """Return those of the points that exist, with what ``payload`` selects; none where the index is missing."""
    request = q.GetPoints(collection_name=index_name, ids=[q.PointId(uuid=identifier) for identifier in ids], with_payload=payload)
    try:
        found: Sequence[Any] = (await qdrant.points("Get", request)).result
    except Failure as failure:
        if is_missing(failure):
            return []
        raise
    return found
