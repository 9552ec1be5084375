"""What collection asks of embedding: which models there are."""

import grpc

from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub

_SECONDS = 10.0


class Models:
    def __init__(self, embedding: grpc.aio.Channel) -> None:
        self._embedding = EmbeddingInternalServiceStub(embedding)

    async def describe(self, model_id: str) -> model_pb2.Model:
        """Return the model, the default one for an empty id; raises embedding's own MODEL_NOT_FOUND."""
        answer = await self._embedding.DescribeModel(messages.DescribeModelRequest(model=model_id), timeout=_SECONDS)
        return answer.model
