"""A Postgres of its own, and its database of a service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.postgres import Postgres
from libs.db.engine import DatabaseSettings
from libs.rpc.settings import Environment
from tests.servers import postgres


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[Postgres]:
    async with postgres() as started:
        for database in ("migrations", "failures"):
            await started.create(database)
        yield started


@pytest.fixture(scope="session")
def settings(cluster: Postgres, tmp_path_factory: pytest.TempPathFactory) -> DatabaseSettings:
    key = tmp_path_factory.mktemp("keys") / "mesh.pem"
    return DatabaseSettings(
        mesh_key_file=Path(key), database_url=cluster.url("auth", "failures"), database_pool_size=2, environment=Environment.LOCAL
    )
