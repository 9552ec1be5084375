"""semantik suggest: completes a query from recent ones, titles and headings, and forgets the recent ones."""

from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, run
from semantik.command.finding import collection_named
from semantik.command.output import out, print_json, printable, word

if TYPE_CHECKING:
    from rich.text import Text

    from semantik.search.v1.suggestion_pb2 import Suggestion


def suggest(
    prefix: Annotated[str, typer.Argument(help="What has been typed so far; without it, recent queries.", show_default=False)] = "",
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", help="A collection, by name or id; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=20, help="The maximum number of suggestions.")] = 8,
    forget: Annotated[bool, typer.Option("--forget", help="Delete your recent queries instead; with a text only that one.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Complete a query: from your recent ones, and from titles and headings in the named collections or in all that you may read."""

    async def work() -> None:
        async with client(address) as semantik:
            if forget:
                await semantik.search.forget(prefix)
                gone = "The query is" if prefix else "All your recent queries are"
                print_json({"forgotten": prefix}) if as_json else out.print(f"{gone} forgotten.")
                return
            named = [await collection_named(semantik, name) for name in collection or ()]
            suggestions = await semantik.search.suggest(prefix, [each.id for each in named], limit=limit)
        if as_json:
            print_json(list(suggestions))
            return
        for each in suggestions:
            out.print(_line(each))

    run(work())


def _line(suggestion: "Suggestion") -> "Text":
    """Return a suggestion with the prefix highlighted, and where it comes from."""
    from rich.text import Text

    text, match = suggestion.text, suggestion.match
    line = Text(printable(text[: match.start]))
    line.append(printable(text[match.start : match.end]), style="bold yellow")
    line.append(printable(text[match.end :]))
    return line.append(f"  {word(suggestion, 'kind')}", style="dim")
