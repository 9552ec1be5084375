"""Counts the passages that meet a filter by their properties."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.search.v1 import filter_pb2 as messages
from services.search.filters.indexed import without
from services.search.metadata import TEXTS
from services.search.passage import EXTENSION, FOLDERS, LANGUAGE, MIME_TYPE, SOURCE
from services.search.qdrant import Qdrant, is_missing, q
from services.search.stages.request import IndexQuery, Plan

_SHOWN = 20
# Of each index, so that values which are rare in one of them are added up too.
_COUNTED = 1000
_FIELDS: "Mapping[messages.Facet.Kind.ValueType, str]" = {
    messages.Facet.KIND_MIME_TYPE: MIME_TYPE,
    messages.Facet.KIND_EXTENSION: EXTENSION,
    messages.Facet.KIND_LANGUAGE: LANGUAGE,
    messages.Facet.KIND_SOURCE: SOURCE,
    messages.Facet.KIND_FOLDER: FOLDERS,
}


async def facets(qdrant: Qdrant, plan: Plan, kinds: "Sequence[messages.Facet.Kind.ValueType]", keys: Sequence[str]) -> list[messages.Facet]:
    """Return the counts of each kind, then those of each key of metadata, over all indexes."""
    counted = [_facet(qdrant, plan, _FIELDS[kind], messages.Facet(kind=kind)) for kind in kinds]
    counted += [_facet(qdrant, plan, f"{TEXTS}.{key}", messages.Facet(kind=messages.Facet.KIND_METADATA, key=key)) for key in keys]
    return await asyncio.gather(*counted)


async def _facet(qdrant: Qdrant, plan: Plan, field: str, facet: messages.Facet) -> messages.Facet:
    """Return the facet with the values that most passages have in a field of the payload."""
    counts = await asyncio.gather(*(_counts(qdrant, plan, query, field) for query in plan.queries))
    total = sum(counts, Counter[str]())
    most = sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))[:_SHOWN]
    facet.values.extend(messages.FacetValue(value=value, count=count) for value, count in most)
    return facet


async def _counts(qdrant: Qdrant, plan: Plan, query: IndexQuery, field: str) -> Counter[str]:
    filter_ = without(plan.filter_, query.unindexed)
    request = q.FacetCounts(collection_name=query.index_name, key=field, filter=filter_, limit=_COUNTED)
    try:
        answer = await qdrant.points("Facet", request)
    except Failure as failure:
        if is_missing(failure):
            return Counter()
        raise
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.INVALID_ARGUMENT:  # it is still being created, or is older than this field
            return Counter()
        raise
    return Counter({hit.value.string_value: hit.count for hit in answer.hits})
