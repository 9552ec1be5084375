"""Finds what people name: a collection by name or id, an operation by the beginning of its id."""

from typing import TYPE_CHECKING

from semantik.command.naming import is_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantik.client import Client
    from semantik.collection.v1.collection_pb2 import Collection
    from semantik.search.v1.search_service_pb2 import FindSimilarResponse, SearchResponse

_WARNED = 10


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


async def collection_names(
    semantik: "Client", answer: "SearchResponse | FindSimilarResponse", known: "Sequence[Collection]"
) -> dict[str, str]:
    """Return the names of the collections of an answer's hits and first warnings, by id; one that is gone meanwhile has none."""
    from semantik.client import SemantikError

    names = {each.id: each.name for each in known}
    warned = [warning.collection_id for warning in answer.warnings if warning.collection_id]
    for identifier in dict.fromkeys((*(hit.collection_id for hit in answer.hits), *warned[:_WARNED])):
        try:
            names[identifier] = names.get(identifier) or (await semantik.collections.get(identifier)).name
        except SemantikError as error:
            if error.code != "NOT_FOUND":
                raise
    return names


async def has_collections(semantik: "Client") -> bool:
    """Return whether there is a collection that the caller may read."""
    async for _ in semantik.collections.list():
        return True
    return False


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
