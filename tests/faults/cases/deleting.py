"""Documents are deleted while they are being indexed; nobody finds them once the call has returned."""

import asyncio
import contextlib
import time
from pathlib import Path

from semantik.client import SemantikError
from tests.faults import sql
from tests.faults.audit import at_rest, deleted_and_found
from tests.faults.cases.workers import succeeded
from tests.faults.people import Person
from tests.faults.runner import World, case
from tests.faults.waiting import CaseFailedError, until
from tests.faults.workers import SMALL, by_hand

_LOOK_SECONDS = 0.2


async def _delete_as_it_goes(world: World, person: Person, collection_id: str, folder: Path, most: int) -> None:
    """Delete documents that are not indexed yet, as soon as they are listed, up to ``most``."""
    deleted = 0
    while deleted < most:
        waiting = [
            row for row in await world.mesh.rows(sql.OF_COLLECTION, {"id": collection_id}) if row["state"] in ("PENDING", "PROCESSING")
        ]
        if not waiting:
            now = await world.mesh.rows(sql.INDEXED_COUNT, {"id": collection_id})
            if now[0]["documents"]:
                return
            await asyncio.sleep(0.02)
            continue
        # The first by id are what the worker has in hand.
        waiting.sort(key=lambda row: str(row["id"]))
        for row in world.random.sample(waiting[:12], min(3, len(waiting[:12]))):
            await person.delete(collection_id, row["id"], world.word(folder, row["path"]))
            deleted += 1
    world.measured["deleted"] = deleted


async def _look(found: dict[str, tuple[float, float]], person: Person) -> None:
    """Search for what was deleted, again and again; note the first and the last time each was found."""
    while True:
        with contextlib.suppress(SemantikError):
            for text in await deleted_and_found(person.ledger):
                first, _ = found.get(text, (time.monotonic(), 0.0))
                found[text] = first, time.monotonic()
        await asyncio.sleep(_LOOK_SECONDS)


def _report(world: World, found: dict[str, tuple[float, float]]) -> None:
    world.measured["found"] = len(found)
    if found:
        longest = max(last - first for first, last in found.values())
        raise CaseFailedError(f"{len(found)} deleted documents were found after the call had returned, for up to {longest:.1f} s")


@case("F33", "Documents deleted in mid-index are not found once the call has returned", quick=True)
async def _deleted(world: World) -> None:
    count = 150 if world.is_quick else 1200
    person = await world.person()
    folder = world.folder("deleted", count, words=200)
    collection_id = await person.collection("deleted")
    found: dict[str, tuple[float, float]] = {}
    looking = asyncio.create_task(_look(found, person))
    try:
        _, operation_id = await person.add(collection_id, folder)
        await _delete_as_it_goes(world, person, collection_id, folder, 60 if world.is_quick else 500)
        await succeeded(world, person, operation_id)
        await asyncio.sleep(1)
    finally:
        looking.cancel()
    _report(world, found)


@case(
    "F33k", "Documents deleted in mid-index are not found either when the worker dies between write and commit", mesh="parked", quick=False
)
async def _deleted_and_killed(world: World) -> None:
    person = await world.person()
    found: dict[str, tuple[float, float]] = {}
    async with by_hand(world.mesh) as workers:
        looking = asyncio.create_task(_look(found, person))
        try:
            for number in range(2 if world.is_quick else 6):
                folder = world.folder("dying", 60, words=200)
                collection_id = await person.collection(f"dying {number}")
                worker = await workers.start(f"after_upsert:kill@{2 + number % 4}", **SMALL)
                _, operation_id = await person.add(collection_id, folder)
                await _delete_as_it_goes(world, person, collection_id, folder, 25)
                await until("the worker dies", 60 * world.patience, lambda worker=worker: not worker.is_alive)  # type: ignore[misc]
                await asyncio.sleep(2)
                second = await workers.start()
                await succeeded(world, person, operation_id)
                second.process.terminate()
                await second.ends(20)
            await workers.start()
            await at_rest(world.mesh)  # afterwards there is no worker to end it
        finally:
            looking.cancel()
    _report(world, found)
