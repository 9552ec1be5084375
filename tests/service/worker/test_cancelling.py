"""Work that is cancelled in its middle."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.local.child import Child
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.worker.conftest import Doomed, Points

_SMALL = {"BATCH_TOKENS": "512", "REPORT_SECONDS": "0.1", "LONG_SLOTS": "1"}


def _write(shelf: Path, sentence: str, *, documents: int) -> None:
    lines = (json.dumps({"_id": f"{number:04}", "text": f"Document {number}. " + f"{sentence}. " * 30}) for number in range(documents))
    (shelf / "all.jsonl").write_text("\n".join(lines))


async def test_cancelled_work_ends_soon_and_keeps_what_was_done(
    ada: Person, collection: Collection, shelf: Path, doomed: Callable[..., Awaitable[Doomed]], points: Points
) -> None:
    """The index holds exactly the documents that are said to be indexed, and the next reading does the rest."""
    _write(shelf, "the moon pulls the sea", documents=300)
    await doomed(**_SMALL)
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    async for now in ada.client.operations.watch(operation.id):
        if now.progress.documents_done:
            break
    await ada.client.operations.cancel(operation.id)
    async with asyncio.timeout(10):
        ended = await ada.client.operations.wait(operation.id)
    assert ended.state == Operation.STATE_CANCELLED
    documents = [document async for document in ada.client.documents.list(collection.id)]
    indexed = {document.path for document in documents if document.state == Document.STATE_INDEXED}
    assert 0 < len(indexed) < 300
    assert {path for path, _, _ in await points(ada, collection.id)} == indexed
    kept = await ada.client.collections.get(collection.id)
    assert (kept.document_count, kept.state == Collection.STATE_PROCESSING) == (len(indexed), False)
    total = ended.progress.documents_total
    assert kept.state_reason == f"cancelled at {len(indexed)}{f' of {total}' if total else ''} documents"
    rest = await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert (rest.state, rest.progress.documents_indexed) == (Operation.STATE_SUCCEEDED, 300 - len(indexed))
    assert (await ada.client.collections.get(collection.id)).state_reason == ""


async def test_what_a_dead_worker_had_written_of_cancelled_work_is_taken_back(
    ada: Person,
    collection: Collection,
    shelf: Path,
    mesh_worker: Child,
    doomed: Callable[..., Awaitable[Doomed]],
    points: Points,
    expire_leases: Callable[[], Awaitable[None]],
) -> None:
    """The contents before it stay found, the new ones are as if they had never been begun, and the next reading indexes them."""
    _write(shelf, "the moon pulls the sea", documents=30)
    first = await doomed(**_SMALL)
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    first.process.terminate()
    await first.ends()
    before = await points(ada, collection.id)
    _write(shelf, "the sun warms the land", documents=30)
    dying = await doomed("after_upsert:kill@1", **_SMALL)
    operation = await ada.client.sources.sync(source.id)
    assert await dying.ends() == -signal.SIGKILL
    written = await points(ada, collection.id) - before
    assert {version for _, version, _ in written} == {2}
    await ada.client.operations.cancel(operation.id)
    await expire_leases()
    mesh_worker.start()
    ended = await ada.client.operations.wait(operation.id)
    assert ended.state == Operation.STATE_CANCELLED
    assert await points(ada, collection.id) == before
    rest = await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert (rest.state, rest.progress.documents_indexed) == (Operation.STATE_SUCCEEDED, 30)
    assert {version for _, version, _ in await points(ada, collection.id)} == {2}
