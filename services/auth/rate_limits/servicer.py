"""Envoy's rate-limit service: the gateway asks it before a call reaches a service."""

import base64
import logging
import math
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from prometheus_client import Counter
from redis.exceptions import RedisError

from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.identity import Verifier
from libs.rpc.mesh import MeshIdentity
from libs.rpc.proof import GATEWAY_HEADER
from services.auth.rate_limits import rls_pb2
from services.auth.rate_limits.counters import Count, Counters
from services.auth.rate_limits.limits import Bucket, Limits, bucket

SERVICE = "envoy.service.ratelimit.v3.RateLimitService"
_BEARER = "bearer "
# What the gateway says itself when a rate is over: a call's status and its details say the same.
_MESSAGE = "too many requests, try again after the seconds in retry-after"

log = logging.getLogger(__name__)
_refused = Counter("semantik_rate_limited_total", "Calls refused by their rate.", ("kind",))
_uncounted = Counter("semantik_rate_uncounted_total", "Calls let through because Redis did not answer.")


class RateLimitServicer:
    """Counts calls in Redis. While Redis is away, calls are let through: the gateway's own rate of an address still holds."""

    def __init__(self, mesh: MeshIdentity, verifier: Verifier, counters: Counters | None, limits: Limits) -> None:
        self._mesh = mesh
        self._verifier = verifier
        self._counters = counters
        self._limits = limits
        self._is_away = False

    async def ShouldRateLimit(self, request: Any, context: Context) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        if not self._mesh.is_gateway(str(metadata.get(GATEWAY_HEADER, ""))):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only the gateway asks for rates")
        buckets = [await self._bucket({entry.key: entry.value for entry in descriptor.entries}) for descriptor in request.descriptors]
        counted = [one for one in buckets if one is not None]
        counts = await self._count(counted, request.hits_addend or 1) if counted else []
        by_bucket = dict(zip(counted, counts, strict=False))
        return _response(buckets, by_bucket)

    async def _bucket(self, descriptor: dict[str, str]) -> Bucket | None:
        user_id = None
        credentials = descriptor.get("credentials", "")
        if credentials[: len(_BEARER)].lower() == _BEARER:
            try:
                user_id = (await self._verifier.authenticate(credentials[len(_BEARER) :])).user_id
            except Failure as failure:
                log.debug("credentials are counted by their address: %s", failure)
        return bucket(self._limits, descriptor, user_id)

    async def _count(self, buckets: list[Bucket], hits: int) -> list[Count]:
        if self._counters is None:
            return []
        try:
            counts = await self._counters.count(buckets, hits)
        except (RedisError, OSError) as error:
            _uncounted.inc()
            if not self._is_away:
                log.warning("calls are not counted until Redis is back: %r", error)
            self._is_away = True
            return []
        self._is_away = False
        return counts


def add_rate_limits(servicer: RateLimitServicer, server: grpc.aio.Server) -> None:
    """Serve it beside the mesh's services: its caller is Envoy, which shows the gateway's proof and nothing else."""
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.ShouldRateLimit, rls_pb2.RateLimitRequest.FromString, rls_pb2.RateLimitResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"ShouldRateLimit": handler}),))


def _response(buckets: list[Bucket | None], counts: dict[Bucket, Count]) -> Any:
    """Return one status for each descriptor, as Envoy expects; one that is not counted has no limit."""
    codes = rls_pb2.RateLimitResponse
    response = codes(overall_code=codes.OK)
    wait = 0.0
    for one in buckets:
        status = response.statuses.add(code=codes.OK)
        count = counts.get(one) if one is not None else None
        if one is None or count is None:
            continue
        status.current_limit.requests_per_unit = one.limit
        status.current_limit.unit = codes.RateLimit.MINUTE
        status.limit_remaining = count.remaining
        status.duration_until_reset.FromMilliseconds(round(count.reset_seconds * 1000))
        if count.is_over:
            status.code = response.overall_code = codes.OVER_LIMIT
            wait = max(wait, count.reset_seconds)
            _refused.labels(one.key.partition(":")[0]).inc()
    if wait:
        seconds = max(1, math.ceil(wait))
        response.response_headers_to_add.add(key="retry-after", value=str(seconds))
        response.response_headers_to_add.add(key="grpc-status-details-bin", value=_details(seconds))
    return response


def _details(seconds: int) -> str:
    status = Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message=_MESSAGE)
    status.details.add().Pack(ErrorInfo(reason="RATE_LIMITED", domain="semantik"))
    status.details.add().Pack(RetryInfo(retry_delay={"seconds": seconds}))
    return base64.b64encode(status.SerializeToString()).decode()
