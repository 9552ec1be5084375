"""Starts the indexing of a path: as a source of the server, or by uploads."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semantik.address import parsed
from semantik.client import Client, SemantikError
from semantik.client.operations import TERMINAL
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.collection.v1.grant_pb2 import Grant
from semantik.collection.v1.source_pb2 import DirectoryConfig, Source
from semantik.command.context import err, escape, word
from semantik.command.finding import collection_named
from semantik.command.naming import is_id
from semantik.command.precision import Precision
from semantik.command.settings import Settings, in_words
from semantik.command.uploading import upload
from semantik.operation.v1.operation_pb2 import Operation


@dataclass(frozen=True)
class Started:
    """The operations to follow, the oldest first, and whether a file failed already."""

    operations: list[Operation]
    has_failed: bool = False


async def has_work(semantik: Client, operation_id: str) -> bool:
    """Return whether an operation is worth following: what is uploaded in one go is mostly indexed by the first."""
    operation = await semantik.operations.get(operation_id)
    return operation.state not in TERMINAL or operation.progress.documents_done > 0


async def collection_for(semantik: Client, name: str, model: str, precision: Precision | None) -> Collection:
    """Return the collection, created with this model if there is none; one that exists keeps its model."""
    wanted = Precision.message(precision)
    collection = await _writable(semantik, name)
    if collection is None:
        collection = await semantik.collections.create(name, model=model, precision=wanted)
        err.print(f"Created the collection [bold]{escape(name)}[/].")
    elif (model and model != collection.model) or (wanted and wanted != collection.precision):
        uses = f"{name} uses the model {collection.model} in {word(collection, 'precision')}"
        raise SemantikError("FAILED_PRECONDITION", "", f"{uses}, which cannot be changed; choose another collection")
    return collection


async def _writable(semantik: Client, name: str) -> Collection | None:
    """Return the collection; None for a name that only collections of others have, which the caller may read."""
    try:
        collection = await collection_named(semantik, name)
    except SemantikError as error:
        if error.code != "NOT_FOUND" or is_id(name):
            raise
        return None
    return collection if is_id(name) or collection.role >= Grant.ROLE_WRITE else None


def capability(address: str) -> str:
    """Return the proof that this account runs the mesh at ``address``, which lets it index whatever it can read itself."""
    try:
        operator = importlib.import_module("deploy.local.operator")
    except ImportError:  # the base install runs no mesh
        return ""
    return str(operator.capability(parsed(address).name))


async def start(
    semantik: Client, target: Collection, path: Path, settings: Settings, capability: str, metadata: Sequence[str] = ()
) -> Started:
    """Add the path as a source; sync or update it if it is one already; upload it if the server may not read it.

    With ``metadata``, texts such as ``year=2020`` to note on each document, it is uploaded.
    """
    if metadata:
        return Started(*await upload(semantik, target.id, path, settings, metadata))
    if path.is_file() and (operation := await _named_again(semantik, target, path)):
        return Started([operation])
    directory = settings.over(DirectoryConfig(path=str(path)))
    try:
        _, operation = await semantik.sources.add(
            target.id,
            directory.path,
            include=directory.include,
            exclude=directory.exclude,
            hidden=directory.hidden,
            ignored=directory.ignored,
            secrets=directory.secrets,
            operator_capability=capability,
        )
    except SemantikError as error:
        if error.reason == "SOURCE_EXISTS":
            return Started([await _again(semantik, error.metadata["source_id"], settings, capability)])
        if error.reason == "PATH_NOT_ALLOWED":
            err.print(f"The server may not read {escape(str(path))}; its files are uploaded.")
            return Started(*await upload(semantik, target.id, path, settings))
        raise
    return Started([operation])


async def _again(semantik: Client, source_id: str, settings: Settings, capability: str) -> Operation:
    """Sync a source, with other settings where some are named that differ."""
    source = await semantik.sources.get(source_id)
    directory = settings.over(source.directory)
    if directory == source.directory:
        return await semantik.sources.sync(source_id)
    err.print(f"The source changes from {escape(in_words(source.directory))} to {escape(in_words(directory))}.")
    _, operation = await semantik.sources.update(source_id, directory, operator_capability=capability)
    return operation


async def _named_again(semantik: Client, target: Collection, path: Path) -> Operation | None:
    """Bring a file back that was deleted, or sync the folder whose source has it; None where no source does."""
    async for source in semantik.sources.list(target.id):
        if source.kind != Source.KIND_DIRECTORY or not path.is_relative_to(source.location):
            continue
        below = path.name if str(path) == source.location else path.relative_to(source.location).as_posix()
        states = [*Document.State.values()][1:]
        async for document in semantik.documents.list(target.id, source_id=source.id, path_prefix=below, states=states):
            if document.path != below:
                continue
            if document.state != Document.STATE_DELETED:
                return None if str(path) == source.location else await semantik.sources.sync(source.id)
            err.print(f"{escape(below)} was deleted; it comes back.")
            return (await semantik.documents.undelete(document.id))[1]
    return None
