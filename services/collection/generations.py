"""What the index of a new collection is made of."""

from grpc import StatusCode

from libs.rpc.errors import Failure, invalid
from semantik.collection.v1 import collection_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection.chunking.settings import ChunkSettings
from services.collection.tables import Generation, GenerationState

_SPECIAL_TOKENS = 2


def first(collection_id: str, request: messages.CreateCollectionRequest, model: model_pb2.Model, default_chunk_size: int) -> Generation:
    """Return the first generation of a collection; raises a Failure for what the model cannot do."""
    most = model.max_length - _SPECIAL_TOKENS
    size = request.chunk_size if request.HasField("chunk_size") else min(default_chunk_size, most)
    if size > most:
        raise invalid("chunk_size", f"the model {model.id} reads {most} tokens at most")
    overlap = request.chunk_overlap if request.HasField("chunk_overlap") else size // 5
    if overlap > size // 2:
        raise invalid("chunk_overlap", "must be at most half of chunk_size")
    precision = _precision(request, model)
    return Generation(
        collection_id=collection_id,
        generation=1,
        state=GenerationState.ACTIVE,
        qdrant_name=f"{collection_id}_{model.id}_{precision.lower()}_g1",
        model=model.id,
        digest=model.digest,
        precision=precision,
        dimension=model.dimension,
        max_length=model.max_length,
        pooling=model_pb2.Model.Pooling.Name(model.pooling).removeprefix("POOLING_"),
        chunk_size=size,
        chunk_overlap=overlap,
        language=request.language or "en",
        chunking_id=ChunkSettings("recursive", size, overlap).chunking_id(model.digest),
    )


def _precision(request: messages.CreateCollectionRequest, model: model_pb2.Model) -> str:
    precision = request.precision or model.default_precision
    name = model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")
    if precision not in model.precisions:
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
            f"this installation cannot compute {model.id} in {name}",
            {"precision": name},
        )
    return name
