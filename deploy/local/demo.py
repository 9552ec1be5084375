"""``make run``: a mesh with a demo user and a collection of this project's documentation, until Ctrl-C."""

import asyncio
import os
import sys
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from deploy.local.home import MeshError, home_of
from deploy.local.mesh import Mesh, Options, up
from semantik.client import Client, SemantikError
from semantik.command.context import DEFAULT_ADDRESS, escape, out, printable
from semantik.command.credentials import Credentials
from semantik.command.states import details, stage, summary
from semantik.operation.v1.operation_pb2 import Operation

_ROOT = Path(__file__).resolve().parents[2]
_USER = "demo"
_COLLECTION = "semantik"
_QUERY = "what happens to the work when a worker dies?"
_SOURCES = ("proto/semantik", "gateway/README.md", "README.md", "DECISIONS.md", "CONTRIBUTING.md")
_SHOWN = 160


async def show(mesh: Mesh) -> None:
    """Sign the demo user in, index the documentation, and search once."""
    address = mesh.gateway.removeprefix("http://")
    async with Client(address, token_store=Credentials(address)) as client:
        with out.console.status("Signing in ..."):
            await _sign_in(client, mesh.home.secret("demo-password"))
            collection = await _collection(client)
        out.print(f"\nIndexing this project's documentation into the collection [bold]{_COLLECTION}[/] ...")
        for source in _SOURCES:
            if (_ROOT / source).exists():
                await _index(client, collection, source)
        with out.console.status("Searching ..."):
            answer = await client.search(_QUERY, [collection], limit=3)
            code = await client.accounts.sign_in_code()
    out.print(f"\nThe collection [bold]{_COLLECTION}[/] holds this project's documentation. One search:\n\n  [bold]{_QUERY}[/]\n")
    for rank, hit in enumerate(answer.hits, 1):
        out.print(f"  {rank}. [bold]{escape(hit.path)}[/] [dim]{escape(hit.section)} {hit.score:.2f}[/]")
        out.print(Padding(Text(printable(" ".join(hit.text.split()))[:_SHOWN], style="dim"), (0, 0, 0, 5), expand=False))
    environment = "" if address == DEFAULT_ADDRESS else f"SEMANTIK_ADDRESS={address} "
    out.print(f"\nSemantik answers at [bold]{mesh.gateway}[/]; you are signed in as [bold]{_USER}[/].", soft_wrap=True)
    out.print("Open it in a browser, signed in (the link is good for five minutes; `semantik open` makes another):")
    out.print(f"  [bold]{mesh.gateway}/sign-in#code={code}[/]", soft_wrap=True)
    out.print("Or try, in another terminal:")
    out.print(f'  {environment}.venv/bin/semantik search "how is a grant checked?"', soft_wrap=True)
    out.print(f"  {environment}.venv/bin/semantik index ~/Documents -c documents", soft_wrap=True)
    out.print("Ctrl-C stops it; the index stays.")


async def _sign_in(client: Client, password: str) -> None:
    try:
        await client.accounts.login(_USER, password)
    except SemantikError as error:
        if error.reason != "CREDENTIALS_WRONG":
            raise
        await client.accounts.register(_USER, "demo@example.org", password)


async def _collection(client: Client) -> str:
    try:
        return (await client.collections.named(_COLLECTION)).id
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
    return (await client.collections.create(_COLLECTION, description="Semantik's own documentation")).id


async def _index(client: Client, collection_id: str, source: str) -> None:
    path = str(_ROOT / source)
    try:
        _, operation = await client.sources.add(collection_id, path)
    except SemantikError as error:
        if error.reason != "SOURCE_EXISTS":
            raise
        operation = await client.sources.sync(error.metadata["source_id"])
    with out.console.status(f"  {source}: {_state(operation)}") as status:
        async for operation in client.operations.watch(operation.id):  # noqa: B020 - its latest state
            status.update(f"  {source}: {_state(operation)}")
    out.print(f"  {source}: {summary(operation)}")


def _state(operation: Operation) -> str:
    return escape(", ".join(filter(None, (stage(operation), details(operation)))))


def main() -> None:
    data = os.environ.get("SEMANTIK_DATA_DIR")
    home = home_of(Path(data) if data else None)
    try:
        asyncio.run(up(Options(data_dir=home.path, allowed_roots=(_ROOT,)), show))
    except (MeshError, SemantikError) as error:
        sys.exit(f"semantik: {error}")


if __name__ == "__main__":
    main()
