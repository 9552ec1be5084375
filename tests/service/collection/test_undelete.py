"""Deleted documents come back when they are asked for, under their ids, and never by themselves."""

import asyncio
from pathlib import Path

import pytest

from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person


async def _add(person: Person, collection: Collection, shelf: Path) -> str:
    source, operation = await person.client.sources.add(collection.id, str(shelf))
    await person.client.operations.wait(operation.id)
    return source.id


async def _documents(person: Person, collection: Collection, *states: "Document.State.ValueType") -> dict[str, Document]:
    return {document.path: document async for document in person.client.documents.list(collection.id, states=states)}


async def _delete(person: Person, document: Document) -> None:
    assert (await person.client.operations.wait((await person.client.documents.delete(document.id)).id)).state == Operation.STATE_SUCCEEDED


async def _undelete(person: Person, document: Document) -> Document:
    back, operation = await person.client.documents.undelete(document.id)
    assert (back.id, back.state) == (document.id, Document.STATE_PENDING)
    assert (await person.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return await person.client.documents.get(document.id)


async def test_a_document_of_a_directory_comes_back_as_its_file_is_now(ada: Person, collection: Collection, shelf: Path) -> None:
    """Also after it was purged, with what it says by now; a sync alone does not bring it back, nor does it go again."""
    (shelf / "oak.txt").write_text("The treasure is buried under the old oak.")
    (shelf / "other.txt").write_text("Nothing to see.")
    source_id = await _add(ada, collection, shelf)
    oak = (await _documents(ada, collection))["oak.txt"]
    for round_ in range(2):
        await _delete(ada, oak)
        (shelf / "oak.txt").write_text(f"The treasure was moved to the mill in round {round_}.")
        await ada.client.operations.wait((await ada.client.sources.sync(source_id)).id)
        assert list(await _documents(ada, collection)) == ["other.txt"]
        back = await _undelete(ada, oak)
        assert (back.state, back.path, back.reason) == (Document.STATE_INDEXED, "oak.txt", 0)
        [hit] = (await ada.client.search(f"moved mill {round_}", [collection.id], mode="keyword", limit=1)).hits
        assert hit.document_id == oak.id
        assert (await ada.client.collections.get(collection.id)).document_count == 2
        assert (await ada.client.sources.get(source_id)).document_count == 2
    again = await ada.client.operations.wait((await ada.client.sources.sync(source_id)).id)
    assert (again.progress.documents_unchanged, again.progress.documents_indexed) == (2, 0)
    same, operation = await ada.client.documents.undelete(oak.id)
    assert (same.state, operation.id) == (Document.STATE_INDEXED, "")


async def test_what_its_source_no_longer_has_does_not_come_back(ada: Person, collection: Collection, shelf: Path) -> None:
    """Its file is gone, or left out by now: nobody reads it, and the operation removes the document."""
    for name in ("gone.txt", "left.txt", "stays.txt"):
        (shelf / name).write_text(f"The words of {name}.")
    await _add(ada, collection, shelf)
    documents = await _documents(ada, collection)
    for name in ("gone.txt", "left.txt"):
        await _delete(ada, documents[name])
    (shelf / "gone.txt").unlink()
    (shelf / ".gitignore").write_text("left.txt\n")
    for name in ("gone.txt", "left.txt"):
        _, operation = await ada.client.documents.undelete(documents[name].id)
        ended = await ada.client.operations.wait(operation.id)
        assert (ended.progress.documents_removed, ended.progress.documents_indexed) == (1, 0)
        with pytest.raises(SemantikError) as caught:
            await ada.client.documents.get(documents[name].id)
        assert caught.value.reason == "DOCUMENT_NOT_FOUND"
    assert (await ada.client.collections.get(collection.id)).document_count == 1


async def test_equal_bytes_are_indexed_once_also_when_one_comes_back(ada: Person, collection: Collection, shelf: Path) -> None:
    """The duplicate took the place of what was deleted, and keeps it."""
    for name in ("a.txt", "b.txt"):
        (shelf / name).write_text("The same words twice.")
    await _add(ada, collection, shelf)
    documents = await _documents(ada, collection)
    await _delete(ada, documents["a.txt"])
    assert (await ada.client.documents.get(documents["b.txt"].id)).state == Document.STATE_INDEXED
    back = await _undelete(ada, documents["a.txt"])
    assert (back.state, back.reason, back.duplicate_of) == (Document.STATE_SKIPPED, Document.REASON_DUPLICATE, documents["b.txt"].id)
    assert (await ada.client.collections.get(collection.id)).document_count == 1
    await _delete(ada, documents["b.txt"])
    assert (await ada.client.documents.get(back.id)).state == Document.STATE_INDEXED


async def test_documents_that_come_back_while_they_are_purged_are_never_lost(ada: Person, collection: Collection, shelf: Path) -> None:
    """Wherever the purge is just then, each is indexed once."""
    for number in range(8):
        (shelf / f"{number}.txt").write_text(f"The words of number {number}.")
    await _add(ada, collection, shelf)
    documents = list((await _documents(ada, collection)).values())

    async def go_and_come_back(number: int, document: Document) -> Operation:
        await ada.client.documents.delete(document.id)
        await asyncio.sleep(0.05 * number)  # each meets another moment of the purge
        answers = await asyncio.gather(*(ada.client.documents.undelete(document.id) for _ in range(2)))
        return next(operation for _, operation in answers if operation.id)

    for _ in range(3):
        operations = await asyncio.gather(*(go_and_come_back(*each) for each in enumerate(documents)))
        for operation in operations:
            assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
        assert {document.state for document in (await _documents(ada, collection)).values()} == {Document.STATE_INDEXED}
        counted = await ada.client.collections.get(collection.id)
        assert (counted.document_count, counted.chunk_count) == (8, 8)
        for number, document in enumerate(documents):
            hits = (await ada.client.search(f"words of number {number}", [collection.id], mode="keyword", limit=20)).hits
            assert [hit.document_id for hit in hits].count(document.id) == 1
