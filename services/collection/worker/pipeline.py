"""Indexes what waits: read and cut, embed, write, all at once through queues bounded in bytes.

Everything before the commit may be done again by the next claim: points have ids that follow from the document's version,
so doing it twice leaves one result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc

from services.collection.store.indexing import worklist
from services.collection.store.indexing.worklist import Item
from services.collection.tables import Reason
from services.collection.worker.embedding import embed
from services.collection.worker.extraction.extracted import UnreadableError
from services.collection.worker.in_flight import InFlight
from services.collection.worker.job import Job
from services.collection.worker.queues import StageQueue
from services.collection.worker.reading import ChunkedDocument, Reader, refuse
from services.collection.worker.writing import Batch, Writer

_PAGE = 500
_READERS = 2
# Two batches of a half: a death costs no more than one whole batch, and embedding always has the next one waiting.
_EMBEDDERS = 2
_READ_ITEMS = 64
_READ_BYTES = 256 * 1024
_ITEM_BYTES = 1024
# In memory between two stages; a single document may be heavier.
_TO_READ_BYTES = 1024 * 1024
_TO_EMBED_BYTES = 16 * 1024 * 1024
_TO_WRITE_BYTES = 8 * 1024 * 1024
_REFUSED = UnreadableError(Reason.INTERNAL, "a service refused the document's content")
Scan = Callable[[Callable[[], None]], Awaitable[None]]


class Pipeline:
    """Indexes every waiting document of the job's target.

    ``scan`` lists documents while others are indexed; it is given a function to call when there are new ones.
    """

    def __init__(self, job: Job, reader: Reader, scan: Scan | None = None) -> None:
        self._job = job
        self._reader = reader
        self._scan = scan
        self._writer = Writer(job)
        self._to_read: StageQueue[Item] = StageQueue(_TO_READ_BYTES)
        self._to_embed: StageQueue[ChunkedDocument] = StageQueue(_TO_EMBED_BYTES, _READERS)
        self._to_write: StageQueue[Batch] = StageQueue(_TO_WRITE_BYTES, _READERS + _EMBEDDERS)
        self._news = asyncio.Event()
        self._all_listed = scan is None
        # Where few are in flight, reading on brings more than what is known already.
        self._in_flight = InFlight(_PAGE)
        self._noting = asyncio.Lock()

    async def run(self) -> None:
        """Return once each waiting document has an end."""
        # In a task of its own: before Python 3.13 a group whose child failed leaves a cancellation on the task that it runs in,
        # which would look like somebody's wish to stop.
        await asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._list())
            stages.create_task(self._feed())
            for _ in range(_READERS):
                stages.create_task(self._read())
            for _ in range(_EMBEDDERS):
                stages.create_task(self._embed())
            stages.create_task(self._write())
        await self._writer.close()

    async def _list(self) -> None:
        if self._scan is not None:
            await self._scan(self._news.set)
            self._all_listed = True
            self._news.set()

    async def _feed(self) -> None:
        while True:
            self._news.clear()
            is_last = self._all_listed
            await self._in_flight.few.wait()
            fed = await self._feed_waiting(suspect=False)
            self._job.dependencies.failpoint("after_feed")
            if not fed:
                if is_last:
                    break
                await self._news.wait()
        # What ends may open others: the duplicates of what was refused. What was in hand when a worker died goes alone: if it kills
        # again, nothing else is to blame.
        await self._in_flight.idle.wait()
        while await self._feed_waiting(suspect=False) or await self._feed_waiting(suspect=True):
            await self._in_flight.idle.wait()
        await self._to_read.close()

    async def _feed_waiting(self, *, suspect: bool) -> int:
        fed, after = 0, ""
        generation = self._job.target.generation
        while True:
            page = await self._job.read(
                lambda session, after=after: worklist.page(session, generation, after, _PAGE, suspect=suspect)  # type: ignore[misc]
            )
            if not page:
                return fed
            after = page[-1].document_id
            for item in page:
                if not self._in_flight.take_off(item):
                    continue
                fed += 1
                await self._to_read.put(item, _ITEM_BYTES)
                if suspect:
                    await self._in_flight.idle.wait()

    async def _read(self) -> None:
        while items := await self._next_items():
            await self._note(items)
            documents, refused = await self._reader.read(items)
            self._job.report.advanced()
            self._job.dependencies.failpoint("after_extract")
            if refused:
                await self._to_write.put(Batch(refused=refused), _ITEM_BYTES * len(refused))
            self._job.progress.begun.read(documents)
            for document in documents:
                await self._to_embed.put(document, document.size_bytes)
        await self._to_embed.close()
        await self._to_write.close()

    async def _next_items(self) -> list[Item]:
        """Return many small documents, or a few large ones."""
        items: list[Item] = []
        item = await self._to_read.get()
        size_bytes = 0
        while item is not None:
            items.append(item)
            size_bytes += item.size_bytes
            if len(items) == _READ_ITEMS or size_bytes >= _READ_BYTES:
                break
            item = await self._to_read.get_ready()
        return items

    async def _note(self, items: Sequence[Item]) -> None:
        """Note what is in hand until something was committed: it may be what kills this worker."""
        async with self._noting:
            if not self._writer.has_committed:
                ids = [item.document_id for item in items]
                await self._job.write(lambda session: worklist.note_processing(session, self._job.target.generation, ids))

    async def _embed(self) -> None:
        while group := await self._next_group():
            await self._apart_if_refused(group, self._embed_group)
        await self._to_write.close()

    async def _next_group(self) -> list[ChunkedDocument]:
        """Return documents up to a batch of tokens, or those that are ready."""
        group: list[ChunkedDocument] = []
        document = await self._to_embed.get()
        tokens = 0
        while document is not None:
            group.append(document)
            tokens += document.token_count
            if tokens >= self._job.dependencies.settings.batch_tokens:
                break
            document = await self._to_embed.get_ready()
        return group

    async def _embed_group(self, group: list[ChunkedDocument]) -> None:
        with self._job.progress.begun.embedding(group) as shown:
            vectors = await embed(self._job, group, shown)
        size_bytes = sum(document.size_bytes for document in group) + sum(map(len, vectors.values()))
        await self._to_write.put(Batch(documents=group, vectors=vectors), size_bytes)

    async def _write(self) -> None:
        while (batch := await self._to_write.get()) is not None:
            if batch.refused:
                await self._write_batch(batch)
                continue
            vectors = batch.vectors

            async def write(group: list[ChunkedDocument], vectors: dict[str, bytes] = vectors) -> None:
                await self._write_batch(Batch(documents=group, vectors=vectors))

            await self._apart_if_refused(batch.documents, write)

    async def _write_batch(self, batch: Batch) -> None:
        await self._writer.write(batch)
        self._in_flight.land(batch.items)

    async def _apart_if_refused(self, group: list[ChunkedDocument], work: Callable[[list[ChunkedDocument]], Awaitable[None]]) -> None:
        """Do something with a group; if a service refuses the content, with each alone, so that one costs no other."""
        try:
            await work(group)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            if len(group) == 1:
                await self._write_batch(Batch(refused=[refuse(group[0].item, _REFUSED)]))
                return
            for document in group:
                await self._apart_if_refused([document], work)
