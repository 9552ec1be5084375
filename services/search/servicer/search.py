"""The search services: for users, and for services on behalf of a user."""

import asyncio

from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.call import Principal
from semantik.search.v1 import search_internal_service_pb2 as internal_messages
from semantik.search.v1 import search_internal_service_pb2_grpc, search_service_pb2_grpc
from semantik.search.v1 import search_service_pb2 as messages
from services.search.search import Search


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    def __init__(self, search: Search) -> None:
        self._search = search

    async def Search(self, request: messages.SearchRequest, context: Context) -> messages.SearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            return await self._search.search(call.principal(), request)


class SearchInternalServicer(search_internal_service_pb2_grpc.SearchInternalServiceServicer):
    def __init__(self, search: Search) -> None:
        self._search = search

    async def Search(
        self, request: internal_messages.SearchInternalServiceSearchRequest, context: Context
    ) -> internal_messages.SearchInternalServiceSearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            response = await self._search.search(Principal.of(request.principal), request.request)
        return internal_messages.SearchInternalServiceSearchResponse(response=response)
