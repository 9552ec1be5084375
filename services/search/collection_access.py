"""Asks collection what may be read, and where its index is; keeps the answer for seconds."""

import time
from collections.abc import Callable, Sequence

import grpc

from libs.rpc.call import Principal
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.grant_pb2 import Grant
from services.search import metrics

MOST_COLLECTIONS = 100
_CAPACITY = 10_000
_LISTS = 100
_Key = tuple[object, str, int]


class CollectionAccess:
    """Keeps permissions for ``keep_seconds``, never a refusal: so long may a withdrawn grant still read.

    A collection that is deleted stops answering as soon as its index is dropped: through this replica, by ``forget``; through
    another, because the index is missing and the permission is asked for again.
    """

    def __init__(self, collection: grpc.aio.Channel, keep_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._collection = CollectionInternalServiceStub(collection)
        self._keep_seconds = keep_seconds
        self._clock = clock
        # In the order in which they end.
        self._answers: dict[_Key, tuple[float, messages.AuthorizedCollection]] = {}
        self._lists: dict[object, tuple[float, messages.ListReadableCollectionsResponse]] = {}

    async def readable(
        self, principal: Principal, collection_ids: Sequence[str], generation: int = 0
    ) -> list[messages.AuthorizedCollection]:
        """Return the collections with their active index, or with that of ``generation``.

        Raises collection's own NOT_FOUND if one is not readable, or has no such generation.
        """
        key, now = _key(principal), self._clock()
        known = {each: answer for each in collection_ids if (answer := self._known((key, each, generation), now)) is not None}
        metrics.access.labels("hit").inc(len(known))
        unknown = [each for each in collection_ids if each not in known]
        metrics.access.labels("miss").inc(len(unknown))
        for start in range(0, len(unknown), MOST_COLLECTIONS):
            known.update(await self._ask(principal, unknown[start : start + MOST_COLLECTIONS], generation))
        return [known[each] for each in collection_ids]

    async def all_readable(self, principal: Principal) -> messages.ListReadableCollectionsResponse:
        """Return what the principal may read, of more than 100 collections those that changed last."""
        key, now = _key(principal), self._clock()
        until, listed = self._lists.pop(key, (0.0, None))
        metrics.access.labels("hit" if listed is not None and now < until else "miss").inc()
        if listed is None or now >= until:
            request = messages.ListReadableCollectionsRequest(principal=principal.proto(), limit=MOST_COLLECTIONS)
            until, listed = now + self._keep_seconds, await self._collection.ListReadableCollections(request)
        self._lists[key] = until, listed
        while len(self._lists) > _LISTS:
            del self._lists[next(iter(self._lists))]
        return listed

    def readable_count(self, principal: Principal) -> int:
        """Return how many collections ``all_readable`` has returned last, if that is kept; else the most that it may."""
        _, listed = self._lists.get(_key(principal), (0.0, None))
        return MOST_COLLECTIONS if listed is None else len(listed.collections)

    async def of_document(self, principal: Principal, document_id: str) -> messages.AuthorizedCollection:
        """Return the collection of a document; raises collection's own NOT_FOUND if it is not readable."""
        request = messages.AuthorizeDocumentRequest(principal=principal.proto(), document_id=document_id)
        return (await self._collection.AuthorizeDocument(request)).collection

    async def confirm(self, principal: Principal, collection_ids: Sequence[str]) -> None:
        """Ask again, whatever is kept; raises NOT_FOUND if one of the collections is gone or no longer readable."""
        metrics.access.labels("stale").inc(len(collection_ids))
        key = _key(principal)
        for each in collection_ids:
            self._answers.pop((key, each, 0), None)
        await self._ask(principal, collection_ids)

    def forget(self, index_name: str) -> None:
        """Drop what is kept about the collection of an index."""
        for key in [key for key, (_, answer) in self._answers.items() if answer.index_name == index_name]:
            del self._answers[key]
        self._lists.clear()

    def _known(self, key: _Key, now: float) -> messages.AuthorizedCollection | None:
        until, answer = self._answers.get(key, (0.0, None))
        return answer if now < until else None

    async def _ask(
        self, principal: Principal, collection_ids: Sequence[str], generation: int = 0
    ) -> dict[str, messages.AuthorizedCollection]:
        request = messages.AuthorizeCollectionsRequest(
            principal=principal.proto(), collection_ids=collection_ids, role=Grant.ROLE_READ, generation=generation
        )
        asked = self._clock()
        answer = await self._collection.AuthorizeCollections(request)
        key = _key(principal)
        for each in answer.collections:
            self._answers.pop((key, each.collection_id, generation), None)
            self._answers[key, each.collection_id, generation] = asked + self._keep_seconds, each
        self._discard(asked)
        return {each.collection_id: each for each in answer.collections}

    def _discard(self, now: float) -> None:
        """Drop what has ended, and the oldest of what is too much."""
        while self._answers:
            oldest = next(iter(self._answers))
            if len(self._answers) <= _CAPACITY and now < self._answers[oldest][0]:
                return
            del self._answers[oldest]


def _key(principal: Principal) -> object:
    """Return what a permission depends on: neither the session nor the token's age."""
    return principal.user_id, principal.role, principal.api_key_id, principal.restricted
