"""Constructs the embedding service and serves it."""

from libs.rpc import channels, peers
from libs.rpc.boundary import Access
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.embedding.v1 import embedding_internal_service_pb2_grpc, embedding_service_pb2_grpc, model_service_pb2_grpc
from services.embedding.engine import Engine
from services.embedding.servicer.internal import EmbeddingInternalServicer
from services.embedding.servicer.public import EmbeddingServicer, ModelServicer
from services.embedding.settings import Settings


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.from_file("embedding", settings.mesh_key_file)
    engine = Engine(settings)
    async with channels.connect(settings.auth_address, "auth", mesh, peers.AUTH_IDEMPOTENT) as auth:
        services = [
            Served(
                "semantik.embedding.v1.EmbeddingService",
                embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server,
                EmbeddingServicer(engine),
                Access.MEMBER,
            ),
            Served(
                "semantik.embedding.v1.ModelService",
                model_service_pb2_grpc.add_ModelServiceServicer_to_server,
                ModelServicer(engine, settings.default_model),
                Access.MEMBER,
            ),
            Served(
                "semantik.embedding.v1.EmbeddingInternalService",
                embedding_internal_service_pb2_grpc.add_EmbeddingInternalServiceServicer_to_server,
                EmbeddingInternalServicer(engine, settings.default_model),
                Access.MESH,
            ),
        ]
        await Server(settings, services, mesh, peers.verifier(auth), engine.ready, [engine.load_default]).run()


if __name__ == "__main__":
    settings = configured(Settings)
    run("embedding", settings, main(settings))
