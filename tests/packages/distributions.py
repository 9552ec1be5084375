"""The project's distributions: each is built as an sdist, and its wheel from that sdist, outside the checkout."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"
PROJECTS = {"semantik": ROOT / "libs" / "sdk", "semantik-minilm": ROOT / "models" / "minilm", "semantik-mesh": ROOT}
# Without the checkout's own settings, as a person who has no checkout runs it.
_UV_OPTIONS = ("--no-config", "--quiet")


def build(directory: Path) -> Path:
    """Build every sdist, and from each its wheel, into ``directory``."""
    for project in PROJECTS.values():
        uv("build", "--out-dir", directory, project, cwd=directory)
    return directory


def build_in_place(name: str, directory: Path) -> Path:
    """Build one wheel straight from the checkout."""
    uv("build", "--wheel", "--out-dir", directory, PROJECTS[name], cwd=directory)
    return wheel(directory, name)


def wheel(directory: Path, name: str) -> Path:
    [path] = directory.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return path


def names(wheel: Path) -> set[str]:
    """Return the paths of the files in a wheel, without those about the wheel itself."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def requirements(wheel: Path) -> list[str]:
    """Return what a wheel asks installers for."""
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])


def tracked(*folders: str) -> set[str]:
    """Return the paths of the files that the repository holds below ``folders``."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(listed.stdout.splitlines())


def uv(command: str, *arguments: str | Path, cwd: Path) -> None:
    subprocess.run([UV, *command.split(), *_UV_OPTIONS, *arguments], cwd=cwd, check=True)
