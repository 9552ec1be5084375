"""Turns a waiting document into text and chunks, or into the reason why it has none."""

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from services.collection.chunking import recursive
from services.collection.chunking.landmarks import Landmarks
from services.collection.chunking.settings import ChunkSettings
from services.collection.store import indexing
from services.collection.tables import Document, Reason
from services.collection.worker.connectors import lines
from services.collection.worker.extraction.formats import Extracted, UnreadableError
from services.collection.worker.job import Job
from services.collection.worker.lease import is_transient

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passages:
    """A document that was read and cut."""

    document: Document
    extracted: Extracted
    chunks: list[recursive.Chunk]

    @cached_property
    def digests(self) -> list[str]:
        """The digest of each chunk's text."""
        return [hashlib.sha256(chunk.text.encode()).hexdigest() for chunk in self.chunks]

    @property
    def token_count(self) -> int:
        return sum(chunk.token_count for chunk in self.chunks)


class Reader:
    def __init__(self, job: Job, tokenizer: Tokenizer) -> None:
        self._job = job
        self._tokenizer = tokenizer
        self._settings = ChunkSettings(job.generation.chunk_strategy, job.generation.chunk_size, job.generation.chunk_overlap)

    async def read(self, document: Document) -> Passages:
        """Return a document's chunks; raises UnreadableError for whatever is wrong with it, and for nothing else."""
        try:
            extracted = await self._extract(document)
            marks = Landmarks(extracted.pages, extracted.headings, extracted.breaks, extracted.blocks)
            chunks = await asyncio.to_thread(recursive.chunks, extracted.text, self._tokenizer, self._settings, marks)
        except UnreadableError:
            raise
        except (OSError, ValueError) as error:
            raise UnreadableError(Reason.UNREADABLE, f"it cannot be read: {type(error).__name__}") from error
        except Exception as error:
            if is_transient(error):
                raise
            log.exception("document %s cannot be read", document.id)
            raise UnreadableError(Reason.INTERNAL, "it cannot be read, by a fault of ours") from error
        if not chunks:
            raise UnreadableError(Reason.EMPTY, "it holds no words", skip=True)
        return Passages(document, extracted, chunks)

    async def _extract(self, document: Document) -> Extracted:
        content = document.source_metadata
        if "offset" in content:
            return Extracted(await asyncio.to_thread(lines.text, content), "text/plain")
        if "file" in content:
            return await self._job.tools.extraction.extract(Path(content["file"]), document.name, document.mime_type)
        async with self._downloaded(document) as path:
            return await self._job.tools.extraction.extract(path, document.name, document.mime_type)

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
