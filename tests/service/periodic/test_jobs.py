"""Periodic jobs through a real Redis: once across replicas, past restarts and flushes, and quiet about it."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis as RedisClient

from deploy.local.child import Child
from deploy.local.redis import Redis
from libs.periodic.jobs import Job, Periodic, Schedule, every_minutes
from tests.servers import redis_process

EACH_SECOND = Schedule(seconds=None)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[tuple[Redis, Child]]:
    async with redis_process() as started:
        yield started


class Runs:
    """Counts a job's runs, and waits for them."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def more(self, seconds: float = 20) -> None:
        """Wait for one run more than there are now."""
        enough = self.count + 1
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.count >= enough)


@asynccontextmanager
async def replica(url: str, service: str, *jobs: Job) -> AsyncIterator[None]:
    task = asyncio.create_task(Periodic(url, service, jobs, poll_seconds=0.1).run())
    try:
        yield
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await task


def in_seconds(seconds: int) -> Schedule:
    """Return a schedule that is due once within the next minute."""
    moment = (datetime.now(tz=UTC).second + seconds) % 60
    return Schedule(seconds=frozenset({moment}))


def counted(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("semantik_periodic_runs_total", {"job": name, "outcome": outcome}) or 0.0


def problems(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(": ")[0] for record in caplog.records if record.levelno >= logging.WARNING]


async def test_two_replicas_run_a_job_once(server: tuple[Redis, Child], caplog: pytest.LogCaptureFixture) -> None:
    """Three replicas of two services: a run for each service, and a replica that comes late finds it done."""
    first, second, last = Runs(), Runs(), Runs()
    schedule, later = in_seconds(3), in_seconds(5)
    async with AsyncExitStack() as stack:
        for service, runs in (("one", first), ("one", first), ("two", second)):
            jobs = (Job("prune", runs, schedule), Job("later", last, later))
            await stack.enter_async_context(replica(server[0].url, service, *jobs))
        await last.more()
        await last.more() if last.count < 2 else None
    assert (first.count, second.count, last.count) == (1, 1, 2)
    assert (counted("one.prune", "done"), counted("one.prune", "failed")) == (1, 0)
    client = RedisClient.from_url(server[0].url)
    assert len(await client.keys("arq:result:one.prune:*")) == 1  # for which arq refuses to queue the same run again
    await client.aclose()
    assert problems(caplog) == []


async def test_a_job_that_fails_runs_again_and_is_counted(server: tuple[Redis, Child], caplog: pytest.LogCaptureFixture) -> None:
    """With its exception in the log; one that takes too long fails too."""
    tried = Runs()

    async def fail() -> None:
        await tried()
        raise RuntimeError("no such table")

    async with replica(server[0].url, "fails", Job("prune", fail, EACH_SECOND)):
        await tried.more()
        await tried.more()
    async with replica(server[0].url, "slow", Job("prune", asyncio.Event().wait, EACH_SECOND, timeout_seconds=0.1)):  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            while not counted("slow.prune", "failed"):  # noqa: ASYNC110 - only the metric says so
                await asyncio.sleep(0.02)
    assert counted("fails.prune", "failed") >= 2
    assert set(problems(caplog)) == {"the periodic job fails.prune failed", "the periodic job slow.prune failed"}
    assert "no such table" in caplog.text


async def test_jobs_go_on_after_redis_was_killed(server: tuple[Redis, Child], caplog: pytest.LogCaptureFixture) -> None:
    """One line when it goes, one when it is back."""
    runs = Runs()
    async with replica(server[0].url, "killed", Job("prune", runs, EACH_SECOND)):
        await runs.more()
        os.kill(server[1].pid, signal.SIGKILL)
        await runs.more()
        await runs.more()
    assert problems(caplog) == ["the periodic jobs of killed wait for Redis"]


async def test_jobs_go_on_after_redis_was_emptied(server: tuple[Redis, Child], caplog: pytest.LogCaptureFixture) -> None:
    """Without a word: there is nothing in Redis worth one."""
    runs = Runs()
    client = RedisClient.from_url(server[0].url)
    async with replica(server[0].url, "emptied", Job("prune", runs, EACH_SECOND)):
        for _ in range(3):
            await runs.more()
            await client.flushall()
        await runs.more()
    await client.aclose()
    assert problems(caplog) == []


async def test_jobs_run_through_a_slow_redis(server: tuple[Redis, Child], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each answer comes late, so the job is: by less than a minute, and nothing piles up."""
    runs = Runs()
    slow = tmp_path / "slow.sock"

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(server[0].socket)

        async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
            while data := await source.read(65536):
                await asyncio.sleep(delay)
                target.write(data)
            target.close()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(forward(reader, upstream_writer, 0))
                tasks.create_task(forward(upstream_reader, writer, 0.1))
        except* OSError:
            pass  # the replica left in the middle of an answer
        finally:
            upstream_writer.close()
            writer.close()

    async with await asyncio.start_unix_server(relay, slow):
        async with replica(f"unix://:{server[0].password}@{slow}", "late", Job("prune", runs, EACH_SECOND)):
            await runs.more()
            await runs.more()
        client = RedisClient.from_url(server[0].url)
        assert await client.zcard("semantik:periodic:late") <= 3
        await client.aclose()
    assert problems(caplog) == []


async def test_without_a_redis_nothing_runs_and_a_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The task waits to be cancelled, as one that works does."""
    async with replica("", "alone", Job("prune", Runs(), EACH_SECOND)):
        async with asyncio.timeout(5):
            while not caplog.records:  # noqa: ASYNC110 - only the log says so
                await asyncio.sleep(0)
    assert problems(caplog) == ["REDIS_URL is not set"]


async def test_minutes_that_do_not_divide_an_hour_are_refused() -> None:
    """They would be uneven across its end."""
    assert every_minutes(20) == Schedule(minutes=frozenset({0, 20, 40}))
    with pytest.raises(ValueError, match="7 minutes do not divide an hour"):
        every_minutes(7)
