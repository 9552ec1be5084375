"""Runs a worker beside the server of its process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

# After draining the slots need five seconds to give back what they hold, and what serves needs as many beyond its own time.
_END_SECONDS = 15.0


async def side_by_side(
    worker: Coroutine[Any, Any, None], server: Coroutine[Any, Any, None], draining: asyncio.Event, *, drain_seconds: float = 0.0
) -> None:
    """Run both until one ends, then drain the other, for as long as calls under way may take; raises what ended them."""
    tasks = asyncio.create_task(worker), asyncio.create_task(server)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    draining.set()
    ended, _ = await asyncio.wait(tasks, timeout=drain_seconds + _END_SECONDS)
    for task in ended:
        task.result()
