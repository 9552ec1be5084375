"""Finds the best points of one index, or of several together."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
from grpc import StatusCode
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search.fusion import dbsf
from services.search.points import DENSE
from services.search.queries import PAYLOAD, PREFETCH, apart, fused

_T = TypeVar("_T")
_WORDS = "words"


@dataclass(frozen=True)
class Side:
    """An index to search: by ``text`` unless it is empty, by ``vector`` unless there is none, which ``model`` has made."""

    index_name: str
    model: Hashable
    text: str
    vector: Sequence[float] | None


@dataclass(frozen=True)
class Found:
    """A point of the index with the number ``side``."""

    side: int
    score: float
    payload: q.Payload


class Retrieval:
    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client

    async def best(self, sides: Sequence[Side], chosen: q.Filter, limit: int) -> list[Found]:
        """Return the best points, best first; an index that is missing has none.

        Raises MODEL_MISMATCH where an index holds vectors of another length than the query's.
        """
        if len(sides) == 1:
            return await self._one(sides[0], chosen, limit)
        return await self._several(sides, chosen, limit)

    async def _one(self, side: Side, chosen: q.Filter, limit: int) -> list[Found]:
        [points] = await self._query(side, [fused(side.text, side.vector, chosen, limit)])
        return [Found(0, point.score, point.payload or {}) for point in points]

    async def _several(self, sides: Sequence[Side], chosen: q.Filter, limit: int) -> list[Found]:
        """Rank all indexes together: scores of one model, and of words, compare across indexes; a fusion of each would not."""
        depth = max(PREFETCH, limit)
        answers = await asyncio.gather(*(self._query(each, apart(each.text, each.vector, chosen, depth)) for each in sides))
        rankings: dict[Hashable, list[tuple[tuple[int, q.ExtendedPointId], float]]] = defaultdict(list)
        for number, (side, answer) in enumerate(zip(sides, answers, strict=True)):
            scales = ([side.model] if side.vector is not None else []) + ([_WORDS] if side.text else [])
            for scale, points in zip(scales, answer, strict=True):
                rankings[scale] += [((number, point.id), point.score) for point in points]
        ordered = [sorted(ranking, key=lambda entry: -entry[1])[:depth] for ranking in rankings.values()]
        best = (ordered[0] if len(ordered) == 1 else dbsf(ordered))[:limit]
        payloads = await self._payloads(sides, [key for key, _ in best])
        # One that was deleted since is not found.
        return [Found(number, score, payloads[number, point]) for (number, point), score in best if (number, point) in payloads]

    async def _query(self, side: Side, queries: Sequence[q.QueryRequest]) -> list[list[q.ScoredPoint]]:
        nothing: list[list[q.ScoredPoint]] = [[] for _ in queries]

        async def points() -> list[list[q.ScoredPoint]]:
            try:
                return [answer.points for answer in await self._client.query_batch_points(side.index_name, queries)]
            except grpc.aio.AioRpcError as error:
                if error.code() is StatusCode.INVALID_ARGUMENT and side.vector is not None:
                    await self._same_length(side.index_name, len(side.vector))
                raise

        return await _or_nothing(points(), nothing)

    async def _same_length(self, index_name: str, length: int) -> None:
        """Raise MODEL_MISMATCH if the index holds vectors of another length."""
        vectors = (await self._client.get_collection(index_name)).config.params.vectors
        held = vectors[DENSE].size if isinstance(vectors, dict) and DENSE in vectors else 0
        if held != length:
            raise model_mismatch(f"the index holds vectors of {held} numbers, its model makes {length}; index the collection anew")

    async def _payloads(
        self, sides: Sequence[Side], keys: Sequence[tuple[int, q.ExtendedPointId]]
    ) -> dict[tuple[int, q.ExtendedPointId], q.Payload]:
        ids: dict[int, list[q.ExtendedPointId]] = defaultdict(list)
        for number, point in keys:
            ids[number].append(point)
        found = await asyncio.gather(
            *(
                _or_nothing(self._client.retrieve(sides[number].index_name, chosen, with_payload=PAYLOAD), [])
                for number, chosen in ids.items()
            )
        )
        return {(number, record.id): record.payload or {} for number, records in zip(ids, found, strict=True) for record in records}


def model_mismatch(message: str) -> Failure:
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_MODEL_MISMATCH, message)


async def _or_nothing(call: Awaitable[_T], nothing: _T) -> _T:
    """Return ``nothing`` for an index that is missing: the worker makes it with the first document."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.NOT_FOUND:
            return nothing
        raise
