"""semantik search: finds passages and highlights the query's words."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, err, escape, out, print_json, printable, run
from semantik.command.finding import collection_named

if TYPE_CHECKING:
    from rich.text import Text

    from semantik.search.v1.search_service_pb2 import Hit

_SHOWN = 400
_MOST_COLLECTIONS = 10


class Mode(enum.StrEnum):
    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


def search(
    query: Annotated[str, typer.Argument(help="A question or words to look for.")],
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", help="A collection to search, by name or id; may be repeated.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Semantic is by meaning, keyword by words, hybrid by both.")] = Mode.HYBRID,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="The maximum number of hits.")] = 5,
    full: Annotated[bool, typer.Option("--full", help="Print whole passages.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Search the named collections, or up to 10 of those you may read. It is no error if nothing is found."""

    async def work() -> None:
        from semantik.search.v1.search_service_pb2 import SearchResponse

        async with client(address) as semantik:
            if collection:
                collections = [await collection_named(semantik, name) for name in collection]
            else:
                collections = [readable async for readable in semantik.collections.list()]
            if not collections:
                err.print("There is nothing to search yet. Index documents with `semantik index PATH --collection NAME`.")
                if as_json:
                    print_json(SearchResponse())
                return
            searched = collections if collection else collections[:_MOST_COLLECTIONS]
            answer = await semantik.search(query, [each.id for each in searched], mode=mode, limit=limit)
        if as_json:
            print_json(answer)
            return
        names = {each.id: each.name for each in searched} if len(searched) > 1 else {}
        for rank, hit in enumerate(answer.hits, 1):
            of = f"[cyan]{escape(names[hit.collection_id])}:[/] " if names else ""
            place = f"page {hit.page}" if hit.page else hit.section
            out.print(f"[bold]{rank}.[/] {of}[bold]{escape(hit.path)}[/] [dim]{escape(place)} {hit.score:.3f}[/]")
            out.print(_marked(hit, None if full else _SHOWN))
            out.print()
        milliseconds = answer.timings.total.ToMicroseconds() / 1000
        counted = f"{len(answer.hits) or 'No'} {'hit' if len(answer.hits) == 1 else 'hits'} in {milliseconds:.0f} ms"
        where = f" in {len(searched)} of {len(collections)} collections" if len(searched) < len(collections) else ""
        err.print(f"{counted}{where}", style="dim")

    run(work())


def _marked(hit: "Hit", most: int | None) -> "Text":
    """Return a hit's text with the query's words highlighted, cut around the first of them."""
    from rich.text import Text

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
