"""semantik search: finds passages and highlights the query's words."""

from typing import Annotated

import typer
from rich.text import Text

from semantik.client.search import MODES
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, out, print_json, printable, run
from semantik.search.v1.search_service_pb2 import Hit, SearchResponse

_SHOWN = 400


def search(
    query: Annotated[str, typer.Argument(help="A question or words to look for.")],
    collection: Annotated[list[str] | None, typer.Option("--collection", "-c", help="A collection to search; may be repeated.")] = None,
    mode: Annotated[str, typer.Option(help="hybrid, semantic (by meaning) or keyword (by words).")] = "hybrid",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="The maximum number of hits.")] = 5,
    full: Annotated[bool, typer.Option("--full", help="Print whole passages.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Search the named collections, or up to 10 of those you may read."""
    if mode not in MODES:
        raise typer.BadParameter(f"choose one of {', '.join(MODES)}", param_hint="--mode")

    async def work() -> None:
        async with client(address) as semantik:
            if collection:
                collections = [await semantik.collections.named(name) for name in collection]
            else:
                collections = [readable async for readable in semantik.collections.list()][:10]
            if not collections:
                err.print("There is nothing to search yet. Index documents with `semantik index PATH --collection NAME`.")
                if as_json:
                    print_json(SearchResponse())
                return
            answer = await semantik.search(query, [searched.id for searched in collections], mode=mode, limit=limit)
        if as_json:
            print_json(answer)
            return
        for rank, hit in enumerate(answer.hits, 1):
            place = f"page {hit.page}" if hit.page else hit.section
            out.print(f"[bold]{rank}. {escape(hit.path)}[/] [dim]{escape(place)} {hit.score:.3f}[/]")
            out.print(_marked(hit, None if full else _SHOWN), soft_wrap=False)
            out.print()
        milliseconds = answer.timings.total.ToMicroseconds() / 1000
        err.print(f"{len(answer.hits)} {'hit' if len(answer.hits) == 1 else 'hits'} in {milliseconds:.0f} ms", style="dim")

    run(work())


def _marked(hit: Hit, most: int | None) -> Text:
    """Return a hit's text with the query's words highlighted, cut around the first of them."""
    start = 0
    if most is not None and hit.highlights and hit.highlights[0].start > most // 2:
        start = hit.highlights[0].start - most // 4
    end = len(hit.text) if most is None else min(len(hit.text), start + most)
    # Not markup: the document's brackets are printed as they are.
    shown = Text("..." if start else "")
    before = len(shown)
    shown.append(printable(hit.text[start:end]))
    for mark in hit.highlights:
        if start <= mark.start and mark.end <= end:
            shown.stylize("bold yellow", before + mark.start - start, before + mark.end - start)
    return shown.append("..." if end < len(hit.text) else "")
