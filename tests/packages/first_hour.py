"""``make first-hour``: what a newcomer meets, from the packages to the end of README's tour; ends with one JSON line."""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.packages import distributions, tour
from tests.packages.distributions import ROOT
from tests.packages.environment import Environment
from tests.packages.tour import Tour

_PAPERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "gateway/README.md")
_HELP_RUNS = 9
_STOP_SECONDS = 60


class FirstHour:
    """One run: each step is checked, and one that fails does not end the run."""

    def __init__(self, directory: Path, python: str) -> None:
        self._directory = directory
        self._python = python
        self.steps = 0
        self.failed: list[str] = []

    def run(self) -> dict[str, object]:
        built = self._directory / "dist"
        built.mkdir()
        wheel_ok = self.step("build the packages", lambda: distributions.build(built))
        sdk = Environment(self._directory / "sdk", built, self._python)
        wheel_ok &= self.step("install semantik", lambda: sdk.install("semantik", "--compile-bytecode"))
        wheel_ok &= self.step("import the client", lambda: _succeeds(sdk.run("-I", "-c", "import semantik.client")))
        help_ms: list[float] = []
        wheel_ok &= self.step("semantik --help", lambda: help_ms.extend(_help_ms(sdk)))
        papers = self._directory / "papers"
        papers.mkdir()
        for name in _PAPERS:
            shutil.copy(ROOT / name, papers / name.replace("/", "-"))
        cold_to_first_hit = self._tour(built, papers)
        return {
            "name": "first-hour",
            "wheel_ok": wheel_ok,
            "sdk_mib": sdk.mib,
            "help_ms": round(statistics.median(help_ms)) if help_ms else None,
            "cold_to_first_hit_s": cold_to_first_hit,
            "steps": self.steps,
            "failed": len(self.failed),
        }

    def _tour(self, built: Path, papers: Path) -> float | None:
        """Return the seconds from an empty environment to the first hit, with warm caches of packages."""
        started = time.monotonic()
        local = Environment(self._directory / "local", built, self._python)
        if not self.step("install semantik[local]", lambda: local.install("semantik[local]")):
            return None
        with _mesh(local) as address:
            if not self.step("semantik up", lambda: _answered(address)):
                return None
            person = Tour(local, address, papers)
            if not all(self._step_of(person, step) for step in tour.FIRST):
                return None
            cold_to_first_hit = round(time.monotonic() - started, 1)
            for step in tour.FURTHER:
                self._step_of(person, step)
            self.step("semantik down", lambda: _succeeds(local.run("down", name="semantik")))
        return cold_to_first_hit

    def _step_of(self, person: Tour, step: Callable[[Tour], None]) -> bool:
        return self.step(step.__name__.replace("_", " "), lambda: step(person))

    def step(self, name: str, action: Callable[[], object]) -> bool:
        """Run a step, say how it went, and return whether it went well."""
        self.steps += 1
        started = time.monotonic()
        try:
            action()
        except Exception as error:  # noqa: BLE001 - a step that fails is counted and shown; the others still run
            self.failed.append(name)
            sys.stderr.write(f"first-hour: FAILED: {name}: {error!r}\n")
            return False
        sys.stderr.write(f"first-hour: ok: {name} ({time.monotonic() - started:.1f} s)\n")
        return True


@contextmanager
def _mesh(environment: Environment) -> Iterator[str]:
    """Run ``semantik up``; yields the gateway's address once everything is ready, empty if it ended before."""
    errors = environment.directory / "up.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [environment.program("semantik"), "up", "--json"],
            cwd=environment.home,
            env=environment.variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield json.loads(line)["address"] if line else ""
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
        process.stdout.close()
        sys.stderr.write(errors.read_text())


def _answered(address: str) -> None:
    assert address, "it ended before it was ready"


def _help_ms(environment: Environment) -> list[float]:
    """Return how long the installed command took to show its help, each time after the first."""
    milliseconds = []
    for _ in range(_HELP_RUNS):
        started = time.perf_counter()
        _succeeds(environment.run("--help", name="semantik"))
        milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds[1:]


def _succeeds(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="semantik-first-hour-") as directory:
        result = FirstHour(Path(directory), options.python).run()
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["failed"] else 0)


if __name__ == "__main__":
    main()
