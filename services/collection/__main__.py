"""Constructs the collection service and serves it."""

from libs.db import engine as db
from libs.periodic.jobs import Periodic
from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.paging import Pager
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.collection.v1 import (
    collection_internal_service_pb2_grpc,
    collection_service_pb2_grpc,
    document_service_pb2_grpc,
    source_service_pb2_grpc,
)
from services.collection import periodic
from services.collection.objects import Objects
from services.collection.servicer.collection import CollectionServicer
from services.collection.servicer.document import DocumentServicer
from services.collection.servicer.internal import CollectionInternalServicer
from services.collection.servicer.source import SourceServicer
from services.collection.settings import Settings
from services.collection.starter import Starter
from services.collection.visibility import Visibility


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("collection", settings)
    async with (
        db.database(settings, "collection") as engine,
        db.reads(settings, "collection") as reads,
        db.probe(settings, "collection") as ready,
        channels.connect(settings.auth_address, "auth", mesh, ["semantik.auth.v1.AuthInternalService"]) as auth,
        channels.connect(settings.operation_address, "operation", mesh, ["semantik.operation.v1.OperationInternalService"]) as operation,
        channels.connect(settings.embedding_address, "embedding", mesh, ["semantik.embedding.v1.EmbeddingInternalService"]) as embedding,
        channels.connect(settings.search_address, "search", mesh, ["semantik.search.v1.IndexInternalService"]) as search,
    ):
        sessions = db.sessions(engine)
        pager = Pager(mesh)
        starter = Starter(sessions, operation)
        visibility = Visibility(sessions, search)
        objects = Objects(settings.objects_url)
        services = [
            Served(
                "semantik.collection.v1.CollectionService",
                collection_service_pb2_grpc.add_CollectionServiceServicer_to_server,
                CollectionServicer(sessions, reads, pager, starter, embedding, settings.default_chunk_size),
                Access.MEMBER,
            ),
            Served(
                "semantik.collection.v1.SourceService",
                source_service_pb2_grpc.add_SourceServiceServicer_to_server,
                SourceServicer(sessions, pager, starter, visibility, settings.roots, settings.operator()),
                Access.MEMBER,
            ),
            Served(
                "semantik.collection.v1.DocumentService",
                document_service_pb2_grpc.add_DocumentServiceServicer_to_server,
                DocumentServicer(sessions, pager, starter, visibility, objects, settings.max_upload_bytes),
                Access.MEMBER,
            ),
            Served(
                "semantik.collection.v1.CollectionInternalService",
                collection_internal_service_pb2_grpc.add_CollectionInternalServiceServicer_to_server,
                CollectionInternalServicer(sessions, reads),
                Access.MESH,
            ),
        ]
        jobs = Periodic(settings.redis_url, "collection", periodic.jobs(sessions, objects, search, starter))
        background = [starter.run, jobs.run]
        await Server(settings, services, mesh, auth_client.verifier(auth), ready, background, db.translate).run()


if __name__ == "__main__":
    settings = configured(Settings)
    run("collection", settings, main(settings))
