"""Embeddings, token counts and scores."""

from collections.abc import Sequence

from semantik.client.session import Session
from semantik.embedding.v1 import embedding_service_pb2, embedding_service_pb2_grpc, model_pb2


class Embedding:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._embedding = embedding_service_pb2_grpc.EmbeddingServiceStub(session.channel)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str = "",
        precision: "model_pb2.Model.Precision.ValueType" = model_pb2.Model.PRECISION_UNSPECIFIED,
        is_query: bool = False,
        truncate: bool = False,
    ) -> embedding_service_pb2.EmbedResponse:
        """Embed 1-512 texts."""
        kind = model_pb2.TEXT_KIND_QUERY if is_query else model_pb2.TEXT_KIND_PASSAGE
        request = embedding_service_pb2.EmbedRequest(texts=texts, model=model, precision=precision, kind=kind, truncate=truncate)
        return await self._session.call(self._embedding.Embed, request, timeout=120)

    async def count_tokens(self, texts: Sequence[str], model: str = "") -> list[int]:
        request = embedding_service_pb2.CountTokensRequest(texts=texts, model=model)
        return list((await self._session.call(self._embedding.CountTokens, request)).token_counts)

    async def rerank(
        self, query: str, texts: Sequence[str], *, model: str = "", limit: int = 0, truncate: bool = False
    ) -> embedding_service_pb2.RerankResponse:
        """Score 1-256 texts against a query with a cross-encoder; return the ``limit`` best, or all, the best first."""
        request = embedding_service_pb2.RerankRequest(query=query, texts=texts, model=model, limit=limit, truncate=truncate)
        return await self._session.call(self._embedding.Rerank, request, timeout=120)
