"""Stubs of auth."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import grpc
import pytest

from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceStub
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub

if TYPE_CHECKING:
    from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceAsyncStub
    from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from semantik.auth.v1.user_service_pb2_grpc import UserServiceAsyncStub


@pytest.fixture(scope="session")
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A bare channel to the gateway."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="session")
def auth(channel: grpc.aio.Channel) -> "AuthServiceAsyncStub":
    return AuthServiceStub(channel)


@pytest.fixture(scope="session")
def users(channel: grpc.aio.Channel) -> "UserServiceAsyncStub":
    return UserServiceStub(channel)


@pytest.fixture(scope="session")
async def internal(peer: Callable[[str], grpc.aio.Channel]) -> "AuthInternalServiceAsyncStub":
    return AuthInternalServiceStub(peer("auth"))
