"""A document is read, or there is a reason: a full disk is none, it is waited for."""

import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from libs.work.report import Report
from services.collection.chunking.tokens import TokenReader
from services.collection.store.indexing.worklist import Item
from services.collection.tables import Generation
from services.collection.worker.connectors import Connector
from services.collection.worker.connectors.entries import Content, KnownText
from services.collection.worker.connectors.upload import UploadConnector
from services.collection.worker.extraction.child import Limits
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.reading import Reader


class FullAtFirst(UploadConnector):
    """Its disk for temporary files has no space for the first two tries."""

    def __init__(self) -> None:
        self.tries = 0

    @asynccontextmanager
    async def content(self, locator: Mapping[str, Any]) -> AsyncIterator[Content]:
        self.tries += 1
        if self.tries < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield KnownText(str(locator["text"]))


async def test_a_full_disk_is_waited_for_and_costs_no_document() -> None:
    """An accepted upload is read once there is space again."""
    connector = FullAtFirst()

    async def connector_of(_: str) -> Connector:
        return connector

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    generation = Generation(max_length=256, chunk_strategy="recursive", chunk_size=50, chunk_overlap=5)
    reader = Reader(connector_of, ExtractionPool(1, Limits(5, 256, 1000)), TokenReader(tokenizer), generation, Report(), embed_names=True)
    item = Item("d", 1, "s", "UPLOAD", {"text": "the moon pulls the sea"}, "a.txt", "a.txt", "text/plain", "", 22, "", None, 0)
    documents, refused = await reader.read([item])
    assert (refused, [document.extracted.text for document in documents]) == ([], ["the moon pulls the sea"])
    assert connector.tries == 3
