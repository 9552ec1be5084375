"""Collections: made, described, found missing, dropped, and kept through a restart."""

import asyncio
import sys
from pathlib import Path

import grpc
import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from deploy.local.usage import pss_mib
from tests.service.qdrant.conftest import SIZE, Engine

_VECTORS = {"dense": q.VectorParams(size=SIZE, distance=q.Distance.COSINE)}


async def _refused(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call  # type: ignore[misc]
    return refusal.value.code(), refusal.value.details() or ""


async def test_a_collection_says_how_it_was_made(client: AsyncQdrantClient, name: str) -> None:
    """The client reads back what it asked for."""
    info = await client.get_collection(name)
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict)
    assert (vectors["dense"].size, vectors["dense"].distance) == (SIZE, q.Distance.COSINE)
    assert (info.config.hnsw_config.m, info.config.hnsw_config.ef_construct) == (16, 64)
    assert (info.points_count, info.status) == (0, q.CollectionStatus.GREEN)
    assert info.payload_schema["group"].data_type == q.PayloadSchemaType.KEYWORD
    assert info.payload_schema["text"].data_type == q.PayloadSchemaType.TEXT
    assert name in [each.name for each in (await client.get_collections()).collections]


async def test_a_collection_is_dropped_once(client: AsyncQdrantClient, name: str) -> None:
    """The second time there is nothing to drop, and the name is free again."""
    assert await client.collection_exists(name)
    assert await client.delete_collection(name)
    assert not await client.delete_collection(name)
    assert not await client.collection_exists(name)
    assert await client.create_collection(name, _VECTORS)
    assert (await client.count(name)).count == 0


async def test_a_missing_collection_is_not_found(client: AsyncQdrantClient) -> None:
    """As Qdrant says it, in every call."""
    point = q.PointStruct(id=1, vector={"dense": [1.0] * SIZE})
    calls = [
        client.get_collection("missing"),
        client.count("missing"),
        client.scroll("missing"),
        client.retrieve("missing", [1]),
        client.query_points("missing", query=[1.0] * SIZE, using="dense"),
        client.upsert("missing", [point]),
        client.delete("missing", q.PointIdsList(points=[1])),
        client.set_payload("missing", {"a": 1}, points=[1]),
    ]
    answers = [await _refused(call) for call in calls]
    assert answers == [(grpc.StatusCode.NOT_FOUND, "Not found: Collection `missing` doesn't exist!")] * len(calls)


async def test_a_name_is_taken_once(client: AsyncQdrantClient, name: str) -> None:
    """Also when two ask at the same moment."""
    assert (await _refused(client.create_collection(name, _VECTORS)))[0] is grpc.StatusCode.ALREADY_EXISTS
    twice = await asyncio.gather(*(client.create_collection(f"{name}-twin", _VECTORS) for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in twice) == ["AioRpcError", "bool"]


@pytest.mark.parametrize("bad", ["../out", "a/b", ".hidden", "x" * 201])
async def test_a_name_stays_in_its_directory(client: AsyncQdrantClient, bad: str) -> None:
    """A name is a folder's name and nothing else."""
    assert (await _refused(client.create_collection(bad, _VECTORS)))[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("key", ["", "another key"])
async def test_nobody_enters_without_the_key(engine: Engine, key: str) -> None:
    """Neither without one nor with a wrong one."""
    stranger = engine.client(key)
    assert (await _refused(stranger.get_collections()))[0] is grpc.StatusCode.UNAUTHENTICATED
    await stranger.close()


async def test_what_is_not_offered_is_refused(client: AsyncQdrantClient, name: str) -> None:
    """Nothing that a request asks for is silently left out."""
    sparse = {"words": q.SparseVectorParams()}
    quantized = q.ScalarQuantization(scalar=q.ScalarQuantizationConfig(type=q.ScalarType.INT8))
    calls = [
        client.create_collection("sparse", _VECTORS, sparse_vectors_config=sparse),
        client.create_collection("quantized", _VECTORS, quantization_config=quantized),
        client.create_payload_index(name, "place", q.PayloadSchemaType.GEO),
        client.scroll(name, order_by="number"),
        client.query_points(name, query=q.RecommendQuery(recommend=q.RecommendInput(positive=[1])), using="dense"),
        client.set_payload(name, {"a": 1}, points=[1], key="inner"),
        client.scroll(name, scroll_filter=q.Filter(must=[q.NestedCondition(nested=q.Nested(key="a", filter=q.Filter()))])),
        client.clear_payload(name, points_selector=[1]),
    ]
    assert {(await _refused(call))[0] for call in calls} == {grpc.StatusCode.UNIMPLEMENTED}
    assert not await client.collection_exists("sparse")


@pytest.mark.skipif(sys.platform != "linux", reason="no other system says which pages are whose")
async def test_an_open_collection_takes_the_memory_of_what_is_in_it(tmp_path: Path) -> None:
    """Not that of its files, which are made large at once: with three vectors 32 MiB of them alone."""
    engine = Engine(tmp_path)
    await engine.start()
    client, names = engine.client(), [f"small{number}" for number in range(8)]
    for name in names:
        await client.create_collection(name, _VECTORS)
        points = [q.PointStruct(id=number, vector={"dense": [1.0, number, 0, 0]}, payload={}) for number in range(3)]
        await client.upsert(name, points, wait=True)
    await engine.kill()
    await client.close()
    client = engine.client()
    before = pss_mib([engine.pid])[engine.pid]
    for name in names:
        found = await client.query_points(name, query=[1.0, 2, 0, 0], using="dense", limit=3)
        assert [point.id for point in found.points] == [2, 1, 0]
    assert pss_mib([engine.pid])[engine.pid] - before < 8 * len(names)
    await client.close()
    await engine.stop()
