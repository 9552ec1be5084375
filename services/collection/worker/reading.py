"""Turns waiting documents into texts and chunks, or into the reasons why they have none."""

import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from libs.work.report import Report
from libs.work.retry import patiently
from semantik.secrecy import is_secret_text
from services.collection.chunking import chunk
from services.collection.chunking.chunk import Chunk
from services.collection.chunking.settings import ChunkSettings
from services.collection.chunking.tokens import TokenReader
from services.collection.store.indexing.commits import Refused
from services.collection.store.indexing.worklist import Item
from services.collection.tables import Generation, IndexState, Reason
from services.collection.worker import metrics
from services.collection.worker.connectors import Connector
from services.collection.worker.connectors.entries import Content, KnownText
from services.collection.worker.context import in_context
from services.collection.worker.extraction.child import File
from services.collection.worker.extraction.extracted import LANGUAGE_CHARACTERS, Extracted, UnreadableError
from services.collection.worker.extraction.pool import ExtractionPool

log = logging.getLogger(__name__)
_RETRYABLE = (Reason.UNREADABLE, Reason.INTERNAL)


@dataclass(frozen=True)
class ChunkedDocument:
    """A document that was read and cut into chunks.

    ``embedded`` is what the model reads of each: see ``in_context``.
    """

    item: Item
    extracted: Extracted
    chunks: list[Chunk]
    embedded: list[str]

    @property
    def language(self) -> str:
        return self.extracted.language

    @cached_property
    def digests(self) -> list[str]:
        """The SHA-256 of what the model reads of each chunk, in hex."""
        return [hashlib.sha256(text.encode()).hexdigest() for text in self.embedded]

    @cached_property
    def token_count(self) -> int:
        return sum(chunk.token_count for chunk in self.chunks)

    @cached_property
    def size_bytes(self) -> int:
        """About the memory it takes: its text, once more in chunks, and what each chunk costs by itself."""
        return 2 * self.extracted.size_bytes + 500 * len(self.chunks)


class Reader:
    """Reads batches of documents of one collection, whatever their sources."""

    def __init__(
        self,
        connector_of: Callable[[str], Awaitable[Connector]],
        extraction: ExtractionPool,
        tokens: TokenReader,
        generation: Generation,
        report: Report,
        *,
        embed_names: bool,
    ) -> None:
        self._connector_of = connector_of
        self._extraction = extraction
        self._tokens = tokens
        self._report = report
        self._settings = ChunkSettings(generation.chunk_strategy, generation.chunk_size, generation.chunk_overlap)
        self._most_tokens = generation.max_length if embed_names else 0

    async def read(self, items: Sequence[Item]) -> tuple[list[ChunkedDocument], list[Refused]]:
        """Return what the documents hold, and those that yield nothing. Raises what is no document's fault."""
        with metrics.stage("extract"):
            texts = await self._extract(items)
        read = [(item, text) for item, text in zip(items, texts, strict=True) if isinstance(text, Extracted)]
        refused = [refuse(item, error) for item, error in zip(items, texts, strict=True) if isinstance(error, UnreadableError)]
        with metrics.stage("chunk"):
            chunks = await chunk([(text.text, text.landmarks) for _, text in read], self._tokens, self._settings)
        documents = [
            ChunkedDocument(item, text, cut, [in_context(item.name, part, self._most_tokens) for part in cut])
            for (item, text), cut in zip(read, chunks, strict=True)
        ]
        empty = UnreadableError(Reason.EMPTY, "the document has no words", skip=True)
        refused += [refuse(document.item, empty) for document in documents if not document.chunks]
        return [document for document in documents if document.chunks], refused

    async def _extract(self, items: Sequence[Item]) -> list[Extracted | UnreadableError]:
        """Return the text of each document, or why there is none; files go to the sandbox together."""
        texts: dict[int, Extracted | UnreadableError] = {}
        async with AsyncExitStack() as open_files:
            files: dict[int, File] = {}
            known: dict[int, Extracted] = {}
            guarded: set[int] = set()
            for number, item in enumerate(items):

                async def opened(item: Item = item) -> tuple[Connector, Content]:
                    connector = await self._connector_of(item.source_id)
                    return connector, await open_files.enter_async_context(connector.content(item.locator))

                try:
                    connector, content = await patiently(opened, self._report, "content")
                except Exception as error:  # noqa: BLE001 - a document is to blame, or waiting helps: see below
                    texts[number] = _unreadable(item, error)
                    continue
                if connector.leaves_secrets_out:
                    guarded.add(number)
                if isinstance(content, KnownText):
                    known[number] = Extracted(content.text, content.mime_type)
                else:
                    files[number] = File(content.descriptor, item.name, item.mime_type)
            answers = await self._extraction.extract_all(list(files.values()))
            texts |= zip(files, answers, strict=True)
            texts |= await self._with_languages(known)
        for number in guarded:
            texts[number] = _unless_secret(texts[number])
        return [texts[number] for number in range(len(items))]

    async def _with_languages(self, known: Mapping[int, Extracted]) -> dict[int, Extracted]:
        """Return texts that were in no files of their own with their languages; the sandbox reads the beginning of each as a file."""
        with ExitStack() as samples:
            files = [File(samples.enter_context(_sample(text.text)), "", "text/plain") for text in known.values()]
            answers = await self._extraction.extract_all(files)
        languages = (answer.language if isinstance(answer, Extracted) else "" for answer in answers)
        return {number: replace(text, language=language) for (number, text), language in zip(known.items(), languages, strict=True)}


def refuse(item: Item, error: UnreadableError) -> Refused:
    """Return the end of a document that cannot be indexed."""
    state = IndexState.SKIPPED if error.skip else IndexState.FAILED
    return Refused(item, state, error.reason, str(error), is_retryable=error.reason in _RETRYABLE)


def _unless_secret(text: Extracted | UnreadableError) -> Extracted | UnreadableError:
    if isinstance(text, Extracted) and is_secret_text(text.text):
        return UnreadableError(Reason.SECRET, "it is a private key", skip=True)
    return text


def _unreadable(item: Item, error: Exception) -> UnreadableError:
    """Return the reason for which a document's content cannot be opened."""
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, OSError | ValueError):
        return UnreadableError(Reason.UNREADABLE, f"the document cannot be read: {type(error).__name__}")
    log.error("document %s cannot be read", item.document_id, exc_info=error)
    metrics.failures.labels("read").inc()
    return UnreadableError(Reason.INTERNAL, "the document cannot be read because of an internal error")


@contextmanager
def _sample(text: str) -> Iterator[int]:
    """Open the beginning of a text for reading."""
    descriptor, writing = os.pipe()
    try:
        # A system short of buffers takes a part of it at once, and the language is told by that.
        os.set_blocking(writing, False)
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(text[:LANGUAGE_CHARACTERS].encode(errors="replace"))
        yield descriptor
    finally:
        os.close(descriptor)
