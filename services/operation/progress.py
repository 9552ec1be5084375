"""What is true of progress whoever reports it: what was done stays done."""

from collections.abc import Mapping
from typing import Any

_NEVER_FALLS = (
    "phase",
    "documents_done",
    "documents_indexed",
    "documents_skipped",
    "documents_failed",
    "documents_unchanged",
    "documents_removed",
    "bytes_done",
    "chunks",
    "chunks_embedded",
    "chunks_total",
    "tokens",
    "queries_done",
    "percent",
)
_COMMITTED = ("documents_indexed", "documents_skipped", "documents_failed", "documents_removed", "queries_done")
_OF_THE_MOMENT = ("tokens_per_second", "remaining")
_ALMOST = 99


def merged(stored: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return the progress to store after a report; zeros are left out."""
    progress = {**reported, "percent": _percent(reported)}
    for name in _NEVER_FALLS:
        progress[name] = max(stored.get(name, 0), progress.get(name, 0))
    return {name: value for name, value in progress.items() if value != 0}


def at_rest(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the progress of work that no worker has: without a rate, and without a time left."""
    return {name: value for name, value in progress.items() if name not in _OF_THE_MOMENT}


def finished(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the progress of work that has succeeded."""
    return {**progress, "percent": 100}


def committed(progress: Mapping[str, Any]) -> int:
    """Return the number of documents and answers that are stored: an attempt that raises it has made progress."""
    return sum(int(progress.get(name, 0)) for name in _COMMITTED)


def _percent(progress: Mapping[str, Any]) -> int:
    for unit in ("bytes", "documents", "queries"):
        if total := progress.get(f"{unit}_total", 0):
            return min(_ALMOST, 100 * int(progress.get(f"{unit}_done", 0)) // int(total))
    return 0
