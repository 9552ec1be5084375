"""EmbeddingService and ModelService: vectors and models for people and programs."""

import asyncio

from libs.rpc.boundary import Context
from semantik.embedding.v1 import embedding_internal_service_pb2 as internal
from semantik.embedding.v1 import embedding_service_pb2 as messages
from semantik.embedding.v1 import embedding_service_pb2_grpc, model_pb2, model_service_pb2_grpc
from semantik.embedding.v1 import model_service_pb2 as model_messages
from services.embedding.engine import Engine
from services.embedding.servicer.shapes import model_message, precision_name, precision_value


class EmbeddingServicer(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Embed(self, request: messages.EmbedRequest, context: Context) -> messages.EmbedResponse:
        files, precision = self._engine.model(request.model), precision_name(request.precision)
        embedded = await self._engine.embed(
            files,
            precision,
            list(request.texts),
            lane=internal.LANE_BULK,
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
        files = self._engine.model(request.model)
        counts = await self._engine.count(files, list(request.texts))
        return messages.CountTokensResponse(token_counts=counts, max_length=files.max_length)


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, engine: Engine, default_model: str) -> None:
        self._engine = engine
        self._default_model = default_model

    async def ListModels(self, request: model_messages.ListModelsRequest, context: Context) -> model_messages.ListModelsResponse:
        found = [await self._message(model_id) for model_id in sorted(self._engine.models)]
        return model_messages.ListModelsResponse(models=found)

    async def GetModel(self, request: model_messages.GetModelRequest, context: Context) -> model_messages.GetModelResponse:
        return model_messages.GetModelResponse(model=await self._message(request.model_id))

    async def _message(self, model_id: str) -> model_pb2.Model:
        # The first digest of a model reads all of its files.
        return await asyncio.to_thread(model_message, self._engine.model(model_id), self._engine, self._default_model)
