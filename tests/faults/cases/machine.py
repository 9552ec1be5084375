"""The whole machine: everything dies at once, or the supervisor alone; what was acknowledged is there after the next start."""

import asyncio
import contextlib
import os
import signal

from semantik.operation.v1.operation_pb2 import Operation
from tests.faults import corpus, sql
from tests.faults.cases.workers import indexed, succeeded
from tests.faults.runner import World, case
from tests.faults.waiting import until

_READY_SECONDS = 25.0
_GONE_SECONDS = 10.0


async def _in_the_midst(world: World, *, is_all: bool) -> None:
    person = await world.person()
    collection_id = await person.collection(f"all {is_all}")
    folder = world.folder("machine", 120, words=300)
    _, operation_id = await person.add(collection_id, folder)
    await until("something is committed", 60 * world.patience, lambda: indexed(world, collection_id))
    uploads = [await person.upload(collection_id, f"{number}.txt", corpus.text(f"{collection_id}/{number}", 30)) for number in range(5)]
    before = {row["id"] for row in await world.mesh.rows(sql.OF_COLLECTION, {"id": collection_id}) if row["state"] == "INDEXED"}
    processes = await asyncio.to_thread(world.mesh.alive)
    if is_all:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    else:
        os.kill(world.mesh.supervisor, signal.SIGKILL)
    waited = await until("every process is gone", 30, lambda: not world.mesh.alive(), poll=0.2)
    world.measure("gone_seconds", waited, _GONE_SECONDS)
    world.measure("ready_seconds", await world.mesh.up(), _READY_SECONDS)
    after = {row["id"] for row in await world.mesh.rows(sql.OF_COLLECTION, {"id": collection_id}) if row["state"] == "INDEXED"}
    world.check("nothing that was indexed is lost", before <= after, len(before - after))
    await succeeded(world, person, operation_id)
    for upload, key in uploads:
        ended = await person.ended(key, 120 * world.patience)
        world.check("each upload ends SUCCEEDED", ended.state == Operation.STATE_SUCCEEDED, Operation.State.Name(ended.state))
        world.check(
            "each upload is found",
            await person.finds(collection_id, upload.document_id, corpus.word(f"{collection_id}/{upload.name[:-4]}")),
        )


@case("F38", "When the supervisor alone is killed everything ends, and the next start loses nothing", quick=False)
async def _supervisor_killed(world: World) -> None:
    await _in_the_midst(world, is_all=False)


@case("F38a", "When everything is killed at once the next start loses nothing", quick=False)
async def _all_killed(world: World) -> None:
    await _in_the_midst(world, is_all=True)
