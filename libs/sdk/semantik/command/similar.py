"""semantik similar: finds what is near in meaning to a document, one of its passages or a text."""

from typing import Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, print_json, run
from semantik.command.finding import collection_named, collection_names
from semantik.command.naming import document_id
from semantik.command.searching import print_hits, print_outcome


def similar(
    document: Annotated[str, typer.Argument(help="A document, by id, or by its path in the first collection.", show_default=False)] = "",
    passage: Annotated[int | None, typer.Option("--passage", min=0, help="Only this passage of the document, from 0.")] = None,
    text: Annotated[str, typer.Option("--text", help="A text instead of a document.")] = "",
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", help="A collection to search, by name or id; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="The maximum number of hits.")] = 5,
    full: Annotated[bool, typer.Option("--full", help="Print whole passages.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Find passages of other documents that are near in meaning, in the named collections or in all that you may read."""
    if bool(document) == bool(text):
        raise typer.BadParameter("give either a document or --text")

    async def work() -> None:
        async with client(address) as semantik:
            named = [await collection_named(semantik, name) for name in collection or ()]
            identifier = await document_id(semantik, document, (collection or [""])[0]) if document else ""
            answer = await semantik.search.similar(
                [each.id for each in named], document_id=identifier, ordinal=passage if document else None, text=text, limit=limit
            )
            names = await collection_names(semantik, answer, named)
        if as_json:
            print_json(answer)
            return
        print_hits(answer.hits, names if len(named) != 1 else {}, full=full)
        print_outcome(answer, names)

    run(work())
