"""Embeddings and models."""

from collections.abc import Sequence

from semantik.client.session import Session
from semantik.embedding.v1 import (
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
)


class Embedding:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._embedding = embedding_service_pb2_grpc.EmbeddingServiceStub(session.channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(session.channel)

    async def embed(
        self, texts: Sequence[str], *, model: str = "", is_query: bool = False, truncate: bool = False
    ) -> embedding_service_pb2.EmbedResponse:
        """Embed 1-512 texts."""
        kind = model_pb2.TEXT_KIND_QUERY if is_query else model_pb2.TEXT_KIND_PASSAGE
        request = embedding_service_pb2.EmbedRequest(texts=texts, model=model, kind=kind, truncate=truncate)
        return await self._session.call(self._embedding.Embed, request, timeout=120)

    async def count_tokens(self, texts: Sequence[str], model: str = "") -> list[int]:
        request = embedding_service_pb2.CountTokensRequest(texts=texts, model=model)
        return list((await self._session.call(self._embedding.CountTokens, request)).token_counts)

    async def models(self) -> list[model_pb2.Model]:
        return list((await self._session.call(self._models.ListModels, model_service_pb2.ListModelsRequest())).models)
