"""semantik models ..."""

from typing import Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, print_json, run
from semantik.command.exporting import export
from semantik.command.precision import Precision
from semantik.command.quick import Commands

app = Commands(no_args_is_help=True, help="List, load, download and export models.")
Id = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, as `semantik models list` shows it.")]


@app.command("list")
def list_models(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """List the installed models, their languages and their use of memory."""
    from semantik.command.model_view import print_list

    async def work() -> None:
        async with client(address) as semantik:
            answer = await semantik.models.list()
        print_json(answer) if as_json else print_list(answer)

    run(work())


@app.command()
def show(model_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one model."""
    from semantik.command.model_view import print_model

    async def work() -> None:
        async with client(address) as semantik:
            model = await semantik.models.get(model_id)
        print_json(model) if as_json else print_model(model)

    run(work())


@app.command()
def load(
    model_id: Id,
    precision: Annotated[Precision | None, typer.Option(help="The precision; the model's default if not given.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Load a model into memory, so that its first use does not wait. For administrators."""
    from semantik.command.model_view import print_model

    async def work() -> None:
        async with client(address) as semantik:
            model = await semantik.models.load(model_id, Precision.message(precision))
        print_json(model) if as_json else print_model(model)

    run(work())


@app.command()
def unload(model_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Remove a model from memory; its next use loads it again. For administrators."""
    from semantik.command.model_view import print_model

    async def work() -> None:
        async with client(address) as semantik:
            model = await semantik.models.unload(model_id)
        print_json(model) if as_json else print_model(model)

    run(work())


@app.command()
def download(
    repository: Annotated[str, typer.Argument(help="The repository on the Hugging Face hub, such as BAAI/bge-small-en-v1.5.")],
    revision: Annotated[str, typer.Option(help="A commit, tag or branch; main by default.")] = "",
    name: Annotated[str, typer.Option(help="The model's id; the repository's name by default.")] = "",
    digest: Annotated[str, typer.Option(help="The digest that the model must have to be installed.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Download a model from the Hugging Face hub and install it; with --json, print one line for each change. For administrators.

    The download continues if this command is stopped; repeat the command to show it again.
    """
    from semantik.command.model_view import follow_download, print_model

    async def work() -> int:
        async with client(address) as semantik:
            answers = semantik.models.download(repository, revision=revision, model_id=name, digest=digest)
            last = await follow_download(repository, answers, as_json=as_json)
        if last.download.HasField("error"):
            err.print(f"[red]error:[/] {escape(last.download.error.message)}")
            return 1
        if not as_json:
            print_model(last.model)
        return 0

    run(work())


app.command()(export)
