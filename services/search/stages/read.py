"""Reads the candidates' passages: only of those that won."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from libs.rpc.errors import Failure
from services.search.passage import WHOLE, is_published, passage
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.candidate import Candidate, Key
from services.search.stages.request import Plan


async def read(qdrant: Qdrant, plan: Plan, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with their passages; one that was hidden or deleted meanwhile is left out."""
    ids: dict[int, list[str]] = defaultdict(list)
    for candidate in candidates:
        ids[candidate.key.query].append(candidate.key.point_id)
    answers = await asyncio.gather(*(_points(qdrant, plan.queries[number].index_name, wanted) for number, wanted in ids.items()))
    passages = {
        Key(number, point.id.uuid): passage(point.payload)
        for number, points in zip(ids, answers, strict=True)
        for point in points
        if is_published(point.payload)
    }
    return [replace(candidate, passage=passages[candidate.key]) for candidate in candidates if candidate.key in passages]


async def _points(qdrant: Qdrant, index_name: str, ids: Sequence[str]) -> Sequence[Any]:
    request = q.GetPoints(collection_name=index_name, ids=[q.PointId(uuid=identifier) for identifier in ids], with_payload=WHOLE)
    try:
        points: Sequence[Any] = (await qdrant.points("Get", request)).result
    except Failure as failure:
        if is_missing(failure):
            return []
        raise
    return points
