"""Constructs the ingestion worker and runs it."""

import asyncio
from functools import partial

from libs.db import engine as db
from libs.rpc import bell, channels, peers
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Server
from services.collection.hiding import SEARCH_IDEMPOTENT
from services.collection.models import EMBEDDING_IDEMPOTENT
from services.collection.objects import Objects
from services.collection.starter import OPERATION_IDEMPOTENT
from services.collection.worker.claims import Worker
from services.collection.worker.extraction.child import Limits
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.job import Tools
from services.collection.worker.peers import Embedder
from services.collection.worker.settings import Settings


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.from_file("worker", settings.mesh_key_file)
    draining = asyncio.Event()
    async with (
        db.database(settings, "worker") as engine,
        channels.connect(settings.auth_address, "auth", mesh, peers.AUTH_IDEMPOTENT) as auth,
        channels.connect(settings.operation_address, "operation", mesh, OPERATION_IDEMPOTENT) as operation,
        channels.connect(settings.embedding_address, "embedding", mesh, EMBEDDING_IDEMPOTENT) as embedding,
        channels.connect(settings.search_address, "search", mesh, SEARCH_IDEMPOTENT) as search,
        ExtractionPool(
            settings.extraction_processes,
            Limits(settings.extraction_seconds, settings.extraction_memory_mib, settings.max_text_characters, settings.extraction_sandbox),
        ) as extraction,
    ):
        tools = Tools(settings, db.sessions(engine), Objects(settings.objects_url), extraction, Embedder(embedding))
        worker = Worker(tools, operation, search, draining)
        # It serves nothing but its health.
        server = Server(
            settings,
            [],
            mesh,
            peers.verifier(auth),
            ready=partial(db.ping, engine),
            background=[partial(bell.listen, settings.redis_url, settings.queue, worker.ring)],
            draining=draining,
        )
        working = asyncio.create_task(worker.run())
        serving = asyncio.create_task(server.run())
        await asyncio.wait((working, serving), return_when=asyncio.FIRST_COMPLETED)
        draining.set()
        await asyncio.gather(working, serving)


if __name__ == "__main__":
    settings = configured(Settings)
    run("worker", settings, main(settings))
