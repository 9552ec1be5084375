"""Constructs the embedding service and serves it."""

import asyncio

from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.embedding.v1 import (
    embedding_internal_service_pb2_grpc,
    embedding_service_pb2_grpc,
    model_service_pb2_grpc,
    open_ai_service_pb2_grpc,
)
from services.embedding.downloads import Downloads
from services.embedding.engine import Engine, damaged
from services.embedding.servicer.internal import EmbeddingInternalServicer
from services.embedding.servicer.model import ModelServicer
from services.embedding.servicer.open_ai import OpenAiServicer
from services.embedding.servicer.public import EmbeddingServicer
from services.embedding.settings import Settings


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("embedding", settings)
    draining = asyncio.Event()
    engine = Engine(settings)
    downloads = Downloads(settings, engine.catalog, draining)
    async with channels.connect(settings.auth_address, "auth", mesh, ["semantik.auth.v1.AuthInternalService"]) as auth:
        verifier = auth_client.verifier(auth)
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
                ModelServicer(engine, downloads, verifier),
                Access.MEMBER,
            ),
            Served(
                "semantik.embedding.v1.OpenAiService",
                open_ai_service_pb2_grpc.add_OpenAiServiceServicer_to_server,
                OpenAiServicer(engine),
                Access.MEMBER,
            ),
            Served(
                "semantik.embedding.v1.EmbeddingInternalService",
                embedding_internal_service_pb2_grpc.add_EmbeddingInternalServiceServicer_to_server,
                EmbeddingInternalServicer(engine),
                Access.MESH,
            ),
        ]
        try:
            background = [engine.load_default, downloads.run]
            provider = engine.sessions.providers[0]
            server = Server(settings, services, mesh, verifier, engine.ready, background, damaged, draining, [provider])
            await server.run()
        finally:
            engine.close()


if __name__ == "__main__":
    settings = configured(Settings)
    run("embedding", settings, main(settings))
