"""Sources change in every way between two readings, and the index follows."""

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import psycopg
import pytest

from deploy.local.child import Child
from libs.rpc.errors import reason_of
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from tests.conftest import Person
from tests.service.worker.conftest import Doomed, Points

# No RPC makes a generation yet, so that the row is written by hand.
_ANOTHER_GENERATION = (
    "INSERT INTO collection.index_generations"
    " SELECT (jsonb_populate_record(g, jsonb_build_object('generation', %s::int, 'state', %s::text, 'qdrant_name', %s::text))).*"
    " FROM collection.index_generations g WHERE collection_id = %s AND generation = 1"
)


async def _indexed(ada: Person, collection: Collection, shelf: Path) -> str:
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return source.id


async def _synced(ada: Person, source_id: str) -> Operation:
    ended = await ada.client.operations.wait((await ada.client.sources.sync(source_id)).id)
    assert ended.state == Operation.STATE_SUCCEEDED
    return ended


async def _states(ada: Person, collection: Collection) -> dict[str, Document]:
    return {document.path: document async for document in ada.client.documents.list(collection.id)}


async def test_a_moved_document_keeps_its_id(ada: Person, collection: Collection, shelf: Path, points: Points) -> None:
    """It is found under its new path and under no other."""
    (shelf / "old.txt").write_text("The treasure is under the oak.")
    source_id = await _indexed(ada, collection, shelf)
    before = (await _states(ada, collection))["old.txt"]
    (shelf / "old.txt").rename(shelf / "new.txt")
    await _synced(ada, source_id)
    after = await _states(ada, collection)
    assert {path: (each.id, each.state) for path, each in after.items()} == {"new.txt": (before.id, Document.STATE_INDEXED)}
    assert await points(ada, collection.id) == {("new.txt", 2, 0)}
    assert (await ada.client.search("treasure", [collection.id])).hits[0].path == "new.txt"


async def test_contents_that_change_places_are_both_found(ada: Person, collection: Collection, shelf: Path, points: Points) -> None:
    """Neither is taken for a duplicate of what the other used to be."""
    (shelf / "a.txt").write_text("apples grow on trees")
    (shelf / "b.txt").write_text("berries grow on bushes")
    (shelf / "c.txt").write_text("apples grow on trees")
    source_id = await _indexed(ada, collection, shelf)
    assert (await _states(ada, collection))["c.txt"].reason == Document.REASON_DUPLICATE
    (shelf / "a.txt").write_text("berries grow on bushes")
    (shelf / "b.txt").write_text("cherries grow on trees, too")
    await _synced(ada, source_id)
    assert await points(ada, collection.id) == {("a.txt", 2, 0), ("b.txt", 2, 0), ("c.txt", 1, 0)}
    assert (await _synced(ada, source_id)).progress.documents_indexed == 0


async def test_what_becomes_unfit_leaves_the_index(ada: Person, collection: Collection, shelf: Path, points: Points) -> None:
    """An empty file, a duplicate, a link out of the source: none is found by what it used to hold."""
    for name in ("empty", "link", "same", "stays"):
        (shelf / f"{name}.txt").write_text(f"this one is {name}")
    source_id = await _indexed(ada, collection, shelf)
    (shelf / "empty.txt").write_text(" ")
    (shelf / "same.txt").write_text("this one is stays")
    (shelf / "link.txt").unlink()
    (shelf / "link.txt").symlink_to("/etc/hostname")
    await _synced(ada, source_id)
    assert {path: each.reason for path, each in (await _states(ada, collection)).items()} == {
        "empty.txt": Document.REASON_EMPTY,
        "link.txt": Document.REASON_UNSAFE_PATH,
        "same.txt": Document.REASON_DUPLICATE,
        "stays.txt": 0,
    }
    assert await points(ada, collection.id) == {("stays.txt", 1, 0)}
    (shelf / "stays.txt").unlink()
    await _synced(ada, source_id)
    assert await points(ada, collection.id) == {("same.txt", 2, 0)}


async def test_duplicates_of_what_cannot_be_indexed_are_counted_once(ada: Person, collection: Collection, shelf: Path) -> None:
    """Each takes the place of the one before, which yields nothing, and is skipped for itself then."""
    for number in range(4):
        (shelf / f"{number}.txt").write_text("\n")
    (shelf / "words.txt").write_text("The treasure is under the oak.")
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    ended = (await ada.client.operations.wait(operation.id)).progress
    assert (ended.documents_skipped, ended.documents_indexed, ended.documents_done, ended.documents_total) == (4, 1, 5, 5)
    assert ended.bytes_done == ended.bytes_total == sum(file.stat().st_size for file in shelf.iterdir())
    assert {each.reason for each in (await _states(ada, collection)).values()} == {Document.REASON_EMPTY, Document.REASON_UNSPECIFIED}


async def test_a_source_that_is_away_loses_nothing(ada: Person, collection: Collection, shelf: Path, points: Points) -> None:
    """A disk that is not mounted is no empty disk."""
    (shelf / "a.txt").write_text("still there")
    source_id = await _indexed(ada, collection, shelf)
    shelf.rename(shelf.with_name("away"))
    ended = await ada.client.operations.wait((await ada.client.sources.sync(source_id)).id)
    shelf.with_name("away").rename(shelf)
    assert (ended.state, ended.error.message) == (Operation.STATE_FAILED, "the source cannot be read: No such file or directory")
    assert await points(ada, collection.id) == {("a.txt", 1, 0)}
    await _synced(ada, source_id)


async def test_a_deleted_collection_leaves_no_index_of_any_generation(
    ada: Person, collection: Collection, shelf: Path, rows: psycopg.AsyncConnection, peer: Callable[[str], grpc.aio.Channel]
) -> None:
    """Nor a row: of the active generation, of the one before it, and of one that is being dropped already."""
    (shelf / "a.txt").write_text("apples grow on trees")
    await _indexed(ada, collection, shelf)
    stub = IndexInternalServiceStub(peer("search"))
    names = [f"{collection.id}_all-minilm-l6-v2_int8_g{number}" for number in (1, 2, 3)]
    for number, state in ((2, "PREVIOUS"), (3, "DROPPING")):
        await stub.CreateIndex(messages.CreateIndexRequest(index_name=names[number - 1], dimension=384))
        await rows.execute(_ANOTHER_GENERATION, (number, state, names[number - 1], collection.id))
    assert [(await stub.GetIndexStats(messages.GetIndexStatsRequest(index_name=name))).point_count for name in names] == [1, 0, 0]
    removal = await ada.client.collections.delete(collection.id)
    assert (await ada.client.operations.wait(removal.id)).state == Operation.STATE_SUCCEEDED
    for name in names:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetIndexStats(messages.GetIndexStatsRequest(index_name=name))
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "INDEX_NOT_FOUND")
    left = await rows.execute("SELECT count(*) FROM collection.index_generations WHERE collection_id = %s", (collection.id,))
    assert await left.fetchone() == (0,)


@pytest.mark.abuse(26)
async def test_a_bad_file_costs_only_itself(ada: Person, collection: Collection, shelf: Path) -> None:
    """One document of no words, one of a single endless word, one broken, and one that is fine."""
    (shelf / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (shelf / "endless.txt").write_text("x" * 300_000)
    (shelf / "blanks.txt").write_text("one" + " " * 300_000 + "two")
    (shelf / "nothing.txt").write_text("\ufffd" * 50)
    (shelf / "fine.txt").write_text("fine words")
    await _indexed(ada, collection, shelf)
    assert {path: (each.state, each.reason) for path, each in (await _states(ada, collection)).items()} == {
        "blanks.txt": (Document.STATE_INDEXED, 0),
        "broken.pdf": (Document.STATE_FAILED, Document.REASON_CORRUPT),
        "endless.txt": (Document.STATE_INDEXED, 0),
        "fine.txt": (Document.STATE_INDEXED, 0),
        "nothing.txt": (Document.STATE_SKIPPED, Document.REASON_EMPTY),
    }
    assert (await ada.client.collections.get(collection.id)).state == Collection.STATE_DEGRADED


async def test_a_document_that_kills_its_worker_is_poison(
    ada: Person,
    collection: Collection,
    shelf: Path,
    mesh_worker: Child,
    doomed: Callable[..., Awaitable[Doomed]],
    rows: psycopg.AsyncConnection,
    expire_leases: Callable[[], Awaitable[None]],
) -> None:
    """In hand at three deaths, it is given up; the rest is indexed, and the next sync tries it again."""
    for name in ("a", "b"):
        (shelf / f"{name}.txt").write_text(f"words of {name}")
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    first = await doomed("after_extract:kill")
    assert await first.ends() == -signal.SIGKILL
    # As after the third death, of a worker that had nothing else in hand.
    query = (
        "UPDATE collection.document_indexes SET state = 'PROCESSING', deaths = 2 WHERE document_id ="
        " (SELECT id FROM collection.documents WHERE collection_id = %s AND path = 'a.txt')"
    )
    await rows.execute(query, (collection.id,))
    await expire_leases()
    mesh_worker.start()
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    found = await _states(ada, collection)
    assert (found["a.txt"].state, found["a.txt"].reason) == (Document.STATE_FAILED, Document.REASON_POISON)
    assert found["b.txt"].state == Document.STATE_INDEXED
    await _synced(ada, source.id)
    assert (await _states(ada, collection))["a.txt"].state == Document.STATE_INDEXED
