"""Whose judged sets and evaluations these are: their user's, as long as it may read the collection."""

from typing import TypeVar

import grpc

from libs.rpc.call import Principal
from libs.rpc.errors import not_found, reason_of
from services.search.collection_access import CollectionAccess
from services.search.tables import Evaluation, JudgedSet

_Row = TypeVar("_Row", JudgedSet, Evaluation)


async def readable(access: CollectionAccess, principal: Principal, noun: str, identifier: str, row: _Row | None) -> _Row:
    """Return the user's row; what is not there, another's, or of a collection that is not readable any more answers alike."""
    if row is None:
        raise not_found(noun, identifier)
    try:
        await access.readable(principal, [row.collection_id])
    except grpc.aio.AioRpcError as error:
        if reason_of(error) == "COLLECTION_NOT_FOUND":
            raise not_found(noun, identifier) from None
        raise
    return row
