"""Compares what a source shows with what is stored of it; pure, so that every case can be tried."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from services.collection.store.listing import Known
from services.collection.tables import DocumentState, Reason
from services.collection.worker.connectors.entries import Entry

_FAILURES = (Reason.UNREADABLE, Reason.CORRUPT)


class Change(Enum):
    """What happened to a document since the source was last read; nothing at all has no name."""

    NEW = auto()
    CHANGED = auto()
    # The same content at another time, or elsewhere in its file.
    TOUCHED = auto()
    REFUSED = auto()


@dataclass(frozen=True)
class Difference:
    entry: Entry
    change: Change
    known: Known | None
    sha256: str = ""
    reason: Reason | None = None
    message: str = ""

    @property
    def state(self) -> DocumentState:
        """The state it begins in, duplicates aside."""
        if self.change is not Change.REFUSED:
            return DocumentState.PENDING
        return DocumentState.FAILED if self.reason in _FAILURES else DocumentState.SKIPPED


def compare(entry: Entry, known: Known | None, source_id: str, max_bytes: int, digest: Callable[[Entry], str]) -> Difference | None:
    """Return what is different about one entry; ``digest`` reads it, and is called only when size or time differ."""
    if known is not None and (known.state == DocumentState.DELETED or known.source_id != source_id):
        # Somebody deleted it here, or it belongs to a source that overlaps this one.
        return None
    refusal = _refusal(entry, max_bytes)
    sha256 = ""
    if refusal is None:
        # What could not be read may be readable now; what failed otherwise waits for a person or another content.
        fails = known is not None and known.state == DocumentState.FAILED and known.reason == Reason.UNREADABLE
        if known is not None and known.content_sha256 and not fails and _looks_same(entry, known):
            return None
        try:
            sha256 = digest(entry)
        except OSError as error:
            refusal = (Reason.UNREADABLE, f"it cannot be read: {error.strerror or error}")
        else:
            if known is None:
                return Difference(entry, Change.NEW, known, sha256)
            same = known.content_sha256 == sha256 and not fails
            return Difference(entry, Change.TOUCHED if same else Change.CHANGED, known, sha256)
    if known is not None and known.reason == refusal[0] and not known.content_sha256:
        return None
    return Difference(entry, Change.REFUSED, known, "", *refusal)


def _looks_same(entry: Entry, known: Known) -> bool:
    return (entry.size_bytes, entry.modify_time) == (known.size_bytes, known.modify_time)


def _refusal(entry: Entry, max_bytes: int) -> tuple[Reason, str] | None:
    if entry.refusal is not None:
        return Reason(entry.refusal[0]), entry.refusal[1]
    if entry.size_bytes > max_bytes:
        return Reason.TOO_LARGE, f"it has {entry.size_bytes} bytes; at most {max_bytes} are read"
    return None


def twins(differences: Sequence[tuple[str, Difference]], live: Mapping[str, str]) -> dict[str, str]:
    """Return which of the new and changed documents, by id, have the content of another one, and of which.

    ``live`` holds the contents that are indexed or about to be, but for the documents that change now.
    """
    holders = dict(live)
    found: dict[str, str] = {}
    for document_id, difference in differences:
        if difference.change in (Change.NEW, Change.CHANGED) and holders.setdefault(difference.sha256, document_id) != document_id:
            found[document_id] = holders[difference.sha256]
    return found


def is_gone(uri: str, seen: Callable[[str], bool], unreadable: Sequence[str]) -> bool:
    """Tell whether a stored document is gone: not seen, and not below something that could not be read this time."""
    return not seen(uri) and not any(uri.startswith((f"{each}/", f"{each}#")) for each in unreadable)
