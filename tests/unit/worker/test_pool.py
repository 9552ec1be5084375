"""The pool outlives its children, and no file is blamed for what another did."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.collection.worker.extraction import pool as pools
from services.collection.worker.extraction.child import Child, ExtractionUnavailableError, File, Limits, _answer
from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.extraction.wire import MAX_FILES, send_request

_HANGS = b"<div>" * 400_000 + b"x"


@pytest.fixture
async def pool() -> AsyncIterator[ExtractionPool]:
    async with ExtractionPool(1, Limits(2.0, 512, 100_000)) as opened:
        yield opened


@contextmanager
def _files(folder: Path, contents: Sequence[bytes], suffix: str = ".txt") -> Iterator[list[File]]:
    descriptors = []
    for number, content in enumerate(contents):
        path = folder / f"{number}{suffix}"
        path.write_bytes(content)
        descriptors.append(os.open(path, os.O_RDONLY))
    try:
        yield [File(descriptor, f"{number}{suffix}") for number, descriptor in enumerate(descriptors)]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _ends(pid: int, seconds: float = 10.0) -> bool:
    """Wait for a process to end; a dead one that nobody has reaped yet counts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def _dies(child: Child, _files: Sequence[File]) -> list[Extracted | UnreadableError]:
    child.kill()
    return []


async def _until_busy(pool: ExtractionPool) -> None:
    for _ in range(1000):
        if pool._busy:
            return
        await asyncio.sleep(0)
    raise AssertionError("no child was asked")


@pytest.mark.abuse(26)
async def test_a_file_that_ends_its_child_costs_no_other_of_its_batch(pool: ExtractionPool, tmp_path: Path) -> None:
    """What came before it keeps its answer, what comes after gets another child."""
    contents = [b"<p>before"] * 3 + [_HANGS] + [b"<p>after"] * (MAX_FILES + 3)
    with _files(tmp_path, contents, ".html") as files:
        answers = await pool.extract_all(files)
    texts = [answer.text if isinstance(answer, Extracted) else answer.reason for answer in answers]
    assert texts == ["before"] * 3 + ["TOO_COSTLY"] + ["after"] * (MAX_FILES + 3)


async def test_a_cancelled_extraction_ends_its_child_at_once(pool: ExtractionPool, tmp_path: Path) -> None:
    """The cancellation comes through, and the place is free for the next file."""
    with _files(tmp_path, [_HANGS, b"<p>fine"], ".html") as (hangs, fine):
        [child] = pool._resting
        task = asyncio.create_task(pool.extract(hangs))
        await _until_busy(pool)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pool.extract(fine)).text == "fine"
    assert await asyncio.to_thread(_ends, child.pid)


async def test_a_child_that_dies_while_it_rests_costs_no_file(pool: ExtractionPool, tmp_path: Path) -> None:
    """Whoever killed it."""
    [child] = pool._resting
    os.kill(child.pid, signal.SIGKILL)
    with _files(tmp_path, [b"words"]) as [file]:
        assert (await pool.extract(file)).text == "words"


async def test_children_that_die_before_they_are_asked_are_no_files_fault(
    pool: ExtractionPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installation has a fault then, and the document is tried again."""
    monkeypatch.setattr(Child, "extract", _dies)
    with _files(tmp_path, [b"words"]) as [file], pytest.raises(ExtractionUnavailableError, match="before they are asked"):
        await pool.extract(file)


async def test_a_resting_child_retires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is given back when there is nothing to read."""
    monkeypatch.setattr(pools, "_IDLE_SECONDS", 0.01)
    async with ExtractionPool(1, Limits(2.0, 512, 1000)) as pool:
        [child] = pool._resting
        assert await asyncio.to_thread(_ends, child.pid)
        assert pool._resting == {}


async def test_a_closing_pool_waits_for_no_child(tmp_path: Path) -> None:
    """And nobody takes a file for bad because of it."""
    async with ExtractionPool(1, Limits(60.0, 512, 1000)) as pool:
        [child] = pool._resting
        with _files(tmp_path, [_HANGS], ".html") as [file]:
            task = asyncio.create_task(pool.extract(file))
            await _until_busy(pool)
            await pool.__aexit__(None, None, None)
            with pytest.raises(ExtractionUnavailableError, match="closed"):
                await task
    assert await asyncio.to_thread(_ends, child.pid)


def test_a_child_that_was_stopped_before_it_was_asked_has_read_nothing(tmp_path: Path) -> None:
    """A pool that closes stops it while the thread that will ask it has not begun."""
    child = Child.start(Limits(1.0, 512, 1000))
    child.stop()
    with _files(tmp_path, [b"words"]) as files:
        assert child.extract(files) == []


def test_a_child_that_spins_ends_without_its_pool(tmp_path: Path) -> None:
    """The kernel ends it, also when the worker was killed."""
    child = Child.start(Limits(1.0, 512, 1000))
    with _files(tmp_path, [_HANGS], ".html") as [file]:
        send_request(child._channel, [file.descriptor], [{"name": "a.html", "mime_type": ""}])
    child._channel.close()
    assert _ends(child.pid, 20.0)
    child._process.wait()


def test_a_child_ends_with_its_pool() -> None:
    """There is nobody left to ask it."""
    child = Child.start(Limits(1.0, 512, 1000))
    child._channel.close()
    assert _ends(child.pid)
    assert child._process.wait() == 0


_NO_LANDMARKS: dict[str, object] = {"pages": [], "headings": [], "breaks": [], "blocks": []}


@pytest.mark.abuse(26)
@pytest.mark.parametrize(
    "head",
    [
        {},
        {"reason": "BECAUSE", "message": "x", "skip": False},
        {"reason": "CORRUPT", "message": "a\x00b", "skip": False},
        {"mime_type": "text/plain", "is_truncated": False, "language": "", "landmarks": _NO_LANDMARKS | {"pages": ["x"]}},
        {"mime_type": "text/plain", "is_truncated": False, "language": "", "landmarks": _NO_LANDMARKS | {"headings": [[0, "\ud800"]]}},
        {"mime_type": 7, "is_truncated": False, "language": "", "landmarks": _NO_LANDMARKS},
        {"mime_type": "text/plain", "is_truncated": False, "language": "no language", "landmarks": _NO_LANDMARKS},
    ],
)
def test_an_answer_that_no_child_of_ours_would_give_is_refused(head: dict[str, object]) -> None:
    """A parser that was taken over writes it; nothing of it may break the worker."""
    with pytest.raises((ValueError, LookupError, TypeError)):
        _answer(head, "text")


@pytest.mark.abuse(26)
async def test_ten_gibibytes_are_refused_by_the_childs_own_limit(pool: ExtractionPool, tmp_path: Path) -> None:
    """The document fails, the child lives or not, the next file is read."""
    bomb = tmp_path / "bomb.txt"
    with bomb.open("wb") as written:
        written.write(b"words ")
        written.truncate(10 * 1024**3)
    with bomb.open("rb") as opened, _files(tmp_path, [b"words"]) as [fine]:
        with pytest.raises(UnreadableError) as refused:
            await pool.extract(File(opened.fileno(), "bomb.txt"))
        assert (refused.value.reason, refused.value.skip) == ("TOO_COSTLY", False)
        assert (await pool.extract(fine)).text == "words"
