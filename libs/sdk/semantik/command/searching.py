"""semantik search: finds passages and highlights the query's words."""

import enum
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    JsonOption,
    client,
    err,
    escape,
    out,
    print_json,
    printable,
    run,
    table,
)
from semantik.command.finding import collection_named, collection_names, has_collections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.text import Text

    from semantik.client import Client
    from semantik.collection.v1.metadata_pb2 import MetadataValue
    from semantik.search.v1.filter_pb2 import Facet
    from semantik.search.v1.search_service_pb2 import FindSimilarResponse, Hit, SearchResponse

_SHOWN = 400
_NAMED = 3
_PAGE = 100


class Mode(enum.StrEnum):
    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


_COUNTS = ("mime", "ext", "lang", "source", "folder")


def _count(name: str) -> str:
    if name not in _COUNTS and not name.startswith("meta."):
        raise typer.BadParameter(f"{name!r} is none of {', '.join(_COUNTS)} and meta.KEY")
    return name


def search(
    query: Annotated[str, typer.Argument(help="A question or words to look for.")],
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", help="A collection to search, by name or id; may be repeated.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Semantic is by meaning, keyword by words, hybrid by both.")] = Mode.HYBRID,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="The maximum number of hits.")] = 5,
    filter_text: Annotated[
        str,
        typer.Option(
            "--filter", "-f", metavar="TEXT", help='What hits must be, such as `mime:pdf modified>2026-01 path:reports/ "a phrase" -draft`.'
        ),
    ] = "",
    min_similarity: Annotated[
        float | None, typer.Option(min=-1, max=1, help="The least similarity of hits to the query by meaning, from -1 to 1.")
    ] = None,
    per_document: Annotated[int | None, typer.Option(min=1, max=100, help="The maximum number of hits of one document.")] = None,
    count: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[mime|ext|lang|source|folder|meta.KEY]",
            parser=_count,
            help="Count all passages that meet the filter by this; may be repeated.",
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Print whole passages.")] = False,
    rerank: Annotated[bool, typer.Option("--rerank", help="Let a cross-encoder reorder the best passages.")] = False,
    reranker: Annotated[
        str, typer.Option(metavar="MODEL", help="The cross-encoder for --rerank; any that is installed if not given.")
    ] = "",
    candidates: Annotated[int, typer.Option(min=1, max=200, help="How many passages --rerank looks at.")] = 50,
    neighbours: Annotated[int, typer.Option(min=0, max=5, help="Print as many passages before and after each hit.")] = 0,
    section: Annotated[bool, typer.Option("--section", help="Print each hit's whole section, at most 20 passages of it.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print how each hit came to its place, and the time of each stage.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Search the named collections, or all that you may read. It is no error if nothing is found.

    A filter joins terms: a word or a "phrase" to hold; path:, name:, ext:, mime:, lang:, source:, document: with a value or several with
    commas between; modified: and size with <, <=, > or >=; meta.KEY with all of these, for what was noted on documents. `-` before a term
    is not, OR is or, and parentheses group.
    """
    if section and neighbours:
        raise typer.BadParameter("give either --neighbours or --section")
    chosen: dict[str, Any] = {
        "mode": mode,
        "filter_text": filter_text,
        "min_similarity": min_similarity,
        "max_hits_per_document": per_document,
        "facets": count or (),
        "explain": explain,
        "neighbours": neighbours,
        "section_neighbours": section,
    }

    async def work() -> None:
        from semantik.client import SemantikError
        from semantik.search.v1.rerank_pb2 import Rerank

        if rerank or reranker:
            chosen["rerank"] = Rerank(model=reranker, candidate_count=candidates)

        async with client(address) as semantik:
            named = [await collection_named(semantik, name) for name in collection or ()]
            try:
                answer = await _found(semantik, query, [each.id for each in named], limit, chosen)
            except SemantikError as error:
                if error.field == "filter_text" and not as_json:
                    err.print(escape(_pointed(filter_text, int(error.metadata.get("position", 0)))), soft_wrap=True)
                raise
            if not named and not answer.hits and not await has_collections(semantik):
                err.print("There is nothing to search yet. Index documents with `semantik index PATH --collection NAME`.")
            names = await collection_names(semantik, answer, named)
        if as_json:
            print_json(answer)
            return
        print_hits(
            answer.hits,
            names if len(named) != 1 else {},
            full=full,
            is_fused=len(answer.explanation.rankings) > 1,
            shows_similarity=min_similarity is not None,
        )
        for facet, kind in zip(answer.facets, sorted(count or (), key=lambda name: name.startswith("meta.")), strict=True):
            _print_counts(facet, kind)
        if explain:
            from semantik.command.explaining import summary

            out.print(summary(answer.explanation, names))
        print_outcome(answer, names)

    run(work())


def print_hits(hits: "Iterable[Hit]", names: dict[str, str], *, full: bool, is_fused: bool = False, shows_similarity: bool = False) -> None:
    """Print hits, best first; ``names`` are those of the collections where there are several."""
    for rank, hit in enumerate(hits, 1):
        of = f"[cyan]{escape(names[hit.collection_id])}:[/] " if hit.collection_id in names else ""
        place = f"page {hit.page}" if hit.page else hit.section
        weak = " [yellow]weak match[/]" if hit.is_weak_match else ""
        similarity = f" similarity {hit.similarity:.3f}" if shows_similarity else ""
        out.print(f"[bold]{rank}.[/] {of}[bold]{escape(hit.path)}[/] [dim]{escape(place)} {hit.score:.3f}{similarity}[/]{weak}")
        if hit.HasField("explanation"):
            from semantik.command.explaining import hit_lines

            out.print(hit_lines(hit.explanation, is_fused=is_fused))
        if hit.metadata:
            out.print(escape(noted(hit.metadata)), style="dim")
        for text in hit.neighbours.before:
            out.print(escape(text), style="dim")
        out.print(_marked(hit, None if full else _SHOWN))
        for text in hit.neighbours.after:
            out.print(escape(text), style="dim")
        out.print()


def noted(values: "Mapping[str, MetadataValue]") -> str:
    """Return metadata on a line."""
    from semantik.client.metadata import metadata_of

    return " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in metadata_of(values).items())


def print_outcome(answer: "SearchResponse | FindSimilarResponse", names: dict[str, str]) -> None:
    """Print what is missing from an answer, how many hits it has and how long it took."""
    left_out: dict[str, list[str]] = {}
    for warning in answer.warnings:
        named = names.get(warning.collection_id, warning.collection_id)
        left_out.setdefault(warning.message, []).extend([named] if named else [])
    for message, of in left_out.items():
        more = f" and {len(of) - _NAMED} more" if len(of) > _NAMED else ""
        who = f"Left out {', '.join(of[:_NAMED])}{more}: " if of else ""
        err.print(f"[yellow]{escape(who + message)}[/]")
    milliseconds = answer.timings.total.ToMicroseconds() / 1000
    err.print(f"{len(answer.hits) or 'No'} {'hit' if len(answer.hits) == 1 else 'hits'} in {milliseconds:.0f} ms", style="dim")


async def _found(semantik: "Client", query: str, ids: Sequence[str], limit: int, chosen: dict[str, Any]) -> "SearchResponse":
    """Return the answer with all its hits, from as many pages as they take."""
    answer = await semantik.search(query, ids, limit=min(limit, _PAGE), **chosen)
    while answer.next_page_token and (left := limit - len(answer.hits)) > 0:
        page = await semantik.search(query, ids, limit=min(left, _PAGE), page_token=answer.next_page_token, **chosen)
        answer.hits.extend(page.hits)
        answer.next_page_token = page.next_page_token
    return answer


def _pointed(text: str, position: int) -> str:
    """Return a text in one line, and one with a mark under a character of it."""
    from rich.cells import cell_len

    shown = printable(text).translate({ord("\n"): " ", ord("\t"): " "})
    return f"{shown}\n{' ' * cell_len(shown[:position])}^"


def _print_counts(facet: "Facet", kind: str) -> None:
    counts = table(kind.upper(), "PASSAGES")
    for value in facet.values:
        counts.add_row(escape(value.value), f"{value.count:,}")
    out.print(counts)
    out.print()


def _marked(hit: "Hit", most: int | None) -> "Text":
    """Return a hit's text, its best sentence underlined and the query's words highlighted; a long one begins with that sentence."""
    from rich.text import Text

    start = 0
    if most is not None and hit.HasField("best_sentence"):
        start = hit.best_sentence.start if len(hit.text) > most else 0
    elif most is not None and hit.highlights and hit.highlights[0].start > most // 2:
        start = hit.highlights[0].start - most // 4
    end = len(hit.text) if most is None else min(len(hit.text), start + most)
    # Not markup: the document's brackets are printed as they are.
    shown = Text("..." if start else "")
    before = len(shown)
    shown.append(printable(hit.text[start:end]))
    if hit.HasField("best_sentence"):
        shown.stylize("underline", before + hit.best_sentence.start - start, before + min(hit.best_sentence.end, end) - start)
    for mark in hit.highlights:
        if start <= mark.start and mark.end <= end:
            shown.stylize("bold yellow", before + mark.start - start, before + mark.end - start)
    return shown.append("..." if end < len(hit.text) else "")
