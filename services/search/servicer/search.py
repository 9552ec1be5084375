"""SearchService: people and programs search."""

import asyncio

from libs.rpc import call
from libs.rpc.boundary import Context
from semantik.search.v1 import search_service_pb2 as messages
from semantik.search.v1 import search_service_pb2_grpc
from services.search.searcher import Searcher


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def Search(self, request: messages.SearchRequest, context: Context) -> messages.SearchResponse:
        async with asyncio.timeout_at(call.current().deadline):
            return await self._searcher.search(call.principal(), request)
