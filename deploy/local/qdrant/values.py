"""Ids, payloads and vectors between Qdrant's messages and the engine."""

import sys
import uuid
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from deploy.local.qdrant.protocol import messages as q

_PLAIN = {"string_value", "integer_value", "double_value", "bool_value"}
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


def point_id(message: Any) -> int | uuid.UUID:
    """Return a point's id as the engine takes it soonest: of a text it would try first whether it is a number."""
    if message.HasField("num"):
        return int(message.num)
    try:
        return uuid.UUID(message.uuid)
    except ValueError:
        raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"not a point id: {message.uuid!r}") from None


def id_message(point: Any) -> Any:
    return q.PointId(num=point) if isinstance(point, int) else q.PointId(uuid=str(point))


def payload(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in entries.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind in _PLAIN:
        return getattr(value, kind)
    if kind == "struct_value":
        return payload(value.struct_value.fields)
    if kind == "list_value":
        return [_plain(each) for each in value.list_value.values]
    return None


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


def vectors(message: Any) -> dict[str, Any]:
    """Return the named dense vectors of a point; an unnamed one has the empty name."""
    kind = message.WhichOneof("vectors_options")
    if kind is None:
        return {}
    named = message.vectors.vectors if kind == "vectors" else {"": message.vector}
    return {name: _dense(vector) for name, vector in named.items()}


def _dense(vector: Any) -> list[float]:
    kind = vector.WhichOneof("vector")
    if kind == "dense":
        return floats(vector.dense)
    if kind is None and vector.data:
        return list(vector.data)
    raise unsupported(f"{kind} vectors")


def floats(dense: Any) -> list[float]:
    """Return the numbers of a ``DenseVector``.

    On the wire they are little-endian 32-bit floats, one after another, behind the field's number and length: read as an array,
    they take half the time of the field's own list.
    """
    count = len(dense.data)
    if sys.byteorder != "little" or not count:
        return list(dense.data)
    numbers = array("f")
    numbers.frombytes(dense.SerializeToString()[-numbers.itemsize * count :])
    return numbers.tolist()


def vectors_message(plain: Any) -> Any:
    if isinstance(plain, Mapping):
        named = {name: _vector_output(values) for name, values in plain.items()}
        return q.VectorsOutput(vectors=q.NamedVectorsOutput(vectors=named))
    return q.VectorsOutput(vector=_vector_output(plain))


def _vector_output(values: Iterable[float]) -> Any:
    return q.VectorOutput(dense=q.DenseVector(data=values))
