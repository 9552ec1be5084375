"""semantik operations ..."""

from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    IdsOption,
    JsonOption,
    client,
    escape,
    out,
    print_json,
    run,
    table,
    word,
)
from semantik.command.finding import collection_named, operation_named
from semantik.command.quick import Commands

if TYPE_CHECKING:
    from semantik.operation.v1.operation_pb2 import Operation

app = Commands(no_args_is_help=True, help="List, watch and cancel background work.")
Id = Annotated[str, typer.Argument(metavar="OPERATION", help="The operation's id, or its first characters.")]
_SHORT = 8  # characters of an id that tell operations apart


@app.command("list")
def list_operations(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only operations of this collection, by name or id.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The maximum number of operations.")] = 20,
    ids: IdsOption = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List your operations, or a collection's, newest first."""
    from semantik.command.states import taken, work_done

    async def work() -> None:
        operations: list[Operation] = []
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id if collection else ""
            async for operation in semantik.operations.list(collection_id):
                operations.append(operation)
                if len(operations) == limit:
                    break
        if as_json:
            print_json(list(operations))
            return
        rows = table("OPERATION", "KIND", "STATE", "DONE", "TIME", "STARTED", *(("ID",) if ids else ()))
        for operation in operations:
            done, total, _ = work_done(operation)
            counts = f"{done}/{total}" if total else str(done)
            started = operation.create_time.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M")
            kind, state = word(operation, "kind"), word(operation, "state")
            rows.add_row(operation.id[:_SHORT], kind, state, counts, taken(operation), started, operation.id)
        out.print(rows if operations else "No operations.")

    run(work())


@app.command()
def show(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one operation."""
    from semantik.command.states import summary

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.operations.get(await operation_named(semantik, operation_id))
        print_json(operation) if as_json else out.print(summary(operation))

    run(work())


@app.command()
def watch(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Watch an operation until it ends; with --json, print one line for each change."""
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            return await follow(semantik, await operation_named(semantik, operation_id), as_json=as_json)

    run(work())


@app.command()
def cancel(operation_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Cancel an operation; documents that are already indexed stay."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.operations.cancel(await operation_named(semantik, operation_id))
        print_json(operation) if as_json else out.print(f"The operation is {word(operation, 'state')}.")

    run(work())


@app.command()
def retry(
    operation_id: Id,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Start a failed or cancelled operation again, and watch it to its end."""
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            operation = await semantik.operations.retry(await operation_named(semantik, operation_id))
            if not detach:
                return await follow(semantik, operation.id, as_json=as_json)
        print_json(operation) if as_json else out.print(f"Operation {operation.id} repeats {escape(operation_id)}.", soft_wrap=True)
        return 0

    run(work())
