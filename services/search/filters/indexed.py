"""Keeps filters to what is indexed: an index without a key of metadata has no passage that a test of it holds for.

To look into the payload of each passage instead would take seconds where there are many.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc

from libs.rpc.errors import Failure
from services.search import conditions
from services.search.metadata import FIELDS
from services.search.qdrant import Qdrant, q
from services.search.stages.request import IndexQuery, Plan


async def with_unindexed(qdrant: Qdrant, plan: Plan) -> Plan:
    """Return the plan with what each index lacks of the metadata that its filter tests; without a test of any, as it is."""
    fields = set(_metadata_fields(plan.filter_))
    if not fields:
        return plan
    return replace(plan, queries=await asyncio.gather(*(_with_unindexed(qdrant, query, fields) for query in plan.queries)))


async def _with_unindexed(qdrant: Qdrant, query: IndexQuery, fields: set[str]) -> IndexQuery:
    try:
        info = (await qdrant.collections("Get", q.GetCollectionInfoRequest(collection_name=query.index_name))).result
    except (Failure, grpc.aio.AioRpcError):
        return query  # the search itself says what is wrong with it
    return replace(query, unindexed=frozenset(fields - set(info.payload_schema)))


def without(filter_: Any, fields: frozenset[str]) -> Any:
    """Return a filter in which tests of these fields hold for nothing."""
    if not fields:
        return filter_
    found = q.Filter()
    for name in ("must", "should", "must_not"):
        getattr(found, name).extend(_condition(each, fields) for each in getattr(filter_, name))
    return found


def _condition(condition: Any, fields: frozenset[str]) -> Any:
    if condition.HasField("filter"):
        return conditions.nested(without(condition.filter, fields))
    return conditions.has_id(()) if condition.HasField("field") and condition.field.key in fields else condition


def _metadata_fields(filter_: Any) -> Iterator[str]:
    for condition in (*filter_.must, *filter_.should, *filter_.must_not):
        if condition.HasField("filter"):
            yield from _metadata_fields(condition.filter)
        elif condition.HasField("field") and condition.field.key.partition(".")[0] in FIELDS:
            yield condition.field.key
