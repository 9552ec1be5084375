"""What people noted on documents, as filters find it in a payload: texts of all values, and numbers and times for their order."""

from collections.abc import Iterable, Mapping
from typing import Any

from semantik.collection.v1.metadata_pb2 import MetadataValue
from services.search.paths import folded

# For each, an object of the payload with a value for each key. Texts are compared without case, and counted.
TEXTS, NUMBERS, TIMES = "metadata_text", "metadata_number", "metadata_time"
FIELDS = (TEXTS, NUMBERS, TIMES)
_Entries = dict[str, dict[str, Any]]


def comparable(values: Mapping[str, MetadataValue]) -> Mapping[str, _Entries]:
    """Return each object of the payload as arguments of Qdrant's values by key."""
    entries: dict[str, _Entries] = {field: {} for field in FIELDS}
    for key, value in values.items():
        kind = value.WhichOneof("kind")
        entries[TEXTS][key] = {"string_value": text(value)}
        if kind == "number_value":
            entries[NUMBERS][key] = {"double_value": value.number_value}
        elif kind == "time_value":
            entries[TIMES][key] = {"string_value": value.time_value.ToJsonString()}
    return entries


def fields(values: Iterable[Mapping[str, MetadataValue]]) -> set[str]:
    """Return the fields of the payload that these values have: what has to be indexed."""
    return {f"{field}.{key}" for each in values for field, entries in comparable(each).items() for key in entries}


def text(value: MetadataValue) -> str:
    """Return a value as the text that it equals and is counted as."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return folded(value.string_value)
    if kind == "number_value":
        return number_text(value.number_value)
    return str(value.bool_value).lower() if kind == "bool_value" else value.time_value.ToJsonString()


def number_text(number: float) -> str:
    return f"{number:.17g}" if number != int(number) else f"{number:.0f}"
