"""Asks searches at a fixed rate, or as fast as they are answered."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from semantik.client import Client
from semantik.search.v1.search_service_pb2 import SearchResponse

RATE, CLIENTS = 20, 32
Ask = Callable[[str], Awaitable[SearchResponse | None]]


@dataclass
class Asked:
    """Milliseconds of searches, whole and by stage."""

    whole: list[float]
    stages: dict[str, list[float]]

    def at(self, share: float) -> float:
        return round(float(np.quantile(self.whole, share)), 2)


async def steadily(ask: Ask, questions: Sequence[str], seconds: float) -> Asked:
    """Ask 20 times a second, whether the last answer is there or not."""
    asked = Asked([], defaultdict(list))
    running_calls = set()

    async def one(question: str, due: float) -> None:
        response = await ask(question)
        asked.whole.append((time.perf_counter() - due) * 1000)
        if response is not None:
            for field, value in response.timings.ListFields():
                asked.stages[field.name].append(value.ToNanoseconds() / 1e6)

    started = time.perf_counter()
    for number in range(int(seconds * RATE)):
        due = started + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(questions[number % len(questions)], time.perf_counter()))
        running_calls.add(task)
        task.add_done_callback(running_calls.discard)
    await asyncio.gather(*running_calls)
    return asked


async def saturated(ask: Ask, questions: Sequence[str], seconds: float) -> tuple[float, float]:
    """Return the answers a second that 32 clients get who ask one after the other, and the longest wait for one in ms."""
    until, done, longest = time.perf_counter() + seconds, 0, 0.0

    async def client() -> None:
        nonlocal done, longest
        while (asked := time.perf_counter()) < until:
            question, done = questions[done % len(questions)], done + 1
            await ask(question)
            longest = max(longest, time.perf_counter() - asked)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done / (time.perf_counter() - started), longest * 1000


def bearer(client: Client) -> str:
    """Return the header's value of a client that is signed in."""
    assert client.session.tokens is not None
    return f"Bearer {client.session.tokens.access_token}"


async def ask_json(http: httpx.AsyncClient, client: Client, collection_id: str, question: str) -> None:
    """Search a collection through the gateway, as JSON."""
    body = {"query": question, "collectionIds": [collection_id]}
    (await http.post("/v1/search", json=body, headers={"authorization": bearer(client)})).raise_for_status()
