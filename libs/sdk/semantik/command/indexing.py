"""semantik index: indexes a folder or a file into a collection."""

import importlib
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.address import parsed
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, print_json, run, word
from semantik.command.finding import collection_named
from semantik.command.naming import is_id
from semantik.command.precision import ModelOption, Precision, PrecisionOption
from semantik.secrecy import is_secret_file, is_secret_folder

if TYPE_CHECKING:
    from semantik.client import Client
    from semantik.collection.v1.collection_pb2 import Collection

_UPLOADS_AT_ONCE = 4
_IGNORED = {"node_modules", "__pycache__", "site-packages", "venv"}  # as the server's directory sources have it


def index(
    path: Annotated[Path, typer.Argument(help="A folder or a file.", exists=True, resolve_path=True)],
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id; created if it does not exist.")],
    include: Annotated[list[str] | None, typer.Option(help="Index only paths that match this glob; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave out paths that match this glob; may be repeated.")] = None,
    model: ModelOption = "",
    precision: PrecisionOption = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait until it is done.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Index a folder or a file and show the progress.

    Only new and changed files are read. Files that the server may not read are uploaded. Hidden files, what looks like
    a secret, and folders of dependencies such as node_modules are left out.
    """
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            target = await _collection(semantik, collection, model, precision)
            operation_id = await _start(semantik, target, path, include or [], exclude or [], _capability(address))
            if not operation_id:
                err.print("Nothing to index.")
                if as_json:
                    print_json({"operationId": ""})
                return 0
            if detach:
                print_json({"operationId": operation_id}) if as_json else err.print(f"Started {operation_id}.")
                return 0
            return await follow(semantik, operation_id, as_json=as_json)

    run(work())


async def _collection(semantik: "Client", name: str, model: str, precision: Precision | None) -> "Collection":
    """Return the collection, created with this model if there is none; one that exists keeps its model."""
    from semantik.client import SemantikError

    wanted = Precision.message(precision)
    try:
        collection = await collection_named(semantik, name)
    except SemantikError as error:
        if error.code != "NOT_FOUND" or is_id(name):
            raise
    else:
        if (model and model != collection.model) or (wanted and wanted != collection.precision):
            uses = f"{name} uses the model {collection.model} in {word(collection, 'precision')}"
            raise SemantikError("FAILED_PRECONDITION", "", f"{uses}, which cannot be changed; choose another collection")
        return collection
    collection = await semantik.collections.create(name, model=model, precision=wanted)
    err.print(f"Created the collection [bold]{escape(name)}[/].")
    return collection


def _capability(address: str) -> str:
    """Return the proof that this account runs the mesh at ``address``, which lets it index whatever it can read itself."""
    try:
        operator = importlib.import_module("deploy.local.operator")
    except ImportError:  # the base install runs no mesh
        return ""
    return str(operator.capability(parsed(address).name))


async def _start(semantik: "Client", target: "Collection", path: Path, include: list[str], exclude: list[str], capability: str) -> str:
    """Add the path as a source, sync it if it is one already, upload it if the server may not read it."""
    from semantik.client import SemantikError

    try:
        _, operation = await semantik.sources.add(target.id, str(path), include=include, exclude=exclude, operator_capability=capability)
    except SemantikError as error:
        if error.reason == "SOURCE_EXISTS":
            return (await semantik.sources.sync(error.metadata["source_id"])).id
        if error.reason == "PATH_NOT_ALLOWED":
            return await _upload(semantik, target, path, include, exclude)
        raise
    return operation.id


async def _upload(semantik: "Client", target: "Collection", path: Path, include: list[str], exclude: list[str]) -> str:
    """Upload files side by side; returns the last operation, which ends after the others."""
    import asyncio

    from semantik.client import SemantikError

    files = {path.name: path} if path.is_file() else {name: path / name for name in selected(path, include, exclude)}
    err.print(f"The server may not read {escape(str(path))}: uploading {len(files)} files.")
    places = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    operations: list[str] = []

    async def upload(name: str, file: Path) -> None:
        async with places:
            try:
                _, operation = await semantik.documents.upload(target.id, file, name)
            except SemantikError as error:
                err.print(f"[red]{escape(name)}[/]: {escape(str(error))}")
            else:
                if operation.id:
                    operations.append(operation.id)

    await asyncio.gather(*(upload(name, file) for name, file in files.items()))
    return operations[-1] if operations else ""


def selected(directory: Path, include: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """Yield the paths of the files below a directory that a source there would take, with ``/`` between their parts."""
    for parent, directories, files in os.walk(directory):
        below = Path(parent).relative_to(directory)
        directories[:] = sorted(name for name in directories if not _is_ignored(name) and not _matches((below / name).as_posix(), exclude))
        for name in sorted(files):
            path = (below / name).as_posix()
            is_left_out = _is_ignored(name) or is_secret_file(name) or _matches(path, exclude)
            if not is_left_out and (not include or _matches(path, include)):
                yield path


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED or is_secret_folder(name)


def _matches(path: str, globs: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, glob) or fnmatchcase(name, glob) for glob in globs)
