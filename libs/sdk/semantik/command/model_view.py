"""Shows models and downloads of models to people."""

import sys
from collections.abc import AsyncIterator

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from semantik.command.context import escape, out, print_json, table, word
from semantik.embedding.v1.model_pb2 import Model
from semantik.embedding.v1.model_service_pb2 import DownloadModelResponse, ListModelsResponse

_NAMED = 3  # more languages than that are counted


def print_list(answer: ListModelsResponse) -> None:
    """Print the installed models and the memory that the loaded ones use."""
    rows = table("MODEL", "STATE", "LANGUAGES", "KIND", "ON DISK", "IN MEMORY", "DIMENSION", "TOKENS", "LICENCE")
    for model in answer.models:
        name = f"{model.id} (default)" if model.is_default else model.id
        memory = decimal(sum(session.memory_bytes for session in model.sessions)) if model.sessions else ""
        numbers = decimal(model.size_bytes), memory, str(model.dimension), str(model.max_length)
        rows.add_row(escape(name), word(model, "state"), languages(model), word(model, "kind"), *numbers, escape(model.license))
    out.print(rows)
    out.print(f"{decimal(answer.memory_bytes)} of {decimal(answer.memory_budget_bytes)} of memory used.")


def print_model(model: Model) -> None:
    """Print all that is known of a model."""
    out.print(f"[bold]{escape(model.id)}[/] {escape(model.source)}".strip())
    precisions = [_precision(precision) for precision in model.precisions]
    lines = [
        f"{word(model, 'state')} {escape(model.state_reason)}".strip() + (", the default" if model.is_default else ""),
        f"{word(model, 'kind')}, {model.dimension} dimensions, reads {model.max_length} tokens",
        f"languages: {escape(', '.join(model.languages)) or 'its card names none'}",
        f"{decimal(model.size_bytes)} on disk, licence {escape(model.license) or 'unknown'}",
        f"precisions: {', '.join(precisions)}; {_precision(model.default_precision)} by default",
        f"digest {model.digest}",
    ]
    lines += [
        f"in memory: {word(session, 'precision')} on {session.provider.removesuffix('ExecutionProvider')}, "
        f"{decimal(session.memory_bytes)}, loaded in {session.load_duration.ToMilliseconds() / 1000:.1f} s, "
        f"{session.token_count:,} tokens computed"
        for session in model.sessions
    ]
    out.print("\n".join(lines))


def languages(model: Model) -> str:
    """Return the languages of a model in few words, as markup."""
    known = list(model.languages)
    return escape(", ".join(known)) if len(known) <= _NAMED else f"{len(known)} languages"


async def follow_download(repository: str, answers: AsyncIterator[DownloadModelResponse], *, as_json: bool) -> DownloadModelResponse:
    """Show a download until it ends, and return its last state."""
    last = DownloadModelResponse()
    columns = TextColumn("{task.description}"), BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=out.console, transient=True, disable=as_json or not sys.stdout.isatty()) as progress:
        task = progress.add_task(escape(repository), total=None)
        async for last in answers:
            if as_json:
                print_json(last)
            progress.update(task, completed=last.download.done_bytes, total=last.download.total_bytes or None)
    return last


def _precision(value: "Model.Precision.ValueType") -> str:
    return Model.Precision.Name(value).removeprefix("PRECISION_").lower()
