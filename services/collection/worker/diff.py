"""Compares what a source shows with what is stored of it; pure, so that every case can be tried."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from services.collection.store.indexing.scan import Known
from services.collection.tables import DocumentState, IndexState, Reason
from services.collection.worker.connectors.entries import Entry

_FAILURES = (Reason.UNREADABLE, Reason.CORRUPT)


class Change(Enum):
    """What happened to a document since its source was last read."""

    NEW = auto()
    CHANGED = auto()
    # The same content at another time, or elsewhere in its file.
    TOUCHED = auto()
    REFUSED = auto()
    UNCHANGED = auto()
    # It was deleted here, or belongs to a source that overlaps this one.
    FOREIGN = auto()


@dataclass(frozen=True)
class Refusal:
    """Why an entry must not be read."""

    reason: Reason
    message: str

    @property
    def state(self) -> IndexState:
        return IndexState.FAILED if self.reason in _FAILURES else IndexState.SKIPPED


@dataclass(frozen=True)
class Difference:
    """One entry beside what is stored of it."""

    entry: Entry
    change: Change
    known: Known | None = None
    sha256: str = ""
    refusal: Refusal | None = None


def needs_digest(entry: Entry, known: Known | None, source_id: str, max_bytes: int) -> bool:
    """Return whether the entry's bytes decide: it is new, or its size or time differ."""
    if _is_foreign(known, source_id) or _refusal(entry, max_bytes) is not None:
        return False
    return known is None or not known.content_sha256 or not _looks_same(entry, known)


def compare(entry: Entry, known: Known | None, source_id: str, max_bytes: int, digest: str | OSError | None) -> Difference:
    """Return what is different about one entry.

    ``digest`` is the SHA-256 of its bytes where ``needs_digest`` asks for it, or why they cannot be read.
    """
    refusal = _refusal(entry, max_bytes)
    if refusal is None and isinstance(digest, OSError):
        refusal = Refusal(Reason.UNREADABLE, f"the file cannot be read: {digest.strerror or digest}")
    sha256 = digest if isinstance(digest, str) and refusal is None else ""
    change = _change(known, source_id, refusal, sha256)
    return Difference(entry, change, known, sha256, refusal if change is Change.REFUSED else None)


def _change(known: Known | None, source_id: str, refusal: Refusal | None, sha256: str) -> Change:
    if _is_foreign(known, source_id):
        return Change.FOREIGN
    match known, refusal:
        case Known(), Refusal() if known.reason == refusal.reason and not known.content_sha256:
            return Change.UNCHANGED
        case _, Refusal():
            return Change.REFUSED
        case None, None:
            return Change.NEW
        case Known(), None if not sha256:
            return Change.UNCHANGED
        case _:
            return Change.TOUCHED if known and known.content_sha256 == sha256 else Change.CHANGED


def _is_foreign(known: Known | None, source_id: str) -> bool:
    return known is not None and (known.state == DocumentState.DELETED or known.source_id != source_id)


def _looks_same(entry: Entry, known: Known) -> bool:
    return (entry.size_bytes, entry.modify_time) == (known.size_bytes, known.modify_time)


def _refusal(entry: Entry, max_bytes: int) -> Refusal | None:
    if entry.refusal is not None:
        return Refusal(Reason(entry.refusal[0]), entry.refusal[1])
    if entry.size_bytes > max_bytes:
        return Refusal(Reason.TOO_LARGE, f"the file has {entry.size_bytes} bytes; the limit is {max_bytes}")
    return None


def find_duplicates(differences: Sequence[tuple[str, Difference]], originals: Mapping[str, str]) -> dict[str, str]:
    """Return which of the new and changed documents, by id, have the content of another one, and of which.

    ``originals`` names the document that is indexed for each content, but for the documents that change now.
    """
    holders = dict(originals)
    duplicates: dict[str, str] = {}
    for document_id, difference in differences:
        if difference.change in (Change.NEW, Change.CHANGED) and holders.setdefault(difference.sha256, document_id) != document_id:
            duplicates[document_id] = holders[difference.sha256]
    return duplicates


def is_gone(uri: str, seen: Callable[[str], bool], unreadable: Sequence[str]) -> bool:
    """Return whether a stored document is gone: not seen, and not below something that could not be read this time."""
    return not seen(uri) and not any(uri.startswith((f"{prefix}/", f"{prefix}#")) for prefix in unreadable)
