"""The periodic jobs: what is out of date or without an owner goes, nothing else does, and removals that hang go on."""

import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psycopg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.postgres import Postgres
from libs.db import engine as db
from libs.db.engine import Sessions
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1 import index_internal_service_pb2 as index
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from services.collection import garbage, orphans, periodic, removals
from services.collection.objects import Objects, unique_key
from services.collection.starter import Starter
from services.collection.store import objects as store
from tests.conftest import Person
from tests.service.collection_api.conftest import Quiet


@pytest.fixture(scope="module")
async def sessions(quiet: Quiet) -> AsyncIterator[Sessions]:
    engine = create_async_engine(Postgres(quiet.mesh.home.postgres).url("collection"))
    yield db.sessions(engine)
    await engine.dispose()


async def _count(rows: psycopg.AsyncConnection, statement: str, *parameters: object) -> int:
    row = await (await rows.execute(statement.encode(), parameters)).fetchone()
    assert row is not None
    return int(row[0])


async def test_an_object_without_an_owner_is_deleted(quiet: Quiet, sessions: Sessions, tmp_path: Path) -> None:
    """After its time; what is owned or not yet due stays, and what a writer that was killed left beside it goes too."""
    # What other tests have left goes first.
    await garbage.delete_due(sessions, Objects(quiet.mesh.home.objects.as_uri()))
    objects = Objects(tmp_path.as_uri())
    keys = [unique_key("collection", "document", "ORIGINAL", "digest") for _ in range(4)]
    owned, refused, dead, gone = keys
    async with garbage.stored(sessions, objects, owned, io.BytesIO(b"owned")), sessions.begin() as session:
        await store.own(session, owned)
    async with garbage.stored(sessions, objects, refused, io.BytesIO(b"refused")):
        pass
    async with sessions.begin() as session:
        for key in (dead, gone):
            await store.announce(session, key, 3600.0)
    (tmp_path / f"{dead}#1").write_bytes(b"half")
    assert await garbage.delete_due(sessions, objects) == 0
    async with sessions.begin() as session:
        for key in (refused, dead, gone):
            await store.expire(session, key, 0.0)
    with pytest.raises(store.LostError):
        async with sessions.begin() as session:
            await store.own(session, refused)
    assert await garbage.delete_due(sessions, objects, limit=2) == 2
    assert await garbage.delete_due(sessions, objects) == 1
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [owned]
    assert await garbage.delete_due(sessions, objects) == 0


async def test_an_object_whose_block_fails_finds_no_owner(sessions: Sessions, rows: psycopg.AsyncConnection, tmp_path: Path) -> None:
    """Its transaction is rolled back, and it is due a minute later."""
    key = unique_key("collection", "document", "ORIGINAL", "digest")

    async def fail() -> None:
        async with garbage.stored(sessions, Objects(tmp_path.as_uri()), key, io.BytesIO(b"text")), sessions.begin() as session:
            await store.own(session, key)
            raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        await fail()
    soon = "SELECT count(*) FROM collection.object_deletions WHERE key = %s AND delete_time < now() + interval '61 s'"
    assert await _count(rows, soon, key) == 1


async def test_what_is_out_of_date_is_pruned(sessions: Sessions, rows: psycopg.AsyncConnection) -> None:
    """Page by page: 2,500 old requests go, a young one stays."""
    await rows.execute(
        "INSERT INTO collection.start_requests (id, body_hash, resource_id, create_time)"
        " SELECT 'old' || n, '', '', now() - interval '31 days' FROM generate_series(1, 2500) n"
    )
    await rows.execute("INSERT INTO collection.start_requests (id, body_hash, resource_id) VALUES ('young', '', '')")
    await rows.execute(
        "INSERT INTO collection.embedding_cache (digest, precision, text_sha256, vector, last_used_time)"
        " SELECT 'd', 'INT8', n::text, '', now() - n * interval '40 minutes' FROM generate_series(1, 3) n"
    )
    for job in periodic.jobs(sessions, Objects("file:///nowhere/at/all"), grpc.aio.insecure_channel("127.0.0.1:1"), None):  # type: ignore[arg-type]
        if job.name in ("prune", "trim_embedding_cache"):
            await job.function()
    assert await _count(rows, "SELECT count(*) FROM collection.start_requests WHERE id LIKE 'old%%'") == 0
    assert await _count(rows, "SELECT count(*) FROM collection.start_requests WHERE id = 'young'") == 1
    assert await _count(rows, "SELECT count(*) FROM collection.embedding_cache WHERE digest = 'd'") == 1


async def test_a_removal_that_hangs_starts_again(
    quiet: Quiet, sessions: Sessions, ada: Person, collection: Collection, tmp_path: Path
) -> None:
    """A collection, a source, deleted documents: once an hour after their operation has failed, never beside it."""
    other = await ada.client.collections.create("other")
    (tmp_path / "a.txt").write_text("text")
    document, _ = await ada.client.documents.upload(other.id, tmp_path / "a.txt")
    removed, _ = await ada.client.documents.upload(other.id, tmp_path / "a.txt", "b.txt")
    await ada.client.documents.delete(document.id)
    await ada.client.sources.remove(removed.source_id)
    deletion = await ada.client.collections.delete(collection.id)
    for table, column in (("collections", "update_time"), ("sources", "delete_time"), ("documents", "delete_time")):
        await quiet.rows.execute(
            f"UPDATE collection.{table} SET {column} = now() - interval '11 minutes' WHERE {column} IS NOT NULL"  # noqa: S608 - of the test
        )
    starter = Starter(sessions, quiet.peer("operation"))
    kinds = "SELECT count(*) FROM operation.operations WHERE user_id = %s AND kind = %s AND state = 'QUEUED'"

    async def queued(kind: str) -> int:
        return await _count(quiet.rows, kinds, ada.user.id, kind)

    for _ in range(2):
        await removals.restart(sessions, starter)
        assert [await queued(kind) for kind in ("DELETE", "REMOVE_SOURCE", "PURGE")] == [1, 2, 2]
    await quiet.rows.execute("UPDATE operation.operations SET state = 'FAILED' WHERE id = %s", (deletion.id,))
    for _ in range(2):
        await removals.restart(sessions, starter)
        assert await queued("DELETE") == 1
    assert (await ada.client.operations.get(deletion.id)).state == Operation.STATE_FAILED


async def test_an_index_without_an_owner_is_dropped(quiet: Quiet, sessions: Sessions, ada: Person, collection: Collection) -> None:
    """Only where the collection is or was here: the vector store may serve others."""
    deleted = await ada.client.collections.create("deleted")
    await ada.client.collections.delete(deleted.id)
    await quiet.rows.execute("DELETE FROM collection.collections WHERE id = %s", (deleted.id,))
    named = "SELECT qdrant_name FROM collection.index_generations WHERE collection_id = %s"
    [(name,)] = await (await quiet.rows.execute(named, (collection.id,))).fetchall()
    kept = [name, f"{uuid.uuid4()}_model_int8_g1", "something-else"]
    orphaned = [f"{deleted.id}_model_int8_g1", f"{collection.id}_model_int8_g7"]
    stub = IndexInternalServiceStub(quiet.peer("search"))
    for each in (*kept, *orphaned):
        await stub.CreateIndex(index.CreateIndexRequest(index_name=each, dimension=4))
    await stub.FenceIndex(index.FenceIndexRequest(index_name=orphaned[0], fence=9))
    await orphans.drop(sessions, quiet.peer("search"))
    left = set((await stub.ListIndexes(index.ListIndexesRequest())).index_names)
    assert set(kept) <= left
    assert not set(orphaned) & left
