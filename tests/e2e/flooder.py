"""Calls one RPC as fast as it is answered: ``flooder.py ADDRESS PATH SHAPE CALLS SECONDS``, credentials and request on standard input."""

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from typing import Any

import grpc

_DEADLINE = 20.0
_PAUSE = 0.02
NUMBER = "00000000"
"""Becomes another number in every request."""


async def main(address: str, path: str, shape: str, calls: int, seconds: float) -> Counter[str]:
    """Return how often each status came."""
    authorization, template = sys.stdin.buffer.readline().decode().strip(), sys.stdin.buffer.read()
    metadata = (("authorization", authorization),) if authorization else ()
    answers: Counter[str] = Counter()
    until, numbers = time.monotonic() + seconds, count(1)

    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        method: Any = getattr(channel, shape)(path)
        sys.stdout.write("begun\n")
        sys.stdout.flush()

        async def call() -> None:
            request = template.replace(NUMBER.encode(), f"{next(numbers):08}".encode())
            sent = method([request] if shape.startswith("stream") else request, metadata=metadata,
                          timeout=min(_DEADLINE, until - time.monotonic() + 0.1))  # fmt: skip
            if shape.endswith("unary"):
                await sent
            else:  # open it, and leave
                await sent.read()
                if not sent.cancel():
                    await sent

        async def ask() -> None:
            while time.monotonic() < until:
                try:
                    await call()
                    answers["OK"] += 1
                except grpc.aio.AioRpcError as error:
                    answers[error.code().name] += 1
                    await asyncio.sleep(_PAUSE)

        await asyncio.gather(*(ask() for _ in range(calls)))
    return answers


if __name__ == "__main__":
    _, target, rpc, kind, number, length = sys.argv
    sys.stdout.write(json.dumps(asyncio.run(main(target, rpc, kind, int(number), float(length)))) + "\n")
