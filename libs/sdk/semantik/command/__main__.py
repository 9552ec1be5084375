"""The command line of Semantik.

The modules of the commands import nothing slow: what a command needs it imports when it runs.
"""

from typing import Annotated

import typer
from typer.completion import install_callback, show_callback

from semantik.command import accounts, collections, documents, indexing, mesh, models, operations, searching, similar, sources, suggest, top
from semantik.command.context import EXIT_HELP
from semantik.command.evaluating import evaluations
from semantik.command.quick import Commands, initialize_completion

app = Commands(
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Self-hosted semantic search: point it at documents, find passages by meaning and by words.",
    epilog=EXIT_HELP,
)
for command in (
    mesh.up,
    mesh.down,
    mesh.purge,
    mesh.status,
    mesh.logs,
    top.top,
    accounts.register,
    accounts.login,
    accounts.logout,
    accounts.whoami,
    indexing.index,
    searching.search,
    similar.similar,
    suggest.suggest,
):
    app.command()(command)
app.command("open")(accounts.open_app)
app.add_typer(collections.app, name="collections")
app.add_typer(documents.app, name="documents")
app.add_typer(evaluations.app, name="eval")
app.add_typer(models.app, name="models")
app.add_typer(operations.app, name="operations")
app.add_typer(sources.app, name="sources")


@app.callback()
def semantik(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    _install: Annotated[
        bool,
        typer.Option("--install-completion", callback=install_callback, help="Install completion for your shell: bash, zsh or fish."),
    ] = False,
    _show: Annotated[
        bool, typer.Option("--show-completion", callback=show_callback, help="Print the completion of your shell, to install it yourself.")
    ] = False,
) -> None:
    """Take the options before the command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"semantik {installed('semantik')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    initialize_completion()
    app()


if __name__ == "__main__":
    main()
