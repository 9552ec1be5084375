"""An empty virtual environment outside the checkout, and the programs that are installed into it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.packages.distributions import uv

_MIB = 1024 * 1024
# What would lead a program to the checkout, or to the data and the sign-in of the person who runs this.
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SEMANTIK_DATA_DIR", "SEMANTIK_ADDRESS", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


class Environment:
    """``directory`` holds the environment and the home of what runs in it; ``found_in`` holds the project's own wheels."""

    def __init__(self, directory: Path, found_in: Path, python: str = sys.executable) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self._found_in = found_in
        self._set: dict[str, str] = {}
        uv("venv", "--python", python, directory / "venv", cwd=directory)

    def install(self, *requirements: str) -> None:
        """Install what is asked for; the project's own distributions come from its wheels."""
        options: list[str | Path] = ["--python", self.program("python"), "--find-links", self._found_in]
        uv("pip install", *options, *requirements, cwd=self.directory)

    def program(self, name: str) -> Path:
        return self.directory / "venv" / "bin" / name

    @property
    def site_packages(self) -> Path:
        [path] = (self.directory / "venv" / "lib").glob("python3.*/site-packages")
        return path

    @property
    def mib(self) -> float:
        """The size of what is installed."""
        return round(sum(path.stat().st_size for path in self.site_packages.rglob("*") if path.is_file()) / _MIB, 1)

    def run(
        self, *command: str | Path, name: str = "python", typed: str | None = None, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run an installed program in an empty folder of its own home; ``typed`` goes to its standard input."""
        return subprocess.run(
            [self.program(name), *command],
            cwd=self.home,
            env=self.variables,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        return {**kept, "HOME": str(self.home), **self._set}

    def set(self, **variables: str) -> None:
        """Set variables for what runs from now on."""
        self._set |= variables
