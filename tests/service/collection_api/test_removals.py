"""Deletes: of documents, sources and collections, repeated, and while other services are away."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from semantik.client import SemantikError
from semantik.collection.v1 import collection_internal_service_pb2 as internal
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.collection.v1.document_service_pb2 import DeleteDocumentRequest
from semantik.collection.v1.document_service_pb2_grpc import DocumentServiceStub
from semantik.collection.v1.source_service_pb2 import RemoveSourceRequest
from semantik.collection.v1.source_service_pb2_grpc import SourceServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.collection_api.conftest import Away, Quiet
from tests.service.collection_api.waiting import until_some


async def _upload(person: Person, collection: Collection, tmp_path: Path, name: str, text: str, request_id: str = "") -> Document:
    path = tmp_path / "upload"
    path.write_text(text)
    document, _ = await person.client.documents.upload(collection.id, path, name, request_id=request_id)
    return document


async def _one(rows: psycopg.AsyncConnection, statement: str, *parameters: object) -> tuple[Any, ...]:
    found = await (await rows.execute(statement, parameters)).fetchone()
    assert found is not None
    return found


async def _index(rows: psycopg.AsyncConnection, document: Document, chunks: int, size: int) -> None:
    """Do what a worker's commit does to the counters and the document's row."""
    await rows.execute(
        "UPDATE collection.document_indexes SET state = 'INDEXED', indexed_version = content_version, chunk_count = %s, size_bytes = %s"
        " WHERE document_id = %s",
        (chunks, size, document.id),
    )
    for table, key in (("collections", document.collection_id), ("sources", document.source_id)):
        await rows.execute(
            f"UPDATE collection.{table} SET document_count = document_count + 1, chunk_count = chunk_count + %s,"  # noqa: S608
            " size_bytes = size_bytes + %s WHERE id = %s",
            (chunks, size, key),
        )


async def _counters(rows: psycopg.AsyncConnection, collection: Collection) -> tuple[int, int, int]:
    found = await _one(rows, "SELECT document_count, chunk_count, size_bytes FROM collection.collections WHERE id = %s", collection.id)
    return found[0], found[1], found[2]


async def test_a_deleted_document_leaves_the_counters_once(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """However often it is deleted, and it is counted again when it is back."""
    documents = [await _upload(ada, collection, tmp_path, f"{number}.txt", f"text {number}") for number in range(3)]
    for document in documents:
        await _index(quiet.rows, document, 10, 100)
    assert await _counters(quiet.rows, collection) == (3, 30, 300)
    for _ in range(3):
        purge = await ada.client.documents.delete(documents[0].id)
        assert (purge.kind, purge.state) == (Operation.KIND_PURGE, Operation.STATE_QUEUED)
    assert await _counters(quiet.rows, collection) == (2, 20, 200)
    [source] = [source async for source in ada.client.sources.list(collection.id)]
    assert (source.document_count, source.size_bytes) == (2, 200)
    await _upload(ada, collection, tmp_path, "0.txt", "new text")
    assert await _counters(quiet.rows, collection) == (3, 30, 300)
    await ada.client.documents.delete(documents[0].id)
    assert await _counters(quiet.rows, collection) == (2, 20, 200)


async def test_a_delete_that_cannot_hide_fails_and_a_repeat_finishes_it(
    ada: Person, collection: Collection, tmp_path: Path, away: Away, impatient: grpc.aio.Channel
) -> None:
    """The document is deleted all the same, and stays so."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    request = DeleteDocumentRequest(document_id=document.id)
    async with away("search"):
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await DocumentServiceStub(impatient).DeleteDocument(request, metadata=tuple(ada.headers.items()))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await ada.client.documents.get(document.id)).state == Document.STATE_DELETED
    assert (await ada.client.documents.delete(document.id)).kind == Operation.KIND_PURGE


async def test_a_purged_document_has_nothing_left_to_free(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """A delete that comes late still answers with an operation that can be watched."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await ada.client.documents.delete(document.id)
    await quiet.rows.execute("UPDATE collection.documents SET purge_time = now() WHERE id = %s", (document.id,))
    late = await ada.client.documents.delete(document.id)
    assert (await ada.client.operations.get(late.id)).kind == Operation.KIND_PURGE


async def test_a_removed_source_is_out_of_sight_and_can_be_removed_again(
    quiet: Quiet, ada: Person, stranger: Person, collection: Collection, tmp_path: Path, away: Away, impatient: grpc.aio.Channel
) -> None:
    """Until its last document is gone; its documents' rows are not touched, however many there are."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await _index(quiet.rows, document, 10, 100)
    before = await _one(quiet.rows, "SELECT xmin::text, state FROM collection.documents WHERE id = %s", document.id)
    async with away("search"):
        request = RemoveSourceRequest(source_id=document.source_id)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await SourceServiceStub(impatient).RemoveSource(request, metadata=tuple(ada.headers.items()))
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await _counters(quiet.rows, collection) == (0, 0, 0)
    assert [each async for each in ada.client.sources.list(collection.id)] == []
    assert [each async for each in ada.client.documents.list(collection.id)] == []
    with pytest.raises(SemantikError) as caught:
        await ada.client.documents.get(document.id)
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.sync(document.source_id)
    assert caught.value.reason == "SOURCE_NOT_FOUND"
    for _ in range(2):
        operation = await ada.client.sources.remove(document.source_id)
        assert (operation.kind, operation.source_id) == (Operation.KIND_REMOVE_SOURCE, document.source_id)
        assert (await ada.client.operations.get(operation.id)).state == Operation.STATE_QUEUED
    assert await _counters(quiet.rows, collection) == (0, 0, 0)
    assert await _one(quiet.rows, "SELECT xmin::text, state FROM collection.documents WHERE id = %s", document.id) == before
    with pytest.raises(SemantikError) as caught:
        await stranger.client.sources.remove(document.source_id)
    assert caught.value.reason == "SOURCE_NOT_FOUND"
    await quiet.rows.execute("DELETE FROM collection.sources WHERE id = %s", (document.source_id,))
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.remove(document.source_id)
    assert caught.value.reason == "SOURCE_NOT_FOUND"


@pytest.mark.abuse(27)
async def test_no_request_id_of_a_user_stands_in_the_way_of_a_delete(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Neither as it was once written nor as it is written now."""
    for number, request_id in enumerate((f"delete:{collection.id}", f"own:delete:{collection.id}", "once:1")):
        await _upload(ada, collection, tmp_path, f"{number}.txt", f"text {number}", request_id)
    operation = await ada.client.collections.delete(collection.id)
    assert (operation.kind, operation.collection_id) == (Operation.KIND_DELETE, collection.id)
    with pytest.raises(SemantikError) as caught:
        await ada.client.collections.get(collection.id)
    assert caught.value.reason == "COLLECTION_NOT_FOUND"
    assert (await ada.client.collections.create(collection.name)).id != collection.id


async def test_a_delete_waits_for_a_worker_and_never_crosses_it(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Both lock the collection before its documents: the one that comes second waits, and there is no deadlock."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    async with await quiet.connect() as worker:
        await worker.execute("SELECT 1 FROM collection.collections WHERE id = %s FOR NO KEY UPDATE", (collection.id,))
        delete = asyncio.create_task(ada.client.documents.delete(document.id))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'collection'"
        await until_some(quiet.rows, waiting)
        await worker.execute("UPDATE collection.documents SET update_time = now() WHERE id = %s", (document.id,))
        await worker.execute("UPDATE collection.collections SET chunk_count = chunk_count WHERE id = %s", (collection.id,))
        await worker.commit()
    assert (await delete).kind == Operation.KIND_PURGE
    assert (await ada.client.documents.get(document.id)).state == Document.STATE_DELETED


async def test_a_collection_whose_work_failed_for_good_has_a_way_out(
    quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path
) -> None:
    """Its state says why; a newer claim's state stays; uploads, retries and the delete are accepted."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    stub = CollectionInternalServiceStub(quiet.peer("collection"))
    await quiet.rows.execute("UPDATE collection.collections SET write_fence = 7 WHERE id = %s", (collection.id,))
    for fence, state in ((6, Collection.STATE_PENDING), (7, Collection.STATE_ERROR)):
        request = internal.MarkCollectionFailedRequest(collection_id=collection.id, fence=fence, message="no worker could settle it")
        await stub.MarkCollectionFailed(request)
        assert (await ada.client.collections.get(collection.id)).state == state
    assert (await ada.client.collections.get(collection.id)).state_reason == "no worker could settle it"
    await quiet.rows.execute(
        "UPDATE collection.document_indexes SET state = 'FAILED', is_retryable = true WHERE document_id = %s", (document.id,)
    )
    assert (await ada.client.documents.retry(collection.id))[0] == 1
    assert (await _upload(ada, collection, tmp_path, "b.txt", "more")).state == Document.STATE_PENDING
    assert (await ada.client.sources.sync(document.source_id)).kind == Operation.KIND_SYNC
    await ada.client.collections.delete(collection.id)
    await stub.MarkCollectionFailed(internal.MarkCollectionFailedRequest(collection_id=collection.id, fence=9, message="again"))
    assert await _one(quiet.rows, "SELECT state FROM collection.collections WHERE id = %s", collection.id) == ("DELETING",)
    gone = internal.MarkCollectionFailedRequest(collection_id=str(uuid.uuid4()), fence=9, message="gone")
    assert await stub.MarkCollectionFailed(gone) == internal.MarkCollectionFailedResponse()
