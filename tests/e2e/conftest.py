"""One bare channel to the gateway: no session, no retries."""

from collections.abc import AsyncIterator

import grpc
import pytest

from deploy.local.supervisor import Mesh

_MESSAGE_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="session")
async def gateway(mesh: Mesh) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.max_send_message_length", _MESSAGE_BYTES), ("grpc.enable_retries", 0))
    async with grpc.aio.insecure_channel(mesh.gateway.removeprefix("http://"), options) as channel:
        yield channel
