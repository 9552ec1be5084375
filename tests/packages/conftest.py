"""The distributions, built once, and the environments into which they are installed."""

from pathlib import Path

import pytest

from tests.packages import distributions
from tests.packages.environment import Environment


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of all wheels and sdists."""
    return distributions.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def sdk(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with `semantik` alone."""
    environment = Environment(tmp_path_factory.mktemp("sdk"), built)
    environment.install("semantik", "--compile-bytecode")  # as pip does, so that its size is the one that people see
    return environment


@pytest.fixture(scope="session")
def local(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with `semantik[local]`."""
    environment = Environment(tmp_path_factory.mktemp("local"), built)
    environment.install("semantik[local]")
    return environment
