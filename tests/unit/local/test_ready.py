"""What is asked whether it is ready, and says nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import ready
from deploy.local.child import Ready


@pytest.mark.parametrize(
    "asks", [lambda path: ready.redis_pong(path, "secret"), lambda path: ready.envoy_answers(path, 1, "/readyz")], ids=["redis", "envoy"]
)
async def test_who_says_nothing_is_not_ready_and_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asks: Callable[[Path], Ready]
) -> None:
    """The connection is closed: a process that is slow to start is asked many times."""
    monkeypatch.setattr(ready, "_SECONDS", 0.05)
    left = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    path = tmp_path / "socket"
    async with await asyncio.start_unix_server(mute, path):
        answer = asks(path)()
        assert await answer is False
        async with asyncio.timeout(5):
            await left.wait()
