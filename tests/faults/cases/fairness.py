"""One worker, two users: the small work of one does not wait for the large work of the other."""

import asyncio
import time
from pathlib import Path

from semantik.operation.v1.operation_pb2 import Operation
from tests.faults import corpus
from tests.faults.cases.workers import indexed
from tests.faults.runner import World, case
from tests.faults.waiting import until

_SMALL_SECONDS = 10.0
_LARGE_BYTES = 1024 * 1024


def _large(world: World, count: int) -> Path:
    folder = world.folder("large-texts", 0)
    for number in range(count):
        text = corpus.text(f"large {number}", 4000)
        (folder / f"{number:03}.txt").write_text((f"{number} {text}\n" * (_LARGE_BYTES // len(text) + 1))[:_LARGE_BYTES])
    return folder


@case("A8", "A two-file upload ends within 10 s while another user's 25 operations and 200 large texts are at work", quick=False)
async def _fair(world: World) -> None:
    ada, bob = await world.person(), await world.person()
    large_id = await ada.collection("large texts")
    source_id, folder_operation = await ada.add(large_id, await asyncio.to_thread(_large, world, 40 if world.is_quick else 200))
    others = [await ada.collection(f"other {number}") for number in range(25)]
    operations = [(await ada.add(key, world.folder("other", 20, words=200)))[1] for key in others]
    small_id = await bob.collection("small")

    async def is_running() -> bool:
        return (await ada.get(folder_operation)).state == Operation.STATE_RUNNING

    await until("the large folder is at work", 60 * world.patience, is_running)
    rounds = 2 if world.is_quick else 5
    try:
        for number in range(rounds):
            await asyncio.sleep(2)
            started = time.monotonic()
            uploads = [await bob.upload(small_id, f"{number}-{part}.txt", corpus.text(f"bob {number} {part}", 60)) for part in range(2)]
            for upload, operation_id in uploads:
                await bob.ended(operation_id, 300)
                world.check(
                    "it is found", await bob.finds(small_id, upload.document_id, corpus.word(f"bob {upload.name[:-4].replace('-', ' ')}"))
                )
            world.measure("upload_seconds", time.monotonic() - started, _SMALL_SECONDS)
        world.measured["indexed_large"] = await indexed(world, large_id)
    finally:
        for operation_id in (*operations, folder_operation):
            await ada.cancel(operation_id)
        for operation_id in (*operations, folder_operation):
            await ada.ended(operation_id, 120)
    world.check("the source is still there", source_id)
