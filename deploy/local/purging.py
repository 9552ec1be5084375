"""Deletes the data of a mesh, in its directory and, for root or a long path, outside."""

import contextlib
import shutil
from pathlib import Path

from deploy.local import state, usage
from deploy.local.home import Home, MeshError, home_of, roots_state


def belongings(data_dir: Path | None) -> list[Path]:
    """Return the data directory and what its mesh keeps outside, nothing if there is none; raises MeshError if it runs."""
    home = home_of(data_dir)
    pid = state.holder(home)
    if pid is not None:
        raise MeshError(f"a mesh runs in {home.path} (pid {pid}); stop it first: semantik down")
    outside = [path for path in _existing(home) if not path.is_relative_to(home.path)]
    return [home.path, *outside] if home.lock.exists() else []


def gateway(data_dir: Path | None) -> str:
    """Return the address at which the mesh answered last; empty if it never ran."""
    return str(state.read(home_of(data_dir)).get("gateway", ""))


def delete(data_dir: Path | None) -> None:
    """Delete the belongings of a mesh that does not run, and the directory if nothing else is in it."""
    home = home_of(data_dir)
    with state.locked(home), roots_state():
        usage.end_leftovers(state.read(home).get("processes", ()))
        for path in _existing(home):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    with contextlib.suppress(OSError):  # other files are in it
        home.path.rmdir()


def _existing(home: Home) -> list[Path]:
    return [path for path in home.belongings if path.exists() or path.is_symlink()]
