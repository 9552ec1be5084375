"""Undeleting, while no worker has come yet: what is still there comes back, and what is gone is said to be."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person, Publish
from tests.service.collection_api.conftest import Quiet


async def _upload(person: Person, collection: Collection, tmp_path: Path, name: str, text: str) -> Document:
    path = tmp_path / "upload"
    path.write_text(text)
    document, _ = await person.client.documents.upload(collection.id, path, name)
    return document


async def _one(rows: psycopg.AsyncConnection, statement: str, *parameters: object) -> tuple[Any, ...]:
    found = await (await rows.execute(statement, parameters)).fetchone()
    assert found is not None
    return found


async def test_an_upload_comes_back_while_its_bytes_are_kept(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Under a new version, with its counters; the purge that comes late takes nothing of it."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await quiet.rows.execute(
        "UPDATE collection.document_indexes SET state = 'INDEXED', indexed_version = 1, chunk_count = 3, size_bytes = 4"
        " WHERE document_id = %s",
        (document.id,),
    )
    for table, key in (("collections", collection.id), ("sources", document.source_id)):
        await quiet.rows.execute(
            f"UPDATE collection.{table} SET document_count = 1, chunk_count = 3, size_bytes = 4 WHERE id = %s",  # noqa: S608
            (key,),
        )
    await ada.client.documents.delete(document.id)
    counters = "SELECT document_count, chunk_count, size_bytes FROM collection.collections WHERE id = %s"
    assert await _one(quiet.rows, counters, collection.id) == (0, 0, 0)
    for state in (Document.STATE_PENDING, Document.STATE_PENDING):  # a repeat changes nothing
        back, operation = await ada.client.documents.undelete(document.id)
        assert (back.id, back.state, back.content_version, operation.kind) == (document.id, state, 2, Operation.KIND_APPEND)
        assert await _one(quiet.rows, counters, collection.id) == (1, 3, 4)
    original = [part async for part in ada.client.documents.content(document.id, original=True)]
    assert b"".join(original) == b"text"
    rows = "SELECT content_version, is_original, delete_time FROM collection.documents WHERE id = %s"
    assert await _one(quiet.rows, rows, document.id) == (2, True, None)
    assert await _one(quiet.rows, "SELECT content_version FROM collection.document_artifacts WHERE document_id = %s", document.id) == (2,)


async def test_an_upload_whose_bytes_are_gone_does_not_come_back(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """It says so, and stays deleted; uploading it again brings it back."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await ada.client.documents.delete(document.id)
    await quiet.rows.execute("DELETE FROM collection.document_artifacts WHERE document_id = %s", (document.id,))
    with pytest.raises(SemantikError) as caught:
        await ada.client.documents.undelete(document.id)
    assert (caught.value.code, caught.value.reason) == ("FAILED_PRECONDITION", "DOCUMENT_PURGED")
    assert (await ada.client.documents.get(document.id)).state == Document.STATE_DELETED
    assert (await _upload(ada, collection, tmp_path, "a.txt", "text")).id == document.id


async def test_the_original_of_a_duplicate_comes_back_as_its_duplicate(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """The other one is indexed for their bytes by then."""
    first, second = [await _upload(ada, collection, tmp_path, name, "same") for name in ("a.txt", "b.txt")]
    await ada.client.documents.delete(first.id)
    back, _ = await ada.client.documents.undelete(first.id)
    assert (back.state, back.reason, back.duplicate_of) == (Document.STATE_SKIPPED, Document.REASON_DUPLICATE, second.id)
    assert (await ada.client.documents.get(second.id)).state == Document.STATE_PENDING


async def test_only_who_may_write_undeletes(
    ada: Person, stranger: Person, collection: Collection, tmp_path: Path, publish: Publish
) -> None:
    """Others do not learn that it was there; readers are refused; what a removed source had is gone."""
    document = await _upload(ada, collection, tmp_path, "a.txt", "text")
    await ada.client.documents.delete(document.id)
    with pytest.raises(SemantikError) as caught:
        await stranger.client.documents.undelete(document.id)
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"
    await publish(ada, collection.id)
    with pytest.raises(SemantikError) as caught:
        await stranger.client.documents.undelete(document.id)
    assert caught.value.reason == "COLLECTION_ROLE_REQUIRED"
    await ada.client.sources.remove(document.source_id)
    with pytest.raises(SemantikError) as caught:
        await ada.client.documents.undelete(document.id)
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"
