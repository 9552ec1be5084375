"""Finds the collections of a search: those that are named, or all that the caller may read."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.rpc.call import Principal
from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.search.v1.search_warning_pb2 import SearchWarning
from services.search.collection_access import MOST_COLLECTIONS, CollectionAccess


@dataclass(frozen=True)
class Scope:
    """The collections, authorised; ``is_named`` says whether the caller named them."""

    collections: Sequence[AuthorizedCollection]
    is_named: bool
    has_more: bool = False

    @property
    def warnings(self) -> list[SearchWarning]:
        if not self.has_more:
            return []
        message = f"you can read more collections than are searched at once; these are the {MOST_COLLECTIONS} that changed last"
        return [SearchWarning(kind=SearchWarning.KIND_COLLECTIONS_LIMITED, message=message)]


async def scope(access: CollectionAccess, principal: Principal, collection_ids: Sequence[str], generation: int = 0) -> Scope:
    """Return the collections; raises collection's own NOT_FOUND if one that is named is not readable, or has no such generation."""
    if collection_ids:
        return Scope(await access.readable(principal, collection_ids, generation), is_named=True)
    listed = await access.all_readable(principal)
    return Scope(listed.collections, is_named=False, has_more=listed.has_more)
