"""Brings the rows of a source in line with what it shows: first the scan, beside the indexing; then what moved or went."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import new_id
from libs.rpc.errors import Failure
from libs.work.errors import WorkFailedError
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1.operation_pb2 import Progress
from services.collection.store.indexing import commits, scan, worklist
from services.collection.store.indexing.scan import Known, Row
from services.collection.tables import IndexState, Reason, Source
from services.collection.worker import metrics
from services.collection.worker.connectors import Connector
from services.collection.worker.connectors.entries import Entry, UnreadableSourceError
from services.collection.worker.diff import Change, Difference, compare, find_duplicates, is_gone, needs_digest
from services.collection.worker.job import Job
from services.collection.worker.removing import remove_documents

_TRIES = 5


class Sync:
    """One reading of a source: ``scan`` and then, with nothing in flight any more, ``reconcile``."""

    def __init__(self, job: Job, source: Source, connector: Connector) -> None:
        self._job = job
        self._source = source
        self._connector = connector
        self._seen: set[bytes] = set()
        self._unreadable: list[str] = []
        # New places of known contents, by the document that has the content.
        self._arrivals: dict[str, str] = {}

    async def scan(self, wake: Callable[[], None]) -> None:
        """Store what is new and changed, calling ``wake`` after each batch; nothing is extracted yet.

        Raises WorkFailedError if the source as a whole cannot be read: nothing is taken for gone then.
        """
        try:
            await self._list(wake)
        except UnreadableSourceError as error:
            code, reason = StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_SOURCE_UNREADABLE
            raise WorkFailedError(Failure(code, reason, str(error)).proto()) from error
        totals = await self._job.read(lambda session: worklist.totals(session, self._job.target.generation, self._job.operation_id))
        self._job.progress.listed(totals.waiting + totals.ended, totals.waiting_bytes + totals.ended_bytes)
        self._job.progress.enter(Progress.PHASE_INDEXING)

    async def _list(self, wake: Callable[[], None]) -> None:
        async for batch in self._connector.entries():
            fresh = [entry for entry in batch if self._is_first(entry)]
            self._unreadable += [entry.uri for entry in fresh if entry.refusal and entry.refusal[0] == Reason.UNREADABLE]
            await self._store(fresh)
            self._job.report.advanced()
            self._job.dependencies.failpoint("after_list")
            wake()

    async def reconcile(self) -> None:
        """Move what has moved, and remove what is gone."""
        if not self._connector.is_complete:
            return
        gone: list[str] = []
        after = ""
        while page := await self._job.read(lambda session, after=after: scan.stored(session, self._source.id, after)):  # type: ignore[misc]
            after = page[-1][0]
            gone += [document_id for document_id, uri in page if is_gone(uri, self._has_seen, self._unreadable)]
        await remove_documents(self._job, [document_id for document_id in gone if not await self._move(document_id)])

    def _is_first(self, entry: Entry) -> bool:
        """Return whether a place is seen for the first time; a listing may name one twice, and the first counts."""
        before = len(self._seen)
        self._seen.add(_short(entry.uri))
        return len(self._seen) > before

    def _has_seen(self, uri: str) -> bool:
        return _short(uri) in self._seen

    async def _move(self, document_id: str) -> bool:
        duplicate_id = self._arrivals.get(document_id)
        if duplicate_id is None:
            return False
        return await self._job.write(lambda session: scan.move(session, self._job.target.generation, document_id, duplicate_id))

    async def _store(self, entries: Sequence[Entry]) -> None:
        """Store a batch; what an upload took in the same moment is compared again, and is known then."""
        for _ in range(_TRIES):
            with metrics.stage("compare"):
                differences = await self._compared(entries)
            with metrics.stage("store_entries"):
                stored = await self._job.write(lambda session, each=differences: self._commit(session, each))  # type: ignore[misc]
            self._note(stored)
            entries = [difference.entry for difference in stored.missed]
            if not entries:
                return
        raise RuntimeError(f"{len(entries)} entries of source {self._source.id} cannot be stored: others keep taking their places")

    async def _compared(self, entries: Sequence[Entry]) -> list[Difference]:
        uris = [entry.uri for entry in entries]
        known = await self._job.read(lambda session: scan.known(session, self._job.target.generation, uris))
        limit = self._job.dependencies.settings.max_file_bytes
        differences = []
        for entry in entries:
            stored = known.get(entry.uri)
            digest: str | OSError | None = None
            if needs_digest(entry, stored, self._source.id, limit):
                try:
                    digest = entry.sha256 or await self._connector.digest(entry)
                except OSError as error:
                    digest = error
            differences.append(compare(entry, stored, self._source.id, limit, digest))
        return differences

    async def _commit(self, session: AsyncSession, differences: Sequence[Difference]) -> "_Stored":
        generation = self._job.target.generation
        named = [(difference.known.id if difference.known else new_id(), difference) for difference in differences]
        changing = {document_id for document_id, difference in named if difference.change in (Change.CHANGED, Change.REFUSED)}
        digests = {difference.sha256 for difference in differences if difference.sha256}
        originals = await scan.originals(session, generation.collection_id, digests, changing)
        duplicates = find_duplicates(named, originals)
        rows = [(difference, _row(document_id, difference, duplicates.get(document_id))) for document_id, difference in named]
        kept = [(difference, row) for difference, row in rows if difference.change in (Change.CHANGED, Change.REFUSED) and difference.known]
        # First what changes gives up its content, so that contents may change places.
        await scan.change_documents(session, generation, [row for _, row in kept])
        fresh = [
            (difference, row) for difference, row in rows if difference.change in (Change.NEW, Change.REFUSED) and not difference.known
        ]
        # An original goes in before its duplicates: if somebody took its content, they are compared again with it.
        fresh.sort(key=lambda pair: pair[1].duplicate_of is not None)
        inserted = await scan.insert_documents(session, generation, self._source.id, [row for _, row in fresh])
        await scan.touch_documents(session, [row for difference, row in rows if difference.change is Change.TOUCHED])
        same = [difference.known for difference, _ in rows if difference.known and _is_same(difference)]
        failed = [known.id for known in same if self._failed_before(known)]
        await scan.reopen_failed(session, generation, failed)
        ended = [row for _, row in kept] + [row for _, row in fresh if row.id in inserted]
        amounts = _amounts([row for row in ended if row.state is not IndexState.PENDING])
        await commits.count_operation(session, self._job.operation_id, generation.collection_id, amounts)
        missed = [difference for difference, row in fresh if row.id not in inserted]
        arrivals = {row.duplicate_of: row.id for _, row in fresh if row.duplicate_of is not None and row.id in inserted}
        return _Stored(differences, missed, arrivals, amounts)

    def _note(self, stored: "_Stored") -> None:
        """Count a batch once its transaction has ended."""
        self._arrivals |= stored.arrivals
        for difference in stored.differences:
            metrics.entries.labels(difference.change.name.lower()).inc()
        unchanged = [
            difference for difference in stored.differences if _is_same(difference) and not self._is_of_this_operation(difference.known)
        ]
        self._job.progress.unchanged(len(unchanged), sum(difference.entry.size_bytes for difference in unchanged))
        self._job.progress.committed(stored.amounts)

    def _failed_before(self, known: Known) -> bool:
        """Return whether a document failed in an earlier operation: what failed in this one is not tried again by itself."""
        return known.index_state == IndexState.FAILED and not self._is_of_this_operation(known)

    def _is_of_this_operation(self, known: Known | None) -> bool:
        """Return whether a document waits for this operation, or was indexed by it under an earlier claim."""
        if known is None or known.index_state in (IndexState.PENDING, IndexState.PROCESSING):
            return True
        return known.index_time is not None and known.index_time >= self._job.since


@dataclass(frozen=True)
class _Stored:
    """What became of a batch of entries; ``missed`` are those whose place or content somebody else has taken meanwhile."""

    differences: Sequence[Difference]
    missed: list[Difference]
    arrivals: dict[str, str]
    amounts: dict[str, int]


def _is_same(difference: Difference) -> bool:
    return difference.change in (Change.TOUCHED, Change.UNCHANGED, Change.FOREIGN)


def _amounts(ended: Sequence[Row]) -> dict[str, int]:
    return {
        "skipped": sum(row.state is IndexState.SKIPPED for row in ended),
        "failed": sum(row.state is IndexState.FAILED for row in ended),
        "size_bytes": sum(row.size_bytes for row in ended),
    }


def _row(document_id: str, difference: Difference, duplicate_of: str | None) -> Row:
    entry, refusal = difference.entry, difference.refusal
    state, reason, message = IndexState.PENDING, None, ""
    if refusal is not None:
        state, reason, message = refusal.state, refusal.reason, refusal.message
    elif duplicate_of is not None:
        state, reason = IndexState.SKIPPED, Reason.DUPLICATE
    return Row(
        id=document_id,
        uri=entry.uri,
        path=entry.path,
        name=entry.name,
        mime_type="",
        size_bytes=entry.size_bytes,
        modify_time=entry.modify_time,
        locator=entry.locator,
        sha256=difference.sha256,
        duplicate_of=duplicate_of,
        state=state,
        reason=reason,
        message=message,
        is_retryable=reason == Reason.UNREADABLE,
    )


def _short(uri: str) -> bytes:
    return hashlib.blake2b(uri.encode(), digest_size=16).digest()
