"""The data directory of one mesh and the paths in it."""

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOCKET_PATH_LIMIT = 90  # of 107 bytes, leaving room for the socket's own name
_ROOTS_STATE = Path("/var/lib/semantik")
_WHEEL_MODEL = "all-minilm-l6-v2"


class MeshError(Exception):
    """A problem that a person has to solve; the message says how."""


@dataclass(frozen=True)
class Home:
    """A data directory, which only its owner can read."""

    path: Path

    def prepare(self) -> None:
        for directory in (self.path, self.logs, self.keys, self.models, self.objects, self.vectors, self.run, self.temporary):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if directory.stat().st_uid != os.geteuid():
                raise MeshError(f"{directory} belongs to another user")
            directory.chmod(0o700)
        self._link_postgres()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def models(self) -> Path:
        return self.path / "models"

    def has_model(self, name: str) -> bool:
        """Return whether a model is installed: from its wheel, or as a directory."""
        return name == _WHEEL_MODEL or (Path(name).name == name and (self.models / name / "config.json").is_file())

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def vectors(self) -> Path:
        return self.path / "vectors"

    @property
    def temporary(self) -> Path:
        """The processes' temporary files; emptied before they start."""
        return self.path / "tmp"

    def clear_temporary(self) -> None:
        """Remove what killed processes have left; call it only while none runs."""
        for path in self.temporary.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def ports(self) -> Path:
        return self.path / "ports.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def run(self) -> Path:
        """Sockets and rendered files: in the data directory, unless its path is too long for a socket."""
        if len(str(self.path)) <= _SOCKET_PATH_LIMIT - len("/run"):
            return self.path / "run"
        return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / f"semantik-{self.fingerprint}"  # noqa: S108 - 0700, named by digest

    @property
    def envoy(self) -> Path:
        """The socket of Envoy's administration."""
        return self.run / "envoy.sock"

    @property
    def postgres(self) -> Path:
        """The database: in the data directory or, for root, where the link there points."""
        return (self.path / "postgres").resolve()

    @property
    def own(self) -> tuple[Path, ...]:
        """All that belongs to meshes of this account, which no source may read."""
        return self.path, self.run, self.postgres, _ROOTS_STATE

    @property
    def belongings(self) -> tuple[Path, ...]:
        """Everything that a mesh makes, in its directory and outside, the lock last; the rest of the directory is not its own."""
        link = self.path / "postgres"
        outside = (self.postgres, _ROOTS_STATE / f"{self.postgres.name}.home") if link.is_symlink() else ()
        directories = self.logs, self.keys, self.models, self.objects, self.vectors, self.run, self.temporary, link
        return (*outside, *directories, self.state, self.ports, self.lock)

    def _link_postgres(self) -> None:
        # Postgres refuses to run as root, and its own account cannot enter root's directories.
        link = self.path / "postgres"
        if os.geteuid() != 0 or link.is_symlink():
            return
        with roots_state():
            _ROOTS_STATE.mkdir(parents=True, exist_ok=True)
            _ROOTS_STATE.chmod(0o711)  # can be entered, not listed
            _delete_temporary_databases()
            directory = Path(tempfile.mkdtemp(prefix=f"{self.fingerprint}-", dir=_ROOTS_STATE))
            (_ROOTS_STATE / f"{directory.name}.home").write_text(str(self.path))
            link.symlink_to(directory)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:12]

    def secret(self, name: str) -> str:
        """Return the secret of this name, created on first use in a file that only the owner can read."""
        return self.secret_file(name, lambda: secrets.token_urlsafe(32).encode()).read_text()

    def secret_file(self, name: str, make: Callable[[], bytes]) -> Path:
        path = self.keys / name
        if not path.exists():
            fresh = path.with_suffix(".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(make())
            fresh.rename(path)
        return path


@contextmanager
def roots_state() -> Iterator[None]:
    """Keep the other meshes of root from making or deleting databases during the block; then, delete what they share if none is left.

    The lock is one on the folder above. Whoever is not root has no state here.
    """
    if os.geteuid() != 0:
        yield
        return
    _ROOTS_STATE.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_ROOTS_STATE.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # A database without a note is somebody's too.
        if _ROOTS_STATE.exists() and not any((*_ROOTS_STATE.glob("*.home"), *_ROOTS_STATE.glob("*/data"))):
            shutil.rmtree(_ROOTS_STATE)
    finally:
        os.close(descriptor)


def _delete_temporary_databases() -> None:
    """Delete the databases of meshes whose temporary data directories no longer exist."""
    for note in _ROOTS_STATE.glob("*.home"):
        home, cluster = Path(note.read_text()), note.with_suffix("")
        if home.is_relative_to(tempfile.gettempdir()) and (home / "postgres").resolve() != cluster:
            shutil.rmtree(cluster, ignore_errors=True)
            note.unlink()


def home_of(data_dir: Path | None) -> Home:
    """Return the mesh of this data directory; None is the user's own."""
    if data_dir is not None:
        return Home(data_dir.expanduser().resolve())
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Home((Path(base) / "semantik").resolve())
