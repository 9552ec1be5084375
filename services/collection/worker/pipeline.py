"""Indexes what waits: read and cut, embed, write, commit, all at once through bounded queues.

Everything before the commit may be done again by the next claim: points have ids that follow from the document's version,
so doing it twice leaves one result.
"""

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.rpc.timestamps import timestamp
from semantik.search.v1 import index_internal_service_pb2 as index_messages
from services.collection.chunking import recursive
from services.collection.chunking.settings import ChunkSettings
from services.collection.store import indexing
from services.collection.tables import Document, Reason
from services.collection.worker.connectors.directory import line_text
from services.collection.worker.extraction.formats import Extracted, UnreadableError
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job

log = logging.getLogger(__name__)
_PAGE = 100
_READERS = 2
_QUEUE = 32
_EMBED_TEXTS = 256


@dataclass(frozen=True)
class _Read:
    document: Document
    extracted: Extracted
    chunks: list[recursive.Chunk]


@dataclass(frozen=True)
class _Refused:
    document: Document
    error: UnreadableError


@dataclass(frozen=True)
class _Embedded:
    reads: list[_Read]
    vectors: list[bytes]


class Pipeline:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._settings = ChunkSettings(job.generation.chunk_strategy, job.generation.chunk_size, job.generation.chunk_overlap)
        self._to_read: asyncio.Queue[Document | None] = asyncio.Queue(_QUEUE)
        self._to_embed: asyncio.Queue[_Read | None] = asyncio.Queue(_QUEUE)
        self._to_write: asyncio.Queue[_Embedded | None] = asyncio.Queue(2)

    async def run(self) -> None:
        """Index every waiting document of the collection; returns once each has an end."""
        self._tokenizer = await self._job.tools.embedder.tokenizer(self._job.generation.digest)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed())
            readers = [group.create_task(self._read()) for _ in range(_READERS)]
            group.create_task(self._close_after(readers))
            group.create_task(self._embed())
            group.create_task(self._write())

    async def _feed(self) -> None:
        after = ""
        while True:
            async with self._job.tools.sessions() as session:
                page = await indexing.open_documents(session, self._job.collection_id, after, _PAGE)
            if not page:
                break
            after = page[-1].id
            for document in page:
                await self._to_read.put(document)
        for _ in range(_READERS):
            await self._to_read.put(None)

    async def _read(self) -> None:
        while (document := await self._to_read.get()) is not None:
            try:
                extracted = await self._extract(document)
                reach("extract")
            except UnreadableError as error:
                await self._refuse(document, error)
                continue
            headings = recursive.markdown_headings(extracted.text) if extracted.mime_type == "text/markdown" else extracted.headings
            marks = recursive.Landmarks(extracted.pages, headings)
            chunks = await asyncio.to_thread(recursive.chunks, extracted.text, self._tokenizer, self._settings, marks)
            if chunks:
                await self._to_embed.put(_Read(document, extracted, chunks))
            else:
                await self._refuse(document, UnreadableError(Reason.EMPTY, "it holds no words", skip=True))

    async def _close_after(self, readers: list[asyncio.Task[None]]) -> None:
        await asyncio.wait(readers)
        await self._to_embed.put(None)

    async def _extract(self, document: Document) -> Extracted:
        content = document.source_metadata
        try:
            if "offset" in content:
                return Extracted(await asyncio.to_thread(line_text, content), "text/plain")
            if "file" in content:
                return await self._job.tools.extraction.extract(Path(content["file"]), document.name, document.mime_type)
            async with self._downloaded(document) as path:
                return await self._job.tools.extraction.extract(path, document.name, document.mime_type)
        except (OSError, ValueError) as error:
            raise UnreadableError(Reason.UNREADABLE, f"it cannot be read: {type(error).__name__}") from error

    @asynccontextmanager
    async def _downloaded(self, document: Document) -> AsyncIterator[Path]:
        """Put an upload where the reading child can open it."""
        async with self._job.tools.sessions() as session:
            artifact = await indexing.original(session, document)
        if artifact is None or artifact.object_key is None:
            raise UnreadableError(Reason.UNREADABLE, "its content was not kept")
        with tempfile.NamedTemporaryFile(prefix="semantik-read-") as file:
            async for part in self._job.tools.objects.stream(artifact.object_key):
                file.write(part)
            file.flush()
            yield Path(file.name)

    async def _refuse(self, document: Document, error: UnreadableError) -> None:
        if document.content_version > 1:
            await self._job.index.delete([document.id])
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            await indexing.commit_refused(
                session, document, skip=error.skip, reason=error.reason, message=str(error), retryable=error.reason == Reason.UNREADABLE
            )

    async def _embed(self) -> None:
        """Gather documents up to a batch of tokens, or until no other is ready, and embed them together."""
        ended = False
        while not ended:
            group: list[_Read] = []
            tokens = 0
            while tokens < self._job.tools.settings.batch_tokens:
                if group and self._to_embed.empty():
                    break
                read = await self._to_embed.get()
                if read is None:
                    ended = True
                    break
                group.append(read)
                tokens += sum(chunk.token_count for chunk in read.chunks)
            if group:
                texts = [chunk.text for read in group for chunk in read.chunks]
                vectors: list[bytes] = []
                for start in range(0, len(texts), _EMBED_TEXTS):
                    vectors += await self._job.tools.embedder.embed(self._job.generation, texts[start : start + _EMBED_TEXTS])
                reach("embed")
                await self._to_write.put(_Embedded(group, vectors))
        await self._to_write.put(None)

    async def _write(self) -> None:
        while (embedded := await self._to_write.get()) is not None:
            vectors = iter(embedded.vectors)
            points = [_point(read, chunk, next(vectors)) for read in embedded.reads for chunk in read.chunks]
            await self._job.index.upsert(points)
            reach("after_upsert")
            for read in embedded.reads:
                if read.document.content_version > 1:
                    await self._job.index.delete([read.document.id], read.document.content_version)
            reach("delete_old")
            overtaken = await self._commit(embedded.reads)
            reach("commit")
            # Deleted while it was being indexed: what was written a moment ago goes again.
            if overtaken:
                await self._job.index.delete(overtaken)

    async def _commit(self, reads: list[_Read]) -> list[str]:
        """Commit documents under the fence; returns those that were deleted or changed meanwhile."""
        overtaken: list[str] = []
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            for read in reads:
                held = await indexing.commit_indexed(session, self._job.generation, _indexed(self._job, read))
                overtaken += [] if held else [read.document.id]
        return overtaken


def _indexed(job: Job, read: _Read) -> indexing.Indexed:
    chunks = [
        {
            "collection_id": read.document.collection_id,
            "document_id": read.document.id,
            "content_version": read.document.content_version,
            "chunking_id": job.generation.chunking_id,
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start_offset": chunk.start,
            "end_offset": chunk.end,
            "token_count": chunk.token_count,
            "text_sha256": _sha256(chunk.text),
            "page": chunk.page,
            "section": chunk.section,
        }
        for chunk in read.chunks
    ]
    tokens = sum(chunk.token_count for chunk in read.chunks)
    return indexing.Indexed(read.document, read.extracted.text, read.extracted.mime_type, read.extracted.is_truncated, chunks, tokens)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _point(read: _Read, chunk: recursive.Chunk, vector: bytes) -> index_messages.Chunk:
    document = read.document
    return index_messages.Chunk(
        document_id=document.id,
        source_id=document.source_id,
        content_version=document.content_version,
        ordinal=chunk.ordinal,
        text=chunk.text,
        start_offset=chunk.start,
        end_offset=chunk.end,
        path=document.path,
        name=document.name,
        mime_type=read.extracted.mime_type,
        language=document.language,
        size_bytes=document.size_bytes,
        modify_time=timestamp(document.source_modify_time),
        page=chunk.page,
        section=chunk.section,
        vector=vector,
    )
