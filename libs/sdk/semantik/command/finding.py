"""Finds what people name: a collection by name or id, an operation by the beginning of its id."""

from typing import TYPE_CHECKING

from semantik.command.naming import is_id

if TYPE_CHECKING:
    from semantik.client import Client
    from semantik.collection.v1.collection_pb2 import Collection


async def collection_named(semantik: "Client", name: str) -> "Collection":
    """Return the collection with this name or id; raises NOT_FOUND."""
    from semantik.client import SemantikError

    if not is_id(name):
        return await semantik.collections.named(name)
    try:
        return await semantik.collections.get(name)
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
        return await semantik.collections.named(name)  # a name may look like an id


async def operation_named(semantik: "Client", beginning: str) -> str:
    """Return the id that begins so, among the caller's operations; raises NOT_FOUND, also where several do."""
    from semantik.client import SemantikError

    if is_id(beginning):
        return beginning
    found = [operation.id async for operation in semantik.operations.list() if operation.id.startswith(beginning.lower())]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} of your operations begin" if found else "none of your operations begins"
    raise SemantikError("NOT_FOUND", "OPERATION_NOT_FOUND", f"{problem} with {beginning!r}; see `semantik operations list --ids`")
