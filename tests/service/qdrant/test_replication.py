"""What settings say of shards, copies and consistency is in the requests, and the embedded engine takes it."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from semantik.search.v1.filter_pb2 import Facet
from semantik.search.v1.index_pb2 import Chunk, DocumentMetadata, DocumentVersion
from services.search import conditions
from services.search.index.indexes import Indexes
from services.search.passage import LISTED
from services.search.qdrant import Qdrant, connect, q
from services.search.replication import Placement, consistency
from services.search.settings import Settings
from services.search.stages.facets import facets
from services.search.stages.read import points
from services.search.stages.request import IndexQuery, Model, Plan
from services.search.stages.retrieve import retrieve
from services.search.stages.trace import Trace
from tests.service.qdrant.conftest import KEY, SIZE, Engine
from tests.service.qdrant.recorder import Recorder, recording

_READS = {f"Points/{method}" for method in ("Get", "Query", "QueryBatch", "Scroll", "Count", "Facet")}
_WRITES = {f"Points/{method}" for method in ("Upsert", "SetPayload", "Delete", "CreateFieldIndex")}
_VECTOR = np.asarray([1, 0, 0, 0], "<f4").tobytes()
_MODEL = Model("model", "digest", 1)


@pytest.fixture
async def recorder(engine: Engine) -> AsyncIterator[tuple[Recorder, int]]:
    async with recording(engine.port) as recorded:
        yield recorded


async def _use(port: int, name: str, placement: Placement, consistent: Any) -> None:
    """Write an index and read it in each way that the service has."""
    client = connect(f"http://127.0.0.1:{port}", KEY, 20)
    qdrant = Qdrant(client, 20, consistent)
    indexes, document = Indexes(qdrant, placement), str(uuid.uuid4())
    await indexes.create(name, SIZE)
    await indexes.raise_fence(name, 2)
    chunk = Chunk(document_id=document, source_id=document, content_version=2, text="heat", vector=_VECTOR)
    await indexes.upsert(name, 2, [chunk])
    await indexes.set_metadata(name, 2, [DocumentMetadata(document_id=document)])
    await indexes.publish(name, 2, [DocumentVersion(document_id=document, content_version=2)])
    plan = Plan("heat", True, True, [IndexQuery("", name, 1, _MODEL)], conditions.all_of(), 10)
    found = await retrieve(qdrant, plan, {_MODEL: _VECTOR}, Trace())
    [key] = {key for ranking in found.rankings for key, _ in ranking.points}
    await qdrant.points("Query", q.QueryPoints(collection_name=name, limit=1))
    assert [point.id.uuid for point in await points(qdrant, name, [key.point_id], LISTED)] == [key.point_id]
    [counted] = await facets(qdrant, plan, [Facet.KIND_SOURCE], ())
    assert [value.count for value in counted.values] == [1]
    assert [len(page) async for page in indexes.points(name)] == [1]
    assert (await indexes.stats(name)).point_count == 1
    await indexes.drop(name, 2)
    await client.close()


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("majority", q.ReadConsistency(type=q.ReadConsistencyType.Majority)),
        ("quorum", q.ReadConsistency(type=q.ReadConsistencyType.Quorum)),
        ("all", q.ReadConsistency(type=q.ReadConsistencyType.All)),
        ("2", q.ReadConsistency(factor=2)),
    ],
)
async def test_requests_carry_what_is_set(recorder: tuple[Recorder, int], read: str, expected: Any) -> None:
    """Every read and every write of points; the fence keeps its own; the index is made of so many shards and copies."""
    recorded, port = recorder
    await _use(port, f"placed-{read}", Placement(3, 2, 2), consistency(read, "medium"))
    created = [request for method, request in recorded.requests if method == "Collections/Create"]
    assert [(each.shard_number, each.replication_factor, each.write_consistency_factor) for each in created] == [(3, 2, 2)]
    assert {method for method, _ in recorded.requests} >= _READS | _WRITES
    fenced = q.ReadConsistency(type=q.ReadConsistencyType.Majority)
    for method, request in recorded.requests:
        if method in _READS:
            is_fence = method == "Points/Get" and list(request.with_payload.include.fields) == ["fence"]
            assert request.read_consistency == (fenced if is_fence else expected), method
        if method in _WRITES:
            is_fence = method == "Points/Upsert" and "fence" in request.points[0].payload
            expected_ordering = q.WriteOrderingType.Strong if is_fence else q.WriteOrderingType.Medium
            assert request.ordering.type == expected_ordering, method


async def test_nothing_is_asked_for_where_nothing_is_set(recorder: tuple[Recorder, int]) -> None:
    """Qdrant's own settings hold then; but the fence is read and written as it must be."""
    recorded, port = recorder
    await _use(port, "unplaced", Placement(), consistency(None, None))
    carried = {
        (method, field.name)
        for method, request in recorded.requests
        for field, _ in request.ListFields()
        if field.name in {"read_consistency", "ordering", "shard_number", "replication_factor", "write_consistency_factor"}
    }
    assert carried == {("Points/Get", "read_consistency"), ("Points/Upsert", "ordering")}


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"qdrant_read_consistency": "most"}, "should match pattern"),
        ({"qdrant_read_consistency": "0"}, "should match pattern"),
        ({"qdrant_write_ordering": "none"}, "'weak', 'medium' or 'strong'"),
        ({"qdrant_shard_number": "0"}, "greater than or equal to 1"),
        ({"qdrant_replication_factor": "2", "qdrant_write_consistency_factor": "3"}, "asks for more copies than"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(variables: dict[str, Any], fault: str) -> None:
    """In words that say what is wrong with it."""
    given: dict[str, Any] = {
        "mesh_key_file": Path("none.pem"),
        "database_url": "postgresql+psycopg://a:b@localhost/c",
        "qdrant_url": "http://localhost",
    }
    with pytest.raises(ValidationError, match=fault):
        Settings(**given, **variables)
    accepted = Settings(**given, qdrant_read_consistency="all", qdrant_replication_factor=2, qdrant_write_consistency_factor=2)
    assert consistency(accepted.qdrant_read_consistency, accepted.qdrant_write_ordering).keys() == {"read_consistency"}
