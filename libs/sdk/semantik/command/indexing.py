"""semantik index: indexes a folder or a file into a collection."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from semantik.client import Client, SemantikError
from semantik.client.operations import TERMINAL
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.collection.v1.source_pb2 import DirectoryConfig, Source
from semantik.command import failures
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, print_json, run
from semantik.command.settings import Excludes, Hidden, Ignored, Includes, Secrets, Settings, in_words
from semantik.command.uploading import upload
from semantik.command.watching import follow
from semantik.operation.v1.operation_pb2 import Operation


def index(
    path: Annotated[Path, typer.Argument(help="A folder or a file.", exists=True, resolve_path=True)],
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection; created if it does not exist.")],
    include: Includes = None,
    exclude: Excludes = None,
    hidden: Hidden = None,
    ignored: Ignored = None,
    secrets: Secrets = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait until it is done.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Index a folder or a file and show the progress.

    Only new and changed files are read. Files that the server may not read are uploaded. Left out, unless an option says
    otherwise: hidden files and folders; what .gitignore and .ignore name; node_modules, __pycache__, site-packages, venv and
    other folders that tools fill; and what looks like a secret. A pattern is as in .gitignore: '*.md' matches at any depth,
    'docs/*.md' below the folder, '**' any number of folders, 'drafts/' folders only. A second run keeps the options of the
    first, unless it names others: then files that no longer match are removed. A file that was deleted comes back when it is
    named itself. The exit code is 1 if a file failed.
    """
    settings = Settings(include, exclude, hidden, ignored, secrets)

    async def work() -> int:
        async with client(address) as semantik:
            target = await _collection(semantik, collection)
            started = await _start(semantik, target, path, settings, capability(address))
            ids = [operation.id for operation in started.operations]
            if not ids:
                err.print("Nothing to index.")
                if as_json:
                    print_json({"operationId": ""})
                return int(started.has_failed)
            if detach:
                print_json({"operationId": ids[-1]}) if as_json else err.print(f"Started {', '.join(ids)}.")
                return int(started.has_failed)
            codes = [await follow(semantik, ids[0], as_json=as_json)]
            codes += [await follow(semantik, other, as_json=as_json) for other in ids[1:] if await _has_work(semantik, other)]
            has_failed = await failures.report(semantik, target, ids, quiet=as_json)
            return max(codes) or int(started.has_failed or has_failed)

    run(work())


@dataclass(frozen=True)
class _Started:
    """The operations to follow, the oldest first, and whether a file failed already."""

    operations: list[Operation]
    has_failed: bool = False


async def _has_work(semantik: Client, operation_id: str) -> bool:
    """Return whether an operation is worth following: what is uploaded in one go is mostly indexed by the first."""
    operation = await semantik.operations.get(operation_id)
    return operation.state not in TERMINAL or operation.progress.documents_done > 0


async def _collection(semantik: Client, name: str) -> Collection:
    try:
        return await semantik.collections.named(name)
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
    collection = await semantik.collections.create(name)
    err.print(f"Created the collection [bold]{escape(name)}[/].")
    return collection


def capability(address: str) -> str:
    """Return the proof that this account runs the mesh at ``address``, which lets it index whatever it can read itself."""
    try:
        operator = importlib.import_module("deploy.local.operator")
    except ImportError:  # the base install runs no mesh
        return ""
    return str(operator.capability(address.rpartition("://")[2].rstrip("/").replace("localhost:", "127.0.0.1:")))


async def _start(semantik: Client, target: Collection, path: Path, settings: Settings, capability: str) -> _Started:
    """Add the path as a source; sync or update it if it is one already; upload it if the server may not read it."""
    if path.is_file() and (operation := await _named_again(semantik, target, path)):
        return _Started([operation])
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
            return _Started([await _again(semantik, error.metadata["source_id"], settings, capability)])
        if error.reason == "PATH_NOT_ALLOWED":
            err.print(f"The server may not read {escape(str(path))}; its files are uploaded.")
            return _Started(*await upload(semantik, target.id, path, settings))
        raise
    return _Started([operation])


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
