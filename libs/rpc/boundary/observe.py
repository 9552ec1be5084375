"""Opens an RPC's context and ends it: one status, one metric, one span, one log line."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from grpc import StatusCode

from libs.rpc import call
from libs.rpc.boundary import Context, Stream, Unary
from libs.rpc.errors import Failure, internal
from libs.rpc.proof import GATEWAY_HEADER
from libs.telemetry import failures, logs, metrics, traces

log = logging.getLogger(__name__)
# What these mean to a client is in the answer already; why they are is not.
_FAULTS = {StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL}
_MAX_DEADLINE_SECONDS = 24 * 3600.0


class Observe:
    """The outermost interceptor: what comes out of the others becomes the call's status here, and nowhere else."""

    def unary(self, method: str, behavior: Unary) -> Unary:
        series = metrics.RpcSeries(method)

        async def observed(request: Any, context: Context) -> Any:
            rpc = _Rpc(method, series, context)
            try:
                response = await behavior(request, context)
            except Exception as error:  # noqa: BLE001 - the last line before the wire
                await rpc.fail(error)
            except BaseException:
                rpc.end(StatusCode.CANCELLED)
                raise
            else:
                rpc.end(StatusCode.OK)
                return response

        return observed

    def stream(self, method: str, behavior: Stream) -> Stream:
        series = metrics.RpcSeries(method)

        async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
            rpc = _Rpc(method, series, context)
            try:
                async with aclosing(behavior(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
            except Exception as error:  # noqa: BLE001 - the last line before the wire
                await rpc.fail(error)
            except BaseException:
                rpc.end(StatusCode.CANCELLED)
                raise
            else:
                rpc.end(StatusCode.OK)

        return observed


class _Rpc:
    """One call from its first to its last moment on this server."""

    def __init__(self, method: str, series: metrics.RpcSeries, context: Context) -> None:
        self._series = series
        self._context = context
        self._started = time.perf_counter()
        metadata = dict(context.invocation_metadata() or ())
        correlation_id = logs.clean_correlation_id(metadata.get("x-correlation-id", "")) or os.urandom(16).hex()
        remaining = context.time_remaining()
        deadline = None if remaining is None else asyncio.get_running_loop().time() + min(remaining, _MAX_DEADLINE_SECONDS)
        call.enter(
            call.Call(
                method=method,
                correlation_id=correlation_id,
                client_address=metadata.get("x-client-address", "")[:64],
                user_agent=metadata.get("user-agent", "")[:200],
                authorization=metadata.get("authorization", ""),
                gateway_proof=metadata.get(GATEWAY_HEADER, ""),
                deadline=deadline,
            )
        )
        logs.correlate(correlation_id)
        context.set_trailing_metadata((("x-correlation-id", correlation_id),))
        self._span = traces.ServedSpan(method, metadata)
        series.started()

    async def fail(self, error: Exception) -> None:
        """End the call with the failure that ``error`` is; raises, as every abort does."""
        if isinstance(error, Failure):
            failure = error
            if failure.__cause__ is not None and failure.code in _FAULTS:
                message = f"{call.current().method} answers {failure.code.name} {failure.reason_name}"
                failures.record(log, f"rpc_{failure.code.name.lower()}", message, failure.__cause__)
        else:
            failure = internal()
            log.error("unhandled error in %s", call.current().method, exc_info=error)
        self.end(failure.code, failure.reason_name)
        await failure.abort(self._context)

    def end(self, code: StatusCode, reason: str = "") -> None:
        seconds = time.perf_counter() - self._started
        self._series.ended(code.name, seconds)
        self._span.end(code.name)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s %s %.1f ms", call.current().method, code.name, reason, seconds * 1000)
