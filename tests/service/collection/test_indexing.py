"""The main job through the real mesh: a directory is indexed, kept current, searched and forgotten."""

from pathlib import Path

from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person


def _write(shelf: Path) -> None:
    (shelf / "whales.md").write_text("# Whales\n\nThe blue whale is the largest animal that ever lived.\n")
    (shelf / "bread.html").write_text("<html><body><h1>Bread</h1><p>Sourdough rises slowly overnight.</p></body></html>")
    (shelf / "copy.md").write_text("# Whales\n\nThe blue whale is the largest animal that ever lived.\n")
    (shelf / "photo.bin").write_bytes(b"\x00\x01\x02" * 100)
    (shelf / "empty.txt").write_text("  \n")
    (shelf / "notes.jsonl").write_text(
        '{"_id": "1", "title": "Tides", "text": "The moon pulls the sea."}\n{"_id": "2", "title": "", "text": "Salt dissolves."}\n'
    )


async def test_each_document_ends_indexed_or_skipped_with_a_reason(ada: Person, collection: Collection, shelf: Path) -> None:
    """Every file has an end, and one that cannot be read never spoils the others."""
    _write(shelf)
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    ended = await ada.client.operations.wait(operation.id)
    assert ended.state == Operation.STATE_SUCCEEDED
    documents = {each.path: each async for each in ada.client.documents.list(collection.id)}
    assert {path: (each.state, each.reason) for path, each in documents.items()} == {
        "bread.html": (Document.STATE_INDEXED, 0),
        "copy.md": (Document.STATE_INDEXED, 0),
        "empty.txt": (Document.STATE_SKIPPED, Document.REASON_EMPTY),
        "notes.jsonl#1": (Document.STATE_INDEXED, 0),
        "notes.jsonl#2": (Document.STATE_INDEXED, 0),
        "photo.bin": (Document.STATE_SKIPPED, Document.REASON_UNSUPPORTED_TYPE),
        "whales.md": (Document.STATE_SKIPPED, Document.REASON_DUPLICATE),
    }
    assert (ended.progress.documents_indexed, ended.progress.documents_skipped, ended.progress.documents_failed) == (4, 3, 0)
    kept = await ada.client.collections.get(collection.id)
    assert (kept.state, kept.document_count) == (Collection.STATE_READY, 4)
    hits = (await ada.client.search("biggest animal", [collection.id])).hits
    assert hits[0].path == "copy.md"
    assert hits[0].section == "Whales"
    text = b"".join([part async for part in ada.client.documents.content(hits[0].document_id)]).decode()
    assert text[hits[0].start_offset : hits[0].end_offset] == hits[0].text
    assert (await ada.client.search("moon sea", [collection.id], mode="keyword")).hits[0].path == "notes.jsonl#1"


async def test_a_second_reading_embeds_only_what_changed(ada: Person, collection: Collection, shelf: Path) -> None:
    """Unchanged files cost nothing; changed ones replace what was found of them; gone ones are not found any more."""
    _write(shelf)
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    again = await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert (again.state, again.progress.chunks, again.progress.tokens) == (Operation.STATE_SUCCEEDED, 0, 0)

    (shelf / "bread.html").write_text("<p>Rye bread is dense and dark.</p>")
    (shelf / "copy.md").unlink()
    changed = await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert changed.progress.documents_indexed == 2  # the bread, and the whales that were a duplicate
    paths = {each.path: each.state async for each in ada.client.documents.list(collection.id)}
    assert "copy.md" not in paths
    assert paths["whales.md"] == Document.STATE_INDEXED
    found = await ada.client.search("sourdough rises overnight", [collection.id], mode="keyword")
    assert not found.hits
    assert (await ada.client.search("dark rye", [collection.id], mode="keyword")).hits[0].path == "bread.html"


async def test_a_deleted_document_is_never_found_again(ada: Person, collection: Collection, shelf: Path) -> None:
    """It is gone from search when the call returns, and a sync does not bring it back."""
    (shelf / "secret.txt").write_text("The treasure is buried under the old oak.")
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    [hit] = (await ada.client.search("treasure oak", [collection.id])).hits
    purge = await ada.client.documents.delete(hit.document_id)
    assert not (await ada.client.search("treasure oak", [collection.id])).hits
    assert (await ada.client.operations.wait(purge.id)).state == Operation.STATE_SUCCEEDED
    await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert not (await ada.client.search("treasure oak", [collection.id])).hits
    assert [each async for each in ada.client.documents.list(collection.id)] == []


async def test_an_upload_is_found_and_replaced_by_its_name(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """The same name again is the same document with new content."""
    file = tmp_path / "note.md"
    file.write_text("# Note\n\nThe first version speaks of apples.")
    first, operation = await ada.client.documents.upload(collection.id, file, "notes/note.md")
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    assert (await ada.client.search("apples", [collection.id])).hits[0].path == "notes/note.md"
    file.write_text("# Note\n\nThe second version speaks of pears.")
    second, operation = await ada.client.documents.upload(collection.id, file, "notes/note.md")
    await ada.client.operations.wait(operation.id)
    assert second.id == first.id
    assert second.content_version == first.content_version + 1
    assert not (await ada.client.search("apples", [collection.id], mode="keyword")).hits
    assert (await ada.client.search("pears", [collection.id], mode="keyword")).hits[0].document_id == first.id
    original = b"".join([part async for part in ada.client.documents.content(first.id, original=True)])
    assert original == file.read_bytes()


async def test_a_deleted_collection_takes_everything_with_it(ada: Person, collection: Collection, shelf: Path) -> None:
    """It answers NOT_FOUND at once, and its name is free again."""
    _write(shelf)
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    removal = await ada.client.collections.delete(collection.id)
    assert [each async for each in ada.client.collections.list()] == []
    assert (await ada.client.operations.wait(removal.id)).state == Operation.STATE_SUCCEEDED
    assert (await ada.client.collections.create("papers")).id != collection.id


async def test_a_removed_source_takes_its_documents_with_it(ada: Person, collection: Collection, shelf: Path) -> None:
    """What came from it is not found any more when the call returns."""
    _write(shelf)
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    removal = await ada.client.sources.remove(source.id)
    assert not (await ada.client.search("whale", [collection.id])).hits
    assert (await ada.client.operations.wait(removal.id)).state == Operation.STATE_SUCCEEDED
    assert [each async for each in ada.client.sources.list(collection.id)] == []
    assert (await ada.client.collections.get(collection.id)).document_count == 0
