"""Short periodic jobs, once across the replicas of a service. The only module that knows arq.

Redis says who runs a job and keeps nothing else: a run that was missed while Redis was away is not made up for. What recovers
lost work must therefore not depend on a job; pruning and trimming may.
"""

import asyncio
import json
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from arq.connections import ArqRedis
from arq.cron import CronJob, cron
from arq.worker import Worker
from prometheus_client import Counter, Histogram
from redis.asyncio import ConnectionPool

log = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 2.0
_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 10.0
_TRIES = 3  # of a run that was cut short by its process's end
_REMEMBERED_SECONDS = 600  # a replica whose clock or loop is late by less does not repeat a run

_runs = Counter("semantik_periodic_runs_total", "Runs of periodic jobs that ended, by job and outcome (done, failed).", ("job", "outcome"))
_seconds = Histogram("semantik_periodic_seconds", "Time a run of a periodic job took, in seconds.", ("job",))
_interruptions = Counter("semantik_periodic_interruptions_total", "Times the periodic jobs of this process lost Redis.")


@dataclass(frozen=True)
class Schedule:
    """The moments at which a job runs, in UTC, as in cron; None means every one."""

    hours: frozenset[int] | None = None
    minutes: frozenset[int] | None = None
    seconds: frozenset[int] | None = frozenset({0})


HOURLY = Schedule(minutes=frozenset({0}))


def every_minutes(minutes: int) -> Schedule:
    """Return the schedule of a job that runs each time ``minutes``, a divisor of 60, have passed in an hour."""
    if 60 % minutes:
        raise ValueError(f"{minutes} minutes do not divide an hour")
    return Schedule(minutes=frozenset(range(0, 60, minutes)))


@dataclass(frozen=True)
class Job:
    """A function to run periodically; it is cancelled after ``timeout_seconds`` and must be safe to repeat."""

    name: str
    function: Callable[[], Awaitable[None]]
    schedule: Schedule
    timeout_seconds: float = field(default=60.0, kw_only=True)


@dataclass(frozen=True)
class Periodic:
    """The periodic jobs of one service. ``run`` is a background task of each replica; one of them runs a job when it is due.

    Without a Redis URL no job runs.
    """

    redis_url: str
    service: str
    jobs: Sequence[Job]
    poll_seconds: float = field(default=1.0, kw_only=True)

    async def run(self) -> None:
        """Run the jobs until cancelled; a Redis that is away is waited for, logged once when it goes and once when it is back."""
        logging.getLogger("arq").setLevel(logging.WARNING)  # it logs each run twice, and we count them
        if not self.redis_url:
            log.warning("REDIS_URL is not set: the periodic jobs of %s do not run", self.service)
            await asyncio.Event().wait()
        backoff = _FIRST_BACKOFF
        is_away = False
        while True:
            worker = self._worker()
            work = asyncio.create_task(worker.async_run())
            try:
                await worker.pool.ping()
                if is_away:
                    log.info("Redis is back: the periodic jobs of %s run again", self.service)
                is_away, backoff = False, _FIRST_BACKOFF
                await asyncio.wait([work])  # not the task itself: it takes Redis's time to end when it is cancelled
                work.result()
            except Exception as error:  # noqa: BLE001 - whatever Redis did, wait until it is back
                if not is_away:
                    log.warning("the periodic jobs of %s wait for Redis: %r", self.service, error)
                    _interruptions.inc()
                is_away = True
            finally:
                await self._stop(worker, work)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)

    def _worker(self) -> Worker:
        # arq's own pool has no limit on the time an answer may take: a half-open connection would hold the jobs up for good.
        pool = ConnectionPool.from_url(self.redis_url, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_ANSWER_SECONDS)
        return _Worker(
            cron_jobs=[self._cron_job(job) for job in self.jobs],
            queue_name=f"semantik:periodic:{self.service}",
            redis_pool=ArqRedis(pool, job_serializer=_serialize, job_deserializer=json.loads, expires_extra_ms=_REMEMBERED_SECONDS * 1000),
            handle_signals=False,
            poll_delay=self.poll_seconds,
            job_serializer=_serialize,
            job_deserializer=json.loads,
            timezone=UTC,
        )

    def _cron_job(self, job: Job) -> CronJob:
        name = f"{self.service}.{job.name}"

        async def run(ctx: dict[str, Any], *_: Any, **__: Any) -> None:  # noqa: ARG001 - arq passes it by name
            await _run(name, job)

        schedule = job.schedule
        return cron(
            run,
            name=name,  # arq's keys of a run hold this name and its due time, not the queue
            hour=_times(schedule.hours),
            minute=_times(schedule.minutes),
            second=_times(schedule.seconds),
            timeout=job.timeout_seconds + _STOP_SECONDS,
            max_tries=_TRIES,
            keep_result=_REMEMBERED_SECONDS,
        )

    async def _stop(self, worker: Worker, work: asyncio.Task[None]) -> None:
        """Cancel the loop and the jobs under way; what waits for a slow Redis loses its connection, and the one it opens next."""
        worker.handle_sig(signal.SIGTERM)
        tasks = {work, *worker.tasks.values()}
        for task in tasks:
            task.add_done_callback(_note_end)
        for _ in range(2):
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await worker.pool.connection_pool.disconnect(inuse_connections=True)
            except Exception as error:
                log.debug("the periodic jobs of %s did not leave Redis in order", self.service, exc_info=error)


class _Worker(Worker):
    def finish_job(self, *args: Any, **kwargs: Any) -> "asyncio.Task[None]":  # type: ignore[override]
        """Write down the end of a job. arq shields this: when the job is cancelled meanwhile, only we look at how it went."""
        task = asyncio.create_task(super().finish_job(*args, **kwargs))
        task.add_done_callback(_note_end)
        return task


def _note_end(task: asyncio.Task[None]) -> None:
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        log.debug("a periodic job, or their loop, ended", exc_info=failure)


async def _run(name: str, job: Job) -> None:
    started = time.monotonic()
    try:
        async with asyncio.timeout(job.timeout_seconds):
            await job.function()
    except Exception as error:
        _runs.labels(name, "failed").inc()
        log.warning("the periodic job %s failed", name, exc_info=error)
    else:
        _runs.labels(name, "done").inc()
    finally:
        _seconds.labels(name).observe(time.monotonic() - started)


def _times(times: frozenset[int] | None) -> set[int] | None:
    return None if times is None else set(times)


def _serialize(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=repr).encode()  # arq puts an exception into the result of a run that expired
