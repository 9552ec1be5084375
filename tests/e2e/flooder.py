"""Calls one RPC as fast as it is answered: ``flooder.py ADDRESS PATH CALLS SECONDS``, credentials and request on standard input."""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import grpc

_DEADLINE = 20.0
_PAUSE = 0.02


async def main(address: str, path: str, calls: int, seconds: float) -> Counter[str]:
    """Return how often each status came."""
    authorization, request = sys.stdin.buffer.readline().decode().strip(), sys.stdin.buffer.read()
    metadata = (("authorization", authorization),) if authorization else ()
    answers: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        method: Any = channel.unary_unary(path)
        sys.stdout.write("begun\n")
        sys.stdout.flush()

        async def ask() -> None:
            while time.monotonic() < until:
                try:
                    await method(request, metadata=metadata, timeout=min(_DEADLINE, until - time.monotonic() + 0.1))
                    answers["OK"] += 1
                except grpc.aio.AioRpcError as error:
                    answers[error.code().name] += 1
                    await asyncio.sleep(_PAUSE)

        await asyncio.gather(*(ask() for _ in range(calls)))
    return answers


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))) + "\n")
