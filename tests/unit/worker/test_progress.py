"""Progress is counted once and never goes back, whatever happens to the claims."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from semantik.operation.v1 import operation_pb2
from services.collection.chunking.chunk import Chunk
from services.collection.store.indexing.worklist import Item
from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.progress import Progress
from services.collection.worker.reading import ChunkedDocument

_NAMES = (
    "documents_done",
    "documents_total",
    "documents_indexed",
    "documents_unchanged",
    "documents_removed",
    "bytes_done",
    "chunks",
    "chunks_embedded",
    "chunks_total",
    "tokens",
    "phase",
)
_TOKENS = 100
_PHASES = operation_pb2.Progress.Phase.values()
_ITEM = Item("", 1, "s", "DIRECTORY", {}, "p", "n", "text/plain", "", 0, "", None, 0)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["read", "embed", "fail", "write", "commit", "skip", "remove", "unchanged", "listed", "phase", "takeover", "tick"]),
        st.integers(0, 9),
    ),
    max_size=60,
)


def _document(number: int, chunks: int, size_bytes: int) -> ChunkedDocument:
    item = replace(_ITEM, document_id=str(number), size_bytes=size_bytes)
    cut = [Chunk(each, "text", 0, 4, _TOKENS, 0, "") for each in range(chunks)]
    return ChunkedDocument(item, Extracted("", "text/plain"), cut, ["text"] * chunks)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Worker:
    """One claim's documents, from stage to stage, as the pipeline moves them."""

    def __init__(self, message: operation_pb2.Progress, committed: dict[str, int], clock: Callable[[], float]) -> None:
        self.message = message
        self.committed = committed
        self.progress = Progress(message, committed, clock)
        self._read: list[ChunkedDocument] = []
        self._embedded: list[ChunkedDocument] = []

    def step(self, step: str, amount: int, number: int) -> None:  # noqa: C901 - a table of steps
        progress = self.progress
        match step:
            case "read":
                self._read.append(_document(number, amount + 1, 100 * amount))
                progress.begun.read(self._read[-1:])
            case "embed" if self._read:
                document = self._read.pop()
                progress.computing()
                with progress.begun.embedding([document]) as stage:
                    stage.embedded(1, _TOKENS)
                    progress.computed(_TOKENS)
                self._embedded.append(document)
            case "fail" if self._read:
                with suppress(ConnectionError), progress.begun.embedding(self._read) as stage:
                    stage.embedded(1, _TOKENS)
                    raise ConnectionError
            case "write" if self._embedded:
                with suppress(ConnectionError), progress.begun.writing(self._embedded) as stage:
                    stage.written(1)
                    raise ConnectionError
            case "commit" if self._embedded:
                document = self._embedded.pop()
                with progress.begun.writing([document]) as stage:
                    stage.written(len(document.chunks))
                tokens, chunks = document.token_count, len(document.chunks)
                amounts = {"indexed": 1, "chunks": chunks, "tokens": tokens, "size_bytes": document.item.size_bytes}
                self._commit(amounts)
                progress.ended([document.item], amounts)
            case "skip" | "remove":
                amounts = {"skipped" if step == "skip" else "removed": amount}
                self._commit(amounts)
                progress.committed(amounts)
            case "unchanged":
                progress.unchanged(amount, amount)
            case "listed":
                waiting = [*self._read, *self._embedded]
                ended = sum(self.committed.get(name, 0) for name in ("indexed", "skipped", "removed"))
                size_bytes = self.committed.get("size_bytes", 0) + sum(each.item.size_bytes for each in waiting)
                progress.listed(ended + len(waiting) + amount, size_bytes + amount)
            case "phase":
                progress.enter(_PHASES[amount % 5])
            case "tick":
                progress.tick()

    def _commit(self, amounts: dict[str, int]) -> None:
        self.committed = {name: self.committed.get(name, 0) + amounts.get(name, 0) for name in self.committed | amounts}


@settings(max_examples=300, deadline=None)
@given(steps=_steps)
def test_no_number_goes_back(steps: list[tuple[str, int]]) -> None:
    """Over every stage, listings and takeovers in any order, what is shown only rises, and what is done is within the total."""
    clock = _Clock()
    worker = _Worker(operation_pb2.Progress(), {}, clock)
    before = [0] * len(_NAMES)
    for number, (step, amount) in enumerate(steps):
        clock.now += amount
        if step == "takeover":
            # The next claim starts from what was reported last and what was committed.
            reported = operation_pb2.Progress()
            reported.CopyFrom(worker.message)
            worker = _Worker(reported, worker.committed, clock)
        else:
            worker.step(step, amount, number)
        message = worker.message
        after = [getattr(message, name) for name in _NAMES]
        assert all(new >= old for new, old in zip(after, before, strict=True))
        if message.documents_total:
            assert message.documents_done <= message.documents_total
            assert message.bytes_done <= message.bytes_total
        if message.chunks_total:
            assert message.chunks_embedded <= message.chunks_total
        before = after


@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(st.integers(1, 50), min_size=1, max_size=5), deaths=st.lists(st.integers(1, 50), max_size=3))
def test_what_is_shown_of_documents_is_exact_in_the_end(chunks: list[int], deaths: list[int]) -> None:
    """However far the claims before had come with them: nothing counts twice."""
    documents = [_document(number, count, 10 * count) for number, count in enumerate(chunks)]
    message = operation_pb2.Progress()
    for most in deaths:
        dying = Progress(message, {})
        dying.listed(len(documents), 10 * sum(chunks))
        dying.begun.read(documents)
        with suppress(ConnectionError), dying.begun.embedding(documents) as stage:
            for _ in range(min(most, sum(chunks))):
                stage.embedded(1, _TOKENS)
            raise ConnectionError
    progress = Progress(message, {})
    progress.listed(len(documents), 10 * sum(chunks))
    progress.begun.read(documents)
    with progress.begun.embedding(documents) as stage:
        stage.embedded(1, _TOKENS)
    with progress.begun.writing(documents) as stage:
        stage.written(1)
    assert message.chunks == 0
    total = sum(chunks)
    amounts = {"indexed": len(documents), "chunks": total, "tokens": _TOKENS * total, "size_bytes": 10 * total}
    progress.ended([document.item for document in documents], amounts)
    assert (message.documents_indexed, message.documents_done, message.documents_total) == (len(documents),) * 3
    assert (message.bytes_done, message.bytes_total, message.tokens) == (10 * total, 10 * total, _TOKENS * total)
    assert (message.chunks, message.chunks_embedded, message.chunks_total) == (total,) * 3
    assert (progress.begun.documents, progress.begun.chunks, progress.begun.chunks_embedded, progress.begun.tokens) == (0, 0, 0, 0)
    assert abs(progress.begun.size_bytes) < 1e-6


def test_a_takeover_counts_nothing_twice() -> None:
    """What the predecessor had committed is there once."""
    message = operation_pb2.Progress()
    Progress(message, {}).committed({"indexed": 3, "tokens": 30})
    Progress(message, {"indexed": 3, "tokens": 30}).committed({"indexed": 2, "tokens": 20})
    assert (message.documents_indexed, message.documents_done, message.tokens) == (5, 5, 50)


def test_one_long_document_moves_before_its_commit() -> None:
    """Its bytes, its chunks, the rate and the time left, from the first batches on; the end of the bytes waits for the writing."""
    clock, message = _Clock(), operation_pb2.Progress()
    progress = Progress(message, {}, clock)
    document = _document(1, 1000, 1_000_000)
    progress.listed(1, 1_000_000)
    progress.begun.read([document])
    assert (message.chunks_total, message.documents_total) == (1000, 1)
    shown, left = [], []
    progress.computing()
    with progress.begun.embedding([document]) as stage:
        for second in range(500):
            clock.now += 1
            # A batch of 40 chunks every 20 seconds.
            if second % 20 == 19:
                stage.embedded(40, 40 * _TOKENS)
                progress.computed(40 * _TOKENS)
            progress.tick()
            shown.append(message.bytes_done)
            left.append(message.remaining.seconds if message.HasField("remaining") else None)
    assert sorted(set(shown)) == [38_000 * batches for batches in range(26)]
    assert (message.chunks_embedded, message.chunks, message.documents_done, message.tokens) == (1000, 0, 0, 100_000)
    # Nothing to go by until three batches have come.
    assert left[:59] == [None] * 59
    assert None not in left[59:]
    truth = [500 - second for second in range(1, 501)]
    assert all(estimate is not None and 0.6 < estimate / true < 1.7 for estimate, true in list(zip(left, truth, strict=True))[100:400])
    assert message.tokens_per_second == 0 or 150 < message.tokens_per_second < 250


def test_what_ends_while_the_totals_are_read_counts_once() -> None:
    """The totals were read when ten waited; three of them ended before the answer came."""
    message = operation_pb2.Progress()
    progress = Progress(message, {"indexed": 5, "size_bytes": 500})
    progress.unchanged(2, 200)
    progress.committed({"indexed": 3, "size_bytes": 300})
    progress.listed(5 + 10, 500 + 1000)
    assert (message.documents_total, message.bytes_total) == (17, 1700)
    progress.committed({"indexed": 7, "size_bytes": 700})
    assert (message.documents_done, message.bytes_done) == (message.documents_total, message.bytes_total)


def test_while_nothing_moves_there_is_no_rate() -> None:
    """Nor a time left: it would be anything."""
    clock, message = _Clock(), operation_pb2.Progress()
    progress = Progress(message, {}, clock)
    documents = [_document(number, 10, 1000) for number in range(100)]
    progress.listed(len(documents), 100_000)
    progress.computing()
    for document in documents[:30]:
        clock.now += 1
        with progress.begun.embedding([_read(progress, document)]):
            progress.computed(document.token_count)
        progress.tick()
    assert message.tokens_per_second == 1000
    assert message.remaining.seconds in range(65, 80)
    for _ in range(16):
        clock.now += 1
        progress.tick()
    assert (message.tokens_per_second, message.HasField("remaining")) == (0, False)


def _read(progress: Progress, document: ChunkedDocument) -> ChunkedDocument:
    progress.begun.read([document])
    return document
