"""A bell that says "this queue has work". The only module that knows arq; lost rings cost seconds, never work."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker, func

log = logging.getLogger(__name__)
_RING_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.2
_FUNCTION = "ring"


def _packed(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 1
    settings.conn_retries = 0
    return settings


class Bell:
    """Rings for workers. Without Redis a ring is a log line: workers also ask by themselves every few seconds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ArqRedis | None = None

    async def ring(self, queue: str) -> None:
        """Tell one worker of ``queue`` that there is work; never raises, takes at most a second."""
        if not self._url:
            return
        try:
            async with asyncio.timeout(_RING_SECONDS):
                if self._pool is None:
                    self._pool = await create_pool(_settings(self._url), job_serializer=_packed, job_deserializer=json.loads)
                await self._pool.enqueue_job(_FUNCTION, _queue_name=_arq_queue(queue))
        except Exception as error:  # noqa: BLE001 - a lost ring is healed by the workers' own asking
            log.warning("cannot ring the bell of %s: %s", queue, type(error).__name__)
            self._pool = None


async def listen(url: str, queue: str, on_ring: Callable[[], Awaitable[None]]) -> None:
    """Call ``on_ring`` for every ring, for ever; a Redis that goes away is looked for until it is back."""
    if not url:
        await asyncio.Event().wait()

    async def ring(_: dict[str, Any]) -> None:
        await on_ring()

    while True:
        worker: Worker | None = None
        try:
            worker = Worker(
                functions=[func(cast("Any", ring), name=_FUNCTION, keep_result=0, max_tries=1)],
                queue_name=_arq_queue(queue),
                redis_settings=_settings(url),
                handle_signals=False,
                poll_delay=_POLL_SECONDS,
                health_check_interval=3600,
                job_serializer=_packed,
                job_deserializer=json.loads,
            )
            await worker.async_run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever Redis did, look for it again
            log.warning("lost the bell of %s: %s", queue, type(error).__name__)
        finally:
            if worker is not None:
                await _close(worker)
        await asyncio.sleep(_RETRY_SECONDS)


async def _close(worker: Worker) -> None:
    try:
        await worker.close()
    except Exception as error:  # noqa: BLE001 - it is gone either way
        log.debug("the bell did not close cleanly: %s", type(error).__name__)


def _arq_queue(queue: str) -> str:
    return f"semantik:bell:{queue}"
