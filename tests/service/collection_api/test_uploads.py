"""Uploads that meet each other, that come back, that are not kept: every one has an answer, and every object an owner."""

import asyncio
import hashlib
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody

from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.collection.v1.document_service_pb2 import UploadDocumentRequest
from semantik.collection.v1.document_service_pb2_grpc import DocumentServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.faults.disk import Disk
from tests.service.collection_api.conftest import Quiet


async def _upload(person: Person, collection: Collection, tmp_path: Path, name: str, text: str) -> tuple[Document, Operation]:
    path = tmp_path / hashlib.sha256(text.encode()).hexdigest()
    path.write_text(text)
    return await person.client.documents.upload(collection.id, path, name)


async def _fetch(rows: psycopg.AsyncConnection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return await (await rows.execute(statement, parameters)).fetchall()


async def _audit(quiet: Quiet, collection: Collection) -> None:
    """Check that the objects of a collection are those its documents own, and those that are to be deleted."""
    owned = await _fetch(
        quiet.rows,
        "SELECT object_key FROM collection.document_artifacts a JOIN collection.documents d ON d.id = a.document_id"
        " WHERE d.collection_id = %s AND object_key IS NOT NULL",
        collection.id,
    )
    expiring = await _fetch(quiet.rows, "SELECT key FROM collection.object_deletions WHERE key LIKE %s", f"{collection.id}/%")
    stored = {str(path.relative_to(quiet.objects)) for path in (quiet.objects / collection.id).rglob("*") if path.is_file()}
    assert not {key for (key,) in owned} & {key for (key,) in expiring}
    assert {key for (key,) in owned} <= stored <= {key for (key,) in owned + expiring}
    assert len(owned) == len(set(owned))


async def test_the_same_bytes_at_once_are_one_document_and_its_duplicates(
    quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path
) -> None:
    """As when a folder of code with many equal files is uploaded four at a time."""
    uploads = [_upload(ada, collection, tmp_path, f"pkg{number}/__init__.py", "same") for number in range(12)]
    documents = [document for document, _ in await asyncio.gather(*uploads)]
    assert Counter((document.state, document.reason) for document in documents) == {
        (Document.STATE_PENDING, 0): 1,
        (Document.STATE_SKIPPED, Document.REASON_DUPLICATE): 11,
    }
    [original] = [document.id for document in documents if document.state == Document.STATE_PENDING]
    assert {document.duplicate_of for document in documents if document.id != original} == {original}
    await _audit(quiet, collection)


async def test_the_same_new_name_at_once_is_one_document(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Each upload is a content of it, and the last one stays."""
    answers = await asyncio.gather(*(_upload(ada, collection, tmp_path, "note.txt", f"text {number}") for number in range(12)))
    assert len({document.id for document, _ in answers}) == 1
    assert sorted(document.content_version for document, _ in answers) == list(range(1, 13))
    last = max((document for document, _ in answers), key=lambda document: document.content_version)
    kept = await ada.client.documents.get(last.id)
    assert (kept.content_version, kept.content_sha256, kept.state) == (12, last.content_sha256, Document.STATE_PENDING)
    content = b"".join([part async for part in ada.client.documents.content(last.id, original=True)])
    assert hashlib.sha256(content).hexdigest() == last.content_sha256
    await _audit(quiet, collection)


async def test_a_deleted_document_comes_back_by_an_upload(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """With the same bytes or others, over and over: the row is present, waits to be indexed, and owns what was uploaded."""
    for round_ in range(15):
        document, _ = await _upload(ada, collection, tmp_path, "note.txt", f"text {round_ // 2}")
        assert (document.state, document.content_version) == (Document.STATE_PENDING, round_ + 1)
        assert not document.HasField("delete_time")
        content = b"".join([part async for part in ada.client.documents.content(document.id, original=True)])
        assert content.decode() == f"text {round_ // 2}"
        await ada.client.documents.delete(document.id)
        assert (await ada.client.documents.get(document.id)).state == Document.STATE_DELETED
    await _audit(quiet, collection)


async def test_uploads_and_deletes_at_once_end_in_one_or_the_other(
    quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path
) -> None:
    """Nobody gets INTERNAL, and what was accepted last is what is there."""
    document, _ = await _upload(ada, collection, tmp_path, "note.txt", "first")
    for round_ in range(10):
        uploaded = asyncio.create_task(_upload(ada, collection, tmp_path, "note.txt", f"text {round_}"))
        await asyncio.gather(uploaded, ada.client.documents.delete(document.id))
        kept = await ada.client.documents.get(document.id)
        assert kept.state in (Document.STATE_PENDING, Document.STATE_DELETED)
    await _audit(quiet, collection)


async def test_a_replaced_content_gives_its_place_to_a_duplicate(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """When the original gets other bytes, when it is deleted, and when it comes back with its old ones."""
    first, _ = await _upload(ada, collection, tmp_path, "a.txt", "same")
    second, _ = await _upload(ada, collection, tmp_path, "b.txt", "same")
    third, _ = await _upload(ada, collection, tmp_path, "c.txt", "same")
    await _upload(ada, collection, tmp_path, "a.txt", "other")
    assert [(await ada.client.documents.get(each.id)).duplicate_of for each in (first, second, third)] == ["", "", second.id]
    await ada.client.documents.delete(second.id)
    promoted = await ada.client.documents.get(third.id)
    assert (promoted.state, promoted.duplicate_of) == (Document.STATE_PENDING, "")
    again, _ = await _upload(ada, collection, tmp_path, "b.txt", "same")
    assert (again.state, again.duplicate_of) == (Document.STATE_SKIPPED, third.id)
    await _audit(quiet, collection)


async def test_what_is_there_already_is_not_indexed_again(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """The same bytes under the same name change nothing once they are indexed; a failed document is tried again by them.

    Both answer with an operation that can be watched.
    """
    document, operation = await _upload(ada, collection, tmp_path, "a.txt", "text")
    assert operation.id
    await quiet.rows.execute("UPDATE collection.document_indexes SET state = 'INDEXED' WHERE document_id = %s", (document.id,))
    again, operation = await _upload(ada, collection, tmp_path, "a.txt", "text")
    assert (again.content_version, again.state, bool(operation.id)) == (1, Document.STATE_INDEXED, True)
    await quiet.rows.execute(
        "UPDATE collection.document_indexes SET state = 'FAILED', reason = 'POISON' WHERE document_id = %s", (document.id,)
    )
    again, operation = await _upload(ada, collection, tmp_path, "a.txt", "text")
    assert (again.content_version, again.state, again.reason, bool(operation.id)) == (2, Document.STATE_PENDING, 0, True)
    await _audit(quiet, collection)


@pytest.mark.abuse(35)
async def test_a_content_type_that_is_none_is_refused(ada: Person, collection: Collection) -> None:
    """It would come back in a header of the content."""
    stub = DocumentServiceStub(ada.client.session.channel)
    for content_type in ("text/html\r\nset-cookie: a=b", "text", "text/ html", "text/plain, a/b"):
        body = HttpBody(content_type=content_type, data=b"text")
        request = UploadDocumentRequest(collection_id=collection.id, name="a.txt", content=body)

        async def parts(request: UploadDocumentRequest = request) -> Any:
            yield request

        with pytest.raises(SemantikError) as caught:
            await ada.client.session.call(stub.UploadDocument, parts())
        assert caught.value.reason == "UPLOAD_INVALID", content_type


async def test_a_name_of_a_removed_source_is_free(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """A new upload is a new document, which the removal of the old ones does not touch."""
    before, _ = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await ada.client.sources.remove(before.source_id)
    after, operation = await _upload(ada, collection, tmp_path, "a.txt", "text")
    assert after.id != before.id
    assert after.source_id != before.source_id
    assert (after.state, after.duplicate_of, bool(operation.id)) == (Document.STATE_PENDING, "", True)
    assert [document.id async for document in ada.client.documents.list(collection.id)] == [after.id]
    with pytest.raises(SemantikError) as caught:
        await ada.client.documents.get(before.id)
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"


@pytest.fixture
def small_disk(quiet: Quiet) -> Iterator[Callable[[str], Disk]]:
    """Mount a disk of 8 MiB over a directory of the mesh."""
    mounted = []

    def mount(place: str) -> Disk:
        disk = Disk(getattr(quiet.mesh.home, place), 8)
        try:
            disk.mount()
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a disk of limited size is not permitted here")
        if not disk.is_limited:
            pytest.skip("mounting a disk of limited size needs root")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        disk.unmount()


@pytest.mark.parametrize("place", ["temporary", "objects"])
async def test_a_full_disk_keeps_nothing_of_an_upload(
    quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path, small_disk: Callable[[str], Disk], place: str
) -> None:
    """The caller is told so, nothing is half-kept, and the same call succeeds once there is space."""
    text = "text " * 500_000
    disk = small_disk(place)
    disk.fill()
    with pytest.raises(SemantikError) as caught:
        await _upload(ada, collection, tmp_path, "large.txt", text)
    assert (caught.value.code, caught.value.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
    assert [document async for document in ada.client.documents.list(collection.id)] == []
    assert disk.files() == []
    disk.free()
    document, operation = await _upload(ada, collection, tmp_path, "large.txt", text)
    assert (document.state, bool(operation.id)) == (Document.STATE_PENDING, True)
    await _audit(quiet, collection)
