"""Many searches in one call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from libs.rpc.call import Principal
from libs.rpc.errors import invalid
from semantik.search.v1 import search_service_pb2 as messages
from services.search.collection_access import CollectionAccess
from services.search.costs import SMALL, cost
from services.search.search import Search
from services.search.stages.request import limit, neighbours

_MOST_PASSAGES = 2000
# As many as a user has under way while others are about.
_AT_A_TIME = 2


class BatchSearch:
    def __init__(self, search: Search, access: CollectionAccess) -> None:
        self._search = search
        self._access = access

    async def search(self, principal: Principal, request: messages.BatchSearchRequest) -> messages.BatchSearchResponse:
        """Answer the searches in their order; nothing is read before every collection of all is known to be readable."""
        searches = [_whole(request, search) for search in request.searches]
        if sum(limit(search) * (1 + 2 * neighbours(search)) for search in searches) > _MOST_PASSAGES:
            raise invalid("searches", f"ask for at most {_MOST_PASSAGES:,} passages together, neighbours included")
        named = dict.fromkeys(collection_id for search in searches for collection_id in search.collection_ids)
        await self._access.readable(principal, list(named))
        turns = _Turns()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(turns, principal, search)) for search in searches]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return messages.BatchSearchResponse(responses=[task.result() for task in tasks])

    async def _one(self, turns: "_Turns", principal: Principal, search: messages.SearchRequest) -> messages.SearchResponse:
        async with turns.taken(search):
            return await self._search.search(principal, search)


class _Turns:
    """Lets the searches of a batch run as a user's calls do: two at a time, and of those that cost much only one."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_AT_A_TIME)
        self._large = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, search: messages.SearchRequest) -> AsyncIterator[None]:
        async with self._all, AsyncExitStack() as stack:
            if cost(search) > SMALL:
                await stack.enter_async_context(self._large)
            yield


def _whole(request: messages.BatchSearchRequest, search: messages.SearchRequest) -> messages.SearchRequest:
    """Return a search with what it shares with the others."""
    whole = messages.SearchRequest()
    whole.CopyFrom(search)
    if not whole.collection_ids:
        whole.collection_ids.extend(request.collection_ids)
    if request.HasField("filter") and not whole.HasField("filter"):
        whole.filter.CopyFrom(request.filter)
    return whole
