"""Turns a waiting document into text and chunks, or into the reason why it has none."""

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from services.collection import chunking
from services.collection.chunking.chunk import Chunk
from services.collection.chunking.settings import ChunkSettings
from services.collection.chunking.tokens import TokenReader
from services.collection.tables import Document, Reason, Source, SourceKind
from services.collection.worker.connectors import CONNECTORS, SourceSettings
from services.collection.worker.connectors.entries import KnownText
from services.collection.worker.extraction.child import File
from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.job import Job
from services.collection.worker.lease import is_transient

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passages:
    """A document that was read and cut."""

    document: Document
    extracted: Extracted
    chunks: list[Chunk]

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
        self._tokens = TokenReader(tokenizer)
        self._settings = ChunkSettings(job.generation.chunk_strategy, job.generation.chunk_size, job.generation.chunk_overlap)

    async def read(self, document: Document) -> Passages:
        """Return a document's chunks; raises UnreadableError for whatever is wrong with it, and for nothing else."""
        try:
            extracted = await self._extract(document)
            [chunks] = await chunking.chunk([(extracted.text, extracted.landmarks)], self._tokens, self._settings)
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
        tools = self._job.tools
        async with tools.sessions() as session:
            source = await session.get_one(Source, document.source_id)
        connector = CONNECTORS[SourceKind(source.kind)](SourceSettings(source.location, source.config, tools.settings.roots, tools.objects))
        async with connector.content(document.source_metadata) as content:
            if isinstance(content, KnownText):
                return Extracted(content.text, content.mime_type)
            return await tools.extraction.extract(File(content.descriptor, document.name, document.mime_type))
