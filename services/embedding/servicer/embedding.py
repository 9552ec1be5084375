"""EmbeddingService: vectors, counts and scores for people and programs."""

from libs.rpc.boundary import Context
from semantik.embedding.v1 import embedding_service_pb2 as messages
from semantik.embedding.v1 import embedding_service_pb2_grpc, model_pb2
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.servicer.convert import precision_name, precision_value


class EmbeddingServicer(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Embed(self, request: messages.EmbedRequest, context: Context) -> messages.EmbedResponse:
        files, precision = self._engine.catalog.embedder(request.model), precision_name(request.precision, self._engine)
        embedded = await self._engine.embed(
            files,
            precision,
            list(request.texts),
            lane=Lane.BULK,
            is_query=request.kind == model_pb2.TEXT_KIND_QUERY,
            truncate=request.truncate,
        )
        truncated = set(embedded.truncated)
        embeddings = [
            messages.Embedding(values=vector.tolist(), token_count=count, is_truncated=position in truncated)
            for position, (vector, count) in enumerate(zip(embedded.vectors, embedded.token_counts, strict=True))
        ]
        return messages.EmbedResponse(embeddings=embeddings, model=files.id, digest=files.digest, precision=precision_value(precision))

    async def CountTokens(self, request: messages.CountTokensRequest, context: Context) -> messages.CountTokensResponse:
        files = self._engine.catalog.get(request.model)
        counts = await self._engine.count(files, list(request.texts))
        return messages.CountTokensResponse(token_counts=counts, max_length=files.max_length)

    async def Rerank(self, request: messages.RerankRequest, context: Context) -> messages.RerankResponse:
        files, precision = await self._engine.catalog.reranker(request.model), precision_name(request.precision, self._engine)
        scored = await self._engine.rerank(
            files,
            precision,
            request.query,
            list(request.texts),
            lane=Lane.BULK,
            truncate=request.truncate,
        )
        truncated = set(scored.truncated)
        order = sorted(range(len(scored.scores)), key=lambda position: -scored.scores[position])[: request.limit or None]
        results = [
            messages.RerankResult(index=position, score=scored.scores[position], is_truncated=position in truncated) for position in order
        ]
        return messages.RerankResponse(results=results, model=files.id, digest=files.digest, precision=precision_value(precision))
