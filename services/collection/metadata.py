"""What people note on documents: values by key, of one type for each key of a collection."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from libs.rpc.errors import Failure, invalid
from libs.rpc.timestamps import timestamp
from libs.rpc.validation import check
from semantik.collection.v1.metadata_pb2 import MetadataValue

MOST_KEYS = 64
_FIELD = "metadata"
_ENTRY = re.compile(r"([a-z][a-z0-9_]{0,39})=(.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?")
_NAMES = {"string_value": "a text", "number_value": "a number", "bool_value": "true or false", "time_value": "a time"}
Stored = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What is to be noted on a document, what of it as text, and what is to be removed."""

    values: Mapping[str, MetadataValue] = field(default_factory=dict)
    entries: Iterable[str] = ()
    removed: Iterable[str] = ()

    def described(self) -> list[object]:
        """Return the change as values of JSON, for comparison; nothing for no change."""
        values = {key: json_format.MessageToDict(value) for key, value in sorted(self.values.items())}
        return [values, list(self.entries), list(self.removed)] if values or self.entries or self.removed else []


def changed(before: Stored, types: Mapping[str, str], change: Change) -> tuple[Stored, dict[str, str]]:
    """Return what is noted on a document after a change, and the types of the collection's keys.

    Raises INVALID_REQUEST for a value of another type than its key has, and for too many keys.
    """
    after, known = dict(before), dict(types)
    values = dict(change.values)
    for entry in change.entries:
        key, value = _read(entry, known)
        values[key] = value
    for key, value in values.items():
        kind = str(value.WhichOneof("kind"))
        if known.setdefault(key, kind) != kind:
            message = f"the values of {key} are {_NAMES[known[key]]} each in this collection, not {_NAMES[kind]}"
            raise invalid(_FIELD, message, "metadata.type")
        after[key] = json_format.MessageToDict(value)
    if len(known) > MOST_KEYS:
        raise invalid(_FIELD, f"a collection has at most {MOST_KEYS} keys", "metadata.keys")
    for key in change.removed:
        after.pop(key, None)
    return after, known


def messages(stored: Stored) -> dict[str, MetadataValue]:
    """Return what is stored as messages."""
    return {key: json_format.ParseDict(value, MetadataValue()) for key, value in stored.items()}


def _read(entry: str, types: Mapping[str, str]) -> tuple[str, MetadataValue]:
    """Return the key and the value of a text such as ``year=2020``."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        message = f"{entry!r} is not key=value; a key has up to 40 letters a-z, digits and _, a letter first"
        raise invalid("metadata_entries", message, "metadata.entry")
    key, text = found[1], found[2]
    kind = types.get(key, "")
    value = MetadataValue(string_value=text) if kind == "string_value" else _guessed(text)
    if kind == "number_value" and not value.HasField("number_value"):
        raise invalid("metadata_entries", f"the values of {key} are numbers in this collection, {text!r} is none", "metadata.type")
    if text.startswith('"') and text.endswith('"') and len(text) > len('""'):
        value = MetadataValue(string_value=text[1:-1])
    try:
        check(value, within="metadata_entries")
    except Failure as failure:
        raise invalid("metadata_entries", f"the value of {key} {failure.message.partition(': ')[2]}", "metadata.value") from None
    return key, value


def _guessed(text: str) -> MetadataValue:
    if text in ("true", "false"):
        return MetadataValue(bool_value=text == "true")
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return MetadataValue(number_value=float(text))
    if _TIME.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
            return MetadataValue(time_value=timestamp(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)))
        except (ValueError, OverflowError):  # such as the 31st of February
            return MetadataValue(string_value=text)
    return MetadataValue(string_value=text)
