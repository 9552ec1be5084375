"""``make faults SEED=n MINUTES=m``: users and faults at random, in phases; after each all is quiet, and audited."""

import asyncio
import contextlib
import random
import tempfile
import time
import traceback
from contextlib import AsyncExitStack
from pathlib import Path

from semantik.client import SemantikError
from tests.faults.audit import Finding, at_rest, audit, summary
from tests.faults.chaos.injector import Injector
from tests.faults.chaos.journal import Journal
from tests.faults.chaos.oracle import Folder, Oracle
from tests.faults.chaos.user import User
from tests.faults.ledger import Ledger
from tests.faults.mesh import LocalMesh
from tests.faults.people import Person, registered
from tests.faults.runner import LOGS, Case, Result, note, nothing
from tests.faults.waiting import CaseFailedError

_PHASE_SECONDS = 180.0
_READY_SECONDS = 60.0
_REST_SECONDS = 240.0
_PEOPLE, _COLLECTIONS = 3, 2


class Chaos:
    """One random run on one mesh."""

    def __init__(self, mesh: LocalMesh, ledger: Ledger, journal: Journal, seed: int) -> None:
        self._mesh = mesh
        self._ledger = ledger
        self._journal = journal
        self._seed = seed
        self._users: list[tuple[Person, User, list[Oracle]]] = []
        self._injector = Injector(mesh, journal, random.Random(f"{seed} faults"))  # noqa: S311 - no secret

    async def prepare(self, stack: AsyncExitStack, scratch: Path) -> None:
        for number in range(_PEOPLE):
            person = await stack.enter_async_context(registered(self._mesh.address, f"user{number}", self._ledger, scratch))
            oracles = []
            for part in range(_COLLECTIONS):
                path = self._mesh.library / f"{number}-{part}"
                path.mkdir()
                oracle = Oracle(await person.collection(f"collection {number} {part}"), Folder(path))
                for file in range(25):
                    oracle.write(f"f{file:03}.txt", f"{oracle.collection_id}/first {file}")
                oracles.append(oracle)
            source = random.Random(f"{self._seed} user {number}")  # noqa: S311 - no secret
            self._users.append((person, User(person, oracles, self._journal, source), oracles))

    async def phase(self, seconds: float) -> None:
        """Let users and faults loose for some seconds."""
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._injector.run(end))
            for _, user, _ in self._users:
                group.create_task(user.run(end))

    async def quiet(self) -> list[Finding]:
        """Bring every source up to date, wait for rest, and compare with what must be."""
        await self._mesh.ready(_READY_SECONDS)
        for person, _, oracles in self._users:
            for oracle in oracles:
                if oracle.folder.source_id:
                    await person.sync(oracle.folder.source_id)
                # Whatever a cancel has left waiting is taken up by any work on the collection.
                else:
                    await person.upload(oracle.collection_id, "rest.txt", f"rest of {oracle.collection_id}")
        found = await at_rest(self._mesh, _REST_SECONDS)
        for person, user, oracles in self._users:
            for oracle in oracles:
                found += [
                    Finding("lost_upload", f"{person.name}: the text {seed} is not found at rest")
                    for seed in sorted(oracle.live)
                    if not await user.finds(oracle, seed)
                ]
                found += [
                    Finding("found_deleted", f"{person.name}: the text {seed} is found at rest")
                    for seed in sorted(oracle.dead)
                    if await user.finds(oracle, seed)
                ]
        return found + await audit(self._mesh, self._ledger)


async def chaos(seed: int, minutes: float) -> list[Result]:
    """Run for some minutes; return a result for each phase."""
    journal = Journal(LOGS / f"random-{seed}.log")
    note(f"random steps and faults of seed {seed} for {minutes:g} minutes; log {journal.path}")
    results: list[Result] = []
    known: set[Finding] = set()
    mesh, end = LocalMesh(), 0.0
    try:
        await mesh.up()
        end = time.monotonic() + 60 * minutes
        with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
            async with AsyncExitStack() as stack:
                run = Chaos(mesh, Ledger(), journal, seed)
                await run.prepare(stack, Path(scratch))
                while time.monotonic() < end and not (results and results[-1].has_broken):
                    results.append(await _phase(run, len(results) + 1, min(_PHASE_SECONDS, end - time.monotonic()), journal, known))
        with contextlib.suppress(CaseFailedError):
            await mesh.down()
    finally:
        if not all(result.has_passed for result in results):
            mesh.keep_logs(LOGS)
            note(f"    logs in {LOGS / mesh.root.name}")
        await mesh.remove()
    note(f"{journal.counts['step']} steps, {journal.counts['fault']} faults, {len(results)} audits")
    return results


async def _phase(run: Chaos, number: int, seconds: float, journal: Journal, known: set[Finding]) -> Result:
    result = Result(Case(f"R{number}", f"Random steps and faults, part {number}", "plain", is_quick=False, run=nothing))
    started, seen = time.monotonic(), len(journal.found)
    try:
        await run.phase(seconds)
        found = await run.quiet()
    except (CaseFailedError, SemantikError, TimeoutError) as error:
        found = [Finding("audit", f"{type(error).__name__}: {error}")]
    except Exception:  # noqa: BLE001 - a fault of the harness ends the run with its trace
        result.error, found = traceback.format_exc(), []
    found += [Finding(kind, text) for kind, text in journal.found[seen:]]
    result.found = sorted(set(found) - known)
    known.update(result.found)
    result.seconds = round(time.monotonic() - started, 1)
    counts = f"{journal.counts['step']} steps and {journal.counts['fault']} faults so far"
    note(f"{'ok' if result.has_passed else 'FAILED'} {result.case.number} ({result.seconds} s): {counts}")
    for text in filter(None, (result.error, summary(result.found))):
        note("    " + text.replace("\n", "\n    "))
        journal.note("audit", result.case.number, text.replace("\n", " | "))
    return result
