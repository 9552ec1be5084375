"""An index's fence: a point without a vector, which only ever rises.

Qdrant itself compares before it overwrites, so replicas of this service cannot lower it. Where Qdrant is replicated, the fence
is written through the shard's leader and read from a majority, so that a copy that lags does not let a late writer pass.
"""

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search import conditions
from services.search.passage import HIDDEN, HIDDEN_FOR_GOOD, derived_id, selector
from services.search.qdrant import Qdrant, q

_FENCE = "fence"
_PAYLOAD = selector(_FENCE)
_MAJORITY = q.ReadConsistency(type=q.ReadConsistencyType.Majority)
_STRONG = q.WriteOrdering(type=q.WriteOrderingType.Strong)


async def current(qdrant: Qdrant, name: str) -> int:
    """Return the fence, 0 where none was set; raises INDEX_NOT_FOUND."""
    request = q.GetPoints(collection_name=name, ids=[_id(name)], with_payload=_PAYLOAD, read_consistency=_MAJORITY)
    points = (await qdrant.points("Get", request)).result
    return int(points[0].payload[_FENCE].integer_value) if points else 0


async def check(qdrant: Qdrant, name: str, fence: int) -> int:
    """Return the fence; raises FENCED if it is above ``fence``."""
    highest = await current(qdrant, name)
    if fence < highest:
        message = f"a newer claim ({highest}) has taken over from {fence}"
        raise Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_FENCED, message, {"fence": str(highest)})
    return highest


async def raise_to(qdrant: Qdrant, name: str, fence: int) -> None:
    """Raise the fence; raises FENCED if it is above ``fence``, also if it got there meanwhile."""
    if await check(qdrant, name, fence) < fence:
        point = q.PointStruct(id=_id(name), vectors=q.Vectors(vectors=q.NamedVectors()))
        point.payload[_FENCE].integer_value = fence
        point.payload[HIDDEN].integer_value = HIDDEN_FOR_GOOD
        lower = conditions.all_of(conditions.in_range(_FENCE, lt=fence))
        await qdrant.points(
            "Upsert", q.UpsertPoints(collection_name=name, wait=True, points=[point], update_filter=lower, ordering=_STRONG)
        )
        await check(qdrant, name, fence)


def _id(name: str) -> q.PointId:
    return q.PointId(uuid=derived_id(f"{name}/fence"))
