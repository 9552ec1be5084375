"""What a source shows is compared with what is stored, and comparing again finds nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collection.store.listing import Known
from services.collection.tables import DocumentState, Reason
from services.collection.worker.connectors.entries import Entry
from services.collection.worker.diff import Change, Difference, compare, is_gone, twins

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_LIMIT = 100


def _entry(text: str = "words", minutes: int = 0, refusal: tuple[str, str] | None = None) -> Entry:
    return Entry(
        "file:///a", "a", "a", len(text), _NOON + timedelta(minutes=minutes), sha256=sha256(text.encode()).hexdigest(), refusal=refusal
    )


def _digest(entry: Entry) -> str:
    return entry.sha256


def _unreadable(_: Entry) -> str:
    raise OSError(13, "Permission denied")


_KNOWN = Known("1", "s", DocumentState.INDEXED, None, 5, _NOON, _entry().sha256)
_REFUSED = replace(_KNOWN, state=DocumentState.SKIPPED, reason=Reason.UNSAFE_PATH, content_sha256="")
_FAILED = replace(_KNOWN, state=DocumentState.FAILED, reason=Reason.UNREADABLE)


@pytest.mark.parametrize(
    ("entry", "known", "expected"),
    [
        (_entry(), None, (Change.NEW, DocumentState.PENDING, None)),
        (_entry(), _KNOWN, None),
        (_entry(minutes=1), _KNOWN, (Change.TOUCHED, DocumentState.PENDING, None)),
        (_entry("other words"), _KNOWN, (Change.CHANGED, DocumentState.PENDING, None)),
        (_entry("x" * 101), None, (Change.REFUSED, DocumentState.SKIPPED, Reason.TOO_LARGE)),
        (_entry("x" * 101), _KNOWN, (Change.REFUSED, DocumentState.SKIPPED, Reason.TOO_LARGE)),
        (_entry(refusal=("UNSAFE_PATH", "a link")), None, (Change.REFUSED, DocumentState.SKIPPED, Reason.UNSAFE_PATH)),
        (_entry(refusal=("UNSAFE_PATH", "a link")), _REFUSED, None),
        (_entry(), _REFUSED, (Change.CHANGED, DocumentState.PENDING, None)),
        (_entry(), _FAILED, (Change.CHANGED, DocumentState.PENDING, None)),
        (_entry(), replace(_FAILED, reason=Reason.POISON), None),
        (_entry(), replace(_KNOWN, state=DocumentState.DELETED), None),
        (_entry("other"), replace(_KNOWN, source_id="another"), None),
    ],
    ids=[
        "new", "same", "touched", "changed", "grown too large at first sight", "grown too large", "refused", "still refused",
        "no longer refused", "failed but may work now", "poison", "deleted by a person", "of another source",
    ],
)  # fmt: skip
def test_an_entry_is_compared(entry: Entry, known: Known | None, expected: tuple[Change, DocumentState, Reason | None] | None) -> None:
    """Every case of what may have happened since the last time."""
    found = compare(entry, known, "s", _LIMIT, _digest)
    assert (found and (found.change, found.state, found.reason)) == expected


def test_what_cannot_be_read_fails_and_may_be_tried_again() -> None:
    """A failure to read is not the document's last word."""
    found = compare(_entry(minutes=1), _KNOWN, "s", _LIMIT, _unreadable)
    assert found is not None
    assert (found.state, found.reason, found.message) == (DocumentState.FAILED, Reason.UNREADABLE, "it cannot be read: Permission denied")


def test_an_unchanged_entry_is_not_read() -> None:
    """Equal size and time are enough."""
    assert compare(_entry(), _KNOWN, "s", _LIMIT, _unreadable) is None


def _stored(difference: Difference) -> Known:
    entry = difference.entry
    return Known("1", "s", difference.state, difference.reason, entry.size_bytes, entry.modify_time, difference.sha256)


@given(
    first=st.builds(_entry, st.text(max_size=120), st.integers(0, 3), st.none() | st.just(("UNSAFE_PATH", "a link"))),
    second=st.builds(_entry, st.text(max_size=120), st.integers(0, 3), st.none() | st.just(("UNSAFE_PATH", "a link"))),
)
def test_comparing_again_finds_nothing(first: Entry, second: Entry) -> None:
    """Whatever happens, the second look at the same thing is quiet."""
    made = compare(first, None, "s", _LIMIT, _digest)
    assert made is not None
    known = _stored(made)
    assert compare(first, known, "s", _LIMIT, _digest) is None
    changed = compare(second, known, "s", _LIMIT, _digest)
    known = _stored(changed) if changed else known
    assert compare(second, known, "s", _LIMIT, _digest) is None


@given(texts=st.lists(st.sampled_from("abcd"), max_size=12), live=st.dictionaries(st.sampled_from("abcd"), st.just("live"), max_size=3))
def test_each_content_has_one_document(texts: list[str], live: dict[str, str]) -> None:
    """All but one of equal contents are duplicates, and of that one."""
    named = [(str(number), Difference(_entry(text), Change.NEW, None, text)) for number, text in enumerate(texts)]
    found = twins(named, live)
    for text in set(texts):
        holders = [key for key, each in named if each.sha256 == text and key not in found]
        assert len(holders) == (0 if text in live else 1)
        assert {found[key] for key, each in named if each.sha256 == text and key in found} <= {*holders, live.get(text)}


def test_nothing_is_gone_below_what_cannot_be_read() -> None:
    """A directory that is locked for a day does not lose its documents."""
    unreadable = ["file:///a/locked", "file:///a/list.jsonl"]
    cases = {"file:///a/locked/x": False, "file:///a/list.jsonl#1": False, "file:///a/lockedup": True, "file:///a/seen": False}
    assert {uri: is_gone(uri, {"file:///a/seen"}.__contains__, unreadable) for uri in cases} == cases
