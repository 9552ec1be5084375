"""An extraction child that was taken over finds nothing to read and nobody to talk to."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.collection.worker.extraction import sandbox
from services.collection.worker.extraction.child import File, Limits
from services.collection.worker.extraction.pool import ExtractionPool
from tests.unit.worker.pdf import pdf

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these layers are Linux's")

_PROBES = Path(__file__).with_name("probes.py")


def _has_landlock() -> bool:
    return sandbox._support()[0] > 0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file that file permissions alone would show to everybody."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder.name.startswith(("pytest-", "test_")):
            folder.chmod(0o777)
    for name in ("mesh.pem", "other"):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o666)
    return tmp_path / "mesh.pem"


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A port and a socket that anybody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as local:
        path = str(tmp_path / "s")
        local.bind(path)
        Path(path).chmod(0o777)
        local.listen()
        yield port.getsockname()[1], path


def _probe(layers: str, key: Path, listeners: tuple[int, str]) -> dict[str, Any]:
    command = [sys.executable, "-P", str(_PROBES), layers, str(key), str(listeners[0]), listeners[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _refused(layers: str, key: Path, listeners: tuple[int, str]) -> set[str]:
    return {name for name, outcome in _probe(layers, key, listeners)["outcomes"].items() if outcome == "PermissionError"}


@pytest.mark.abuse(33)
def test_a_child_can_do_nothing_but_answer(key: Path, listeners: tuple[int, str]) -> None:
    """Each attempt is refused, not only impossible for another reason."""
    answer = _probe("all", key, listeners)
    assert {name: outcome for name, outcome in answer["outcomes"].items() if outcome != "PermissionError"} == {
        "raise its limits": "not allowed to raise maximum limit"
    }
    assert key.read_text() == "secret"
    assert {name: state.split(":")[0] for name, state in answer["layers"].items()} == {
        "limits": "on",
        "landlock": "on" if _has_landlock() else "off",
        "user": "on" if os.geteuid() == 0 else "off",
        "seccomp": "on",
    }


def test_without_the_sandbox_the_attempts_succeed(key: Path, listeners: tuple[int, str]) -> None:
    """Else the tests beside this one would show nothing."""
    outcomes = _probe("none", key, listeners)["outcomes"]
    attempts = ("read a key", "write a file", "read passwords", "connect to a port", "connect to a local socket", "run a program", "fork")
    assert {name: outcomes[name] for name in attempts} == dict.fromkeys(attempts, "done")


@pytest.mark.abuse(33)
@pytest.mark.skipif(not _has_landlock(), reason="this kernel has no Landlock")
def test_landlock_alone_keeps_files_programs_and_other_processes_out_of_reach(key: Path, listeners: tuple[int, str]) -> None:
    """Where a process may still open libraries, it opens nothing else."""
    assert _refused("landlock", key, listeners) >= {
        "read a key",
        "list a directory",
        "write a file",
        "write to a key",
        "delete a key",
        "link a key",
        "read passwords",
        "read the parent's environment",
        "read the parent's memory",
        "read the parent's files",
        "attach to the parent",
        "run a program",
    }


@pytest.mark.abuse(33)
def test_seccomp_alone_keeps_everything_out_of_reach(key: Path, listeners: tuple[int, str]) -> None:
    """A system without Landlock opens no file at all."""
    outcomes = _probe("seccomp", key, listeners)["outcomes"]
    assert {name for name, outcome in outcomes.items() if outcome != "PermissionError"} <= {"raise its limits"}


def test_a_sandbox_that_is_required_and_missing_is_an_error() -> None:
    """Nothing is read then; otherwise it goes on with the other layers and says so."""
    script = (
        "from services.collection.worker.extraction import sandbox\n"
        "sandbox._support = lambda: (0, False)\n"
        "print(sandbox.enter(lambda: None, is_required=False)['seccomp'])\n"
        "sandbox.enter(lambda: None, is_required=True)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "off: this system has none\n"
    assert done.stderr.endswith("SandboxError: the sandbox of extraction is required, but seccomp is off: this system has none\n")


async def test_the_pools_children_are_locked_in_and_read_every_format(tmp_path: Path) -> None:
    """The kernel says so, from outside."""
    files = {
        "a.txt": b"plain words",
        "german.txt": "Der Wärmeübergang an der ebenen Platte wurde gemessen, und die Rechnung stimmt damit überein.".encode(),
        "old.txt": "Ein sch\u00f6ner K\u00e4se f\u00fcr Frau M\u00fcller".encode("cp1252"),
        "korean.txt": "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8 \ud30c\uc77c\uc785\ub2c8\ub2e4.".encode("euc-kr"),
        "a.md": b"# Title\n\nwords",
        "a.html": b"<h1>Title</h1><p>words",
        "a.py": b"x = 1",
        "a.pdf": pdf("On paper"),
    }
    async with ExtractionPool(1, Limits(30.0, 1024, 100_000, "required")) as pool:
        texts, languages = {}, {}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            with (tmp_path / name).open("rb") as opened:
                extracted = await pool.extract(File(opened.fileno(), name))
            texts[name], languages[name] = extracted.text.strip(), extracted.language
        [child] = pool._resting
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines())
    assert [texts[name] for name in ("old.txt", "a.html", "a.pdf")] == [
        "Ein sch\u00f6ner K\u00e4se f\u00fcr Frau M\u00fcller",
        "Title\n\nwords",
        "On paper",
    ]
    assert all(texts.values())
    assert (languages["german.txt"], languages["a.py"]) == ("de", "")
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    if os.geteuid() == 0:
        assert (set(status["Uid"].split()), status["Groups"].strip(), int(status["CapEff"], 16)) == ({"65534"}, "", 0)
