"""Two vector stores behind one: each request goes to both, and both must give the same answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
from qdrant_client.conversions.conversion import grpc_to_payload

from libs.rpc.errors import Failure
from services.search.passage import DENSE
from services.search.qdrant import Qdrant

# 16-bit floats keep 11 bits of a number.
_TOLERANCE = 1e-3


class Congruent(Qdrant):
    """Answers as ``first`` does once ``second`` has answered the same; ``methods`` are those that both were asked."""

    def __init__(self, first: Qdrant, second: Qdrant) -> None:
        self._stores = first, second
        self.methods: set[str] = set()

    async def points(self, method: str, request: Any) -> Any:
        return await self._both(f"points/{method}", [store.points(method, request) for store in self._stores])

    async def collections(self, method: str, request: Any) -> Any:
        return await self._both(f"collections/{method}", [store.collections(method, request) for store in self._stores])

    async def _both(self, method: str, calls: Sequence[Any]) -> Any:
        self.methods.add(method)
        first, second = [await _attempt(call) for call in calls]
        if isinstance(first, Exception) or isinstance(second, Exception):
            assert _refusal(first) == _refusal(second), (method, first, second)
            raise first
        _COMPARISONS.get(method, _same_outcome)(first, second)
        return first


async def _attempt(call: Any) -> Any:
    try:
        return await call
    except (Failure, grpc.aio.AioRpcError) as error:
        return error


def _refusal(answer: Any) -> Any:
    if isinstance(answer, Failure):
        return answer.code, answer.reason_name
    return answer.code() if isinstance(answer, grpc.aio.AioRpcError) else "an answer"


def _same_outcome(first: Any, second: Any) -> None:
    """Compare everything but the time and the number that each gives an update."""
    for answer in (first, second):
        answer.ClearField("time")
        if "operation_id" in getattr(answer.result, "DESCRIPTOR", answer.DESCRIPTOR).fields_by_name:
            answer.result.ClearField("operation_id")
    assert first == second


def _same_layout(first: Any, second: Any) -> None:
    described = []
    for answer in (first, second):
        [(name, vector)] = answer.result.config.params.vectors_config.params_map.map.items()
        fields = {field: each.data_type for field, each in answer.result.payload_schema.items()}
        described.append((name, vector.size, vector.distance, fields, answer.result.points_count))
    assert described[0] == described[1]


def _same_ranking(first: Any, second: Any) -> None:
    """Compare the scores by rank, and of each point; of equal ones at the end either may be there."""
    scores = [{point.id.uuid: point.score for point in answer.result} for answer in (first, second)]
    assert list(scores[0].values()) == sorted(scores[0].values(), reverse=True)
    np.testing.assert_allclose(list(scores[0].values()), list(scores[1].values()), rtol=_TOLERANCE, atol=_TOLERANCE)
    for ours, theirs in (scores, reversed(scores)):
        for point, score in ours.items():
            if point in theirs:
                np.testing.assert_allclose(score, theirs[point], rtol=_TOLERANCE, atol=_TOLERANCE)
            else:
                np.testing.assert_allclose(score, min(theirs.values()), rtol=2 * _TOLERANCE, atol=2 * _TOLERANCE)


def _same_rankings(first: Any, second: Any) -> None:
    assert len(first.result) == len(second.result)
    for ours, theirs in zip(first.result, second.result, strict=True):
        _same_ranking(ours, theirs)


def _same_points(first: Any, second: Any) -> None:
    """Compare points in the order of their ids, which a scroll has and a look-up by ids need not have."""
    ours, theirs = (sorted(answer.result, key=lambda point: point.id.uuid) for answer in (first, second))
    assert [point.id.uuid for point in ours] == [point.id.uuid for point in theirs]
    assert [grpc_to_payload(point.payload) for point in ours] == [grpc_to_payload(point.payload) for point in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(_vector(one), _vector(other), rtol=_TOLERANCE, atol=_TOLERANCE)


def _vector(point: Any) -> Sequence[float]:
    vectors = point.vectors.vectors.vectors
    return list(vectors[DENSE].dense.data or vectors[DENSE].data) if DENSE in vectors else ()


def _same_page(first: Any, second: Any) -> None:
    assert [point.id.uuid for point in first.result] == [point.id.uuid for point in second.result]
    assert first.next_page_offset == second.next_page_offset
    assert first.HasField("next_page_offset") == second.HasField("next_page_offset")
    _same_points(first, second)


def _same_counts(first: Any, second: Any) -> None:
    assert [(hit.value, hit.count) for hit in first.hits] == [(hit.value, hit.count) for hit in second.hits]


def _same_names(first: Any, second: Any) -> None:
    """Other tests' collections are only in the first."""
    names = [{each.name for each in answer.collections} for answer in (first, second)]
    assert {name for name in names[0] if name.startswith("congruent")} == {name for name in names[1] if name.startswith("congruent")}


_COMPARISONS: Mapping[str, Callable[[Any, Any], None]] = {
    "collections/Get": _same_layout,
    "collections/List": _same_names,
    "points/Query": _same_ranking,
    "points/QueryBatch": _same_rankings,
    "points/Get": _same_points,
    "points/Scroll": _same_page,
    "points/Facet": _same_counts,
}
