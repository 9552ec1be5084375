"""Work is cancelled early and often; it ends at once, and the next begins."""

import asyncio
import time

from semantik.operation.v1.operation_pb2 import Operation
from tests.faults.cases.workers import succeeded
from tests.faults.runner import World, case
from tests.faults.waiting import CaseFailedError

_END_SECONDS = 1.0
_STUCK_SECONDS = 30.0
# How many of a hundred may take longer than a second on a machine that does other things too.
_LATE_SHARE = 0.05


@case("F32", "Work cancelled 0.05 to 0.8 s after its start ends CANCELLED, and the next starts", quick=True)
async def _cancelled(world: World) -> None:
    rounds = 20 if world.is_quick else 200
    person = await world.person()
    folder = world.folder("cancelled", 60, words=60)
    collection_id = await person.collection("cancelled")
    source_id, operation_id = await person.add(collection_id, folder)
    await succeeded(world, person, operation_id)
    waits: list[float] = []
    for number in range(rounds):
        for path in folder.glob("*.txt"):
            path.write_text(f"{path.name} changed for the {number}th time, with a few words more")
        operation_id = await person.sync(source_id)
        await asyncio.sleep(world.random.uniform(0.05, 0.8))
        started = time.monotonic()
        await person.cancel(operation_id)
        try:
            ended = await person.ended(operation_id, _STUCK_SECONDS)
        except TimeoutError:
            state = Operation.State.Name((await person.get(operation_id)).state)
            raise CaseFailedError(f"cancel {number + 1} of {rounds}: {state} for {_STUCK_SECONDS:.0f} s") from None
        world.check(
            "it ends CANCELLED or was done",
            ended.state in (Operation.STATE_CANCELLED, Operation.STATE_SUCCEEDED),
            Operation.State.Name(ended.state),
        )
        waits.append(time.monotonic() - started)
    waits.sort()
    late = sum(wait > _END_SECONDS * world.patience for wait in waits)
    world.measured |= {"median_seconds": round(waits[len(waits) // 2], 2), "slowest_seconds": round(waits[-1], 2), "late": late}
    if late > max(1, _LATE_SHARE * rounds):
        raise CaseFailedError(f"{late} of {rounds} cancels took longer than {_END_SECONDS:.0f} s, the slowest {waits[-1]:.1f} s")
    await succeeded(world, person, await person.sync(source_id))
