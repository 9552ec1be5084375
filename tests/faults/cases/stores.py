"""Redis, Postgres and the vector engine die, freeze or refuse; work waits for them and nothing is lost."""

import asyncio
import contextlib
import signal
import time

import psycopg

from semantik.client import SemantikError
from tests.faults import corpus
from tests.faults.cases.workers import indexed, is_answered, row, succeeded
from tests.faults.people import Person
from tests.faults.runner import World, case
from tests.faults.waiting import until

_START_SECONDS = 5.0
_FLUSHED_SECONDS = 10.0
_POOL_SECONDS = 10.0
_HEALED_SECONDS = 30.0


async def _start_of(world: World, person: Person, collection_id: str, name: str) -> float:
    """Upload a text; return the seconds until a worker has begun to work on it."""
    started = time.monotonic()
    _, operation_id = await person.upload(collection_id, name, corpus.text(f"{collection_id}/{name}", 30))

    async def has_begun() -> bool:
        return (await row(world, operation_id)).get("state") not in ("QUEUED", None)

    await until("the work begins", 60, has_begun)
    return time.monotonic() - started


async def _watched(person: Person, operation_id: str) -> list[int]:
    """Watch an operation to its end; return the revisions that were seen."""
    return [operation.revision async for operation in person.client.operations.watch(operation_id)]


@case("F9", "Without Redis work starts within 5 s and watchers see it", quick=False)
async def _redis_killed(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("no redis")
    seconds = 10.0 if world.is_quick else 30.0
    down = asyncio.create_task(world.mesh.hold_down("redis", seconds))
    await asyncio.sleep(1)
    number = 0
    while not down.done():
        number += 1
        world.measure("start_seconds", await _start_of(world, person, collection_id, f"{number}.txt"), _START_SECONDS)
        _, operation_id = await person.upload(collection_id, f"watched-{number}.txt", corpus.text(f"watched {number}", 30))
        async with asyncio.timeout(30 * world.patience):
            revisions = await _watched(person, operation_id)
        world.check("a watcher sees the work begin and end", len(revisions) > 1, revisions)
    await down


@case("F10", "After FLUSHALL every queued operation starts, and users notice nothing", quick=True)
async def _flushed(world: World) -> None:
    person = await world.person()
    collections = [await person.collection(f"flushed {number}") for number in range(6)]
    uploads = [await person.upload(collection_id, "queued.txt", corpus.text(collection_id, 30)) for collection_id in collections]
    await _flush(world)
    started = time.monotonic()
    other = await world.person()
    await other.call("list collections", lambda: _listed(other))
    for _, operation_id in uploads:

        async def has_begun(operation_id: str = operation_id) -> bool:
            return (await row(world, operation_id)).get("state") not in ("QUEUED", None)

        await until("a queued operation starts", 60, has_begun)
    world.measure("start_seconds", time.monotonic() - started, _FLUSHED_SECONDS)
    for (upload, operation_id), collection_id in zip(uploads, collections, strict=True):
        await succeeded(world, person, operation_id, 60)
        world.check("it is found", await person.finds(collection_id, upload.document_id, corpus.word(collection_id)))


async def _listed(person: Person) -> list[str]:
    return [collection.id async for collection in person.client.collections.list()]


async def _flush(world: World) -> None:
    password = world.mesh.home.secret("redis-password")
    reader, writer = await asyncio.open_unix_connection(str(world.mesh.home.run / "redis.sock"))
    try:
        writer.write(f"AUTH {password}\r\nFLUSHALL\r\n".encode())
        answers = await reader.readline() + await reader.readline()
        world.check("Redis is flushed", answers == b"+OK\r\n+OK\r\n", answers)
    finally:
        writer.close()


async def _calls(person: Person, collection_id: str, codes: dict[str, int]) -> None:
    """Read, search and sign in over and over; count what comes of it. Nothing is repeated here."""
    while True:
        for what, made in (
            ("get a collection", lambda: person.client.collections.get(collection_id)),
            ("search", lambda: person.client.search("river gate", [collection_id])),
            ("who am I", person.client.accounts.me),
        ):
            code = "OK"
            try:
                await person.call(what, made)
            except SemantikError as error:
                code = error.code
            codes[code] = codes.get(code, 0) + 1
        await asyncio.sleep(0.05)


async def _answered(world: World, person: Person, collection_id: str, seconds: float) -> float:
    """Wait until calls of every service with a database succeed again."""

    async def is_well() -> bool:
        try:
            await person.client.collections.get(collection_id)
            await person.client.accounts.me()
            await person.client.search("river", [collection_id])
        except SemantikError:
            return False
        return True

    return await until("users are served again", seconds * world.patience, is_well, poll=0.1)


@case("F12", "While Postgres is dead for 20 s callers get UNAVAILABLE, and within 10 s of its return all is well", quick=False)
async def _postgres_killed(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("no postgres")
    folder = world.folder("no-postgres", 150, words=300)
    _, operation_id = await person.add(collection_id, folder)
    await until("something is committed", 60 * world.patience, lambda: indexed(world, collection_id))
    codes: dict[str, int] = {}
    calling = asyncio.create_task(_calls(person, collection_id, codes))
    try:
        await world.mesh.hold_down("postgres", 8.0 if world.is_quick else 20.0)
        await until("Postgres is back", 30, lambda: is_answered(world, "SELECT 1"))
        world.measure("recovery_seconds", await _answered(world, person, collection_id, 60), _POOL_SECONDS)
    finally:
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
    refused = {code for code in codes if code not in ("OK", "UNAVAILABLE", "DEADLINE_EXCEEDED")}
    world.check("callers get nothing but UNAVAILABLE", not refused, codes)
    ended = await succeeded(world, person, operation_id)
    world.measure("attempt", ended.attempt, 0)


@case("F29", "A SIGTERM to Postgres is healed within 30 s without a person", quick=True)
async def _postgres_terminated(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("smart shutdown")
    folder = world.folder("smart", 120, words=200)
    _, operation_id = await person.add(collection_id, folder)
    await until("something is committed", 60 * world.patience, lambda: indexed(world, collection_id))
    world.mesh.signal("postgres", signal.SIGTERM)
    started = time.monotonic()
    await until("Postgres accepts connections again", 90, lambda: is_answered(world, "SELECT 1"), poll=0.2)
    await world.mesh.ready(90)
    await _answered(world, person, collection_id, 60)
    world.measure("healed_seconds", time.monotonic() - started, _HEALED_SECONDS)
    ended = await succeeded(world, person, operation_id)
    world.measure("attempt", ended.attempt, 0)


@case("F15", "The vector engine killed in the midst of upserts loses nothing that it acknowledged", quick=False)
async def _engine_killed(world: World) -> None:
    kills = 4 if world.is_quick else 20
    person = await world.person()
    collection_id = await person.collection("engine")
    folder = world.folder("engine", 60 * kills, words=250)
    _, operation_id = await person.add(collection_id, folder)
    for _ in range(kills):
        done = await indexed(world, collection_id)

        async def is_working(done: int = done) -> bool:
            return await indexed(world, collection_id) > done or (await row(world, operation_id))["state"] == "SUCCEEDED"

        await until("the work goes on", 90 * world.patience, is_working)
        if (await row(world, operation_id))["state"] == "SUCCEEDED":
            break
        await asyncio.sleep(world.random.uniform(0, 0.4))
        await world.mesh.kill("qdrant")
        world.measured["kills"] = world.measured.get("kills", 0) + 1
    ended = await succeeded(world, person, operation_id)
    world.measure("attempt", ended.attempt, 0)


@case("F30", "A database role refused when work is claimed is no attempt, and the work ends well", quick=True)
async def _role_locked(world: World) -> None:
    seconds = 25.0 if world.is_quick else 120.0
    person = await world.person()
    collections = [await person.collection(f"locked {number}") for number in range(2)]
    # The worker sleeps until the role is refused, so that it meets the refusal at its claims.
    world.mesh.signal("worker", signal.SIGSTOP)
    try:
        operations = [
            (await person.upload(collection_id, "locked.txt", corpus.text(collection_id, 30)))[1] for collection_id in collections
        ]
        await world.mesh.execute("ALTER ROLE collection NOLOGIN")
        await world.mesh.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'collection'")
        world.mesh.signal("worker", signal.SIGCONT)
        await asyncio.sleep(seconds)
    finally:
        world.mesh.signal("worker", signal.SIGCONT)
        with contextlib.suppress(psycopg.Error):
            await world.mesh.execute("ALTER ROLE collection LOGIN")
    attempts = [int(str((await row(world, operation_id)).get("attempt", 0))) for operation_id in operations]
    for operation_id in operations:
        await succeeded(world, person, operation_id)
    world.measure("attempts", max(attempts, default=0), 0)


@case("F30v", "A vector store that is away when work is claimed is no attempt, and the work ends well", quick=False)
async def _engine_away(world: World) -> None:
    person = await world.person()
    collection_id = await person.collection("engine away")
    down = asyncio.create_task(world.mesh.hold_down("qdrant", 25.0 if world.is_quick else 60.0))
    await asyncio.sleep(1)
    _, operation_id = await person.upload(collection_id, "away.txt", corpus.text("away", 30))
    await down
    attempts = int(str((await row(world, operation_id))["attempt"]))
    await succeeded(world, person, operation_id)
    world.measure("attempts", attempts, 0)
