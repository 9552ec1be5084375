"""One engine over the default model, its graphs built once for all tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.engine import Engine
from services.embedding.settings import Settings


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
async def engine(model_dir: Path) -> AsyncIterator[Engine]:
    catalog = Catalog(model_dir, "all-minilm-l6-v2")
    engine = Engine(Settings(model_dir=model_dir, mesh_key_file=model_dir / "none.pem", bulk_threads=2), catalog)
    yield engine
    await engine.sessions.end_loads()
    engine.close()
    await catalog.close()
