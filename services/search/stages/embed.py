"""Embeds a query, once for each model among the indexes."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure, reason_of
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search.stages.request import Model, Plan

if TYPE_CHECKING:
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub


async def embed(embedding: "EmbeddingInternalServiceAsyncStub", plan: Plan) -> Mapping[Model, bytes]:
    """Return the query's vectors as little-endian 32-bit floats; raises MODEL_MISMATCH where a model is not installed."""
    models = sorted(plan.models)
    vectors = await asyncio.gather(*(_vector(embedding, plan.text, model) for model in models))
    return dict(zip(models, vectors, strict=True))


async def _vector(embedding: "EmbeddingInternalServiceAsyncStub", text: str, model: Model) -> bytes:
    request = messages.EmbedBatchRequest(
        texts=[text],
        model=model.name,
        digest=model.digest,
        precision=model_pb2.Model.Precision.ValueType(model.precision),
        lane=messages.LANE_INTERACTIVE,
        kind=model_pb2.TEXT_KIND_QUERY,
        truncate=True,
    )
    try:
        return (await embedding.EmbedBatch(request)).vectors
    except grpc.aio.AioRpcError as error:
        if reason_of(error) != "MODEL_NOT_FOUND":
            raise
        raise model_mismatch(f"the index was built with {model.name}, which is not installed") from error


def model_mismatch(message: str) -> Failure:
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_MODEL_MISMATCH, message)
