"""Compares a directory with what is stored of it and commits the difference; nothing is extracted yet."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError

from libs.db.tables import new_id
from services.collection.store import indexing
from services.collection.store import listing as stored
from services.collection.tables import DocumentState, Reason, Source, SourceKind
from services.collection.worker.connectors import CONNECTORS, SourceSettings
from services.collection.worker.connectors.entries import Entry
from services.collection.worker.diff import Change, Difference, compare, is_gone, twins
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job

_REMOVE = 500
_TRIES = 3


class Listing:
    """First ``take_in``, beside the indexing; then, with nothing in hand any more, ``tidy``."""

    def __init__(self, job: Job, source: Source) -> None:
        self._job = job
        self._source = source
        self._seen: set[bytes] = set()
        self._unreadable: list[str] = []
        # New places of known contents, by the document that has the content.
        self._arrivals: dict[str, str] = {}

    async def take_in(self, wake: Callable[[], None]) -> None:
        """Bring the rows of new and changed documents in line with the directory, ringing ``wake`` after each batch.

        Raises UnreadableSourceError if the directory as a whole cannot be read: nothing is taken for gone then.
        """
        tools = self._job.tools
        self._connector = CONNECTORS[SourceKind(self._source.kind)](
            SourceSettings(self._source.location, self._source.config, tools.settings.roots, tools.objects)
        )
        async for batch in self._connector.entries():
            fresh = [entry for entry in batch if self._is_first(entry)]
            self._unreadable += [entry.uri for entry in fresh if entry.refusal and entry.refusal[0] == Reason.UNREADABLE]
            await self._take_in(fresh)
            reach("after_list")
            wake()

    async def tidy(self) -> None:
        """Move what has moved, remove what is gone, and let duplicates take the place of what went or changed."""
        gone: list[str] = []
        async with self._job.tools.sessions() as session:
            async for page in stored.stored(session, self._source.id):
                gone += [document_id for document_id, uri in page if is_gone(uri, self._has_seen, self._unreadable)]
        stay = [document_id for document_id in gone if not await self._move(document_id)]
        await remove(self._job, stay)
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            await stored.promote_orphans(session, self._job.collection_id)

    def _is_first(self, entry: Entry) -> bool:
        """Tell whether a place is seen for the first time; a listing may name one twice, and the first counts."""
        before = len(self._seen)
        self._seen.add(_short(entry.uri))
        return len(self._seen) > before

    def _has_seen(self, uri: str) -> bool:
        return _short(uri) in self._seen

    async def _move(self, document_id: str) -> bool:
        if document_id not in self._arrivals:
            return False
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            return await stored.move(session, document_id, self._arrivals[document_id])

    async def _take_in(self, entries: list[Entry]) -> None:
        async with self._job.tools.sessions() as session:
            known = await stored.known(session, self._job.collection_id, [entry.uri for entry in entries])
        limit = self._job.tools.settings.max_file_bytes

        loop = asyncio.get_running_loop()

        def digest(entry: Entry) -> str:
            return asyncio.run_coroutine_threadsafe(self._connector.digest(entry), loop).result()

        def compared() -> list[Difference]:
            found = (compare(entry, known.get(entry.uri), self._source.id, limit, digest) for entry in entries)
            return [difference for difference in found if difference is not None]

        differences = await asyncio.to_thread(compared)
        for tries_left in reversed(range(_TRIES)):
            try:
                await self._commit(differences)
            except IntegrityError:
                # An upload brought the same content a moment ago: now it is there to be seen.
                if not tries_left:
                    raise
            else:
                return

    async def _commit(self, differences: list[Difference]) -> None:
        named = [(each.known.id if each.known else new_id(), each) for each in differences]
        changing = [each.known.id for each in differences if each.known and each.change is not Change.TOUCHED]
        async with self._job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, self._job.collection_id, self._job.fence)
            digests = {each.sha256 for each in differences if each.sha256}
            live = await stored.live_contents(session, self._job.collection_id, digests, changing)
            duplicates = twins(named, live)
            rows = [self._row(key, each, duplicates.get(key)) for key, each in named if each.change is not Change.TOUCHED]
            await stored.put_documents(session, rows, changing)
            for key, each in named:
                if each.change is Change.TOUCHED:
                    await stored.touch(session, key, _place(each.entry))
        self._arrivals |= {duplicates[key]: key for key, each in named if each.change is Change.NEW and key in duplicates}

    def _row(self, document_id: str, difference: Difference, twin: str | None) -> dict[str, Any]:
        return {
            "id": document_id,
            "collection_id": self._job.collection_id,
            "source_id": self._source.id,
            "uri": difference.entry.uri,
            "path": difference.entry.path,
            "name": difference.entry.name,
            **_place(difference.entry),
            "state": DocumentState.SKIPPED if twin else difference.state,
            "reason": Reason.DUPLICATE if twin else difference.reason,
            "error_message": difference.message,
            "is_retryable": difference.reason == Reason.UNREADABLE,
            "duplicate_of": twin,
            "content_sha256": difference.sha256,
        }


async def remove(job: Job, document_ids: list[str]) -> None:
    """Take documents out of the index, then out of the tables."""
    for start in range(0, len(document_ids), _REMOVE):
        part = document_ids[start : start + _REMOVE]
        await job.index.delete(part)
        async with job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, job.collection_id, job.fence)
            await indexing.remove_documents(session, job.collection_id, part)


def _place(entry: Entry) -> dict[str, Any]:
    return {"size_bytes": entry.size_bytes, "source_modify_time": entry.modify_time, "source_metadata": dict(entry.locator)}


def _short(uri: str) -> bytes:
    return hashlib.blake2b(uri.encode(), digest_size=16).digest()
