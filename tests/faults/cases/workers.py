"""A worker is killed, frozen or stopped anywhere; another takes over, and the result is that of a clean run."""

import asyncio
import re
import signal
import urllib.request
from pathlib import Path

import psycopg

from semantik.operation.v1.operation_pb2 import Operation
from tests.faults import corpus, sql
from tests.faults.equal import differences
from tests.faults.mesh import is_alive
from tests.faults.people import Person
from tests.faults.proxy import proxied
from tests.faults.runner import World, case
from tests.faults.waiting import CaseFailedError, until
from tests.faults.workers import SMALL, Worker, by_hand

_TAKEOVER_SECONDS = 25.0
_RELEASE_SECONDS = 5.0
_BATCH_TOKENS = 8192
_CHUNK_TOKENS = 240
# Where a worker is killed, and at which pass.
_POINTS = {
    "after_claim": 1,
    "after_list": 1,
    "after_extract": 3,
    "after_embed": 2,
    "after_upsert": 2,
    "after_delete_old": 2,
    "after_commit": 2,
    "after_report": 2,
    "after_settle": 1,
    "after_finish": 1,
}


async def row(world: World, operation_id: str) -> dict[str, object]:
    """Return the operation as Postgres has it."""
    found = await world.mesh.rows(sql.OPERATION, {"id": operation_id})
    return found[0] if found else {}


async def claimed(world: World, operation_id: str, fence: object, seconds: float) -> float:
    """Wait until a claim newer than ``fence`` has the operation, or it has ended; return the seconds."""

    async def is_newer() -> bool:
        now = await row(world, operation_id)
        return bool(now) and (now["fence"] != fence or now["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"))

    return await until("another claim takes over", seconds * world.patience, is_newer)


async def succeeded(world: World, person: Person, operation_id: str, seconds: float = 240.0) -> Operation:
    ended = await person.ended(operation_id, seconds * world.patience)
    world.check(
        "the operation ends SUCCEEDED",
        ended.state == Operation.STATE_SUCCEEDED,
        Operation.State.Name(ended.state) + f" {ended.error.message}",
    )
    return ended


async def indexed(world: World, collection_id: str) -> int:
    return int((await world.mesh.rows(sql.INDEXED_COUNT, {"id": collection_id}))[0]["documents"])


async def embedded_tokens(world: World) -> float:
    """Return how many tokens the embedding service has computed in the bulk lane."""
    address = world.mesh.environment("embedding")["METRICS_ADDRESS"]

    def read() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(read)
    lines = re.findall(r'^semantik_embedding_tokens_total\{[^}]*lane="(\w+)"[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(float(value) for lane, value in lines if lane.lower() == "bulk")


@case("F1", "A worker killed at random batches is taken over within 25 s and ends as a clean run does", quick=True)
async def _killed(world: World) -> None:
    kills = 2 if world.is_quick else 20
    folder = world.folder("killed", 40 + 40 * kills, words=400)
    person = await world.person()
    before = await embedded_tokens(world)
    collection_id = await person.collection("killed")
    _, operation_id = await person.add(collection_id, folder)
    for _ in range(kills):
        done = await indexed(world, collection_id)

        async def has_committed(done: int = done) -> bool:
            return await indexed(world, collection_id) > done or (await row(world, operation_id))["state"] == "SUCCEEDED"

        await until("something is committed", 60 * world.patience, has_committed)
        await asyncio.sleep(world.random.uniform(0, 0.5))
        now = await row(world, operation_id)
        if now["state"] != "RUNNING":
            break
        await world.mesh.kill("worker")
        world.measured["kills"] = world.measured.get("kills", 0) + 1
        world.measure("takeover_seconds", await claimed(world, operation_id, now["fence"], _TAKEOVER_SECONDS), _TAKEOVER_SECONDS)
    world.measure("attempt", (await succeeded(world, person, operation_id)).attempt)
    computed = await embedded_tokens(world) - before
    clean_id = await person.collection("clean")
    await succeeded(world, person, (await person.add(clean_id, folder))[1])
    clean = await embedded_tokens(world) - before - computed
    world.measure("embedded_again_batches", max(0.0, computed - clean) / _BATCH_TOKENS, world.measured.get("kills", 0) or None)
    different = await differences(world.mesh, collection_id, clean_id)
    world.check("the points equal those of a clean run", not different, different[:3])


@case("F2", "A frozen worker that thaws after another took over writes nothing", mesh="parked", quick=False)
async def _frozen(world: World) -> None:
    async with by_hand(world.mesh) as workers:
        folder = world.folder("frozen", 120, words=300)
        person = await world.person()
        collection_id = await person.collection("frozen")
        frozen = await workers.start(**SMALL)
        _, operation_id = await person.add(collection_id, folder)
        await until("something is committed", 60 * world.patience, lambda: indexed(world, collection_id))
        now = await row(world, operation_id)
        frozen.signal(signal.SIGSTOP)
        second = await workers.start(**SMALL)
        world.measure("takeover_seconds", await claimed(world, operation_id, now["fence"], _TAKEOVER_SECONDS), _TAKEOVER_SECONDS)
        await asyncio.sleep(20 if world.is_quick else 40)
        frozen.signal(signal.SIGCONT)
        await succeeded(world, person, operation_id)
        world.check("the second worker lives", second.is_alive)
        # A worker that was fenced off goes on to work on something else.
        second.signal(signal.SIGKILL)
        await succeeded(world, person, (await person.upload(collection_id, "after.txt", "after the thaw"))[1], 60)


@case("F3", "A worker asked to stop gives its lease back within 5 s, and that is no attempt", mesh="parked", quick=True)
async def _stopped(world: World) -> None:
    async with by_hand(world.mesh) as workers:
        folder = world.folder("stopped", 80, words=300)
        person = await world.person()
        collection_id = await person.collection("stopped")
        _, operation_id = await person.add(collection_id, folder)
        for wait in (0.0, 0.3) if world.is_quick else (0.0, 0.1, 0.3, 0.6, 1.0):
            done = await indexed(world, collection_id)
            worker = await workers.start(**SMALL)

            async def is_working(done: int = done) -> bool:
                return await indexed(world, collection_id) > done or (await row(world, operation_id))["state"] == "SUCCEEDED"

            await until("the worker works", 60 * world.patience, is_working)
            await asyncio.sleep(wait)
            worker.signal(signal.SIGTERM)
            try:
                world.measure("end_seconds", await _end(worker, _RELEASE_SECONDS * world.patience), _RELEASE_SECONDS)
            except TimeoutError:
                raise CaseFailedError(f"the worker does not end within {_RELEASE_SECONDS:.0f} s of a SIGTERM") from None
            now = await row(world, operation_id)
            world.check("the lease is given back", now["lease_owner"] is None, now)
            world.check("it is no attempt", now["attempt"] == 0, now)
        await workers.start()
        await succeeded(world, person, operation_id)


async def _end(worker: Worker, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await worker.ends(seconds)
    return loop.time() - started


@case("F4", "Workers killed at each failpoint leave what a clean run leaves", mesh="parked", quick=False)
async def _failpoints(world: World) -> None:
    person = await world.person()
    folder = world.folder("points", 30, words=150)
    collections: dict[str, tuple[str, str]] = {}
    async with by_hand(world.mesh) as workers:
        first = await workers.start()
        for name in _POINTS:
            collection_id = await person.collection(name)
            source_id, operation_id = await person.add(collection_id, folder)
            await succeeded(world, person, operation_id)
            collections[name] = collection_id, source_id
        first.signal(signal.SIGTERM)
        await first.ends(20)
        _change(folder)
        dying = [await workers.start(f"{name}:kill@{count}", **SMALL) for name, count in _POINTS.items()]
        operations = [await person.sync(source_id) for _, source_id in collections.values()]
        await until("every worker dies at its failpoint", 150 * world.patience, lambda: not any(each.is_alive for each in dying))
        world.check("each was killed", all(each.process.returncode == -signal.SIGKILL for each in dying))
        await workers.start()
        for operation_id in operations:
            await succeeded(world, person, operation_id)
        clean_id = await person.collection("clean points")
        await succeeded(world, person, (await person.add(clean_id, folder))[1])
        for name, (collection_id, _) in collections.items():
            different = await differences(world.mesh, collection_id, clean_id)
            world.check(f"killed {name}, the points equal those of a clean run", not different, different[:3])


def _change(folder: Path) -> None:
    """Change a third of a folder's texts, remove some, add some."""
    files = sorted(folder.glob("*.txt"))
    for number, path in enumerate(files):
        if number % 3 == 0:
            path.write_text(corpus.text(f"changed {path.name}", 150))
        elif number % 10 == 1:
            path.unlink()
    for number in range(5):
        (folder / f"new{number}.txt").write_text(corpus.text(f"new {number}", 150))


@case("B1", "A worker and the embedder asked to stop in the same moment both stop, and the work goes on", quick=True)
async def _together(world: World) -> None:
    rounds = 3 if world.is_quick else 10
    folder = world.folder("together", 150 * rounds, words=300)
    person = await world.person()
    collection_id = await person.collection("together")
    _, operation_id = await person.add(collection_id, folder)
    for _ in range(rounds):
        done = await indexed(world, collection_id)

        async def is_working(done: int = done) -> bool:
            return await indexed(world, collection_id) > done or (await row(world, operation_id))["state"] == "SUCCEEDED"

        await until("the worker works", 90 * world.patience, is_working)
        await asyncio.sleep(world.random.uniform(0, 0.3))
        pids = [world.mesh.signal(name, signal.SIGTERM) for name in ("embedding", "worker")]
        waited = await until("the worker ends", 30, lambda pid=pids[1]: not is_alive(pid))  # type: ignore[misc]
        world.measure("end_seconds", waited, _RELEASE_SECONDS)
    ended = await succeeded(world, person, operation_id)
    world.measure("attempt", ended.attempt, 0)


@case("B2", "Work cancelled while the embedder or the vector store dies ends CANCELLED", quick=False)
async def _cancelled_and_failed(world: World) -> None:
    person = await world.person()
    for number, name in enumerate(("embedding", "qdrant") * (1 if world.is_quick else 4)):
        folder = world.folder("failing", 60, words=200)
        collection_id = await person.collection(f"failing {number}")
        _, operation_id = await person.add(collection_id, folder)
        await until("something is committed", 60 * world.patience, lambda key=collection_id: indexed(world, key))  # type: ignore[misc]
        if (await row(world, operation_id))["state"] != "RUNNING":
            continue
        world.mesh.signal(name, signal.SIGKILL)
        await person.cancel(operation_id)
        ended = await person.ended(operation_id, 60 * world.patience)
        is_open = await indexed(world, collection_id) < 60
        world.check("it ends CANCELLED", ended.state == Operation.STATE_CANCELLED or not is_open, Operation.State.Name(ended.state))
        await world.mesh.ready(60)
        await succeeded(world, person, await person.sync(await _source(person, collection_id)))


async def _source(person: Person, collection_id: str) -> str:
    [source_id] = [source.id async for source in person.client.sources.list(collection_id)]
    return source_id


@case("B3", "Cancelling a large folder settles once, however slow the vector store is", mesh="parked", quick=False)
async def _settled(world: World) -> None:
    count = 3000
    person = await world.person()
    folder = world.folder("large", count, words=8)
    collection_id = await person.collection("large")
    async with by_hand(world.mesh) as workers, proxied(world.mesh.process("search").port) as proxy:
        await workers.start(SEARCH_ADDRESS=f"ipv4:127.0.0.1:{proxy.port}")
        _, operation_id = await person.add(collection_id, folder)

        async def is_listed() -> bool:
            return int((await world.mesh.rows(sql.ROW_COUNT, {"id": collection_id}))[0]["documents"]) >= count * 0.9

        await until("most of the folder is listed", 180 * world.patience, is_listed, poll=0.5)
        proxy.delay = 4.0
        await person.cancel(operation_id)
        fence = (await row(world, operation_id))["fence"]
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            ended = await person.ended(operation_id, 120 * world.patience)
        except TimeoutError:
            now = await row(world, operation_id)
            raise CaseFailedError(
                f"it is {now['state']} 120 s after the cancel, {int(str(now['fence'])) - int(str(fence))} claims later"
            ) from None
        finally:
            proxy.delay = 0.0
        world.measure("settle_seconds", loop.time() - started)
        world.check("it ends CANCELLED", ended.state == Operation.STATE_CANCELLED, Operation.State.Name(ended.state))
        world.measure("claims", int(str((await row(world, operation_id))["fence"])) - int(str(fence)), 1)


@case("V9", "A document that was in hand when its worker was killed twice is indexed all the same", mesh="parked", quick=True)
async def _innocent(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("innocent")
    async with by_hand(world.mesh) as workers:
        upload, operation_id = await person.upload(collection_id, "innocent.txt", "a text that harms nobody")
        for _ in range(2):
            worker = await workers.start("after_extract:kill@1")
            await until("the worker dies with the document in hand", 60 * world.patience, lambda worker=worker: not worker.is_alive)  # type: ignore[misc]
        await workers.start()
        await succeeded(world, person, operation_id, 90)
    [document] = await world.mesh.rows(sql.DOCUMENT, {"id": upload.document_id})
    world.check("the document is indexed", document["state"] == "INDEXED", f"{document['state']} {document['reason']}")


async def is_answered(world: World, statement: str) -> bool:
    """Tell whether Postgres answers ``statement``."""
    try:
        await world.mesh.rows(statement)
    except psycopg.OperationalError:
        return False
    return True
