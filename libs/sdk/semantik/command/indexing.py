"""semantik index: indexes a folder or a file into a collection."""

from pathlib import Path
from typing import Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, print_json, run
from semantik.command.noting import MetadataOption
from semantik.command.precision import ModelOption, PrecisionOption
from semantik.command.settings import Excludes, Hidden, Ignored, Includes, Secrets, Settings


def index(
    path: Annotated[Path, typer.Argument(help="A folder or a file.", exists=True, resolve_path=True)],
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id; created if it does not exist.")],
    include: Includes = None,
    exclude: Excludes = None,
    hidden: Hidden = None,
    ignored: Ignored = None,
    secrets: Secrets = None,
    metadata: MetadataOption = None,
    model: ModelOption = "",
    precision: PrecisionOption = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait until it is done.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Index a folder or a file and show the progress.

    Only new and changed files are read. Files that the server may not read, and those with --metadata, are uploaded. Left
    out, unless an option says otherwise: hidden files and folders; what .gitignore and .ignore name; node_modules,
    __pycache__, site-packages, venv and other folders that tools fill; and what looks like a secret. A pattern is as in
    .gitignore: '*.md' matches at any depth, 'docs/*.md' below the folder, '**' any number of folders, 'drafts/' folders only.
    A second run keeps the options of the first, unless it names others: then files that no longer match are removed. A file
    that was deleted comes back when it is named itself. The exit code is 1 if a file failed.
    """
    from semantik.command import failures
    from semantik.command.starting import capability, collection_for, has_work, start
    from semantik.command.watching import follow

    settings = Settings(include, exclude, hidden, ignored, secrets)

    async def work() -> int:
        async with client(address) as semantik:
            target = await collection_for(semantik, collection, model, precision)
            started = await start(semantik, target, path, settings, capability(address), metadata or ())
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
            codes += [await follow(semantik, other, as_json=as_json) for other in ids[1:] if await has_work(semantik, other)]
            has_failed = await failures.report(semantik, target, ids, quiet=as_json)
            return max(codes) or int(started.has_failed or has_failed)

    run(work())
