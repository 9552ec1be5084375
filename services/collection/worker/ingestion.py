"""Indexes what waits in a collection, whatever its sources."""

from services.collection.store.indexing import worklist
from services.collection.tables import Source, SourceKind
from services.collection.worker.connectors import CONNECTORS, Connector, SourceSettings
from services.collection.worker.job import Job
from services.collection.worker.pipeline import Pipeline, Scan
from services.collection.worker.reading import Reader


async def index(job: Job, scan: Scan | None = None) -> None:
    """Index every waiting document of the job's target, beside ``scan`` where there is one."""
    generation = job.target.generation
    if scan is None:
        totals = await job.read(lambda session: worklist.totals(session, generation, job.operation_id))
        if not totals.waiting:
            return
        job.progress.listed(totals.waiting + totals.ended, totals.waiting_bytes + totals.ended_bytes)
    opened: dict[str, Connector] = {}

    async def connector_of(source_id: str) -> Connector:
        if source_id not in opened:
            source = await job.read(lambda session: session.get_one(Source, source_id))
            opened[source_id] = open_connector(job, source)
        return opened[source_id]

    tokens = await job.dependencies.embedder.token_reader(generation.digest, job.report)
    embed_names = job.dependencies.settings.embed_names
    reader = Reader(connector_of, job.dependencies.extraction, tokens, generation, job.report, embed_names=embed_names)
    await Pipeline(job, reader, scan).run()


def open_connector(job: Job, source: Source) -> Connector:
    """Return the connector that reads a source."""
    settings = SourceSettings(source.location, source.config, job.dependencies.settings.roots, job.dependencies.objects)
    return CONNECTORS[SourceKind(source.kind)](settings)
