"""The command line of Semantik."""

from importlib.metadata import version
from typing import Annotated

import typer

from semantik.command import accounts, collections, documents, indexing, mesh, models, operations, searching, sources
from semantik.command.context import EXIT_HELP

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-hosted semantic search: point it at documents, find passages by meaning and by words.",
    epilog=EXIT_HELP,
)
for command in (
    mesh.up,
    mesh.down,
    mesh.status,
    mesh.logs,
    accounts.register,
    accounts.login,
    accounts.logout,
    accounts.whoami,
    indexing.index,
    searching.search,
):
    app.command()(command)
app.add_typer(collections.app, name="collections")
app.add_typer(documents.app, name="documents")
app.add_typer(models.app, name="models")
app.add_typer(operations.app, name="operations")
app.add_typer(sources.app, name="sources")


def _print_version(*, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"semantik {version('semantik')}")
        raise typer.Exit


@app.callback()
def semantik(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda wanted: _print_version(is_wanted=wanted), help="Print the version.")
    ] = False,
) -> None:
    """Take the options before the command."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
