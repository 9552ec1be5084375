"""What was acknowledged survives SIGKILL, and an index is built while everything goes on."""

import asyncio
import random
import shutil
import uuid
from pathlib import Path

import grpc
import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from libs.rpc.errors import Failure
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from services.search.index.indexes import Indexes
from services.search.qdrant import Qdrant
from tests.service.qdrant.conftest import SIZE, Engine


def _points(start: int, count: int) -> list[q.PointStruct]:
    numbers = random.Random(start)  # noqa: S311 - no secret, only spread
    return [
        q.PointStruct(id=identifier, vector={"dense": [numbers.gauss(0, 1) for _ in range(SIZE)]}, payload={"number": identifier})
        for identifier in range(start, start + count)
    ]


async def _ids(client: AsyncQdrantClient, name: str) -> set[int]:
    records, _ = await client.scroll(name, limit=100_000, with_payload=False)
    return {int(record.id) for record in records}


async def _indexed(client: AsyncQdrantClient, name: str) -> int:
    return (await client.get_collection(name)).indexed_vectors_count or 0


async def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    """Three times in mid-write: every acknowledged point is there, the indexes answer, and the next write is taken."""
    engine = Engine(tmp_path)
    await engine.start()
    client = engine.client()
    await client.create_collection("kept", {"dense": q.VectorParams(size=SIZE, distance=q.Distance.COSINE)})
    await client.create_payload_index("kept", "number", q.PayloadSchemaType.INTEGER, wait=True)
    acknowledged: set[int] = set()
    killing = asyncio.Event()

    async def write(start: int) -> None:
        for first in range(start, start + 10_000, 10):
            try:
                await client.upsert("kept", _points(first, 10), wait=True)
            except grpc.aio.AioRpcError:
                return
            acknowledged.update(range(first, first + 10))
            if first - start >= 100:
                killing.set()

    for round_number in range(1, 4):
        killing.clear()
        writing = asyncio.create_task(write(round_number * 100_000))
        await killing.wait()
        await engine.kill()
        await writing
        await client.close()
        client = engine.client()
        assert acknowledged <= await _ids(client, "kept")
        newest = q.FieldCondition(key="number", range=q.Range(gte=round_number * 100_000))
        assert (await client.count("kept", count_filter=q.Filter(must=[newest]))).count >= 100
    await client.close()
    await engine.stop()


async def test_an_index_is_built_beside_reads_and_writes(engine: Engine, client: AsyncQdrantClient, name: str) -> None:
    """No search fails, what is written and deleted meanwhile is kept, and the index survives a restart."""
    await client.upsert(name, _points(0, 1000), wait=True)
    written, searches = 1000, 0
    deleted: set[int] = set()
    async with asyncio.timeout(60):
        while not (engine.data / name / "shard-1").exists():  # the copy, which is made once the upserts pause
            await client.query_points(name, query=[1.0, 0, 0, 0], using="dense", limit=10)
        while await _indexed(client, name) < 1000:
            await client.upsert(name, _points(written, 10), wait=True)
            await client.delete(name, q.PointIdsList(points=[searches]), wait=True)
            deleted.add(searches)
            written += 10
            found = await client.query_points(name, query=[1.0, 0, 0, 0], using="dense", limit=10)
            assert len(found.points) == 10
            searches += 1
    expected = set(range(written)) - deleted
    assert await _ids(client, name) == expected
    exact = await client.query_points(name, query=[1.0, 0, 0, 0], using="dense", limit=10, search_params=q.SearchParams(exact=True))
    quick = await client.query_points(name, query=[1.0, 0, 0, 0], using="dense", limit=10, search_params=q.SearchParams(hnsw_ef=128))
    assert len({point.id for point in exact.points} & {point.id for point in quick.points}) >= 9
    await engine.kill()
    assert await _ids(client, name) == expected
    assert await _indexed(client, name) >= 900
    assert not (engine.data / name / "shard-0").exists()


async def test_a_long_quiet_index_covers_what_is_a_small_part_too(engine: Engine, client: AsyncQdrantClient, name: str) -> None:
    """Less than a quarter is new, which waits for more only while more may come."""
    await client.upsert(name, _points(0, 4000), wait=True)
    async with asyncio.timeout(60):
        while await _indexed(client, name) < 4000:
            await client.count(name)
        await client.upsert(name, _points(4000, 600), wait=True)
        while await _indexed(client, name) < 4600:
            await client.count(name)
    assert (engine.data / name / "shard-2").exists()


async def test_a_collection_dropped_while_its_index_is_built_is_gone(engine: Engine, client: AsyncQdrantClient, name: str) -> None:
    """With all its folders, and the name can be used again."""
    await client.upsert(name, _points(0, 2000), wait=True)
    assert await client.delete_collection(name)
    assert not await client.collection_exists(name)
    assert not (engine.data / name).exists()
    await client.create_collection(name, {"dense": q.VectorParams(size=SIZE, distance=q.Distance.COSINE)})
    await client.upsert(name, _points(0, 5), wait=True)
    assert await _ids(client, name) == set(range(5))


async def test_a_full_disk_refuses_what_grows_and_nothing_else(tmp_path: Path) -> None:
    """Reads, hides and deletes go on; writes do too once there is space, and the service says so in the contract's words.

    Where not even a page of memory would find room nothing is opened: the process lives on and answers.
    """
    engine = Engine(tmp_path)
    await engine.start()
    client = engine.client()
    indexes = Indexes(Qdrant(client, 20))
    document, source = str(uuid.uuid4()), str(uuid.uuid4())
    chunk = Chunk(document_id=document, source_id=source, content_version=1, text="heat", vector=b"\x00\x00\x80\x3f" * SIZE)
    await indexes.create("full", SIZE)
    await indexes.upsert("full", 1, [chunk])
    await engine.stop()
    await engine.start(LEAST_FREE_MIB=str(2 * (shutil.disk_usage(tmp_path).free >> 20)))
    for refused in (indexes.upsert("full", 1, [chunk]), indexes.create("another", SIZE), indexes.raise_fence("full", 2)):
        with pytest.raises(Failure) as refusal:
            await refused
        assert (refusal.value.code, refusal.value.reason_name) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
        assert refusal.value.retry_after is not None
    version = DocumentVersion(document_id=document, content_version=1)
    await indexes.publish("full", 1, [version])
    await indexes.hide("full", [version], "")
    await indexes.delete("full", 1, [document], 0, 0)
    assert (await indexes.stats("full")).point_count == 0
    await engine.stop()
    await engine.start(LEAST_FREE_MIB=str(1 << 40))
    for refused in (indexes.hide("full", [version], ""), indexes.upsert("full", 1, [chunk])):
        with pytest.raises(Failure) as refusal:
            await refused
        assert (refusal.value.code, refusal.value.reason_name) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    await engine.stop()
    await engine.start()
    await indexes.upsert("full", 1, [chunk])
    assert (await indexes.stats("full")).point_count == 1
    await client.close()
    await engine.stop()


async def test_a_build_that_was_given_up_is_tried_again_once_writing_pauses(tmp_path: Path) -> None:
    """However few points were written since: what too many writes have interrupted is due in the next quiet moment."""
    engine = Engine(tmp_path)
    await engine.start(JOURNAL_POINTS="100")
    client = engine.client()
    optimizers = q.OptimizersConfigDiff(indexing_threshold=1)
    await client.create_collection("busy", {"dense": q.VectorParams(size=SIZE, distance=q.Distance.COSINE)}, optimizers_config=optimizers)
    await client.upsert("busy", _points(0, 1000), wait=True)
    async with asyncio.timeout(60):
        while not (engine.data / "busy" / "shard-1").exists():
            await client.count("busy")
        await client.upsert("busy", _points(1000, 200), wait=True)  # before the child that builds has even started
        while await _indexed(client, "busy") < 1200:
            await client.count("busy")
    assert 'semantik_engine_builds_total{outcome="given_up"} 1.0' in await engine.metrics()
    await client.close()
    await engine.stop()
