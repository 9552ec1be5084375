"""Indexes what waits: read and cut, embed, write, commit, all at once through bounded queues.

Everything before the commit may be done again by the next claim: points have ids that follow from the document's version,
so doing it twice leaves one result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass

import grpc

from services.collection.store import indexing
from services.collection.store import vectors as kept
from services.collection.tables import Document, Reason
from services.collection.worker.embedding import embed
from services.collection.worker.extraction.extracted import UnreadableError
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job
from services.collection.worker.points import indexed, point
from services.collection.worker.reading import Passages, Reader

_PAGE = 100
_READERS = 2
_QUEUE = 32
_REFUSED = UnreadableError(Reason.INTERNAL, "its content was refused by a service")
TakeIn = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True)
class _Embedded:
    group: list[Passages]
    vectors: dict[str, bytes]


class Pipeline:
    """``take_in`` lists documents while others are indexed; it is given a function to call when there are new ones."""

    def __init__(self, job: Job, take_in: TakeIn | None = None) -> None:
        self._job = job
        self._take_in = take_in
        self._to_read: asyncio.Queue[Document | None] = asyncio.Queue(_QUEUE)
        self._to_embed: asyncio.Queue[Passages | None] = asyncio.Queue(_QUEUE)
        self._to_write: asyncio.Queue[_Embedded | None] = asyncio.Queue(2)
        self._news = asyncio.Event()
        self._all_listed = take_in is None
        # Documents between feed and commit.
        self._in_hand: set[tuple[str, int]] = set()
        self._empty_handed = asyncio.Event()
        self._empty_handed.set()
        # Until something is committed, what is in hand is noted: it may be what kills this worker.
        self._noting = asyncio.Lock()
        self._has_committed = False

    async def run(self) -> None:
        """Index every waiting document of the collection; returns once each has an end."""
        reader = Reader(self._job, await self._job.tools.embedder.tokenizer(self._job.generation.digest))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list())
            group.create_task(self._feed())
            readers = [group.create_task(self._read(reader)) for _ in range(_READERS)]
            group.create_task(self._close_after(readers))
            group.create_task(self._embed())
            group.create_task(self._write())

    async def _list(self) -> None:
        if self._take_in is not None:
            await self._take_in(self._news.set)
            self._all_listed = True
            self._news.set()

    async def _feed(self) -> None:
        while True:
            self._news.clear()
            is_last = self._all_listed
            if not await self._feed_open(suspect=False):
                if is_last:
                    break
                await self._news.wait()
        # What was open when a worker died goes alone: if it kills again, nothing else is to blame.
        await self._empty_handed.wait()
        await self._feed_open(suspect=True)
        for _ in range(_READERS):
            await self._to_read.put(None)

    async def _feed_open(self, *, suspect: bool) -> int:
        fed, after = 0, ""
        while True:
            async with self._job.tools.sessions() as session:
                page = await indexing.open_documents(session, self._job.collection_id, after, _PAGE, suspect=suspect)
            if not page:
                return fed
            after = page[-1].id
            for document in page:
                if (document.id, document.content_version) in self._in_hand:
                    continue
                fed += 1
                self._in_hand.add((document.id, document.content_version))
                self._empty_handed.clear()
                await self._to_read.put(document)
                if suspect:
                    await self._empty_handed.wait()

    def _put_down(self, documents: Sequence[Document]) -> None:
        self._in_hand.difference_update((document.id, document.content_version) for document in documents)
        if not self._in_hand:
            self._empty_handed.set()

    async def _read(self, reader: Reader) -> None:
        while (document := await self._to_read.get()) is not None:
            await self._note(document)
            try:
                read = await reader.read(document)
            except UnreadableError as error:
                await self._refuse(document, error)
            else:
                reach("after_extract")
                await self._to_embed.put(read)

    async def _close_after(self, readers: list[asyncio.Task[None]]) -> None:
        await asyncio.wait(readers)
        await self._to_embed.put(None)

    async def _embed(self) -> None:
        """Gather documents up to a batch of tokens, or until no other is ready, and embed them together."""
        ended = False
        while not ended:
            group: list[Passages] = []
            tokens = 0
            while tokens < self._job.tools.settings.batch_tokens:
                if group and self._to_embed.empty():
                    break
                read = await self._to_embed.get()
                if read is None:
                    ended = True
                    break
                group.append(read)
                tokens += read.token_count
            if group:
                await self._each_alone_if_refused(group, self._embed_group)
        await self._to_write.put(None)

    async def _embed_group(self, group: list[Passages]) -> None:
        await self._to_write.put(_Embedded(group, await embed(self._job, group)))

    async def _write(self) -> None:
        while (embedded := await self._to_write.get()) is not None:
            vectors = embedded.vectors

            async def write(group: list[Passages], vectors: dict[str, bytes] = vectors) -> None:
                await self._write_group(group, vectors)

            # Whoever interrupts the work waits for this: what is in the index by then is committed too.
            await _to_its_end(self._each_alone_if_refused(embedded.group, write))

    async def _each_alone_if_refused(self, group: list[Passages], work: Callable[[list[Passages]], Awaitable[None]]) -> None:
        """Do something with a group; if a service refuses the content, with each alone, so that one costs no other."""
        try:
            await work(group)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            if len(group) == 1:
                await self._refuse(group[0].document, _REFUSED)
                return
            for read in group:
                await self._each_alone_if_refused([read], work)

    async def _write_group(self, group: list[Passages], vectors: dict[str, bytes]) -> None:
        points = (point(read, chunk, vectors[digest]) for read in group for chunk, digest in zip(read.chunks, read.digests, strict=True))
        await self._job.index.upsert(points)
        reach("after_upsert")
        for read in group:
            if read.document.content_version > 1:
                await self._job.index.delete([read.document.id], keep_from=read.document.content_version)
        reach("after_delete_old")
        overtaken = await self._commit(group)
        reach("after_commit")
        # Deleted while it was being indexed: what was written a moment ago goes again.
        if overtaken:
            await self._job.index.delete(overtaken)
        self._put_down([read.document for read in group])

    async def _commit(self, group: list[Passages]) -> list[str]:
        """Commit documents under the fence; returns those that were deleted or changed meanwhile."""
        overtaken: list[str] = []
        async with self._noting, self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            if not self._has_committed:
                await indexing.unmark_processing(session, self._job.collection_id)
            for read in group:
                held = await indexing.commit_indexed(session, self._job.generation, indexed(self._job, read))
                overtaken += [] if held else [read.document.id]
            await kept.forget(session, self._job.generation, {digest for read in group for digest in read.digests})
            self._has_committed = True
        return overtaken

    async def _refuse(self, document: Document, error: UnreadableError) -> None:
        if document.content_version > 1:
            await self._job.index.delete([document.id])
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            await indexing.commit_refused(
                session, document, skip=error.skip, reason=error.reason, message=str(error), retryable=error.reason == Reason.UNREADABLE
            )
        self._put_down([document])

    async def _note(self, document: Document) -> None:
        if self._has_committed:
            return
        async with self._noting:
            if not self._has_committed:
                async with self._job.tools.sessions.begin() as session:
                    await indexing.mark_processing(session, document)


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Await ``work``; a cancellation counts only once it has ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
