"""Models and embeddings as messages of embedding's contract."""

from semantik.embedding.v1 import model_pb2
from services.embedding.engine import DEFAULT_PRECISION, PRECISIONS, Engine
from services.embedding.models import ModelDamagedError, ModelFiles


def precision_name(precision: "model_pb2.Model.Precision.ValueType") -> str:
    """Return the name of a precision, the default's for an unspecified one."""
    if precision == model_pb2.Model.PRECISION_UNSPECIFIED:
        return DEFAULT_PRECISION
    return model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")


def precision_value(name: str) -> "model_pb2.Model.Precision.ValueType":
    return model_pb2.Model.Precision.Value(f"PRECISION_{name}")


def model_message(files: ModelFiles, engine: Engine, default_model: str) -> model_pb2.Model:
    model = model_pb2.Model(id=files.id, license=files.license, is_default=files.id == default_model)
    try:
        model.digest = files.digest
        model.dimension = files.dimension
        model.max_length = files.max_length
        model.pooling = model_pb2.Model.Pooling.Value(f"POOLING_{files.pooling}")
        model.query_prefix, model.passage_prefix = files.prefixes
        model.size_bytes = files.size_bytes
    except ModelDamagedError as error:
        model.state, model.state_reason = model_pb2.Model.STATE_FAILED, str(error)
        return model
    model.precisions.extend(precision_value(name) for name in PRECISIONS)
    model.default_precision = precision_value(DEFAULT_PRECISION)
    model.state_reason = engine.damage(files)
    if model.state_reason:
        model.state = model_pb2.Model.STATE_FAILED
    else:
        model.state = model_pb2.Model.STATE_LOADED if engine.is_loaded(files) else model_pb2.Model.STATE_ON_DISK
    return model
