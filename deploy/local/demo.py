"""``make run``: a mesh with a demo user and a collection of this project's documentation, until Ctrl-C."""

import asyncio
import os
import sys
from pathlib import Path

from rich.console import Console

from deploy.local.home import MeshError, home_of
from deploy.local.mesh import Mesh, Options, up
from semantik.client import Client, SemantikError
from semantik.command.context import DEFAULT_ADDRESS
from semantik.command.credentials import Credentials
from semantik.command.watching import summary

_ROOT = Path(__file__).resolve().parents[2]
_USER = "demo"
_COLLECTION = "semantik"
_QUERY = "what happens to the work when a worker dies?"
_SOURCES = ("proto/semantik", "gateway/README.md", "README.md", "DECISIONS.md", "CONTRIBUTING.md")

out = Console(highlight=False, soft_wrap=True)


async def show(mesh: Mesh) -> None:
    """Sign the demo user in, index the documentation, and search once."""
    address = mesh.gateway.removeprefix("http://")
    async with Client(address, token_store=Credentials(address)) as client:
        await _sign_in(client, mesh.home.secret("demo-password"))
        collection = await _collection(client)
        out.print(f"\nIndexing this project's documentation into the collection [bold]{_COLLECTION}[/] ...")
        for source in _SOURCES:
            if (_ROOT / source).exists():
                await _index(client, collection, _ROOT / source)
        answer = await client.search(_QUERY, [collection], limit=3)
    out.print(f"\nThe collection [bold]{_COLLECTION}[/] holds this project's documentation. One search:\n\n  [bold]{_QUERY}[/]\n")
    for rank, hit in enumerate(answer.hits, 1):
        out.print(f"  {rank}. [bold]{hit.path}[/] [dim]{hit.section} {hit.score:.2f}[/]")
        out.print("     " + " ".join(hit.text.split())[:160], style="dim", markup=False)
    environment = "" if address == DEFAULT_ADDRESS else f"SEMANTIK_ADDRESS={address} "
    out.print(f"\nSemantik answers at [bold]{mesh.gateway}[/]; you are signed in as [bold]{_USER}[/]. Try, in another terminal:")
    out.print(f'  {environment}.venv/bin/semantik search "how is a grant checked?"')
    out.print(f"  {environment}.venv/bin/semantik index ~/Documents -c documents")
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


async def _index(client: Client, collection_id: str, path: Path) -> None:
    try:
        _, operation = await client.sources.add(collection_id, str(path))
    except SemantikError as error:
        if error.reason != "SOURCE_EXISTS":
            raise
        operation = await client.sources.sync(error.metadata["source_id"])
    out.print(f"  {path.relative_to(_ROOT)} {summary(await client.operations.wait(operation.id))}")


def main() -> None:
    data = os.environ.get("SEMANTIK_DATA_DIR")
    home = home_of(Path(data) if data else None)
    try:
        asyncio.run(up(Options(data_dir=home.path, allowed_roots=(_ROOT,)), show))
    except MeshError as error:
        sys.exit(f"semantik: {error}")


if __name__ == "__main__":
    main()
