"""Models, precisions, lanes and damage as messages of embedding's contract."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.embedding.v1 import embedding_internal_service_pb2, model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.inference.loaded import Loaded
from services.embedding.inference.sessions import RETRY_SECONDS


def lane(value: "embedding_internal_service_pb2.Lane.ValueType") -> Lane:
    return Lane.INTERACTIVE if value == embedding_internal_service_pb2.LANE_INTERACTIVE else Lane.BULK


def precision_name(precision: "model_pb2.Model.Precision.ValueType", engine: Engine) -> str:
    """Return the name of a precision, the default's for an unspecified one."""
    if precision == model_pb2.Model.PRECISION_UNSPECIFIED:
        return engine.default_precision
    return model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")


def precision_value(name: str) -> "model_pb2.Model.Precision.ValueType":
    return model_pb2.Model.Precision.Value(f"PRECISION_{name}")


async def model_message(files: ModelFiles, engine: Engine) -> model_pb2.Model:
    """Return the model as it is on this replica; its files are read on another thread where they were not yet."""
    model = model_pb2.Model(id=files.id, license=files.license, source=files.source, is_default=files is engine.catalog.get(""))
    model.languages.extend(files.languages)
    try:
        model.digest = await engine.catalog.digest(files)
    except ModelDamagedError as error:
        model.state, model.state_reason = model_pb2.Model.STATE_FAILED, str(error)
        return model
    model.kind = model_pb2.Model.Kind.Value(f"KIND_{files.kind}")
    model.dimension = files.dimension
    model.max_length = files.max_length
    if files.pooling:
        model.pooling = model_pb2.Model.Pooling.Value(f"POOLING_{files.pooling}")
    model.query_prefix, model.passage_prefix = files.prefixes
    model.size_bytes = files.size_bytes
    model.precisions.extend(precision_value(name) for name in engine.sessions.precisions)
    model.default_precision = precision_value(engine.default_precision)
    model.sessions.extend(_session(loaded) for loaded in engine.sessions.of(files))
    model.state_reason = engine.sessions.damage(files)
    model.state = _state(files, engine)
    return model


def _state(files: ModelFiles, engine: Engine) -> "model_pb2.Model.State.ValueType":
    if engine.sessions.of(files):
        return model_pb2.Model.STATE_LOADED
    if engine.sessions.is_loading(files):
        return model_pb2.Model.STATE_LOADING
    return model_pb2.Model.STATE_FAILED if engine.sessions.damage(files) else model_pb2.Model.STATE_ON_DISK


def _session(loaded: Loaded) -> model_pb2.Model.Session:
    session = model_pb2.Model.Session(
        precision=precision_value(loaded.precision),
        provider=loaded.session.provider,
        memory_bytes=loaded.memory_bytes,
        load_duration=Duration(),
        token_count=loaded.token_count,
    )
    session.load_duration.FromMilliseconds(round(loaded.load_seconds * 1000))
    session.load_time.CopyFrom(_time(loaded.load_time))
    session.last_use_time.CopyFrom(_time(loaded.last_use_time))
    return session


def _time(seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMilliseconds(round(seconds * 1000))
    return timestamp


def translate_model_error(error: Exception) -> Failure | None:
    """Return the answer for a model whose files are not what they should be; None for any other error."""
    if not isinstance(error, ModelDamagedError):
        return None
    reason = ErrorReason.ERROR_REASON_MODEL_DAMAGED
    return Failure(StatusCode.UNAVAILABLE, reason, str(error), {"model": error.model}, retry_after=RETRY_SECONDS)
