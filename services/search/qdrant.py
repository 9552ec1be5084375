"""The vector store: the official client's connection, its gRPC messages, and what its errors mean in the contract."""

import logging
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import grpc
import qdrant_client.grpc
from grpc import StatusCode
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from libs.rpc.errors import Failure, storage_full, unavailable
from libs.telemetry import failures
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search import metrics

log = logging.getLogger(__name__)
# Qdrant's protobuf messages carry no types. The client's own models cost a search 1 ms and a written point 0.1 ms more.
q: Any = qdrant_client.grpc


def connect(url: str, api_key: str, timeout_seconds: int) -> AsyncQdrantClient:
    """Return a client that speaks gRPC to ``url``; it connects with the first call."""
    address = urlsplit(url)
    with warnings.catch_warnings():
        # On loopback and inside a cluster's mesh nobody else listens.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            host=address.hostname,
            grpc_port=address.port or 6334,
            https=address.scheme == "https",
            prefer_grpc=True,
            check_compatibility=False,
            api_key=api_key or None,
            timeout=timeout_seconds,
        )


class Qdrant:
    """Calls Qdrant's gRPC services, each time with a deadline, and with ``consistency`` in requests that have none of their own.

    Raises Failure INDEX_NOT_FOUND, STORAGE_FULL, OVERLOADED or DEPENDENCY_UNAVAILABLE; everything else as gRPC has it.
    """

    def __init__(self, client: AsyncQdrantClient, timeout_seconds: float, consistency: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._consistency = consistency

    async def points(self, method: str, request: Any) -> Any:
        """Call ``method`` of the Points service on ``request.collection_name``."""
        for field, value in self._consistency.items():
            if field in request.DESCRIPTOR.fields_by_name and not request.HasField(field):
                getattr(request, field).CopyFrom(value)
        return await self._call(getattr(self._client.grpc_points, method), method, request)

    async def collections(self, method: str, request: Any) -> Any:
        """Call ``method`` of the Collections service."""
        return await self._call(getattr(self._client.grpc_collections, method), method, request)

    async def ready(self) -> None:
        """Raise unless Qdrant answers."""
        await self.collections("List", q.ListCollectionsRequest())

    async def _call(self, stub: Callable[..., Any], method: str, request: Any) -> Any:
        name = getattr(request, "collection_name", "")
        try:
            return await stub(request, timeout=self._timeout_seconds)
        except ResourceExhaustedResponse as error:
            metrics.store_errors.labels(method, "RATE_LIMITED").inc()
            failures.record(log, "qdrant", f"Qdrant limits the rate of {method} on {name}", error)
            message = "the vector store takes no more requests at the moment"
            reason = ErrorReason.ERROR_REASON_OVERLOADED
            raise Failure(StatusCode.RESOURCE_EXHAUSTED, reason, message, retry_after=error.retry_after_s) from error
        except grpc.aio.AioRpcError as error:
            failure = _failure(error, name)
            if failure is None or not is_missing(failure):
                metrics.store_errors.labels(method, error.code().name).inc()
                failures.record(log, "qdrant", f"{method} on {name or 'Qdrant'} failed", error)
            if failure is None:
                raise
            raise failure from error


def _failure(error: grpc.aio.AioRpcError, index_name: str) -> Failure | None:
    if error.code() is StatusCode.NOT_FOUND:
        message, reason = f"index {index_name} does not exist", ErrorReason.ERROR_REASON_INDEX_NOT_FOUND
        return Failure(StatusCode.NOT_FOUND, reason, message, {"index_name": index_name})
    if error.code() is StatusCode.RESOURCE_EXHAUSTED:
        return storage_full("qdrant")
    if error.code() is StatusCode.UNAVAILABLE:
        return unavailable("qdrant")
    return None


def is_missing(failure: Failure) -> bool:
    """Return whether a call failed because its index does not exist."""
    return failure.reason == ErrorReason.ERROR_REASON_INDEX_NOT_FOUND
