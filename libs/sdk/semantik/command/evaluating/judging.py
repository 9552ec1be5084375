"""semantik eval judged ...: sets of queries, with the documents that answer them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    IdsOption,
    JsonOption,
    client,
    escape,
    fail,
    out,
    print_json,
    run,
    table,
)
from semantik.command.evaluating.finding import set_named
from semantik.command.finding import collection_named
from semantik.command.quick import Commands
from semantik.command.searching import Mode

if TYPE_CHECKING:
    from semantik.client import Client

app = Commands(no_args_is_help=True, help="Keep judged queries, by which `semantik eval` measures.")
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id.")]


@app.command("import")
def import_set(
    folder: Annotated[Path, typer.Argument(help="A folder with queries.jsonl and qrels.tsv (the layout of BEIR).")],
    collection: CollectionOption,
    name: Annotated[str, typer.Option(help="The set's name; the folder's by default.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Import judged queries from files; documents are named by id, path, or name, with or without extension."""
    from semantik.command.evaluating.judged_files import JudgedFilesError, judgements, queries

    try:
        texts, grades = queries(folder), judgements(folder)
    except JudgedFilesError as error:
        fail(str(error), 2)

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            judged_set = await semantik.evaluations.create_set(collection_id, name or folder.resolve().name)
            count = await semantik.evaluations.put(judged_set.id, texts, grades)
            judged_set = await set_named(semantik, judged_set.id, collection)
        left_out = f"; {len(texts) - count:,} without judgements left out" if len(texts) > count else ""
        print_json(judged_set) if as_json else out.print(f"Imported {count:,} queries to [bold]{escape(judged_set.name)}[/]{left_out}.")

    run(work())


@app.command("list")
def list_sets(
    collection: CollectionOption, ids: IdsOption = False, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False
) -> None:
    """List your judged sets of a collection."""

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            sets = [each async for each in semantik.evaluations.list_sets(collection_id)]
        if as_json:
            print_json(list(sets))
            return
        rows = table("NAME", "QUERIES", "JUDGEMENTS", *(("ID",) if ids else ()))
        for each in sets:
            rows.add_row(escape(each.name), f"{each.query_count:,}", f"{each.judgement_count:,}", each.id)
        out.print(
            rows
            if sets
            else "No judged sets. Import one with `semantik eval judged import FOLDER`, or mark hits with `semantik eval judged mark`."
        )

    run(work())


@app.command()
def mark(
    query: Annotated[str, typer.Argument(help="The question or words, as you search for them.")],
    collection: CollectionOption,
    hit: Annotated[list[int] | None, typer.Option("--hit", min=1, max=100, help="The rank of a hit; may be repeated.")] = None,
    document: Annotated[list[str] | None, typer.Option("--document", help="A document by its path, instead; may be repeated.")] = None,
    grade: Annotated[int, typer.Option(min=0, max=10, help="How well they answer: 0 not at all, higher is better.")] = 1,
    mode: Annotated[Mode, typer.Option(help="How the hits were searched for.")] = Mode.HYBRID,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Judge hits of a search, in your set `marked` of the collection."""
    if not hit and not document:
        raise typer.BadParameter("name hits with --hit, or documents with --document")

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            chosen = [*(document or ()), *(await _hits(semantik, query, collection_id, mode, hit or []))]
            for each in chosen:
                judged_set = await semantik.evaluations.judge(collection_id, query, each, grade)
        if as_json:
            print_json(judged_set)
            return
        for each in chosen:
            out.print(f"Marked [bold]{escape(each)}[/] with {grade}.", soft_wrap=True)

    run(work())


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The set's name or id.")],
    collection: CollectionOption,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Delete a judged set; evaluations that were started with it stay."""

    async def work() -> None:
        async with client(address) as semantik:
            judged_set = await set_named(semantik, name, collection)
            await semantik.evaluations.delete_set(judged_set.id)
        print_json(judged_set) if as_json else out.print(f"Deleted [bold]{escape(judged_set.name)}[/].")

    run(work())


async def _hits(semantik: "Client", query: str, collection_id: str, mode: Mode, ranks: list[int]) -> list[str]:
    """Return the paths of the documents at these ranks of the search; raises NOT_FOUND for a rank that it does not reach."""
    from semantik.client import SemantikError

    if not ranks:
        return []
    hits = (await semantik.search(query, [collection_id], mode=mode, limit=max(ranks))).hits
    if len(hits) < max(ranks):
        raise SemantikError("NOT_FOUND", "", f"the search has {len(hits)} hits only")
    return [hits[rank - 1].path for rank in ranks]
