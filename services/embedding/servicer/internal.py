"""EmbeddingInternalService: vectors for search and the workers."""

from grpc import StatusCode

from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import embedding_internal_service_pb2_grpc, model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.inference.engine import Engine
from services.embedding.servicer.convert import lane, model_message, precision_name, precision_value


class EmbeddingInternalServicer(embedding_internal_service_pb2_grpc.EmbeddingInternalServiceServicer):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def EmbedBatch(self, request: messages.EmbedBatchRequest, context: Context) -> messages.EmbedBatchResponse:
        files, precision = self._engine.catalog.embedder(request.model), precision_name(request.precision, self._engine)
        if request.digest and request.digest != await self._engine.catalog.digest(files):
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_MODEL_MISMATCH,
                f"the installed {files.id} is not the one the index was built with",
                {"model": files.id},
            )
        embedded = await self._engine.embed(
            files,
            precision,
            list(request.texts),
            lane=lane(request.lane),
            is_query=request.kind == model_pb2.TEXT_KIND_QUERY,
            truncate=request.truncate,
        )
        return messages.EmbedBatchResponse(
            vectors=embedded.vectors.astype("<f4", copy=False).tobytes(),
            dimension=files.dimension,
            token_counts=embedded.token_counts,
            truncated=embedded.truncated,
            digest=files.digest,
            precision=precision_value(precision),
        )

    async def RerankBatch(self, request: messages.RerankBatchRequest, context: Context) -> messages.RerankBatchResponse:
        files, precision = await self._engine.catalog.reranker(request.model), precision_name(request.precision, self._engine)
        scored = await self._engine.rerank(files, precision, request.query, list(request.texts), lane=lane(request.lane), truncate=True)
        return messages.RerankBatchResponse(scores=scored.scores, model=files.id, digest=files.digest)

    async def DescribeModel(self, request: messages.DescribeModelRequest, context: Context) -> messages.DescribeModelResponse:
        files = self._engine.catalog.embedder(request.model)
        return messages.DescribeModelResponse(model=await model_message(files, self._engine))

    async def GetTokenizer(self, request: messages.GetTokenizerRequest, context: Context) -> messages.GetTokenizerResponse:
        files = await self._engine.catalog.by_digest(request.digest)
        tokens = await self._engine.sessions.tokens(files)
        return messages.GetTokenizerResponse(
            tokenizer_json=tokens.json, max_length=files.max_length, special_token_count=tokens.added_tokens
        )
