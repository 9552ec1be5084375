"""Runs cases, each on a mesh that has stood everything before it, and audits after each."""

import asyncio
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from semantik.client import SemantikError
from tests.faults import corpus
from tests.faults.audit import Finding, at_rest, audit, summary
from tests.faults.ledger import Ledger
from tests.faults.mesh import LocalMesh
from tests.faults.people import Person, registered
from tests.faults.waiting import CaseFailedError
from tests.faults.workers import PARKED

# How a mesh is run for a group of cases: as anybody runs it, or with its own worker parked, so that a case runs its own.
MESHES: Mapping[str, Mapping[str, str]] = {"plain": {}, "parked": PARKED}
LOGS = Path("build") / "faults"
_AUDIT_SECONDS = 60.0
_READY_SECONDS = 60.0
Run = Callable[["World"], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One fault. ``number`` is what FAULTS or a review calls it; ``mesh`` the key of MESHES it runs on."""

    number: str
    name: str
    mesh: str
    is_quick: bool
    run: Run


CASES: list[Case] = []


def case(number: str, name: str, *, mesh: str = "plain", quick: bool = False) -> Callable[[Run], Run]:
    """Register a case under a name that is a sentence."""

    def registered_(run: Run) -> Run:
        CASES.append(Case(number, name, mesh, quick, run))
        return run

    return registered_


@dataclass
class World:
    """What a case has: a mesh, its users and their ledger, and how thorough to be."""

    mesh: LocalMesh
    ledger: Ledger
    stack: AsyncExitStack
    scratch: Path
    is_quick: bool
    patience: float
    random: random.Random
    measured: dict[str, float] = field(default_factory=dict)
    _people: int = 0

    async def person(self) -> Person:
        """Register a fresh user, signed in until the mesh ends."""
        self._people += 1
        name = f"user{self._people}x{self.random.getrandbits(24):x}"
        return await self.stack.enter_async_context(registered(self.mesh.address, name, self.ledger, self.scratch))

    def folder(self, name: str, count: int, *, words: int = 120, seed: str = "") -> Path:
        """Write a folder of ``count`` texts into the library; the text of ``NNN.txt`` is that of its own path and seed."""
        folder = self.mesh.library / f"{name}-{self.random.getrandbits(24):x}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:05}.txt").write_text(corpus.text(f"{folder.name}/{number:05}{seed}", words))
        return folder

    def word(self, folder: Path, path: str, seed: str = "") -> str:
        """Return the word of a text of ``folder``."""
        return corpus.word(f"{folder.name}/{path.removesuffix('.txt')}{seed}")

    def measure(self, name: str, value: float, at_most: float | None = None) -> None:
        """Note a number; raises CaseFailedError where it is above its limit (times: at this machine's patience)."""
        self.measured[name] = max(round(value, 2), self.measured.get(name, value))
        limit = at_most * self.patience if at_most is not None and name.endswith("seconds") else at_most
        if limit is not None and value > limit:
            raise CaseFailedError(f"{name} is {value:.2f}, at most {limit:g}")

    def check(self, what: str, holds: object, detail: object = "") -> None:
        if not holds:
            raise CaseFailedError(f"{what}: it does not{f' ({detail})' if detail else ''}")


@dataclass
class Result:
    case: Case
    seconds: float = 0.0
    error: str = ""
    found: list[Finding] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)

    @property
    def has_passed(self) -> bool:
        return not self.error and not self.found

    @property
    def has_broken(self) -> bool:
        """Tell whether the mesh is of no use any more for other cases."""
        return any(finding.kind in ("audit", "unfinished", "process") for finding in self.found)


@dataclass(frozen=True)
class Settings:
    is_quick: bool = False
    patience: float = 1.0
    seed: int = 1


async def run(cases: Iterable[Case], settings: Settings) -> list[Result]:
    """Run the cases group by group. A mesh that a case has broken is not used for another."""
    results: list[Result] = []
    for mesh in MESHES:
        waiting = [each for each in cases if each.mesh == mesh]
        while waiting:
            results += await _run_on_one(mesh, waiting, settings)
    return results


async def _run_on_one(kind: str, waiting: list[Case], settings: Settings) -> list[Result]:
    """Run cases on one mesh until one breaks it or none is left; takes them off ``waiting``."""
    results: list[Result] = []
    mesh = LocalMesh(MESHES[kind])
    try:
        note(f"a {kind} mesh in {mesh.root}, ready after {await mesh.up():.1f} s")
        with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
            async with AsyncExitStack() as stack:
                world = World(mesh, Ledger(), stack, Path(scratch), settings.is_quick, settings.patience, random.Random(settings.seed))  # noqa: S311
                known: set[Finding] = set()
                while waiting and not (results and results[-1].has_broken):
                    results.append(await _run_one(waiting.pop(0), world, known))
        await _stop(mesh, results)
    finally:
        if not results or not all(result.has_passed for result in results):
            mesh.keep_logs(LOGS)
            note(f"    logs in {LOGS / mesh.root.name}")
        await mesh.remove()
    return results


async def _run_one(case_: Case, world: World, known: set[Finding]) -> Result:
    result = Result(case_)
    world.measured = result.measured
    world.mesh.note(f"case {case_.number}: {case_.name}")
    started = time.monotonic()
    try:
        await case_.run(world)
    except (CaseFailedError, SemantikError, TimeoutError) as error:
        result.error = f"{type(error).__name__}: {error}" if str(error) else "it took too long"
    except Exception:  # noqa: BLE001 - a fault of the harness fails the case, not the run
        result.error = traceback.format_exc()
    result.found = [finding for finding in await _audited(world) if finding not in known]
    known.update(result.found)
    result.seconds = round(time.monotonic() - started, 1)
    numbers = " ".join(f"{name}={value:g}" for name, value in result.measured.items())
    note(f"{'ok' if result.has_passed else 'FAILED'} {case_.number}: {case_.name} ({result.seconds} s) {numbers}")
    for text in filter(None, (result.error, summary(result.found))):
        note("    " + text.replace("\n", "\n    "))
    return result


async def _audited(world: World) -> list[Finding]:
    try:
        async with asyncio.timeout(_READY_SECONDS + 150 + _AUDIT_SECONDS):
            await world.mesh.ready(_READY_SECONDS)
            return await at_rest(world.mesh) + await audit(world.mesh, world.ledger)
    except Exception as error:  # noqa: BLE001 - what cannot be audited is a finding
        return [Finding("audit", f"the mesh cannot be audited: {type(error).__name__}: {error}")]


async def _stop(mesh: LocalMesh, results: list[Result]) -> None:
    """Stop the mesh in good order: it ends in time and leaves no process."""
    error, left = "", []
    try:
        await mesh.down()
        left = [Finding("process", f"{process.pid} outlived its mesh") for process in await asyncio.to_thread(mesh.alive)]
    except CaseFailedError as failed:
        error = str(failed)
    if error or left:
        note(f"FAILED at the end of the mesh: {error} {summary(left)}")
        results.append(
            Result(
                Case("end", "A mesh that is stopped ends in time and leaves nothing running", "", is_quick=True, run=nothing),
                error=error,
                found=left,
            )
        )


async def nothing(_: World) -> None: ...


_COUNTED = {
    "lost_operations": ("lost_operation", "unfinished"),
    "lost_uploads": ("lost_upload",),
    "found_deleted": ("found_deleted",),
    "orphan_points": ("orphan", "stale"),
    "duplicate_points": ("duplicate",),
    "missing_points": ("missing",),
}


def line(name: str, results: list[Result], **more: object) -> str:
    """Return the result as one JSON line."""
    kinds = Counter(finding.kind for result in results for finding in result.found)
    return json.dumps(
        {
            "name": name,
            "cases": len(results),
            "passed": sum(result.has_passed for result in results),
            "failed": sum(not result.has_passed for result in results),
            "failures": [result.case.number for result in results if not result.has_passed],
            **{name: sum(kinds[kind] for kind in counted) for name, counted in _COUNTED.items()},
            "findings": sum(kinds.values()),
            **more,
        }
    )


def note(text: str) -> None:
    sys.stderr.write(f"faults: {text}\n")
    sys.stderr.flush()
