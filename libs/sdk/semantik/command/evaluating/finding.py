"""Finds what people name: a judged set by its name or id, an evaluation by its id or its first characters."""

from typing import TYPE_CHECKING

from semantik.command.finding import collection_named
from semantik.command.naming import is_id

if TYPE_CHECKING:
    from semantik.client import Client
    from semantik.search.v1.judged_set_pb2 import JudgedSet


async def set_named(semantik: "Client", name: str, collection: str) -> "JudgedSet":
    """Return the set of a collection with this name or id; raises NOT_FOUND."""
    from semantik.client import SemantikError

    collection_id = (await collection_named(semantik, collection)).id
    async for each in semantik.evaluations.list_sets(collection_id):
        if name in (each.name, each.id):
            return each
    message = f"the collection {collection!r} has no judged set {name!r}; see `semantik eval judged list -c {collection}`"
    raise SemantikError("NOT_FOUND", "JUDGED_SET_NOT_FOUND", message)


async def evaluation_named(semantik: "Client", beginning: str, collection: str) -> str:
    """Return the id that begins so, among the caller's evaluations of a collection; raises NOT_FOUND, also where several do."""
    from semantik.client import SemantikError

    if is_id(beginning):
        return beginning
    if not collection:
        message = f"{beginning!r} is not a whole id; to name an evaluation by its first characters, add its collection: -c NAME"
        raise SemantikError("INVALID_ARGUMENT", "", message)
    collection_id = (await collection_named(semantik, collection)).id
    found = [each.id async for each in semantik.evaluations.list(collection_id) if each.id.startswith(beginning.lower())]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} of your evaluations begin" if found else "none of your evaluations begins"
    raise SemantikError("NOT_FOUND", "EVALUATION_NOT_FOUND", f"{problem} with {beginning!r}; see `semantik eval list -c {collection}`")
