"""RetryDocuments: what failed waits again."""

import asyncio
from pathlib import Path

import pytest

from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.collection_api.conftest import Quiet


async def _uploaded(person: Person, collection: Collection, tmp_path: Path, texts: list[str]) -> list[Document]:
    documents = []
    for number, text in enumerate(texts):
        path = tmp_path / "upload"
        path.write_text(text)
        documents.append((await person.client.documents.upload(collection.id, path, f"{number}.txt"))[0])
    return documents


async def _fail(quiet: Quiet, documents: list[Document], reason: str, *, is_retryable: bool) -> None:
    """Do what a worker's commit does to documents that cannot be indexed."""
    ids = [document.id for document in documents]
    await quiet.rows.execute(
        "UPDATE collection.document_indexes SET state = 'FAILED', reason = %s, is_retryable = %s, deaths = 2, error_message = 'why'"
        " WHERE document_id = ANY(%s)",
        (reason, is_retryable, ids),
    )
    await quiet.rows.execute("UPDATE collection.documents SET is_original = false WHERE id = ANY(%s)", (ids,))


async def test_failed_documents_wait_again(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Those for which it may help, or all, or those that are named; what has not failed stays as it is."""
    documents = await _uploaded(ada, collection, tmp_path, [f"text {number}" for number in range(5)])
    assert (await ada.client.documents.retry(collection.id)) == (0, Operation())
    await _fail(quiet, documents[:3], "POISON", is_retryable=True)
    await _fail(quiet, documents[3:4], "CORRUPT", is_retryable=False)
    count, operation = await ada.client.documents.retry(collection.id, [documents[0].id, documents[4].id])
    assert (count, operation.kind, operation.state) == (1, Operation.KIND_RETRY, Operation.STATE_QUEUED)
    assert (await ada.client.documents.retry(collection.id))[0] == 2
    assert (await ada.client.documents.retry(collection.id))[0] == 0
    assert (await ada.client.documents.retry(collection.id, include_permanent=True))[0] == 1
    states = [(each.state, each.reason, each.error_message) async for each in ada.client.documents.list(collection.id)]
    assert states == [(Document.STATE_PENDING, 0, "")] * 5
    left = await quiet.rows.execute(
        "SELECT count(*) FROM collection.document_indexes i JOIN collection.documents d ON d.id = i.document_id"
        " WHERE d.collection_id = %s AND (deaths > 0 OR NOT is_original)",
        (collection.id,),
    )
    assert await left.fetchone() == (0,)


async def test_of_equal_documents_one_is_tried_again(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """The others are its duplicates, also where another document has the bytes by now."""
    documents = await _uploaded(ada, collection, tmp_path, ["same", "same", "other", "other"])
    await _fail(quiet, documents[:3], "INTERNAL", is_retryable=True)
    await quiet.rows.execute("UPDATE collection.documents SET is_original = true, duplicate_of = NULL WHERE id = %s", (documents[3].id,))
    count, _ = await ada.client.documents.retry(collection.id)
    assert count == 1
    now = [await ada.client.documents.get(document.id) for document in documents]
    assert [(each.state, each.duplicate_of) for each in now[:3]] == [
        (Document.STATE_PENDING, ""),
        (Document.STATE_SKIPPED, documents[0].id),
        (Document.STATE_SKIPPED, documents[3].id),
    ]


@pytest.mark.abuse(7, 27)
async def test_a_retry_is_one_request(quiet: Quiet, ada: Person, stranger: Person, collection: Collection, tmp_path: Path) -> None:
    """The same id gives the same operation, another body is refused, and so is who may not write."""
    documents = await _uploaded(ada, collection, tmp_path, ["text"])
    await _fail(quiet, documents, "INTERNAL", is_retryable=True)
    answers = await asyncio.gather(*(ada.client.documents.retry(collection.id, request_id="again") for _ in range(4)))
    assert sorted(count for count, _ in answers) == [0, 0, 0, 1]
    assert len({operation.id for _, operation in answers}) == 1
    for person, ids, reason in ((ada, [documents[0].id], "REQUEST_ID_REUSED"), (stranger, [], "COLLECTION_NOT_FOUND")):
        with pytest.raises(SemantikError) as caught:
            await person.client.documents.retry(collection.id, ids, request_id="again")
        assert caught.value.reason == reason
    await ada.client.collections.update(collection.id, is_public=True)
    with pytest.raises(SemantikError) as caught:
        await stranger.client.documents.retry(collection.id)
    assert caught.value.reason == "COLLECTION_ROLE_REQUIRED"
    await ada.client.collections.update(collection.id, is_public=False)  # nobody else's test is to find it
