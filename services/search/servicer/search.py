"""The search services: for users, and for services on behalf of a user."""

import asyncio

from grpc import StatusCode

from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import search_internal_service_pb2 as internal_messages
from semantik.search.v1 import search_internal_service_pb2_grpc, search_service_pb2_grpc
from semantik.search.v1 import search_service_pb2 as messages
from semantik.search.v1 import suggestion_pb2 as suggestions
from services.search.batch import BatchSearch
from services.search.search import Search
from services.search.similar import Similar
from services.search.suggestions.recent import RecentQueries
from services.search.suggestions.suggest import Suggest


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    def __init__(self, search: Search, batch: BatchSearch, similar: Similar, suggest: Suggest, recent: RecentQueries) -> None:
        self._search = search
        self._batch = batch
        self._similar = similar
        self._suggest = suggest
        self._recent = recent

    async def Search(self, request: messages.SearchRequest, context: Context) -> messages.SearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            response = await self._search.search(call.principal(), request)
        if not request.page_token:
            self._recent.note(call.principal(), request.query)
        return response

    async def BatchSearch(self, request: messages.BatchSearchRequest, context: Context) -> messages.BatchSearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            return await self._batch.search(call.principal(), request)

    async def FindSimilar(self, request: messages.FindSimilarRequest, context: Context) -> messages.FindSimilarResponse:
        async with asyncio.timeout_at(call.current().deadline):
            return await self._similar.find(call.principal(), request)

    async def SuggestQueries(self, request: suggestions.SuggestQueriesRequest, context: Context) -> suggestions.SuggestQueriesResponse:
        async with asyncio.timeout_at(call.current().deadline):
            return await self._suggest.suggest(call.principal(), request)

    async def DeleteRecentQueries(
        self, request: suggestions.DeleteRecentQueriesRequest, context: Context
    ) -> suggestions.DeleteRecentQueriesResponse:
        principal = call.principal()
        if principal.restricted:
            message = "a restricted API key reaches no recent queries: use a key without restriction, or sign in"
            raise Failure(StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_ROLE_REQUIRED, message)
        await self._recent.forget(principal.user_id, request.text)
        return suggestions.DeleteRecentQueriesResponse()


class SearchInternalServicer(search_internal_service_pb2_grpc.SearchInternalServiceServicer):
    def __init__(self, search: Search) -> None:
        self._search = search

    async def Search(
        self, request: internal_messages.SearchInternalServiceSearchRequest, context: Context
    ) -> internal_messages.SearchInternalServiceSearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            response = await self._search.search(Principal.of(request.principal), request.request, request.generation)
        return internal_messages.SearchInternalServiceSearchResponse(response=response)
