"""A document whose content changes while the one before is being indexed."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.worker.conftest import Doomed, Points


async def _stopped(worker: Doomed) -> None:
    """Wait until the worker has stopped itself."""
    ended = await asyncio.to_thread(os.waitid, os.P_PID, worker.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert ended.si_code == os.CLD_STOPPED


async def test_the_later_of_two_contents_in_hand_is_indexed(
    ada: Person, collection: Collection, shelf: Path, doomed: Callable[..., Awaitable[Doomed]], points: Points
) -> None:
    """The worker has taken the first when the second comes, and looks for more: neither takes the other's passages away."""
    file = shelf / "note.txt"
    file.write_text("the moon pulls the sea")
    worker = await doomed("after_feed:stop@1")
    _, first = await ada.client.documents.upload(collection.id, file)
    await _stopped(worker)
    file.write_text("the sun warms the land")
    document, second = await ada.client.documents.upload(collection.id, file)
    worker.process.send_signal(signal.SIGCONT)
    ends = [await ada.client.operations.wait(operation.id) for operation in (first, second)]
    assert [end.state for end in ends] == [Operation.STATE_SUCCEEDED] * 2
    assert (await ada.client.documents.get(document.id)).state == Document.STATE_INDEXED
    assert await points(ada, collection.id) == {("note.txt", 2, 0)}
    [hit] = (await ada.client.search("what warms the land", [collection.id])).hits
    assert hit.text == "the sun warms the land"
