"""Constructs the search service and serves it."""

import asyncio
from typing import Any

from libs.db import engine as db
from libs.rpc import call, channels
from libs.rpc.boundary import Access
from libs.rpc.boundary.admit import Share
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.paging import Pager
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from libs.rpc.settings import Environment
from libs.work import failpoints
from libs.work.serving import side_by_side
from libs.work.worker import Worker
from semantik.search.v1 import (
    evaluation_internal_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    index_internal_service_pb2_grpc,
    judged_set_service_pb2_grpc,
    search_internal_service_pb2_grpc,
    search_service_pb2_grpc,
)
from services.search.batch import BatchSearch
from services.search.collection_access import CollectionAccess
from services.search.costs import SHARE, cost
from services.search.evaluation.handler import EvaluationHandler
from services.search.evaluation.starting import QUEUE, Starter
from services.search.index.indexes import Indexes
from services.search.qdrant import Qdrant, connect
from services.search.replication import Placement, consistency
from services.search.search import Search
from services.search.servicer.evaluation import EvaluationServicer
from services.search.servicer.evaluation_internal import EvaluationInternalServicer
from services.search.servicer.index import IndexInternalServicer
from services.search.servicer.judged_set import JudgedSetServicer
from services.search.servicer.search import SearchInternalServicer, SearchServicer
from services.search.settings import Settings
from services.search.similar import Similar
from services.search.suggestions.headings import HeadingIndex
from services.search.suggestions.recent import RecentQueries
from services.search.suggestions.suggest import Suggest
from services.search.vectors.embeddings import Embeddings

_AUTH = ["semantik.auth.v1.AuthInternalService"]
_COLLECTION = ["semantik.collection.v1.CollectionInternalService"]
_EMBEDDING = ["semantik.embedding.v1.EmbeddingInternalService"]
_OPERATION = ["semantik.operation.v1.OperationInternalService"]


def _share(access: CollectionAccess) -> Share:
    """A long question costs as much as twenty short ones, and so do ten collections, four passages to rerank or a batch: one of a user's
    at a time leaves the others' in between.
    """

    def costs(request: Any) -> int:
        principal = call.current().principal
        return cost(request) if principal is None else cost(request, access.readable_count(principal))

    return Share(calls=4, request_bytes=SHARE, cost=costs)


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("search", settings)
    client = connect(settings.qdrant_url, settings.qdrant_api_key.get_secret_value(), settings.qdrant_timeout_seconds)
    consistent = consistency(settings.qdrant_read_consistency, settings.qdrant_write_ordering)
    qdrant = Qdrant(client, settings.qdrant_timeout_seconds, consistent)
    placement = Placement(settings.qdrant_shard_number, settings.qdrant_replication_factor, settings.qdrant_write_consistency_factor)
    indexes = Indexes(qdrant, placement)
    draining = asyncio.Event()
    failpoint = failpoints.parse(settings.evaluation_failpoints) if settings.environment is Environment.LOCAL else failpoints.nothing
    async with (
        db.database(settings, "search") as engine,
        db.reads(settings, "search") as reading,
        channels.connect(settings.auth_address, "auth", mesh, _AUTH) as auth,
        channels.connect(settings.collection_address, "collection", mesh, _COLLECTION) as collection,
        channels.connect(settings.embedding_address, "embedding", mesh, _EMBEDDING) as embedding,
        channels.connect(settings.operation_address, "operation", mesh, _OPERATION) as operation,
    ):
        access = CollectionAccess(collection, settings.authorization_cache_seconds)
        embeddings = Embeddings(embedding)
        pager, sessions = Pager(mesh), db.sessions(engine)
        search = Search(qdrant, access, embeddings, embedding, pager)
        recent = RecentQueries(sessions, db.sessions(reading))
        services = [
            Served(
                "semantik.search.v1.SearchService",
                search_service_pb2_grpc.add_SearchServiceServicer_to_server,
                SearchServicer(
                    search,
                    BatchSearch(search, access),
                    Similar(qdrant, access, embeddings, search),
                    Suggest(HeadingIndex(qdrant), access, recent),
                    recent,
                ),
                Access.MEMBER,
            ),
            Served(
                "semantik.search.v1.JudgedSetService",
                judged_set_service_pb2_grpc.add_JudgedSetServiceServicer_to_server,
                JudgedSetServicer(sessions, access, pager),
                Access.MEMBER,
            ),
            Served(
                "semantik.search.v1.EvaluationService",
                evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server,
                EvaluationServicer(sessions, access, pager, Starter(sessions, operation)),
                Access.MEMBER,
            ),
            Served(
                "semantik.search.v1.EvaluationInternalService",
                evaluation_internal_service_pb2_grpc.add_EvaluationInternalServiceServicer_to_server,
                EvaluationInternalServicer(sessions),
                Access.MESH,
            ),
            Served(
                "semantik.search.v1.SearchInternalService",
                search_internal_service_pb2_grpc.add_SearchInternalServiceServicer_to_server,
                SearchInternalServicer(search),
                Access.MESH,
            ),
            Served(
                "semantik.search.v1.IndexInternalService",
                index_internal_service_pb2_grpc.add_IndexInternalServiceServicer_to_server,
                IndexInternalServicer(indexes, access),
                Access.MESH,
            ),
        ]
        worker = Worker(
            operation,
            EvaluationHandler(sessions, search, access, failpoint),
            draining,
            queue=QUEUE,
            worker_id=settings.worker_id,
            long_slots=settings.evaluation_slots,
            short_slots=0,
            failpoint=failpoint,
        )
        server = Server(
            settings,
            services,
            mesh,
            auth_client.verifier(auth),
            qdrant.ready,
            background=[recent.run],
            translate=db.translate,
            draining=draining,
            share=_share(access),
        )
        try:
            await side_by_side(worker.run(), server.run(), draining, drain_seconds=settings.drain_seconds)
        finally:
            await recent.flush()
            await indexes.close()
            await client.close()


if __name__ == "__main__":
    settings = configured(Settings)
    run("search", settings, main(settings))
