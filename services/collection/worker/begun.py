"""Documents between their reading and their commit: what of them is shown, so that a long one moves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.collection.store.indexing.worklist import Item
from services.collection.worker.reading import ChunkedDocument

# Of a document's bytes this part counts once its chunks are embedded, the rest once they are written.
_EMBEDDING_SHARE = 0.95
_Key = tuple[str, int]


@dataclass(slots=True)
class _Part:
    chunks: int
    tokens: int = 0
    size_bytes: float = 0.0
    chunks_embedded: int = 0


class Begun:
    """The sums of what was done of documents that have no end yet; ``changed`` is called when a sum has changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._parts: dict[_Key, _Part] = {}
        self.chunks = 0
        """Chunks of the documents that were read."""
        self.chunks_embedded = 0
        self.tokens = 0
        self.size_bytes = 0.0

    @property
    def documents(self) -> int:
        return len(self._parts)

    def read(self, documents: Sequence[ChunkedDocument]) -> None:
        """Take in documents that were read and cut."""
        for document in documents:
            self._parts[_key(document.item)] = _Part(len(document.chunks))
            self.chunks += len(document.chunks)
        self._changed()

    def end(self, items: Sequence[Item]) -> None:
        """Forget documents that have an end; the caller counts them and shows both changes at once."""
        for item in items:
            if part := self._parts.pop(_key(item), None):
                self.chunks -= part.chunks
                self.add(-part.size_bytes, -part.chunks_embedded, -part.tokens)

    @contextmanager
    def embedding(self, group: Sequence[ChunkedDocument]) -> Iterator["Stage"]:
        """Show chunks as they are embedded, all of them when the block ends, none when it fails: it is done again then."""
        with self._stage(group, _EMBEDDING_SHARE) as stage:
            yield stage
        for document in group:
            part = self._parts[_key(document.item)]
            part.chunks_embedded, part.tokens = part.chunks, document.token_count
            self.add(0.0, part.chunks, part.tokens)
        self._changed()

    @contextmanager
    def writing(self, group: Sequence[ChunkedDocument]) -> Iterator["Stage"]:
        """Show chunks as they are written."""
        with self._stage(group, 1 - _EMBEDDING_SHARE) as stage:
            yield stage
        self._changed()

    @contextmanager
    def _stage(self, group: Sequence[ChunkedDocument], share: float) -> Iterator["Stage"]:
        stage = Stage(self, group, share, self._changed)
        try:
            yield stage
        finally:
            stage.take_back()
        for document in group:
            size_bytes = document.item.size_bytes * share
            self._parts[_key(document.item)].size_bytes += size_bytes
            self.size_bytes += size_bytes

    def add(self, size_bytes: float, chunks: int, tokens: int) -> None:
        """Move the sums; negative to take something back."""
        self.size_bytes += size_bytes
        self.chunks_embedded += chunks
        self.tokens += tokens


class Stage:
    """What one stage has done of a group so far; bytes go by chunks, whichever document they are of.

    A long document is nearly alone in its group.
    """

    def __init__(self, begun: Begun, group: Sequence[ChunkedDocument], share: float, changed: Callable[[], None]) -> None:
        self._begun = begun
        self._changed = changed
        size_bytes = sum(document.item.size_bytes for document in group)
        self._bytes_per_chunk = share * size_bytes / max(1, sum(len(document.chunks) for document in group))
        self._chunks = self._chunks_embedded = self._tokens = 0

    def embedded(self, chunks: int, tokens: int) -> None:
        """Show some more chunks as embedded."""
        self._chunks += chunks
        self._chunks_embedded += chunks
        self._tokens += tokens
        self._begun.add(chunks * self._bytes_per_chunk, chunks, tokens)
        self._changed()

    def written(self, chunks: int) -> None:
        """Show some more chunks as written."""
        self._chunks += chunks
        self._begun.add(chunks * self._bytes_per_chunk, 0, 0)
        self._changed()

    def take_back(self) -> None:
        """Undo what was shown: the stage has ended, well or not."""
        self._begun.add(-self._chunks * self._bytes_per_chunk, -self._chunks_embedded, -self._tokens)


def _key(item: Item) -> _Key:
    return item.document_id, item.content_version
