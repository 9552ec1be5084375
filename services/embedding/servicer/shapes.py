"""Models as messages of embedding's contract."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from semantik.embedding.v1 import model_pb2
from services.embedding.engine import Engine
from services.embedding.models import ModelDamagedError, ModelFiles
from services.embedding.sessions import Loaded


def precision_name(precision: "model_pb2.Model.Precision.ValueType", engine: Engine) -> str:
    """Return the name of a precision, the default's for an unspecified one."""
    if precision == model_pb2.Model.PRECISION_UNSPECIFIED:
        return engine.default_precision
    return model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")


def precision_value(name: str) -> "model_pb2.Model.Precision.ValueType":
    return model_pb2.Model.Precision.Value(f"PRECISION_{name}")


def model_message(files: ModelFiles, engine: Engine) -> model_pb2.Model:
    """Return the model as it is on this replica; may read all of its files."""
    model = model_pb2.Model(id=files.id, license=files.license, source=files.source, is_default=files is engine.catalog.get(""))
    try:
        model.digest = files.digest
        model.kind = model_pb2.Model.Kind.Value(f"KIND_{files.kind}")
        model.dimension = files.dimension
        model.max_length = files.max_length
        if files.pooling:
            model.pooling = model_pb2.Model.Pooling.Value(f"POOLING_{files.pooling}")
        model.query_prefix, model.passage_prefix = files.prefixes
        model.size_bytes = files.size_bytes
    except ModelDamagedError as error:
        model.state, model.state_reason = model_pb2.Model.STATE_FAILED, str(error)
        return model
    model.precisions.extend(precision_value(name) for name in engine.sessions.precisions)
    model.default_precision = precision_value(engine.default_precision)
    model.sessions.extend(_session(each) for each in engine.sessions.of(files))
    model.state_reason = engine.damage(files)
    if model.state_reason:
        model.state = model_pb2.Model.STATE_FAILED
    else:
        model.state = model_pb2.Model.STATE_LOADED if model.sessions else model_pb2.Model.STATE_ON_DISK
    return model


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
    made = Timestamp()
    made.FromMilliseconds(round(seconds * 1000))
    return made
