"""Constructs the embedding service and serves it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial

from google.protobuf.message import Message

from libs.rpc import channels, limits
from libs.rpc.boundary import Access
from libs.rpc.boundary.admit import Share
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
from services.embedding.catalog.catalog import Catalog
from services.embedding.downloads.downloads import Downloads
from services.embedding.inference.engine import Engine
from services.embedding.inference.priority import SWITCH_SECONDS
from services.embedding.servicer.convert import translate_model_error
from services.embedding.servicer.embedding import EmbeddingServicer
from services.embedding.servicer.internal import EmbeddingInternalServicer
from services.embedding.servicer.model import ModelServicer
from services.embedding.servicer.open_ai import ANSWER_BYTES, OpenAiServicer
from services.embedding.settings import Settings

# Of texts: a full request of 512 passages takes it alone.
_SHARE_BYTES = 512 * 1024


def _cost(request: Message) -> int:
    """Return about how many bytes a request has; its characters are counted 20 times as fast as its bytes."""
    texts: Sequence[str] = getattr(request, "texts", ())
    return sum(map(len, texts)) if texts else request.ByteSize()


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("embedding", settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    # The tokenizers' own threads would have one priority for bulk texts and queries alike.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    draining = asyncio.Event()
    catalog = Catalog(settings.model_dir, settings.default_model)
    engine = Engine(settings, catalog)
    downloads = Downloads(settings, catalog, draining)
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
                OpenAiServicer(engine, truncate=settings.openai_truncate),
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
            await Server(
                settings,
                services,
                mesh,
                verifier,
                ready=engine.ready,
                background=[partial(engine.run, draining), downloads.run],
                translate=translate_model_error,
                draining=draining,
                capabilities=engine.sessions.providers[:1],
                answer_bytes=ANSWER_BYTES + limits.MESSAGE_BYTES // 8,
                share=Share(settings.user_calls, request_bytes=_SHARE_BYTES, cost=_cost),
            ).run()
        finally:
            engine.close()
            await catalog.close()


if __name__ == "__main__":
    settings = configured(Settings)
    run("embedding", settings, main(settings))
