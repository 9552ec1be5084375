"""A mesh on this machine, as ``semantik up`` runs it, seen and hurt from outside."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from deploy.local import launch, mesh
from deploy.local.home import Home
from deploy.local.ports import is_free
from deploy.local.postgres import DATABASE, Postgres
from tests.faults.disk import Disk
from tests.faults.waiting import CaseFailedError, until

READY_SECONDS = 120.0
MARK = "SEMANTIK_FAULTS"
_STOP_SECONDS = 40.0
# A collection takes some 90 MiB of vectors here: on a tmpfs the engine's sparse files are not sparse.
_OBJECTS_MIB, _VECTORS_MIB, _TEMPORARY_MIB = 96, 6144, 128


@dataclass(frozen=True)
class Process:
    """One process as the supervisor reports it."""

    name: str
    state: str
    pid: int
    port: int
    restarts: int


class LocalMesh:
    """One mesh with a data directory of its own. ``environment`` is added to that of every process."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, replicas: int = 1, is_limited: bool = True) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="sf-"))
        self.home = Home(self.root / "data")
        self.library = self.root / "library"
        self.objects = Disk(self.home.objects, _OBJECTS_MIB)
        self.vectors = Disk(self.home.vectors, _VECTORS_MIB)
        self.temporary = Disk(self.home.temporary, _TEMPORARY_MIB)
        self.mark = uuid.uuid4().hex
        self.replicas = replicas
        self.port = next(port for port in random.sample(range(18_000, 20_000), 500) if is_free(port))
        self._environment = {**os.environ, **(environment or {}), MARK: self.mark}
        self._supervisor: asyncio.subprocess.Process | None = None
        self._log = self.root / "supervisor.log"
        self.library.mkdir()
        for disk in (self.objects, self.vectors, self.temporary):
            if is_limited:
                disk.mount()
            else:
                disk.path.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def supervisor(self) -> int:
        if self._supervisor is None:
            raise CaseFailedError("the mesh does not run")
        return self._supervisor.pid

    async def up(self) -> float:
        """Start the mesh; return the seconds until it is ready."""
        command = [sys.executable, "-P", "-m", "semantik.command", "up", "--json", "--data-dir", str(self.home.path)]
        command += ["--port", str(self.port), "--allow", str(self.library), "--replicas", str(self.replicas)]
        # It ends with this process, however that ends.
        launcher = [sys.executable, "-I", "-S", str(launch.__file__), str(signal.SIGTERM.value), str(os.getpid()), "-", "-"]
        with self._log.open("ab") as log:
            self._supervisor = await asyncio.create_subprocess_exec(
                *launcher, *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        seconds = await until("the mesh is ready", READY_SECONDS, self._has_started, poll=0.1)
        await self.execute(_OBSERVERS)
        return seconds

    def _has_started(self) -> bool:
        if self._supervisor is None or self._supervisor.returncode is not None:
            raise CaseFailedError(f"the mesh does not start: {self._log.read_text()[-2000:]}")
        return self.is_ready()

    async def down(self) -> None:
        """Stop the mesh as a person would; what does not stop is killed and named."""
        if self._supervisor is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._supervisor.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._supervisor.wait()
        except TimeoutError:
            self._supervisor.kill()
            await self._supervisor.wait()
            raise CaseFailedError(f"semantik does not stop within {_STOP_SECONDS:.0f} s of a SIGTERM") from None
        finally:
            self._supervisor = None

    def keep_logs(self, folder: Path) -> None:
        """Copy what the processes have logged to ``folder``, for whoever looks into a failure."""
        shutil.copytree(self.home.logs, folder / self.root.name, dirs_exist_ok=True)
        shutil.copy(self._log, folder / self.root.name)

    async def remove(self) -> None:
        """Stop the mesh and forget everything of it, however it fares."""
        try:
            await self.down()
        except CaseFailedError:
            pass
        finally:
            for process in self.alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            postgres = self.home.postgres
            for disk in (self.objects, self.vectors, self.temporary):
                disk.unmount()
            shutil.rmtree(self.root, ignore_errors=True)
            shutil.rmtree(postgres, ignore_errors=True)

    # What the supervisor says.

    def status(self) -> dict[str, Any]:
        return mesh.status(self.home.path)

    def is_ready(self) -> bool:
        now = self.status()
        return bool(now["running"] and now["ready"] and all(psutil.pid_exists(each["pid"]) for each in now["processes"]))

    def processes(self) -> list[Process]:
        return [Process(each["name"], each["state"], each["pid"], each["port"], each["restarts"]) for each in self.status()["processes"]]

    def process(self, name: str) -> Process:
        return next(process for process in self.processes() if process.name == name)

    async def ready(self, seconds: float) -> float:
        """Wait until everything answers; return the seconds it took."""
        return await until("every process is ready again", seconds, self.is_ready, poll=0.1)

    # Injection.

    def signal(self, name: str, number: signal.Signals) -> int:
        """Signal one process; return its id, 0 where it is not alive at the moment."""
        pid = self.process(name).pid
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return 0
        return pid

    async def kill(self, name: str) -> int:
        """SIGKILL one process and wait until it is gone."""
        pid = self.signal(name, signal.SIGKILL)
        await until(f"{name} is gone", 5, lambda: not is_alive(pid))
        return pid

    async def hold_down(self, name: str, seconds: float) -> None:
        """Keep a process dead: kill it whenever it comes back."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            self.signal(name, signal.SIGKILL)
            await asyncio.sleep(0.1)

    # Postgres, past every service.

    def dsn(self) -> str:
        return Postgres(self.home.postgres).dsn(database=DATABASE)

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(
            self.dsn(), autocommit=True, row_factory=dict_row, connect_timeout=5
        ) as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall()

    async def execute(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn(), autocommit=True, connect_timeout=5) as connection:
            await connection.execute(statement.encode())

    # Processes.

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment a process of the mesh runs in."""
        raw = Path(f"/proc/{self.process(name).pid}/environ").read_bytes()
        return dict(entry.split("=", 1) for entry in raw.decode().split("\0") if "=" in entry)

    def alive(self) -> list[psutil.Process]:
        """Return every process that belongs to this mesh, by the mark in its environment, or by its working directory."""
        data = str(self.home.postgres)
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                is_marked = process.environ().get(MARK) == self.mark and process.pid != os.getpid()
                if process.status() != psutil.STATUS_ZOMBIE and (is_marked or process.cwd().startswith(data)):
                    found.append(process)
        return found

    def note(self, text: str) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps({"note": text}) + "\n")


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# What must never happen, seen at the moment it does: a fence that falls, an end that changes.
_OBSERVERS = """
CREATE SCHEMA IF NOT EXISTS faults;
GRANT USAGE ON SCHEMA faults TO PUBLIC;
CREATE TABLE IF NOT EXISTS faults.seen (what text, subject text, moment timestamptz DEFAULT clock_timestamp());
GRANT INSERT ON faults.seen TO PUBLIC;
CREATE OR REPLACE FUNCTION faults.fence_fell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.write_fence < OLD.write_fence THEN INSERT INTO faults.seen VALUES ('the fence of a collection fell', NEW.id); END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION faults.end_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND NEW.state <> OLD.state THEN
    INSERT INTO faults.seen VALUES ('an operation that had ended ' || OLD.state || ' became ' || NEW.state, NEW.id);
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS faults_fence ON collection.collections;
CREATE TRIGGER faults_fence BEFORE UPDATE ON collection.collections FOR EACH ROW EXECUTE FUNCTION faults.fence_fell();
DROP TRIGGER IF EXISTS faults_end ON operation.operations;
CREATE TRIGGER faults_end BEFORE UPDATE ON operation.operations FOR EACH ROW EXECUTE FUNCTION faults.end_changed();
"""
