"""semantik models ..."""

import enum
import sys
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from semantik.client import Client
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, out, print_json, run, table
from semantik.command.exporting import export
from semantik.embedding.v1.model_pb2 import Model
from semantik.embedding.v1.model_service_pb2 import DownloadModelResponse

app = typer.Typer(no_args_is_help=True, help="List, load, download and export models.")
Id = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, as `semantik models list` shows it.")]


class Precision(enum.StrEnum):
    INT8 = "int8"
    FLOAT32 = "float32"
    FLOAT16 = "float16"


def _word(name: str) -> str:
    """Return the last word of an enum's value: ``STATE_ON_DISK`` is ``on disk``."""
    return name.partition("_")[2].replace("_", " ").lower()


def _precision(value: "Model.Precision.ValueType") -> str:
    return _word(Model.Precision.Name(value))


def _memory(model: Model) -> str:
    return decimal(sum(session.memory_bytes for session in model.sessions)) if model.sessions else ""


@app.command("list")
def list_models(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """List the installed models and their use of memory."""

    async def work() -> None:
        async with client(address) as semantik:
            answer = await semantik.models.list()
        if as_json:
            print_json(answer)
            return
        rows = table("MODEL", "KIND", "STATE", "DIMENSION", "TOKENS", "ON DISK", "IN MEMORY", "LICENCE")
        for model in answer.models:
            name = f"{model.id} (default)" if model.is_default else model.id
            kind, state = _word(Model.Kind.Name(model.kind)), _word(Model.State.Name(model.state))
            numbers = str(model.dimension), str(model.max_length), decimal(model.size_bytes), _memory(model)
            rows.add_row(escape(name), kind, state, *numbers, escape(model.license))
        out.print(rows)
        out.print(f"{decimal(answer.memory_bytes)} of {decimal(answer.memory_budget_bytes)} of memory used.")

    run(work())


@app.command()
def show(model_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one model."""

    async def work() -> None:
        async with client(address) as semantik:
            _print(await semantik.models.get(model_id), as_json=as_json)

    run(work())


@app.command()
def load(
    model_id: Id,
    precision: Annotated[Precision | None, typer.Option(help="The precision; the model's default if not given.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Load a model into memory, so that its first use does not wait. For administrators."""
    wanted = Model.Precision.Value(f"PRECISION_{precision.upper()}") if precision else Model.PRECISION_UNSPECIFIED

    async def work() -> None:
        async with client(address) as semantik:
            _print(await semantik.models.load(model_id, wanted), as_json=as_json)

    run(work())


@app.command()
def unload(model_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Remove a model from memory; its next use loads it again. For administrators."""

    async def work() -> None:
        async with client(address) as semantik:
            _print(await semantik.models.unload(model_id), as_json=as_json)

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

    async def work() -> int:
        async with client(address) as semantik:
            last = await _follow(semantik, repository, revision, name, digest, as_json=as_json)
        if last.download.HasField("error"):
            err.print(f"[red]error:[/] {escape(last.download.error.message)}")
            return 1
        if not as_json:
            _print(last.model, as_json=False)
        return 0

    run(work())


app.command()(export)


async def _follow(semantik: Client, repository: str, revision: str, name: str, digest: str, *, as_json: bool) -> DownloadModelResponse:
    last = DownloadModelResponse()
    columns = TextColumn("{task.description}"), BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=out, transient=True, disable=as_json or not sys.stdout.isatty()) as progress:
        task = progress.add_task(escape(repository), total=None)
        async for last in semantik.models.download(repository, revision=revision, model_id=name, digest=digest):
            if as_json:
                print_json(last)
            progress.update(task, completed=last.download.done_bytes, total=last.download.total_bytes or None)
    return last


def _print(model: Model, *, as_json: bool) -> None:
    if as_json:
        print_json(model)
        return
    out.print(f"[bold]{escape(model.id)}[/] {escape(model.source)}".strip())
    lines = [
        f"{_word(Model.State.Name(model.state))} {escape(model.state_reason)}".strip() + (", the default" if model.is_default else ""),
        f"{_word(Model.Kind.Name(model.kind))}, {model.dimension} dimensions, reads {model.max_length} tokens",
        f"{decimal(model.size_bytes)} on disk, licence {escape(model.license) or 'unknown'}",
        f"precisions: {', '.join(map(_precision, model.precisions))}; {_precision(model.default_precision)} by default",
        f"digest {model.digest}",
    ]
    lines += [
        f"in memory: {_precision(session.precision)} on {session.provider.removesuffix('ExecutionProvider')}, "
        f"{decimal(session.memory_bytes)}, loaded in {session.load_duration.ToMilliseconds() / 1000:.1f} s, "
        f"{session.token_count:,} tokens computed"
        for session in model.sessions
    ]
    out.print("\n".join(lines))
