"""Metadata of documents as Python's own values."""

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from semantik.collection.v1.metadata_pb2 import MetadataValue

Metadata = Mapping[str, str | float | bool | datetime]


def metadata_values(metadata: Metadata) -> dict[str, MetadataValue]:
    """Return values as messages; a time without a zone is in UTC."""
    return {key: _value(value) for key, value in metadata.items()}


def metadata_of(values: Mapping[str, MetadataValue]) -> dict[str, str | float | bool]:
    """Return messages as values that can be shown: numbers without a fraction as such, times as RFC 3339."""
    return {key: _shown(value) for key, value in sorted(values.items())}


def _value(value: str | float | bool | datetime) -> MetadataValue:
    if isinstance(value, bool):
        return MetadataValue(bool_value=value)
    if isinstance(value, datetime):
        moment = Timestamp()
        moment.FromDatetime(value)
        return MetadataValue(time_value=moment)
    return MetadataValue(string_value=value) if isinstance(value, str) else MetadataValue(number_value=value)


def _shown(value: MetadataValue) -> str | float | bool:
    kind = value.WhichOneof("kind")
    if kind == "time_value":
        return value.time_value.ToJsonString()
    number = value.number_value
    if kind == "number_value":
        return int(number) if number == int(number) else number
    return value.bool_value if kind == "bool_value" else value.string_value
