"""A worker dies, hangs or is stopped anywhere; another takes over, and the result is that of a clean run."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.local.child import Child
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.worker.conftest import Doomed, Points

_POINTS = ("claim", "list", "extract", "embed", "upsert", "delete_old", "commit", "report", "settle", "finish")
_DOCUMENTS = 30
# Small batches, so that there is a middle to die in.
_SMALL = {"BATCH_TOKENS": "512", "REPORT_SECONDS": "0.1", "LONG_SLOTS": "1"}


def _write(shelf: Path) -> None:
    texts = [f"Document {number}. " + " ".join(f"word{number * 7 + each}" for each in range(60)) for number in range(_DOCUMENTS)]
    (shelf / "all.jsonl").write_text("".join(json.dumps({"_id": f"{number:03}", "text": text}) + "\n" for number, text in enumerate(texts)))


async def _collections(ada: Person, count: int) -> list[Collection]:
    return [await ada.client.collections.create(f"accident {number}") for number in range(count)]


async def _is_running(ada: Person, operation: Operation) -> None:
    """Wait until it is in a worker's hands, with a document done."""
    async for now in ada.client.operations.watch(operation.id):
        if now.progress.documents_done:
            break


async def test_every_accident_ends_as_a_clean_run_does(
    ada: Person,
    shelf: Path,
    mesh_worker: Child,
    doomed: Callable[..., Awaitable[Doomed]],
    points: Points,
    expire_leases: Callable[[], Awaitable[None]],
) -> None:
    """Killed at each point, frozen and thawed, asked to stop: the same documents, points and counts, and one end."""
    _write(shelf)
    collections = await _collections(ada, len(_POINTS) + 2)
    frozen, operations = await doomed(**_SMALL), [(await ada.client.sources.add(collections[0].id, str(shelf)))[1]]
    await _is_running(ada, operations[0])
    frozen.process.send_signal(signal.SIGSTOP)
    stopped = await doomed(**_SMALL)
    operations.append((await ada.client.sources.add(collections[1].id, str(shelf)))[1])
    await _is_running(ada, operations[1])
    stopped.process.terminate()
    assert await stopped.ends() == 0
    given_back = [await ada.client.operations.get(operation.id) for operation in operations]
    assert [each.attempt for each in given_back] == [0, 0]

    operations += [(await ada.client.sources.add(each.id, str(shelf)))[1] for each in collections[2:]]
    dying = [await doomed(f"after_{name}:kill@{1 if name in ('claim', 'list', 'settle', 'finish') else 2}", **_SMALL) for name in _POINTS]
    ends = await asyncio.gather(*(each.ends() for each in dying))
    assert ends == [-signal.SIGKILL] * len(_POINTS)

    await expire_leases()
    mesh_worker.start()
    ended = await asyncio.gather(*(ada.client.operations.wait(operation.id) for operation in operations))
    assert [each.state for each in ended] == [Operation.STATE_SUCCEEDED] * len(collections)
    # The frozen one wakes to find that its work is somebody else's.
    frozen.process.send_signal(signal.SIGCONT)
    await frozen.says("lost")

    found = [await points(ada, collection.id) for collection in collections]
    assert {(path, version) for path, version, _ in found[0]} == {(f"all.jsonl#{number:03}", 1) for number in range(_DOCUMENTS)}
    assert found == [found[0]] * len(collections)
    for collection in collections:
        kept = await ada.client.collections.get(collection.id)
        assert (kept.state, kept.document_count, kept.chunk_count) == (Collection.STATE_READY, _DOCUMENTS, len(found[0]))
    again = [await ada.client.operations.get(operation.id) for operation in operations]
    assert [(each.state, each.revision) for each in again] == [(each.state, each.revision) for each in ended]
