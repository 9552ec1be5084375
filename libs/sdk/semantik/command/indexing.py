"""semantik index: puts a folder or a file into a collection."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from semantik.client import Client, SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, print_json, run
from semantik.command.watching import follow

_UPLOADS_AT_ONCE = 4


def index(
    path: Annotated[Path, typer.Argument(help="A folder or a file.", exists=True, resolve_path=True)],
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection to fill; made if it is missing.")],
    include: Annotated[list[str] | None, typer.Option(help="Only paths that match this glob; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not the paths that match this glob; may be repeated.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Index a folder or a file, and watch it happen.

    What was indexed before is compared: only what is new or changed is read again. A path that the server may not read is
    uploaded.
    """

    async def work() -> int:
        async with client(address) as semantik:
            into = await _collection(semantik, collection)
            operation_id = await _start(semantik, into, path, include or [], exclude or [])
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


async def _collection(semantik: Client, name: str) -> Collection:
    try:
        return await semantik.collections.named(name)
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
    made = await semantik.collections.create(name)
    err.print(f"Created the collection [bold]{escape(name)}[/].")
    return made


async def _start(semantik: Client, into: Collection, path: Path, include: list[str], exclude: list[str]) -> str:
    """Add the path as a source, sync it if it is one already, upload it if the server may not read it."""
    try:
        _, operation = await semantik.sources.add(into.id, str(path), include=include, exclude=exclude)
    except SemantikError as error:
        if error.reason == "SOURCE_EXISTS":
            return (await semantik.sources.sync(error.metadata["source_id"])).id
        if error.reason == "PATH_NOT_ALLOWED":
            return await _upload(semantik, into, path)
        raise
    return operation.id


async def _upload(semantik: Client, into: Collection, path: Path) -> str:
    """Upload files side by side; returns the last operation, which finishes after the others."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file() and not _hidden(each.relative_to(path)))
    err.print(f"The server may not read {escape(str(path))}: uploading {len(files)} files.")
    places = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    operations: list[str] = []

    async def one(file: Path) -> None:
        async with places:
            name = file.name if file == path else file.relative_to(path).as_posix()
            try:
                _, operation = await semantik.documents.upload(into.id, file, name)
            except SemantikError as error:
                err.print(f"[red]{escape(name)}[/]: {escape(str(error))}")
            else:
                if operation.id:
                    operations.append(operation.id)

    await asyncio.gather(*(one(file) for file in files))
    return operations[-1] if operations else ""


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
