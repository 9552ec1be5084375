"""Servers of a test's own: Postgres and Redis as the supervisor runs them, in a directory that goes with them."""

import asyncio
import dataclasses
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.child import Child, Spec
from deploy.local.postgres import Postgres
from deploy.local.redis import Redis


@asynccontextmanager
async def postgres() -> AsyncIterator[Postgres]:
    """Run a cluster that does not sync to the disk; ``create`` makes each test's database."""
    directory = Path(tempfile.mkdtemp(prefix="semantik-postgres-"))
    cluster = Postgres(directory)
    try:
        await asyncio.to_thread(cluster.prepare)
        async with child(volatile(cluster), directory):
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def volatile(cluster: Postgres) -> Spec:
    """Return how to run the cluster without its syncs."""
    spec = cluster.spec()
    settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
    return dataclasses.replace(spec, command=[*spec.command, *(part for setting in settings for part in ("-c", setting))])


@asynccontextmanager
async def redis() -> AsyncIterator[Redis]:
    async with redis_process() as (server, _):
        yield server


@asynccontextmanager
async def redis_process() -> AsyncIterator[tuple[Redis, Child]]:
    """Run a Redis with the process under it, which a test may stop or kill; a killed one is started again."""
    with tempfile.TemporaryDirectory(prefix="semantik-redis-") as scratch:
        directory = Path(scratch)
        server = Redis(directory / "redis.sock", "test")
        async with child(server.spec(directory), directory) as process:
            yield server, process


@asynccontextmanager
async def child(spec: Spec, logs: Path) -> AsyncIterator[Child]:
    """Run the process of ``spec`` for the length of the block, which begins when it is ready."""
    process = Child(spec, logs)
    process.start()
    try:
        await process.wait_ready(30)
        yield process
    finally:
        await process.stop()
