"""The migrations and the tables say the same, forwards and backwards."""

import asyncio
import importlib

import pytest
from alembic import command
from sqlalchemy import MetaData

from deploy.local.postgres import Postgres
from libs.db.migrate import configuration


@pytest.mark.parametrize("service", ["auth", "collection", "operation", "search"])
async def test_a_history_leads_to_its_tables_and_back(cluster: Postgres, service: str) -> None:
    """Every migration can be undone, and Alembic finds nothing that the tables have and the history has not."""
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").Base.metadata
    config = configuration(service, cluster.url(service, "migrations"), metadata)
    for step in (
        lambda: command.upgrade(config, "head"),
        lambda: command.check(config),
        lambda: command.downgrade(config, "base"),
        lambda: command.upgrade(config, "head"),
    ):
        await asyncio.to_thread(step)
