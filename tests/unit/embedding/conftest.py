"""One engine over the default model, its graphs built once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedding.engine import Engine
from services.embedding.settings import Settings


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def engine(model_dir: Path) -> Iterator[Engine]:
    started = Engine(Settings(model_dir=model_dir, mesh_key_file=model_dir / "none.pem", bulk_threads=2))
    yield started
    started.close()
