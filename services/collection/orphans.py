"""Drops indexes that no generation names: a worker that died between two steps left them."""

import logging
import re
from typing import TYPE_CHECKING

import grpc

from libs.db.engine import Sessions
from libs.rpc.errors import reason_of
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from services.collection import metrics
from services.collection.store import collections

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

log = logging.getLogger(__name__)
_NAME = re.compile(r"(?P<collection>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_.+_(?:int8|float16|float32)_g[0-9]+")
_SECONDS = 30.0


async def drop(sessions: Sessions, search: grpc.aio.Channel) -> None:
    """Drop every index of our form whose collection is or was ours and that no generation names.

    Generations are committed before their index is created, so that an index which is listed first and named by none
    afterwards has lost its owner. The vector store may serve others: an index of a collection of which nothing says that it
    was ever here stays.
    """
    stub: IndexInternalServiceAsyncStub = IndexInternalServiceStub(search)
    listed = (await stub.ListIndexes(messages.ListIndexesRequest(), timeout=_SECONDS)).index_names
    ours = {name: match["collection"] for name in listed if (match := _NAME.fullmatch(name))}
    async with sessions() as session:
        orphans = await collections.orphaned_indexes(session, ours)
    for name in orphans:
        await _drop(stub, name)


async def _drop(stub: "IndexInternalServiceAsyncStub", name: str) -> None:
    try:
        stats = await stub.GetIndexStats(messages.GetIndexStatsRequest(index_name=name), timeout=_SECONDS)
        await stub.DropIndex(messages.DropIndexRequest(index_name=name, fence=max(1, stats.fence)), timeout=_SECONDS)
    except grpc.aio.AioRpcError as error:
        if reason_of(error) != "INDEX_NOT_FOUND":
            raise
        return
    metrics.indexes_dropped.inc()
    log.info("dropped the index %s, which had no owner", name)
