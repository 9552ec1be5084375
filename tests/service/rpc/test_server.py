"""A process of the mesh: ready when it can work, not ready when it cannot, and ended when it must."""

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.rpc import server as server_module
from libs.rpc.boundary import Access
from libs.rpc.health import Health
from libs.rpc.identity import Verifier
from libs.rpc.mesh import new_key
from libs.rpc.server import Server
from tests.service.rpc.conftest import Start, served, some_keys

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def _health(server: Server) -> Any:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status


async def _until(server: Server, status: Any, seconds: float) -> float:
    """Wait until health says ``status`` and return how long that took."""
    started = time.monotonic()
    async with asyncio.timeout(seconds), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async for answer in watching:
            if answer.status == status:
                watching.cancel()
                break
    return time.monotonic() - started


def _failing(*misses: bool) -> tuple[Callable[[], Awaitable[None]], list[bool]]:
    """Return a probe that fails as ``misses`` say, one after the other, and then as the last of them says."""
    left = list(misses)

    async def probe() -> None:
        if left.pop(0) if len(left) > 1 else left[0]:
            raise ConnectionError("the store is away")

    return probe, left


async def test_one_or_two_failed_probes_are_no_outage(start: Start) -> None:
    """Health is SERVING throughout."""
    probe, left = _failing(False, True, True, False)
    server = await start(ready=probe)
    await _until(server, SERVING, 5)
    async with asyncio.timeout(10):
        while len(left) > 1:
            assert await _health(server) == SERVING
            await asyncio.sleep(0.05)
    assert await _health(server) == SERVING


async def test_an_outage_is_told_within_ten_seconds_and_its_end_within_fifteen(start: Start) -> None:
    """Though the store does not refuse but hangs."""
    store_away = asyncio.Event()

    async def probe() -> None:
        if store_away.is_set():
            await asyncio.Event().wait()

    server = await start(ready=probe)
    await _until(server, SERVING, 5)
    store_away.set()
    assert await _until(server, NOT_SERVING, 12) < 10
    store_away.clear()
    assert await _until(server, SERVING, 5) < 5


async def test_a_service_is_not_ready_before_revocations_were_read(start: Start) -> None:
    """Unless it serves no users: then nobody asks it about tokens."""
    auth_back = asyncio.Event()

    async def revocations() -> Any:
        await auth_back.wait()
        yield []

    waiting = await start(served({}, Access.MEMBER), verifier=Verifier(some_keys, revocations))
    without_users = await start(served({}, Access.MESH), verifier=Verifier(some_keys, revocations))
    await _until(without_users, SERVING, 5)
    assert await _health(waiting) == NOT_SERVING
    auth_back.set()
    await _until(waiting, SERVING, 5)


async def test_a_probe_that_ends_as_it_is_cancelled_does_not_swallow_the_cancellation() -> None:
    """In Python 3.11 ``asyncio.wait_for`` returned the result instead, and the server waited for its probe for ever."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def probe() -> None:
        answer = loop.create_future()
        asked.put_nowait(answer)
        await answer

    running = asyncio.create_task(Health([""], probe).run())
    answer = await asked.get()
    answer.set_result(None)
    # The inner future is done, and the task that waits for it has not run yet.
    loop.call_soon(running.cancel)
    done, _ = await asyncio.wait({running}, timeout=5)
    assert done
    assert running.cancelled()


async def test_a_server_stops_whatever_its_tasks_do(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ignores its cancellation is named in the log."""
    monkeypatch.setattr(server_module, "_STOP_SECONDS", 0.2)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    server = await start(background=[stubborn])
    await _until(server, SERVING, 5)
    async with asyncio.timeout(5):
        await server.stop()
    release.set()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "stubborn" in record.getMessage()


STUBBORN = """
import asyncio, threading, time
from pathlib import Path
from libs.rpc import process
from libs.rpc.settings import MeshSettings

process._EXIT_SECONDS = 0.5

async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def main():
    {leave}

process.run("test", MeshSettings(mesh_key_file=Path("mesh.pem")), main())
"""


@pytest.mark.parametrize(
    "leave",
    [
        "asyncio.create_task(stubborn(), name='kept'); await asyncio.sleep(0)",
        "asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)",
        "threading.Thread(target=time.sleep, args=(3600,)).start()",
    ],
    ids=["a task", "a thread of the loop", "a thread"],
)
async def test_a_process_ends_whatever_is_left_of_it(tmp_path: Path, leave: str) -> None:
    """Its log says where the rest hangs."""
    (tmp_path / "mesh.pem").write_bytes(new_key())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", STUBBORN.replace("{leave}", leave), stderr=subprocess.PIPE, cwd=tmp_path
    )
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"did not end within" in errors
