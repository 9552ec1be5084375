"""A passage as Qdrant's point: the contract's ``Chunk`` is the payload's record, field by field, besides ``hidden`` and what is derived.

What a chunk leaves at its default is absent from the payload. ``text`` is a list of the passage and of what else it is found by: one text
index, one query and one score for both.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.collection.v1.metadata_pb2 import MetadataValue
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1.index_pb2 import Chunk, Point
from services.search import metadata, paths, words
from services.search.qdrant import q
from services.search.suggestions.words import MOST_CHARACTERS, folded

DENSE = "dense"
TEXT = "text"
ORDINAL, NAME, SECTION = "ordinal", "name", "section"
DOCUMENT, SOURCE, VERSION, MIME_TYPE = "document_id", "source_id", "content_version", "mime_type"
LANGUAGE, SIZE, MODIFY_TIME = "language", "size_bytes", "modify_time"
# What is derived from path and name, so that filters find it by an index.
EXTENSION, FOLDERS, FOLDED_PATH, FOLDED_NAME = "extension", "folders", "folded_path", "folded_name"
# What queries are suggested by: a folded title on the first passage of a document, a heading on the first of a section in one write.
TITLE_WORDS, SECTION_WORDS = "title_words", "section_words"
# What searches make of a point. A number, because not every engine that speaks the protocol can match a boolean.
HIDDEN = "hidden"
PUBLISHED, UNPUBLISHED, HIDDEN_FOR_GOOD = 0, 1, 2

METADATA = "metadata"
_VECTOR = "vector"
_VISIBILITIES = {
    PUBLISHED: Point.VISIBILITY_PUBLISHED,
    UNPUBLISHED: Point.VISIBILITY_UNPUBLISHED,
    HIDDEN_FOR_GOOD: Point.VISIBILITY_HIDDEN,
}
_FIELDS = {field.name for field in Chunk.DESCRIPTOR.fields} - {_VECTOR}
_NAMESPACE = uuid.UUID("6f0f9d0c-6f5b-5c8e-9a53-7c1f5f5d1a10")
_FLOAT_BYTES = 4


def selector(*names: str) -> Any:
    """Return the message that asks for these fields of the payload."""
    return q.WithPayloadSelector(include=q.PayloadIncludeSelector(fields=names))


WHOLE = selector(*_FIELDS, HIDDEN)
LISTED = selector(DOCUMENT, VERSION, ORDINAL, HIDDEN)


def point_id(index_name: str, document_id: str, content_version: int, ordinal: int) -> str:
    """Return a chunk's id: UUIDv5 of generation (its index's name), document, content version and ordinal."""
    return derived_id(f"{index_name}/{document_id}/{content_version}/{ordinal}")


def derived_id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))


def points(index_name: str, chunks: Sequence[Chunk]) -> list[Any]:
    """Return chunks as unpublished points; raises VECTOR_INVALID."""
    _check_vectors([chunk.vector for chunk in chunks])
    before = [None, *((chunk.document_id, chunk.section) for chunk in chunks)]
    return [
        _point(index_name, chunk, begins_section=(chunk.document_id, chunk.section) != former)
        for chunk, former in zip(chunks, before, strict=False)
    ]


def passage(payload: Mapping[str, Any]) -> Chunk:
    """Return a point's payload as the chunk it was written from, without its vector."""
    chunk = Chunk()
    for name, value in payload.items():
        if name == MODIFY_TIME:
            chunk.modify_time.FromJsonString(value.string_value)
        elif name == TEXT:
            chunk.text = value.list_value.values[0].string_value
        elif name == METADATA:
            json_format.ParseDict({METADATA: json.loads(value.string_value)}, chunk)
        elif name in _FIELDS:
            setattr(chunk, name, getattr(value, value.WhichOneof("kind")))
    return chunk


def is_published(payload: Mapping[str, Any]) -> bool:
    return bool(payload[HIDDEN].integer_value == PUBLISHED)


def listed(point: Any) -> Point:
    """Return a stored point as the reconciler sees it."""
    return Point(
        id=point.id.uuid,
        document_id=point.payload[DOCUMENT].string_value,
        content_version=point.payload[VERSION].integer_value,
        ordinal=point.payload[ORDINAL].integer_value,
        visibility=_VISIBILITIES[point.payload[HIDDEN].integer_value],
    )


def dense_vector(raw: bytes) -> Any:
    """Return little-endian 32-bit floats as Qdrant's message.

    They are what protobuf puts on the wire for its packed field 1, so they are given to it as they are: a list of floats in
    between takes ten times as long as everything else about a point.
    """
    length, header = len(raw), bytearray(b"\x0a")
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return q.DenseVector.FromString(bytes(header) + raw)


def vector_invalid(message: str) -> Failure:
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_VECTOR_INVALID, message)


def _point(index_name: str, chunk: Chunk, *, begins_section: bool) -> Any:
    identifier = point_id(index_name, chunk.document_id, chunk.content_version, chunk.ordinal)
    point = q.PointStruct(id=q.PointId(uuid=identifier))
    payload = point.payload
    for field, value in chunk.ListFields():
        name = field.name
        if name == TEXT:
            terms = " ".join(words.terms((chunk.name, chunk.section, chunk.path), value))
            payload[name].list_value.values.extend([q.Value(string_value=value), q.Value(string_value=terms)])
        elif name == _VECTOR:
            point.vectors.vectors.vectors[DENSE].dense.CopyFrom(dense_vector(value))
        elif name == MODIFY_TIME:
            payload[name].string_value = value.ToJsonString()
        elif name == METADATA:
            set_metadata(payload, value)
        elif isinstance(value, str):
            payload[name].string_value = value
        else:
            payload[name].integer_value = value
    payload[HIDDEN].integer_value = UNPUBLISHED
    _derive(payload, chunk, begins_section=begins_section)
    return point


def set_metadata(payload: Any, values: Mapping[str, MetadataValue]) -> None:
    """Put metadata into a payload, as it is shown and as filters find it, in place of what was there."""
    shown = {key: json_format.MessageToDict(value) for key, value in values.items()}
    payload[METADATA].string_value = json.dumps(shown, ensure_ascii=False)
    for field, entries in metadata.comparable(values).items():
        payload[field].struct_value.SetInParent()
        for key, entry in entries.items():
            payload[field].struct_value.fields[key].CopyFrom(q.Value(**entry))


def _derive(payload: Any, chunk: Chunk, *, begins_section: bool) -> None:
    texts = {
        EXTENSION: paths.extension(chunk.path),
        FOLDED_PATH: paths.folded(chunk.path),
        FOLDED_NAME: paths.folded(chunk.name),
        TITLE_WORDS: _suggested(paths.stem(chunk.name)) if chunk.ordinal == 0 else "",
        SECTION_WORDS: _suggested(chunk.section) if begins_section else "",
    }
    for name, text in texts.items():
        if text:
            payload[name].string_value = text
    if folders := paths.folders(chunk.path):
        payload[FOLDERS].list_value.values.extend(q.Value(string_value=folder) for folder in folders)


def _suggested(text: str) -> str:
    """Return what a text is suggested by; empty for one that nobody would ask for."""
    return folded(text).text if len(text) <= MOST_CHARACTERS else ""


def _check_vectors(vectors: Sequence[bytes]) -> None:
    if any(len(raw) % _FLOAT_BYTES or len(raw) != len(vectors[0]) for raw in vectors):
        raise vector_invalid("vectors are rows of 32-bit floats, all of one length")
    numbers = np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)
    if not np.isfinite(numbers).all() or not numbers.any(axis=1).all():
        raise vector_invalid("a vector holds NaN, infinity or nothing but zeros")
