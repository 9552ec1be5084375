"""Uploads that follow a delete of the same name, while the purge of what was deleted is at work."""

import asyncio
from pathlib import Path

from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person

_DOCUMENTS, _ROUNDS, _SECONDS = 8, 4, 0.5


async def test_an_upload_after_a_delete_is_never_lost(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Wherever the purge is just then: each document ends indexed, with the bytes that were accepted last."""

    async def upload(number: int, text: str) -> tuple[Document, Operation]:
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        return await ada.client.documents.upload(collection.id, path)

    async def come_back(document: Document, number: int, text: str) -> Operation:
        await ada.client.documents.delete(document.id)
        await asyncio.sleep(_SECONDS * number / _DOCUMENTS)  # each meets another moment of the purge
        again, operation = await upload(number, text)
        assert (again.id, again.state) == (document.id, Document.STATE_PENDING)
        return operation

    first = await asyncio.gather(*(upload(number, f"The first words of {number}.") for number in range(_DOCUMENTS)))
    await asyncio.gather(*(ada.client.operations.wait(operation.id) for _, operation in first))
    for round_ in range(_ROUNDS):
        texts = [f"Words of {number} in round {round_}." for number in range(_DOCUMENTS)]
        operations = await asyncio.gather(*(come_back(first[number][0], number, text) for number, text in enumerate(texts)))
        ended = await asyncio.gather(*(ada.client.operations.wait(operation.id) for operation in operations))
        assert {operation.state for operation in ended} == {Operation.STATE_SUCCEEDED}
        for (document, _), text in zip(first, texts, strict=True):
            now = await ada.client.documents.get(document.id)
            assert (now.state, now.error_message) == (Document.STATE_INDEXED, "")
            for original in (True, False):
                parts = [part async for part in ada.client.documents.content(document.id, original=original)]
                assert b"".join(parts).decode() == text
            [hit] = (await ada.client.search(text, [collection.id], mode="keyword", limit=1)).hits
            assert (hit.document_id, hit.text) == (document.id, text)
    counted = await ada.client.collections.get(collection.id)
    assert (counted.document_count, counted.chunk_count) == (_DOCUMENTS, _DOCUMENTS)
