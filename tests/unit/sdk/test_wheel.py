"""The wheel, as it is installed: what is in it, and that its command starts without the checkout."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = directory.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(directory / "unpacked")
    return directory / "unpacked"


def test_it_holds_what_runs_and_nothing_else(unpacked: Path) -> None:
    """Not the tests, and not the tools of developers; but what a type checker and a browser of protos need."""
    assert {path.name for path in unpacked.iterdir()} == {
        "semantik",
        "buf",
        "services",
        "libs",
        "deploy",
        "gateway",
        "semantik-0.1.0.dist-info",
    }
    assert (unpacked / "semantik" / "py.typed").exists()
    assert (unpacked / "gateway" / "envoy.yaml").exists()
    assert not (unpacked / "libs" / "sdk").exists()


def test_its_command_starts(unpacked: Path) -> None:
    """With its dependencies, and without the checkout on the path."""
    paths = [str(unpacked), sysconfig.get_paths()["purelib"]]
    program = f"import sys; sys.path[:0] = {paths!r}; from semantik.command.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, "--help"], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "operations" in done.stdout
