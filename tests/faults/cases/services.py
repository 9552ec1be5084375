"""Services are killed or freeze under load; callers are told to come again, and nothing happens twice."""

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections import Counter

from semantik.client import SemantikError
from semantik.operation.v1.operation_pb2 import Operation
from tests.faults import corpus, sql
from tests.faults.cases.workers import claimed, indexed, row, succeeded
from tests.faults.mesh import is_alive
from tests.faults.people import Person
from tests.faults.runner import World, case
from tests.faults.waiting import until

_SERVING_SECONDS = 15.0
_REPLACED_SECONDS = 30.0
_KILLED = ("auth", "collection", "operation", "embedding", "search", "envoy")


async def _load(person: Person, collection_id: str, codes: Counter[str]) -> None:
    while True:
        for what, made in (
            ("get a collection", lambda: person.client.collections.get(collection_id)),
            ("search", lambda: person.client.search("river gate", [collection_id])),
            ("list operations", lambda: _operations(person, collection_id)),
            ("who am I", person.client.accounts.me),
        ):
            try:
                await person.call(what, made)
            except SemantikError as error:
                codes[error.code] += 1
            else:
                codes["OK"] += 1
        await asyncio.sleep(0.02)


async def _operations(person: Person, collection_id: str) -> list[Operation]:
    return [operation async for operation in person.client.operations.list(collection_id)]


async def _uploads(world: World, person: Person, collection_id: str, promised: list[str]) -> None:
    """Upload with the same request id until it is answered, and then once more: it is the same operation."""
    scratch = world.scratch / f"{uuid.uuid4().hex}.txt"
    number = 0
    while True:
        number += 1
        scratch.write_text(corpus.text(f"{collection_id}/{number}", 20))
        request_id = str(uuid.uuid4())

        async def upload(name: str = f"{number}.txt", request_id: str = request_id) -> str:
            _, operation = await person.client.documents.upload(collection_id, scratch, name, request_id=request_id)
            return operation.id

        first, second = await person.persist("upload", upload), await person.persist("upload again", upload)
        world.check("one request id is one operation", first == second, f"{first} {second}")
        person.ledger.operations[first] = f"upload {number}.txt"
        promised.append(first)
        await asyncio.sleep(0.1)


@case("F7", "Services killed under load answer UNAVAILABLE and nothing else, and nothing is done twice", quick=False)
async def _killed(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("load")
    _, operation_id = await person.upload(collection_id, "first.txt", corpus.text("first", 30))
    await succeeded(world, person, operation_id, 60)
    codes: Counter[str] = Counter()
    promised: list[str] = []
    load = [asyncio.create_task(_load(person, collection_id, codes)) for _ in range(2)]
    load.append(asyncio.create_task(_uploads(world, person, collection_id, promised)))
    try:
        for name in _KILLED:
            await asyncio.sleep(1)
            await world.mesh.kill(name)
            started = time.monotonic()
            await world.mesh.ready(60)
            world.measure("serving_seconds", time.monotonic() - started, _SERVING_SECONDS)
            for task in load:
                if task.done():
                    task.result()
    finally:
        for task in load:
            task.cancel()
        for task in load:
            with contextlib.suppress(asyncio.CancelledError, SemantikError):
                await task
    refused = {code: count for code, count in codes.items() if code not in ("OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")}
    world.measured |= {"calls": codes.total(), "unavailable": codes["UNAVAILABLE"], "uploads": len(promised)}
    world.check("callers get nothing but UNAVAILABLE", not refused, dict(codes))
    for operation_id in promised:
        ended = await person.ended(operation_id, 120 * world.patience)
        world.check("each upload ends SUCCEEDED", ended.state == Operation.STATE_SUCCEEDED, Operation.State.Name(ended.state))
    [count] = await world.mesh.rows(sql.ROW_COUNT, {"id": collection_id})
    world.check("each upload is one document", count["documents"] >= len(promised) + 1, count)


@case("F31", "A process that is alive and never ready is replaced within 30 s, and what it held is taken over", quick=True)
async def _frozen(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("alive")
    folder = world.folder("alive", 100, words=300)
    _, operation_id = await person.add(collection_id, folder)
    await until("something is committed", 60 * world.patience, lambda: indexed(world, collection_id))
    fence = (await row(world, operation_id))["fence"]
    names = ("worker",) if world.is_quick else ("worker", "collection", "qdrant")
    frozen = [world.mesh.signal(name, signal.SIGSTOP) for name in names]
    started = time.monotonic()
    try:
        for name, pid in zip(names, frozen, strict=True):
            await until(f"{name} is replaced", _REPLACED_SECONDS * world.patience, lambda pid=pid: not is_alive(pid))  # type: ignore[misc]
        world.measure("replaced_seconds", time.monotonic() - started, _REPLACED_SECONDS)
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    await world.mesh.ready(60)
    await claimed(world, operation_id, fence, 30)
    await succeeded(world, person, operation_id)
