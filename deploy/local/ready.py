"""Asks each kind of process in its own protocol whether it is ready."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.child import Ready, ShuttingDownError

_SECONDS = 1.0
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def grpc_health(port: int, headers: tuple[tuple[str, str], ...] = ()) -> Ready:
    """Ready once the gRPC server on ``port`` says SERVING."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                async with _connected(asyncio.open_connection("127.0.0.1", port)):  # cheaper than a channel while there is no listener
                    pass
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS, metadata=headers)
        except (OSError, TimeoutError, grpc.aio.AioRpcError):
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ready


def envoy_answers(admin: Path, port: int, path: str) -> Ready:
    """Ready once this Envoy is live by its own socket, since another may own the port, and ``path`` answers 200."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                live = await _is_ok(asyncio.open_unix_connection(str(admin)), "/ready")
                return live and await _is_ok(asyncio.open_connection("127.0.0.1", port), path)
        except (OSError, TimeoutError):
            return False

    return ready


async def _is_ok(connecting: Awaitable[_Connection], path: str) -> bool:
    async with _connected(connecting) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()


@asynccontextmanager
async def _connected(connecting: Awaitable[_Connection]) -> AsyncIterator[_Connection]:
    reader, writer = await connecting
    try:
        yield reader, writer
    finally:
        writer.close()


def redis_pong(socket: Path, password: str) -> Ready:
    """Ready once Redis answers PING."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                async with _connected(asyncio.open_unix_connection(str(socket))) as (reader, writer):
                    writer.write(f"AUTH {password}\r\nPING\r\n".encode())
                    answers = await reader.readline() + await reader.readline()
        except (OSError, TimeoutError):
            return False
        return b"+PONG" in answers

    return ready


def postgres_accepts(dsn: str) -> Ready:
    """Ready once Postgres accepts a connection. Raises ShuttingDownError in a smart shutdown, which refuses new connections."""

    async def ready() -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(dsn, connect_timeout=2)
        except psycopg.OperationalError as error:
            if "is shutting down" in str(error):  # a refused connection has no SQLSTATE
                raise ShuttingDownError(str(error).strip()) from None
            return False
        await connection.close()
        return True

    return ready
