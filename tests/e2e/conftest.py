"""One bare channel to the gateway, without session or retries, and the command as a program."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from deploy.local.supervisor import Mesh
from tests.conftest import PASSWORD

_MESSAGE_BYTES = 64 * 1024 * 1024
Command = Callable[..., Awaitable[tuple[int, list[Any]]]]


@pytest.fixture(scope="session")
async def gateway(mesh: Mesh) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.max_send_message_length", _MESSAGE_BYTES), ("grpc.enable_retries", 0))
    async with grpc.aio.insecure_channel(mesh.gateway.removeprefix("http://"), options) as channel:
        yield channel


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what looks at what all other tests leave."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def started(*arguments: str | Path, **environment: str) -> Awaitable[asyncio.subprocess.Process]:
    """Start the command."""
    return asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "semantik.command", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


@pytest.fixture
def semantik(mesh: Mesh, tmp_path: Path) -> Command:
    """Run a command against the mesh; return its exit code and the JSON of each line it prints."""
    environment = {
        "SEMANTIK_ADDRESS": mesh.gateway.removeprefix("http://"),
        "SEMANTIK_CONFIG_DIR": str(tmp_path),
        "SEMANTIK_PASSWORD": PASSWORD,
    }

    async def run(*arguments: str | Path) -> tuple[int, list[Any]]:
        process = await started(*arguments, "--json", **environment)
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, [json.loads(line) for line in output.splitlines()]

    return run
