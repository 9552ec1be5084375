"""A document that was deleted is never found, and one that was not is found in its last version, whatever came in which order."""

import inspect
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from libs.rpc.errors import Failure
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from services.search import conditions
from services.search.index.indexes import Indexes
from services.search.passage import DOCUMENT, HIDDEN, PUBLISHED, VERSION, selector
from services.search.qdrant import Qdrant, q

Make = Callable[..., Chunk]
Step = Callable[[], Awaitable[None] | None]


@dataclass
class _Document:
    """A document's row, the worker that indexes it and the user who deletes it.

    ``committed`` is the version the row was committed with, ``hidden`` the one up to which a hide has returned. ``sent`` are the
    calls made so far: each may arrive once more, late, at another replica.
    """

    name: str
    replicas: list[Indexes]
    qdrant: Qdrant
    chunk: Make
    numbers: random.Random
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    version: int = 0
    committed: int = 0
    hidden: int = 0
    is_deleted: bool = True
    sent: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def upload(self, fence: int) -> None:
        """Begin another life: a new version, for another claim."""
        self.version, self.is_deleted = self.version + 1, False
        await self._replica().raise_fence(self.name, fence)

    def worker(self, fence: int) -> Iterator[Step]:
        """Index the version; the worker may die before it commits, and begin again."""
        yield lambda: self._upsert(fence)
        while self.numbers.random() < 0.3:
            yield lambda: self._upsert(fence)
        yield self._commit
        for _ in range(self.numbers.randint(1, 2)):
            yield lambda: self._publish(fence)

    def user(self) -> Iterator[Step]:
        """Delete the document; the call may be repeated."""
        yield self._mark_deleted
        for _ in range(self.numbers.randint(1, 2)):
            yield self._hide

    async def interleave(self, *actors: Iterator[Step]) -> None:
        """Take the actors' steps in a random order, late calls in between, and look after each."""
        running = list(actors)
        while running:
            actor = self.numbers.choice(running)
            step = next(actor, None)
            if step is None:
                running.remove(actor)
                continue
            if self.sent and self.numbers.random() < 0.3:
                await self._arrive_late(self.numbers.choice(self.sent))
                assert not await self.found() & set(range(self.hidden + 1))
            done = step()
            if inspect.isawaitable(done):
                await done
            assert not await self.found() & set(range(self.hidden + 1))

    async def found(self) -> set[int]:
        """Return the versions that a search finds."""
        published = conditions.all_of(conditions.equals(DOCUMENT, self.id), conditions.equals(HIDDEN, PUBLISHED))
        request = q.ScrollPoints(collection_name=self.name, filter=published, limit=100, with_payload=selector(VERSION))
        return {point.payload[VERSION].integer_value for point in (await self.qdrant.points("Scroll", request)).result}

    def _replica(self) -> Indexes:
        return self.numbers.choice(self.replicas)

    async def _send(self, call: Callable[[], Awaitable[None]]) -> None:
        self.sent.append(call)
        await call()

    async def _arrive_late(self, call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except Failure as failure:
            if failure.reason_name != "FENCED":  # of a claim that was taken over
                raise

    async def _upsert(self, fence: int) -> None:
        chunks = [self.chunk(self.id, ordinal, content_version=self.version) for ordinal in range(2)]
        await self._send(lambda: self._replica().upsert(self.name, fence, chunks))

    def _commit(self) -> None:
        if not self.is_deleted:
            self.committed = self.version

    async def _publish(self, fence: int) -> None:
        """Follow up a commit; the row is not looked at again."""
        if self.committed == self.version:
            document = DocumentVersion(document_id=self.id, content_version=self.version)
            await self._send(lambda: self._replica().publish(self.name, fence, [document]))

    def _mark_deleted(self) -> None:
        self.is_deleted = True

    async def _hide(self) -> None:
        document = DocumentVersion(document_id=self.id, content_version=self.version)
        await self._send(lambda: self._replica().hide(self.name, [document], ""))
        self.hidden = document.content_version


@pytest.mark.parametrize("seed", range(50))
async def test_no_order_shows_what_was_deleted(name: str, replicas: list[Indexes], qdrant: Qdrant, chunk: Make, seed: int) -> None:
    """Three lives of a document: deleted while it is indexed, indexed in peace, and once more deleted in between."""
    document = _Document(name, replicas, qdrant, chunk, random.Random(seed))  # noqa: S311 - no secret, only spread
    for fence, expected in ((6, set()), (7, {2}), (8, set[int]())):
        await document.upload(fence)
        await document.interleave(document.worker(fence), *([] if expected else [document.user()]))
        # An interrupted claim's follow-up is repeated by the next.
        assert await document.found() == expected
