"""Health (grpc.health.v1) that follows a probe."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from grpc_health.v1 import health, health_pb2

from libs.telemetry import failures

PROBE_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 1.5
_AGAIN_SECONDS = 0.5
# One slow answer is no outage; a store that hangs is still noticed within 2 + 3 * (1.5 + 0.5) = 8 s.
_MISSES = 3
_SAY_AGAIN_MISSES = 20

log = logging.getLogger(__name__)
Probe = Callable[[], Awaitable[None]]


class Health:
    """Answers SERVING for ``names`` from the first probe that succeeds until three in a row have failed."""

    def __init__(self, names: Sequence[str], probe: Probe) -> None:
        self.servicer = health.aio.HealthServicer()
        self._names = names
        self._probe = probe
        self._serving = False

    async def run(self) -> None:
        """Probe until cancelled."""
        await self._set(serving=False)
        misses = 0
        while True:
            error = await self._miss()
            misses = 0 if error is None else misses + 1
            if error is None and not self._serving:
                log.info("ready")
                await self._set(serving=True)
            elif error is not None and ((self._serving and misses == _MISSES) or misses % _SAY_AGAIN_MISSES == 0):
                failures.record(log, "health_probe", "not ready", error)
                await self._set(serving=False)
            await asyncio.sleep(_AGAIN_SECONDS if misses or not self._serving else PROBE_SECONDS)

    async def drain(self) -> None:
        """Answer NOT_SERVING from now on, whatever the probe says."""
        await self.servicer.enter_graceful_shutdown()

    async def _miss(self) -> Exception | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._probe()
        except Exception as error:  # noqa: BLE001 - whatever it was, the service cannot work
            return error
        return None

    async def _set(self, *, serving: bool) -> None:
        self._serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)
