"""Leaves out of a search what is not available while the rest is."""

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import TypeVar

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure, from_peer, unavailable
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1.search_warning_pb2 import SearchWarning
from services.search import metrics
from services.search.stages.request import IndexQuery, Model, Plan

_T = TypeVar("_T")
_REASONS = {
    ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
    ErrorReason.ERROR_REASON_MODEL_MISMATCH,
    ErrorReason.ERROR_REASON_MODEL_DAMAGED,
    ErrorReason.ERROR_REASON_MODEL_TOO_LARGE,
    ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
}
# What a store or a peer says of a fault on its own side.
_FAULTS = {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.DATA_LOSS}


async def attempted(work: Awaitable[_T]) -> _T | Failure:
    """Return what ``work`` returns, or why an index or a model is not available; raises everything else."""
    try:
        return await work
    except Failure as failure:
        if failure.reason not in _REASONS:
            raise
        return failure
    except grpc.aio.AioRpcError as error:
        failed = unavailable("a store or service of the mesh") if error.code() in _FAULTS else from_peer(error)
        if failed is None or failed.reason not in _REASONS:
            raise
        return failed


def with_models(plan: Plan, failures: Mapping[Model, Failure]) -> tuple[Plan, list[SearchWarning]]:
    """Return the plan without the collections whose model is not available, and a warning of each; raises if none is left."""
    away = [(query, failures[query.model]) for query in plan.queries if query.model in failures]
    _require_some(plan, [failure for _, failure in away])
    kept = [query for query in plan.queries if query.model not in failures]
    return replace(plan, queries=kept), [_warning(query, failure) for query, failure in away]


def with_indexes(plan: Plan, failures: Mapping[int, Failure]) -> list[SearchWarning]:
    """Return a warning for each query of the plan whose index is not available; raises if none is."""
    _require_some(plan, list(failures.values()))
    return [_warning(plan.queries[number], failure) for number, failure in failures.items()]


def _require_some(plan: Plan, failures: list[Failure]) -> None:
    if failures and len(failures) == len(plan.queries):
        raise failures[0]


def _warning(query: IndexQuery, failure: Failure) -> SearchWarning:
    metrics.left_out.labels(failure.reason_name).inc()
    return SearchWarning(
        kind=SearchWarning.KIND_COLLECTION_UNAVAILABLE,
        collection_id=query.collection_id,
        reason=failure.reason_name,
        message=failure.message,
    )
