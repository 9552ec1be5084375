"""Asks collection what may be read, and where its index is; keeps the answer for seconds."""

import time
from collections.abc import Sequence

import grpc

from libs.rpc.call import Principal
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.grant_pb2 import Grant

_MOST_KEPT = 10_000
_Key = tuple[Principal, tuple[str, ...]]


class Authority:
    """A refusal is never kept, a permission for ``keep_seconds``: so long may a withdrawn grant still read."""

    def __init__(self, collection: grpc.aio.Channel, keep_seconds: float) -> None:
        self._collection = CollectionInternalServiceStub(collection)
        self._keep_seconds = keep_seconds
        self._kept: dict[_Key, tuple[float, list[messages.AuthorizedCollection]]] = {}

    async def readable(self, principal: Principal, collection_ids: Sequence[str]) -> list[messages.AuthorizedCollection]:
        """Return the collections with their active index; raises collection's own NOT_FOUND if one is not readable."""
        key = (principal, tuple(collection_ids))
        until, kept = self._kept.get(key, (0.0, []))
        if time.monotonic() < until:
            return kept
        request = messages.AuthorizeCollectionsRequest(principal=principal.proto(), collection_ids=collection_ids, role=Grant.ROLE_READ)
        answer = await self._collection.AuthorizeCollections(request)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (time.monotonic() + self._keep_seconds, list(answer.collections))
        return list(answer.collections)
