"""Who is alone, and who is not, across the processes of one computer."""

import subprocess
import sys
from pathlib import Path

import pytest

from libs.rpc.boundary.presence import Presence


def test_nobody_else_is_about_before_somebody_else_calls() -> None:
    about = Presence()
    assert not about.others_are_about("ada")
    about.note("ada")
    about.note("ada")
    assert not about.others_are_about("ada")
    assert about.others_are_about("grace")
    about.note("grace")
    assert about.others_are_about("ada")
    assert about.others_are_about("grace")


def test_others_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    about, now = Presence(), 1000.0
    monkeypatch.setattr("libs.rpc.boundary.presence.time.monotonic", lambda: now)
    about.note("grace")
    now += 4.9
    about.note("ada")
    assert about.others_are_about("ada")
    now += 0.2
    assert not about.others_are_about("ada")


def test_processes_see_each_others_callers(tmp_path: Path) -> None:
    path = tmp_path / "presence"
    here = Presence(path)
    here.note("ada")
    program = f"from pathlib import Path; from libs.rpc.boundary.presence import Presence; Presence(Path({str(path)!r})).note('grace')"
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
    assert here.others_are_about("ada")
    assert path.stat().st_mode & 0o777 == 0o600
