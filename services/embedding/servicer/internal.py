"""EmbeddingInternalService: vectors for search and the workers."""

import asyncio

from grpc import StatusCode

from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import embedding_internal_service_pb2_grpc, model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.engine import Engine
from services.embedding.models import ModelFiles
from services.embedding.servicer.shapes import model_message, precision_name, precision_value


class EmbeddingInternalServicer(embedding_internal_service_pb2_grpc.EmbeddingInternalServiceServicer):
    def __init__(self, engine: Engine, default_model: str) -> None:
        self._engine = engine
        self._default_model = default_model

    async def EmbedBatch(self, request: messages.EmbedBatchRequest, context: Context) -> messages.EmbedBatchResponse:
        files, precision = self._engine.model(request.model), precision_name(request.precision)
        if request.digest and request.digest != files.digest:
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
            lane=request.lane,
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

    async def DescribeModel(self, request: messages.DescribeModelRequest, context: Context) -> messages.DescribeModelResponse:
        files = self._engine.model(request.model)
        found = await asyncio.to_thread(model_message, files, self._engine, self._default_model)
        return messages.DescribeModelResponse(model=found)

    async def GetTokenizer(self, request: messages.GetTokenizerRequest, context: Context) -> messages.GetTokenizerResponse:
        files = self._by_digest(request.digest)
        return messages.GetTokenizerResponse(
            tokenizer_json=await asyncio.to_thread(files.tokenizer.read_bytes),
            max_length=files.max_length,
            special_token_count=await self._engine.special_count(files),
        )

    def _by_digest(self, digest: str) -> ModelFiles:
        for files in self._engine.models.values():
            if files.digest == digest:
                return files
        raise Failure(
            StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, "no installed model has this digest", {"model": digest}
        )
