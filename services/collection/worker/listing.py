"""Compares a source with what is stored of it and commits the difference; nothing is extracted yet."""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

from libs.db.tables import new_id
from services.collection.store import indexing
from services.collection.tables import DocumentState, Reason, Source
from services.collection.worker.connectors import directory
from services.collection.worker.connectors.entries import Entry, entry_sha256
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job

log = logging.getLogger(__name__)
_BATCH = 500
_REMOVE = 500


async def list_directory(job: Job, source: Source) -> None:
    """Bring the documents' rows in line with the directory: new and changed ones PENDING, gone ones removed.

    Raises UnreadableSourceError if the directory as a whole cannot be read: nothing is taken for gone then.
    """
    async with job.tools.sessions() as session:
        known = await indexing.known(session, source.id)
    seen: set[str] = set()
    entries = directory.entries(source.location, source.config)
    while batch := await asyncio.to_thread(lambda: list(islice(entries, _BATCH))):
        seen.update(entry.uri for entry in batch)
        await _take_in(job, source, batch, known)
        reach("list")
    gone = [stored.id for uri, stored in known.items() if uri not in seen and stored.state != DocumentState.DELETED]
    await remove(job, gone)


async def remove(job: Job, document_ids: list[str]) -> None:
    """Take documents out of the index, then out of the tables."""
    for start in range(0, len(document_ids), _REMOVE):
        part = document_ids[start : start + _REMOVE]
        await job.index.delete(part)
        async with job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, job.collection_id, job.fence)
            await indexing.remove_documents(session, job.collection_id, part)


async def _take_in(job: Job, source: Source, batch: list[Entry], known: dict[str, indexing.Known]) -> None:
    compared = await asyncio.to_thread(lambda: list(_compared(job, batch, known)))
    async with job.tools.sessions.begin() as session:
        await indexing.hold_fence(session, job.collection_id, job.fence)
        digests = [values["content_sha256"] for _, values in compared if values.get("content_sha256")]
        live = await indexing.live_contents(session, job.collection_id, digests)
        rows, touched = [], []
        for entry, values in compared:
            stored = known.get(entry.uri)
            if "content_sha256" not in values and stored is not None and "state" not in values:
                touched.append((stored.id, entry.size_bytes, entry.modify_time))
                continue
            rows.append(_row(job, source, entry, stored, values, live))
        await indexing.put_documents(session, rows)
        await indexing.touch(session, touched)


def _compared(job: Job, batch: list[Entry], known: dict[str, indexing.Known]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yield what is not as it was, with its new digest or its refusal; only times changed where the values are empty."""
    for entry in batch:
        stored = known.get(entry.uri)
        if stored is not None and stored.state == DocumentState.DELETED:
            continue
        refusal = entry.refusal
        if refusal is None and entry.size_bytes > job.tools.settings.max_file_bytes:
            refusal = (Reason.TOO_LARGE, f"it has {entry.size_bytes} bytes; at most {job.tools.settings.max_file_bytes} are read")
        if refusal is not None:
            if stored is None or stored.reason != refusal[0]:
                yield entry, {"state": DocumentState.SKIPPED, "reason": refusal[0], "error_message": refusal[1]}
            continue
        if stored is not None and (stored.size_bytes, stored.modify_time) == (entry.size_bytes, entry.modify_time):
            continue
        try:
            digest = entry_sha256(entry)
        except OSError as error:
            yield (
                entry,
                {"state": DocumentState.FAILED, "reason": Reason.UNREADABLE, "error_message": f"it cannot be read: {error.strerror}"},
            )
            continue
        yield entry, {} if stored is not None and stored.content_sha256 == digest else {"content_sha256": digest}


def _row(
    job: Job, source: Source, entry: Entry, stored: indexing.Known | None, values: dict[str, Any], live: dict[str, str]
) -> dict[str, Any]:
    row = {
        "id": stored.id if stored else new_id(),
        "collection_id": job.collection_id,
        "source_id": source.id,
        "uri": entry.uri,
        "path": entry.path,
        "name": entry.name,
        "size_bytes": entry.size_bytes,
        "source_modify_time": entry.modify_time,
        "source_metadata": entry.content,
        "state": DocumentState.PENDING,
        "reason": None,
        "error_message": "",
        "duplicate_of": None,
        "content_sha256": "",
        **values,
    }
    digest = row["content_sha256"]
    if digest:
        # The first in the batch is live from here on for those that follow.
        twin = live.setdefault(digest, row["id"])
        if twin != row["id"]:
            row |= {"state": DocumentState.SKIPPED, "reason": Reason.DUPLICATE, "duplicate_of": twin}
    return row
