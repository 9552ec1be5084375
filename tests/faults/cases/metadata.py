"""What people note on documents reaches searches, whoever dies on the way."""

import signal

from tests.faults.cases.workers import succeeded
from tests.faults.people import Person
from tests.faults.runner import World, case
from tests.faults.waiting import until
from tests.faults.workers import SMALL, by_hand

_DOCUMENTS = 6


@case("M1", "A worker killed between writing metadata and noting it leaves what was noted last", mesh="parked", quick=True)
async def _killed(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("noted")
    async with by_hand(world.mesh) as workers:
        first = await workers.start()
        ids = []
        for number in range(_DOCUMENTS):
            upload, operation_id = await person.upload(collection_id, f"{number}.txt", f"the treasure number {number}")
            ids.append(upload.document_id)
            await succeeded(world, person, operation_id)
        first.signal(signal.SIGTERM)
        await first.ends(20)
        dying = await workers.start("after_metadata:kill@1", **SMALL)
        operations = {await _note(person, document_id, 1) for document_id in ids}
        await until("the worker dies at its failpoint", 60 * world.patience, lambda: not dying.is_alive)
        operations |= {await _note(person, document_id, 2) for document_id in ids[::2]}
        await workers.start()
        for operation_id in operations:
            await succeeded(world, person, operation_id)
    for turn, expected in ((1, ids[1::2]), (2, ids[::2])):
        answer = await person.persist("search", lambda turn=turn: _search(person, collection_id, turn))  # type: ignore[misc]
        world.check(f"those of turn {turn} are found by it", sorted(answer) == sorted(expected), answer)


async def _note(person: Person, document_id: str, turn: int) -> str:
    _, operation = await person.persist("note", lambda: person.client.documents.update(document_id, metadata={"turn": turn}))
    person.ledger.operations[operation.id] = f"note {turn} on {document_id}"
    return operation.id


async def _search(person: Person, collection_id: str, turn: int) -> list[str]:
    answer = await person.client.search("treasure", [collection_id], filter_text=f"meta.turn:{turn}", limit=100)
    return [hit.document_id for hit in answer.hits]
