"""Uploads race with deletions, with each other, with a frozen service and with a full disk; what was accepted is there."""

import asyncio
import signal
import uuid

from semantik.client import SemantikError
from semantik.operation.v1.operation_pb2 import Operation
from tests.faults import corpus, sql
from tests.faults.cases.workers import succeeded
from tests.faults.mesh import is_alive
from tests.faults.people import Person
from tests.faults.runner import World, case
from tests.faults.waiting import CaseFailedError, until

_FROZEN_SECONDS = 12.0
_AGAIN_SECONDS = 15.0


@case("F34", "An upload that follows the deletion of its name within half a second is kept", quick=True)
async def _again(world: World) -> None:
    rounds = 16 if world.is_quick else 200
    person = await world.person()
    lanes = 4
    collections = [await person.collection(f"again {number}") for number in range(lanes)]
    names = [f"{number}.txt" for number in range(rounds // lanes)]

    async def one(collection_id: str, name: str) -> None:
        seed = f"{collection_id}/{name}"
        upload, operation_id = await person.upload(collection_id, name, corpus.text(seed, 40))
        await person.ended(operation_id, 60 * world.patience)
        await person.delete(collection_id, upload.document_id, corpus.word(seed))
        await asyncio.sleep(world.random.choice((0.0, 0.05, 0.1, 0.2, 0.3, 0.5)))
        # Now and then the same bytes as before.
        again = seed if world.random.random() < 0.3 else f"{seed}/again"
        upload, operation_id = await person.upload(collection_id, name, corpus.text(again, 40))
        await succeeded(world, person, operation_id, 60)
        row = (await world.mesh.rows(sql.DOCUMENT, {"id": upload.document_id}))[0]
        world.check(f"{name}, uploaded again, is indexed", row["state"] == "INDEXED", f"{row['state']} {row['reason']}")
        world.check(f"{name}, uploaded again, is found", await person.finds(collection_id, upload.document_id, corpus.word(again)))
        content = b"".join([part async for part in person.client.documents.content(upload.document_id, original=True)])
        world.check(f"{name}, uploaded again, has its bytes", content.decode() == corpus.text(again, 40))

    failed: list[str] = []
    for name in names:
        results = await asyncio.gather(*(one(collection_id, name) for collection_id in collections), return_exceptions=True)
        failed += [str(result) for result in results if isinstance(result, BaseException)]
    world.measured["rounds"] = rounds
    if failed:
        raise CaseFailedError(f"{len(failed)} of {rounds} failed; {'; '.join(failed[:3])}")


@case("V7", "Uploads at once of equal bytes, or of one new name, are all answered and none is INTERNAL", quick=True)
async def _at_once(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("at once")
    operations: list[str] = []
    failed: list[str] = []
    for number in range(6 if world.is_quick else 24):
        same = corpus.text(f"{collection_id}/{number}", 30)
        uploads = [person.upload(collection_id, f"equal-{number}-{copy}.txt", same) for copy in range(4)]
        uploads += [person.upload(collection_id, f"name-{number}.txt", f"{same} {copy}") for copy in range(2)]
        for result in await asyncio.gather(*uploads, return_exceptions=True):
            if isinstance(result, BaseException):
                failed.append(f"{type(result).__name__} {result}")
            else:
                operations.append(result[1])
    # Which of two contents of one name came last, only the server knows.
    for key in [key for key in person.ledger.uploads if key[1].startswith("name-")]:
        del person.ledger.uploads[key]
    world.measured |= {"uploads": len(operations) + len(failed), "refused": len(failed)}
    for operation_id in operations:
        await person.ended(operation_id, 90 * world.patience)
    if failed:
        raise CaseFailedError(f"{len(failed)} uploads were refused; {'; '.join(sorted(set(failed))[:3])}")


@case("V10", "Ten contents under one name leave one object, the others gone or about to go", quick=True)
async def _one_object(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("one name")
    for number in range(10):
        _, operation_id = await person.upload(collection_id, "one.txt", corpus.text(f"{collection_id}/{number}", 20))
        if number % 3 == 0:
            await person.ended(operation_id, 60 * world.patience)
    await person.ended(operation_id, 60 * world.patience)

    async def is_one() -> bool:
        leaving = {row["key"] for row in await world.mesh.rows(sql.OBJECT_DELETIONS)}
        files = {str(path.relative_to(world.mesh.home.objects)) for path in world.mesh.objects.files()}
        return len([key for key in files - leaving if key.startswith(collection_id)]) == 1

    await until("one object is left", 20 * world.patience, is_one, poll=0.2)


@case("F35", "Every operation handed out while operation is frozen can be watched at once, and ends", quick=True)
async def _frozen(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("frozen operation")
    pid = world.mesh.signal("operation", signal.SIGSTOP)
    uploads: list[asyncio.Task[str]] = []

    async def one(number: int) -> str:
        _, operation_id = await person.upload(collection_id, f"{number}.txt", corpus.text(f"{collection_id}/{number}", 30))
        return operation_id

    async def watched(operation_id: str) -> Operation:
        return await person.client.operations.wait(operation_id)

    try:
        uploads = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(_FROZEN_SECONDS)
    finally:
        if is_alive(pid):
            world.mesh.signal("operation", signal.SIGCONT)
    unknown: list[str] = []
    operation_ids = await asyncio.gather(*uploads)
    for operation_id in operation_ids:
        try:
            async with asyncio.timeout(60 * world.patience):
                ended = await watched(operation_id)
            world.check("it ends SUCCEEDED", ended.state == Operation.STATE_SUCCEEDED, Operation.State.Name(ended.state))
        except SemantikError as error:
            unknown.append(f"{error.code} {error.reason}")
    if unknown:
        raise CaseFailedError(f"{len(unknown)} of {len(operation_ids)} watches failed: {', '.join(sorted(set(unknown)))}")


@case("F36", "A full disk under the objects refuses uploads as RESOURCE_EXHAUSTED, keeps nothing by half, and recovers in 15 s", quick=True)
async def _full(world: World) -> None:
    if not world.mesh.objects.is_limited:
        raise CaseFailedError("filling a disk needs root")
    person = await world.person()
    collection_id = await person.collection("full")
    kept, operation_id = await person.upload(collection_id, "before.txt", corpus.text("before", 30))
    await succeeded(world, person, operation_id, 60)
    world.mesh.objects.fill()
    try:
        for number in range(3):
            code = await _refusal(person, collection_id, f"full-{number}.txt", corpus.text(f"full {number}", 2000))
            world.check("an upload is refused with RESOURCE_EXHAUSTED", code == "RESOURCE_EXHAUSTED", code)
        world.check("searches go on", await person.finds(collection_id, kept.document_id, corpus.word("before")))
    finally:
        world.mesh.objects.free()

    async def is_accepted() -> bool:
        try:
            _, operation_id = await person.upload(
                collection_id, f"{uuid.uuid4().hex}.txt", corpus.text(uuid.uuid4().hex, 30), is_patient=False
            )
        except SemantikError:
            return False
        await person.ended(operation_id, 60 * world.patience)
        return True

    world.measure(
        "recovery_seconds", await until("uploads are accepted again", _AGAIN_SECONDS * world.patience, is_accepted), _AGAIN_SECONDS
    )


async def _refusal(person: Person, collection_id: str, name: str, text: str) -> str:
    try:
        await person.upload(collection_id, name, text, is_patient=False)
    except SemantikError as error:
        return error.code
    return "no error"
