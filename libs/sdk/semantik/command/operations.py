"""semantik operations ..."""

from typing import Annotated

import typer

from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, out, print_json, run, table
from semantik.command.states import summary, taken
from semantik.command.watching import follow
from semantik.operation.v1.operation_pb2 import Operation

app = typer.Typer(no_args_is_help=True, help="List, watch and cancel background work.")
Id = Annotated[str, typer.Argument(help="The operation's id.")]


@app.command("list")
def list_operations(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only operations of this collection.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The maximum number of operations.")] = 20,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List your operations, or a collection's, newest first."""

    async def work() -> None:
        operations: list[Operation] = []
        async with client(address) as semantik:
            collection_id = (await semantik.collections.named(collection)).id if collection else ""
            async for operation in semantik.operations.list(collection_id):
                operations.append(operation)
                if len(operations) == limit:
                    break
        if as_json:
            print_json(list(operations))
            return
        rows = table("STARTED", "KIND", "STATE", "DONE", "TIME", "ID")
        for operation in operations:
            kind, state = Operation.Kind.Name(operation.kind)[5:].lower(), Operation.State.Name(operation.state)[6:].lower()
            done, total = operation.progress.documents_done, operation.progress.documents_total
            counts = f"{done}/{total}" if total else str(done)
            started = operation.create_time.ToJsonString()[:19].replace("T", " ")
            rows.add_row(started, kind, state, counts, taken(operation), operation.id)
        out.print(rows if operations else "No operations.")

    run(work())


@app.command()
def show(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one operation."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.operations.get(operation_id)
        print_json(operation) if as_json else out.print(summary(operation))

    run(work())


@app.command()
def watch(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Watch an operation until it ends; with --json, print one line for each change."""

    async def work() -> int:
        async with client(address) as semantik:
            return await follow(semantik, operation_id, as_json=as_json)

    run(work())


@app.command()
def cancel(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Cancel an operation; documents that are already indexed stay."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.operations.cancel(operation_id)
        state = Operation.State.Name(operation.state).removeprefix("STATE_").lower()
        print_json(operation) if as_json else out.print(f"The operation is {state}.")

    run(work())


@app.command()
def retry(
    operation_id: Id,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Start a failed or cancelled operation again, and watch it to its end."""

    async def work() -> int:
        async with client(address) as semantik:
            operation = await semantik.operations.retry(operation_id)
            if not detach:
                return await follow(semantik, operation.id, as_json=as_json)
        print_json(operation) if as_json else out.print(f"Operation {operation.id} repeats {operation_id}.", soft_wrap=True)
        return 0

    run(work())
