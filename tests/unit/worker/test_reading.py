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


class Texts(UploadConnector):
    """Texts that are in no files of their own; its disk for temporary files has no space for the first tries."""

    def __init__(self, tries_without_space: int = 0) -> None:
        self.tries = 0
        self._tries_without_space = tries_without_space

    @asynccontextmanager
    async def content(self, locator: Mapping[str, Any]) -> AsyncIterator[Content]:
        self.tries += 1
        if self.tries <= self._tries_without_space:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield KnownText(str(locator["text"]))


def _reader(connector: Connector, pool: ExtractionPool) -> Reader:
    async def connector_of(_: str) -> Connector:
        return connector

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    generation = Generation(max_length=256, chunk_strategy="recursive", chunk_size=50, chunk_overlap=5)
    return Reader(connector_of, pool, TokenReader(tokenizer), generation, Report(), embed_names=True)


def _item(text: str) -> Item:
    return Item("d", 1, "s", "UPLOAD", {"text": text}, "a.txt", "a.txt", "text/plain", "", 22, "", None, 0)


async def test_a_full_disk_is_waited_for_and_costs_no_document() -> None:
    """An accepted upload is read once there is space again."""
    connector = Texts(tries_without_space=2)
    async with ExtractionPool(1, Limits(30, 1024, 1000)) as pool:
        documents, refused = await _reader(connector, pool).read([_item("the moon pulls the sea")])
    assert (refused, [document.extracted.text for document in documents]) == ([], ["the moon pulls the sea"])
    assert connector.tries == 3


async def test_texts_without_files_have_their_languages_told_in_the_sandbox() -> None:
    """The text stays as it is, also one that looks like another format there; more of them than a child takes at once."""
    german = "Der Wärmeübergang an der ebenen Platte wurde gemessen, und die Rechnung stimmt damit überein. " * 30
    broken = "%PDF-1.4 is no text that anybody would write"
    async with ExtractionPool(1, Limits(30, 1024, 10_000)) as pool:
        documents, refused = await _reader(Texts(), pool).read([_item(german), _item(broken), *[_item("words")] * 70])
    assert refused == []
    assert [document.language for document in documents] == ["de", *[""] * 71]
    assert [document.extracted.text for document in documents] == [german, broken, *["words"] * 70]
