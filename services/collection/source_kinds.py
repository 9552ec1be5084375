"""What a source is made of, by its kind: how its config in a request becomes a place and settings, and back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from libs.rpc.errors import Failure
from semantik.collection.v1 import source_pb2, source_service_pb2
from services.collection.roots import Roots, resolve_allowed
from services.collection.tables import SourceKind

_ANYWHERE = "anywhere"


@dataclass(frozen=True)
class Place:
    """A source as it is stored: ``location`` is unique in its collection, ``config`` what else its connector needs."""

    kind: SourceKind
    location: str
    config: dict[str, Any]


@dataclass(frozen=True)
class _Config:
    kind: SourceKind
    place: Callable[[Any, Roots], Place]
    """Returns where the source lies; it may ask the file system and raise a Failure."""
    check: Callable[[str, Roots], object]
    """Raises a Failure for a stored location that is out of bounds by now; it may ask the file system."""
    message: Callable[[str, Mapping[str, Any]], Message]
    """Returns the config of a stored source, from its location and settings."""


def _directory(config: source_pb2.DirectoryConfig, roots: Roots) -> Place:
    settings = json_format.MessageToDict(config, preserving_proto_field_name=True)
    del settings["path"]
    return Place(SourceKind.DIRECTORY, str(resolve_allowed(config.path, roots)), settings)


def _directory_message(location: str, settings: Mapping[str, Any]) -> Message:
    return json_format.ParseDict({**settings, "path": location}, source_pb2.DirectoryConfig(), ignore_unknown_fields=True)


# By the field of the oneof ``config``. A new kind is a line here, a field there, and a connector in the worker.
CONFIGS: Mapping[str, _Config] = {"directory": _Config(SourceKind.DIRECTORY, _directory, resolve_allowed, _directory_message)}
_FIELDS = {config.kind: field for field, config in CONFIGS.items()}


async def place(
    request: source_service_pb2.AddSourceRequest | source_service_pb2.UpdateSourceRequest, roots: Roots, *, is_operator: bool
) -> Place:
    """Return the source that a request describes; raises PATH_NOT_ALLOWED for a place that is out of bounds.

    What the mesh's operator adds may lie anywhere but in the mesh itself, and says so in its settings for as long as it exists.
    """
    field = request.WhichOneof("config") or ""  # the contract requires one
    try:
        return await asyncio.to_thread(CONFIGS[field].place, getattr(request, field), roots)
    except Failure:
        if not is_operator:
            raise
    found = await asyncio.to_thread(CONFIGS[field].place, getattr(request, field), roots.anywhere())
    return replace(found, config={**found.config, _ANYWHERE: True})


async def check(kind: str, location: str, settings: Mapping[str, Any], roots: Roots) -> None:
    """Raise PATH_NOT_ALLOWED for a stored source that may not be read any more."""
    field = _FIELDS.get(SourceKind(kind))
    if field is not None:
        await asyncio.to_thread(CONFIGS[field].check, location, roots.anywhere() if settings.get(_ANYWHERE) else roots)


def config_field(kind: str, location: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field of ``Source.config`` that is set for a stored source, with its value; nothing for an upload source."""
    field = _FIELDS.get(SourceKind(kind))
    return {} if field is None else {field: CONFIGS[field].message(location, settings)}
