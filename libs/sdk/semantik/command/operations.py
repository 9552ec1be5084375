"""semantik operations ..."""

from typing import Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, out, print_json, run, table
from semantik.command.watching import follow, summary
from semantik.operation.v1.operation_pb2 import Operation

app = typer.Typer(no_args_is_help=True, help="See and steer background work.")
Id = Annotated[str, typer.Argument(help="The operation's id.")]


@app.command("list")
def list_operations(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only those of this collection.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Most lines.")] = 20,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List operations, newest first: yours, or a collection's."""

    async def work() -> None:
        found: list[Operation] = []
        async with client(address) as semantik:
            collection_id = (await semantik.collections.named(collection)).id if collection else ""
            async for each in semantik.operations.list(collection_id):
                found.append(each)
                if len(found) == limit:
                    break
        if as_json:
            print_json(list(found))
            return
        rows = table("STARTED", "KIND", "STATE", "DONE", "ID")
        for each in found:
            kind, state = Operation.Kind.Name(each.kind)[5:].lower(), Operation.State.Name(each.state)[6:].lower()
            done = f"{each.progress.documents_done}/{each.progress.documents_total}"
            rows.add_row(each.create_time.ToJsonString()[:19].replace("T", " "), kind, state, done, each.id)
        out.print(rows if found else "No operations.")

    run(work())


@app.command()
def show(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one operation."""

    async def work() -> None:
        async with client(address) as semantik:
            found = await semantik.operations.get(operation_id)
        print_json(found) if as_json else out.print(summary(found))

    run(work())


@app.command()
def watch(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Watch an operation to its end; with --json one line for each state."""

    async def work() -> int:
        async with client(address) as semantik:
            return await follow(semantik, operation_id, as_json=as_json)

    run(work())


@app.command()
def cancel(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Cancel an operation; what is done stays."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.operations.cancel(operation_id)
        state = Operation.State.Name(operation.state).removeprefix("STATE_").lower()
        print_json(operation) if as_json else out.print(f"The operation is {state}.")

    run(work())
