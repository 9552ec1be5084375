"""Constructs the ingestion worker and runs it."""

import asyncio

from libs.db import engine as db
from libs.rpc import channels
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Server
from libs.rpc.settings import Environment
from libs.work import failpoints
from libs.work.attempt import Pace
from libs.work.serving import side_by_side
from libs.work.worker import Worker
from services.collection.objects import Objects
from services.collection.worker.embedder import Embedder
from services.collection.worker.extraction.child import Limits
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.handler import IngestionHandler
from services.collection.worker.job import Dependencies
from services.collection.worker.settings import Settings

_SEARCH = ["semantik.search.v1.IndexInternalService", "semantik.search.v1.EvaluationInternalService"]


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("worker", settings)
    draining = asyncio.Event()
    failpoint = failpoints.parse(settings.failpoints) if settings.environment is Environment.LOCAL else failpoints.nothing
    limits = Limits(settings.extraction_seconds, settings.extraction_memory_mib, settings.max_text_characters, settings.extraction_sandbox)
    async with (
        db.database(settings, "worker") as engine,
        db.probe(settings, "worker") as ready,
        channels.connect(settings.auth_address, "auth", mesh, ["semantik.auth.v1.AuthInternalService"]) as auth,
        channels.connect(settings.operation_address, "operation", mesh, ["semantik.operation.v1.OperationInternalService"]) as operation,
        channels.connect(settings.embedding_address, "embedding", mesh, ["semantik.embedding.v1.EmbeddingInternalService"]) as embedding,
        channels.connect(settings.search_address, "search", mesh, _SEARCH) as search,
        ExtractionPool(settings.extraction_processes, limits) as extraction,
    ):
        objects = Objects(settings.objects_url)
        dependencies = Dependencies(settings, db.sessions(engine), objects, extraction, Embedder(embedding), search, failpoint)
        worker = Worker(
            operation,
            IngestionHandler(dependencies),
            draining,
            queue=settings.queue,
            worker_id=settings.worker_id,
            long_slots=settings.long_slots,
            short_slots=settings.short_slots,
            pace=Pace(settings.report_seconds, settings.stall_seconds),
            failpoint=failpoint,
        )
        # It serves nothing but its health.
        server = Server(settings, [], mesh, auth_client.verifier(auth), ready=ready, draining=draining)
        await side_by_side(worker.run(), server.run(), draining)


if __name__ == "__main__":
    settings = configured(Settings)
    run("worker", settings, main(settings))
