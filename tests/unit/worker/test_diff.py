"""What a source shows is compared with what is stored, and comparing again finds nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collection.store.indexing.scan import Known
from services.collection.tables import DocumentState, IndexState, Reason
from services.collection.worker.connectors.entries import Entry
from services.collection.worker.diff import Change, Difference, compare, find_duplicates, is_gone, needs_digest

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_LIMIT = 100


def _entry(text: str = "words", minutes: int = 0, refusal: tuple[str, str] | None = None) -> Entry:
    return Entry(
        "file:///a", "a", "a", len(text), _NOON + timedelta(minutes=minutes), sha256=sha256(text.encode()).hexdigest(), refusal=refusal
    )


_DENIED = OSError(13, "Permission denied")
_KNOWN = Known("1", "s", DocumentState.PRESENT, IndexState.INDEXED, None, 5, _NOON, _entry().sha256, _NOON)
_REFUSED = replace(_KNOWN, index_state=IndexState.SKIPPED, reason=Reason.UNSAFE_PATH, content_sha256="")
_UNREADABLE = replace(_KNOWN, index_state=IndexState.FAILED, reason=Reason.UNREADABLE, content_sha256="")


def _compare(entry: Entry, known: Known | None, digest: str | OSError | None = None) -> Difference:
    if digest is None and needs_digest(entry, known, "s", _LIMIT):
        digest = entry.sha256
    return compare(entry, known, "s", _LIMIT, digest)


@pytest.mark.parametrize(
    ("entry", "known", "change", "reason"),
    [
        (_entry(), None, Change.NEW, None),
        (_entry(), _KNOWN, Change.UNCHANGED, None),
        (_entry(minutes=1), _KNOWN, Change.TOUCHED, None),
        (_entry("other words"), _KNOWN, Change.CHANGED, None),
        (_entry("x" * 101), None, Change.REFUSED, Reason.TOO_LARGE),
        (_entry("x" * 101), _KNOWN, Change.REFUSED, Reason.TOO_LARGE),
        (_entry(refusal=("UNSAFE_PATH", "a link")), None, Change.REFUSED, Reason.UNSAFE_PATH),
        (_entry(refusal=("UNSAFE_PATH", "a link")), _REFUSED, Change.UNCHANGED, None),
        (_entry(), _REFUSED, Change.CHANGED, None),
        (_entry(), _UNREADABLE, Change.CHANGED, None),
        (_entry(), replace(_KNOWN, state=DocumentState.DELETED), Change.FOREIGN, None),
        (_entry("other"), replace(_KNOWN, source_id="another"), Change.FOREIGN, None),
    ],
    ids=[
        "new", "same", "touched", "changed", "too large at first sight", "grown too large", "refused", "still refused",
        "no longer refused", "unreadable once and readable now", "deleted by a person", "of another source",
    ],
)  # fmt: skip
def test_an_entry_is_compared(entry: Entry, known: Known | None, change: Change, reason: Reason | None) -> None:
    """Every case of what may have happened since the last time."""
    difference = _compare(entry, known)
    assert (difference.change, difference.refusal and difference.refusal.reason) == (change, reason)


def test_what_cannot_be_read_fails_and_says_why() -> None:
    """A failure to read is not the document's last word."""
    difference = _compare(_entry(minutes=1), _KNOWN, _DENIED)
    assert difference.refusal is not None
    assert (difference.refusal.state, difference.refusal.reason, difference.refusal.message) == (
        IndexState.FAILED,
        Reason.UNREADABLE,
        "the file cannot be read: Permission denied",
    )


def test_an_unchanged_entry_is_not_read() -> None:
    """Equal size and time are enough."""
    assert not needs_digest(_entry(), _KNOWN, "s", _LIMIT)


def _stored(difference: Difference, before: Known | None) -> Known:
    if difference.change is Change.UNCHANGED:
        assert before is not None
        return before
    entry, refusal = difference.entry, difference.refusal
    state, reason = (refusal.state, refusal.reason) if refusal else (IndexState.INDEXED, None)
    return Known("1", "s", DocumentState.PRESENT, state, reason, entry.size_bytes, entry.modify_time, difference.sha256, _NOON)


@given(
    first=st.builds(_entry, st.text(max_size=120), st.integers(0, 3), st.none() | st.just(("UNSAFE_PATH", "a link"))),
    second=st.builds(_entry, st.text(max_size=120), st.integers(0, 3), st.none() | st.just(("UNSAFE_PATH", "a link"))),
)
def test_comparing_again_finds_nothing(first: Entry, second: Entry) -> None:
    """Whatever happens, the second look at the same thing is quiet."""
    known = _stored(_compare(first, None), None)
    assert _compare(first, known).change is Change.UNCHANGED
    known = _stored(_compare(second, known), known)
    assert _compare(second, known).change is Change.UNCHANGED


@given(texts=st.lists(st.sampled_from("abcd"), max_size=12), live=st.dictionaries(st.sampled_from("abcd"), st.just("live"), max_size=3))
def test_each_content_has_one_original(texts: list[str], live: dict[str, str]) -> None:
    """All but one of equal contents are duplicates, and of that one."""
    named = [(str(number), Difference(_entry(text), Change.NEW, None, text)) for number, text in enumerate(texts)]
    duplicates = find_duplicates(named, live)
    for text in set(texts):
        originals = [key for key, difference in named if difference.sha256 == text and key not in duplicates]
        assert len(originals) == (0 if text in live else 1)
        of_text = {duplicates[key] for key, difference in named if difference.sha256 == text and key in duplicates}
        assert of_text <= {*originals, live.get(text)}


def test_nothing_is_gone_below_what_cannot_be_read() -> None:
    """A directory that is locked for a day does not lose its documents."""
    unreadable = ["file:///a/locked", "file:///a/list.jsonl"]
    cases = {"file:///a/locked/x": False, "file:///a/list.jsonl#1": False, "file:///a/lockedup": True, "file:///a/seen": False}
    assert {uri: is_gone(uri, {"file:///a/seen"}.__contains__, unreadable) for uri in cases} == cases
