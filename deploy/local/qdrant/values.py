"""Ids, payloads and vectors between Qdrant's messages and the engine."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from deploy.local.qdrant.protocol import messages as q

_SCALARS = ((bool, "bool_value"), (int, "integer_value"), (float, "double_value"), (str, "string_value"))


class RefusedError(Exception):
    """An answer with a gRPC status, as a Qdrant server would give it."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def unsupported(what: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.UNIMPLEMENTED, f"the embedded engine does not offer {what}; use a Qdrant server")


def only(message: Any, *known: str) -> None:
    """Refuse what a message asks for and we would ignore."""
    for field, _ in message.ListFields():
        if field.name not in known:
            raise unsupported(f"{message.DESCRIPTOR.name}.{field.name}")


def point_id(message: Any) -> int | str:
    if message.HasField("num"):
        return int(message.num)
    try:
        return str(uuid.UUID(message.uuid))
    except ValueError:
        raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"not a point id: {message.uuid!r}") from None


def id_message(point: Any) -> Any:
    return q.PointId(num=point) if isinstance(point, int) else q.PointId(uuid=str(point))


def payload(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in entries.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return payload(value.struct_value.fields)
    if kind == "list_value":
        return [_plain(each) for each in value.list_value.values]
    return getattr(value, kind)


def payload_message(plain: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: _value(value) for key, value in (plain or {}).items()}


def _value(value: Any) -> Any:
    if value is None:
        return q.Value(null_value=0)
    # A bool is an int to Python, so it comes first.
    for kind, field in _SCALARS:
        if isinstance(value, kind):
            return q.Value(**{field: value})
    if isinstance(value, Mapping):
        return q.Value(struct_value=q.Struct(fields=payload_message(value)))
    return q.Value(list_value=q.ListValue(values=[_value(each) for each in value]))


def vectors(message: Any) -> dict[str, list[float]]:
    """Return the named dense vectors of a point; an unnamed one has the empty name."""
    kind = message.WhichOneof("vectors_options")
    if kind is None:
        return {}
    named = message.vectors.vectors if kind == "vectors" else {"": message.vector}
    return {name: _dense(vector) for name, vector in named.items()}


def _dense(vector: Any) -> list[float]:
    kind = vector.WhichOneof("vector")
    if kind == "dense":
        return list(vector.dense.data)
    if kind is None and vector.data:
        return list(vector.data)
    raise unsupported(f"{kind} vectors")


def vectors_message(plain: Any) -> Any:
    if isinstance(plain, Mapping):
        named = {name: _vector_output(values) for name, values in plain.items()}
        return q.VectorsOutput(vectors=q.NamedVectorsOutput(vectors=named))
    return q.VectorsOutput(vector=_vector_output(plain))


def _vector_output(values: Iterable[float]) -> Any:
    return q.VectorOutput(dense=q.DenseVector(data=values))
