"""A process of ``make bench-streams`` that watches operations; it takes orders as JSON lines and answers each with one.

``open`` opens streams at a rate and answers once each has its first state; ``measure`` answers with the milliseconds from commits to
here that it saw in so many seconds; ``reconnect`` drops all streams and answers once each has a state again.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import uvloop

from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub

# Envoy allows 1,000 on a connection.
_ON_A_CHANNEL = 900
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.5, 8.0


@dataclass
class Watcher:
    """One stream, opened again whenever it ends."""

    method: Any
    request: messages.WatchOperationRequest
    metadata: Sequence[tuple[str, str]]
    latencies: list[float]
    attached: asyncio.Event = field(default_factory=asyncio.Event)
    breaks: Counter[str] = field(default_factory=Counter)
    _call: Any = None

    async def run(self) -> None:
        back_off = _FIRST_BACK_OFF
        while True:
            self._call = self.method(self.request, metadata=self.metadata)
            try:
                revision = -1
                async for answer in self._call:
                    operation = answer.operation
                    if not self.attached.is_set():
                        self.attached.set()
                        back_off = _FIRST_BACK_OFF
                    elif operation.revision > revision >= 0:
                        self.latencies.append((time.time() - operation.update_time.ToNanoseconds() / 1e9) * 1000)
                    revision = operation.revision
                self.breaks["OK"] += 1
            except grpc.aio.AioRpcError as error:
                self.breaks[f"{error.code().name} {error.details()}"] += 1
            except asyncio.CancelledError:
                if not self._call.cancelled():
                    raise
            await asyncio.sleep(random.uniform(0, back_off))  # noqa: S311 - spreads clients
            back_off = min(back_off * 2, _LONGEST_BACK_OFF)

    def drop(self) -> None:
        self.attached.clear()
        self._call.cancel()


class Client:
    """The watchers of this process."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._watchers: list[Watcher] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._latencies: list[float] = []

    async def open(self, watched: Sequence[tuple[str, str]], per_second: float) -> dict[str, Any]:
        """Watch each (token, operation id), so many more a second."""
        started = time.perf_counter()
        for number, (token, operation_id) in enumerate(watched):
            if len(self._watchers) % _ON_A_CHANNEL == 0:
                options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 << 20)]
                self._channels.append(grpc.aio.insecure_channel(self._address, options))
            method = OperationServiceStub(self._channels[-1]).WatchOperation
            request = messages.WatchOperationRequest(operation_id=operation_id)
            watcher = Watcher(method, request, (("authorization", f"Bearer {token}"),), self._latencies)
            self._watchers.append(watcher)
            self._tasks.append(asyncio.create_task(watcher.run()))
            await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
        return await self._all_attached(started)

    async def measure(self, seconds: float) -> dict[str, Any]:
        self._latencies.clear()
        await asyncio.sleep(seconds)
        return {
            "latencies": [round(each, 2) for each in self._latencies],
            "breaks": sum((each.breaks for each in self._watchers), Counter[str]()),
        }

    async def reconnect(self) -> dict[str, Any]:
        started = time.perf_counter()
        for watcher in self._watchers:
            watcher.drop()
        return await self._all_attached(started)

    async def _all_attached(self, started: float) -> dict[str, Any]:
        await asyncio.gather(*(watcher.attached.wait() for watcher in self._watchers))
        return {"seconds": round(time.perf_counter() - started, 2), "held": len(self._watchers)}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()


async def _serve(address: str) -> None:
    client = Client(address)
    reader = asyncio.StreamReader(limit=64 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        answer = await getattr(client, order.pop("order"))(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await client.close()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
