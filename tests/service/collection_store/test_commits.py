"""What a worker commits is committed once, under its fence, and every counter follows."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select, text, update

from libs.work.errors import FencedError
from services.collection.store.indexing import commits, counts, fences, removal, scan, vectors, worklist, writes
from services.collection.store.indexing.commits import Refused, Running
from services.collection.tables import Artifact, Chunk, Collection, Document, DocumentIndex, IndexState, ObjectDeletion, Reason, Source
from tests.service.collection_store.conftest import NOON, Stored, chunked

Make = Callable[[], Awaitable[Stored]]


async def _waiting(stored: Stored, *, suspect: bool = False) -> dict[str, worklist.Item]:
    async with stored.sessions() as session:
        return {item.name: item for item in await worklist.page(session, stored.generation, "", 100, suspect=suspect)}


async def _commit(stored: Stored, items: list[worklist.Item], refused: list[Refused] | None = None, chunks: int = 2) -> list[worklist.Item]:
    async with fences.fenced(stored.sessions, stored.collection.id, stored.fence) as session:
        done = [chunked(stored.generation, item, chunks) for item in items]
        return (await commits.commit(session, stored.generation, Running("operation", NOON), done, refused or [])).overtaken


async def _change(stored: Stored, document_id: str, name: str, content: str) -> None:
    row = scan.Row(document_id, f"file:///{name}", name, name, "", len(content), NOON, {}, content)
    async with fences.fenced(stored.sessions, stored.collection.id, stored.fence) as session:
        await scan.change_documents(session, stored.generation, [row])


async def test_the_same_commit_again_counts_nothing_twice(stored: Make) -> None:
    """A commit whose answer was lost is repeated: rows, counters and the operation's counts stay as they were."""
    here = await stored()
    await here.insert({"a": "apples", "b": "berries", "c": ""})
    items = await _waiting(here)
    refused = [Refused(items["c"], IndexState.SKIPPED, Reason.EMPTY, "no words", False)]
    for _ in range(2):
        assert await _commit(here, [items["a"], items["b"]], refused) == []
        assert await here.counters() == (2, 4, 13, 2)
    async with here.sessions() as session:
        counted = await commits.operation_counts(session, "operation")
    assert {name: counted[name] for name in ("indexed", "skipped", "chunks")} == {"indexed": 2, "skipped": 1, "chunks": 4}
    assert await _waiting(here) == {}


async def test_what_was_deleted_or_changed_meanwhile_is_not_committed(stored: Make) -> None:
    """The points of such documents must go; nothing of them is counted."""
    here = await stored()
    ids = await here.insert({"deleted": "d", "changed": "c", "removed": "r", "kept": "k"})
    items = await _waiting(here)
    async with here.sessions.begin() as session:
        await session.execute(update(Document).where(Document.id == ids["deleted"]).values(state="DELETED", delete_time=NOON))
        other = Source(collection_id=here.collection.id, kind="DIRECTORY", location="/other", delete_time=NOON)
        session.add(other)
        await session.flush()
        await session.execute(update(Document).where(Document.id == ids["removed"]).values(source_id=other.id))
    await _change(here, ids["changed"], "changed", "other content")
    overtaken = await _commit(here, list(items.values()))
    assert {item.name for item in overtaken} == {"deleted", "changed", "removed"}
    assert await here.counters() == (1, 2, 1, 1)
    assert set(await _waiting(here)) == {"changed"}


async def test_a_new_content_replaces_the_old_one_in_every_counter(stored: Make) -> None:
    """Chunks and texts of the earlier version go, its object is left to be deleted, and the deltas are of the difference."""
    here = await stored()
    ids = await here.insert({"a": "apples"})
    await _commit(here, list((await _waiting(here)).values()), chunks=5)
    async with here.sessions.begin() as session:
        original = Artifact(
            document_id=ids["a"],
            content_version=1,
            kind="ORIGINAL",
            mime_type="text/plain",
            object_key="the/old/object",
            content_sha256="apples",
            size_bytes=6,
        )
        session.add(original)
    await _change(here, ids["a"], "a", "apples and pears")
    assert await here.counters() == (1, 5, 6, 1)
    await _commit(here, list((await _waiting(here)).values()), chunks=2)
    assert await here.counters() == (1, 2, 16, 1)
    async with here.sessions() as session:
        versions = (await session.scalars(select(Chunk.content_version).where(Chunk.document_id == ids["a"]))).all()
        artifacts = await session.execute(select(Artifact.kind, Artifact.content_version).where(Artifact.document_id == ids["a"]))
        assert (set(versions), list(artifacts)) == ({2}, [("TEXT", 2)])
        assert await session.get(ObjectDeletion, "the/old/object") is not None


async def test_an_older_claim_is_refused_however_the_two_meet(stored: Make) -> None:
    """The check is one statement: a claim that waits for a newer one's transaction sees what that one wrote."""
    here = await stored()
    async with here.sessions.begin() as newer:
        await fences.raise_fence(newer, here.collection.id, 9)
        async with here.sessions() as older:
            # The older claim has the row in its session, as it was before.
            assert (await older.get_one(Collection, here.collection.id)).write_fence == 1
            raising = asyncio.create_task(fences.raise_fence(older, here.collection.id, 5))
            await _lock_is_waited_for(here)
            await newer.commit()
            with pytest.raises(FencedError):
                await raising
    async with here.sessions() as session:
        assert (await session.get_one(Collection, here.collection.id)).write_fence == 9
    with pytest.raises(FencedError):
        async with fences.fenced(here.sessions, here.collection.id, 5):
            raise AssertionError("the transaction began")


async def _lock_is_waited_for(stored: Stored) -> None:
    """Return once a connection of the database waits for a lock."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(10), stored.sessions() as session:
        while not await session.scalar(waiting):
            await session.rollback()


async def test_a_deleted_document_and_a_commit_wait_for_each_other(stored: Make) -> None:
    """Whoever changes a document locks the collection first: the two never deadlock, and the counters hold."""
    here = await stored()
    ids = await here.insert({f"{number}": f"content {number}" for number in range(20)})
    items = list((await _waiting(here)).values())

    async def delete(document_id: str) -> None:
        async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
            await counts.subtract(session, here.collection.id, [document_id])
            values = {"state": "DELETED", "delete_time": NOON, "is_original": False}
            await session.execute(update(Document).where(Document.id == document_id).values(**values))

    work = [_commit(here, [item]) for item in items] + [delete(document_id) for document_id in list(ids.values())[:10]]
    await asyncio.gather(*work)
    documents, chunks, _, of_source = await here.counters()
    assert (documents, chunks, of_source) == (10, 20, 10)


async def test_a_duplicate_takes_the_place_of_what_goes(stored: Make) -> None:
    """Of three equal documents one is indexed at any time, whether the original changes, is refused or goes."""
    here = await stored()
    ids = await here.insert({"a": "same"})
    rows = [
        scan.Row(name, f"file:///{name}", name, name, "", 4, NOON, {}, "same", ids["a"], IndexState.SKIPPED, Reason.DUPLICATE)
        for name in ("b", "c", "d")
    ]
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        await scan.insert_documents(session, here.generation, here.source.id, rows)
    await _change(here, ids["a"], "a", "other")
    waiting = await _waiting(here)
    assert set(waiting) == {"a", "b"}
    await _commit(here, [waiting["a"]], [Refused(waiting["b"], IndexState.FAILED, Reason.CORRUPT, "damaged", False)])
    waiting = await _waiting(here)
    assert set(waiting) == {"c"}
    await _commit(here, [waiting["c"]])
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        await removal.delete_documents(session, here.collection.id, ["c"])
    assert set(await _waiting(here)) == {"d"}
    # Nobody is promoted beside a new original.
    await _change(here, ids["a"], "a", "same again")
    assert set(await _waiting(here)) == {"a", "d"}


async def test_deaths_are_counted_until_a_document_is_given_up_and_no_further(stored: Make) -> None:
    """A worker that dies twice over a document may have been killed by a person; the third time the document is to blame."""
    here = await stored()
    ids = await here.insert({"a": "apples", "b": "berries"})
    for deaths in range(3):
        assert set(await _waiting(here, suspect=deaths > 0)) == ({"a"} if deaths else {"a", "b"})
        async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
            await worklist.note_processing(session, here.generation, [ids["a"]])
        await here.claim()
        async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
            assert await worklist.count_deaths(session, here.generation) == int(deaths == 2)
    async with here.sessions() as session:
        index = await session.get_one(DocumentIndex, (ids["a"], 1))
        assert (index.state, index.reason, index.is_retryable) == (IndexState.FAILED, Reason.POISON, True)
        # A sync tries it again.
        await scan.reopen_failed(session, here.generation, [ids["a"]])
        await session.commit()
    assert set(await _waiting(here)) == {"a", "b"}


async def test_a_write_that_was_cut_off_is_known_to_the_next_claim(stored: Make) -> None:
    """What was committed is to be shown, the rest is to go from the index."""
    here = await stored()
    await here.insert({"a": "apples", "b": "berries"})
    items = await _waiting(here)
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        for _ in range(2):
            await writes.begin(session, "write", here.generation, [(item.document_id, item.content_version) for item in items.values()])
    await _commit(here, [items["a"]])
    async with here.sessions() as session:
        [unfinished] = await writes.unfinished(session, here.generation)
    assert unfinished.committed == [(items["a"].document_id, 1)]
    assert unfinished.uncommitted == [(items["b"].document_id, 1)]
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        await writes.end(session, ["write"])
    async with here.sessions() as session:
        assert await writes.unfinished(session, here.generation) == []


async def test_a_purge_spares_what_was_uploaded_again(stored: Make) -> None:
    """Only versions up to the tombstone's go, and only tombstones are emptied."""
    here = await stored()
    ids = await here.insert({"gone": "g", "again": "a"})
    await _commit(here, list((await _waiting(here)).values()))
    async with here.sessions.begin() as session:
        await session.execute(
            update(Document).where(Document.id.in_(ids.values())).values(state="DELETED", delete_time=NOON, is_original=False)
        )
    async with here.sessions() as session:
        tombstones = await removal.tombstones(session, here.collection.id, 10)
    assert sorted(tombstones) == sorted((document_id, 1) for document_id in ids.values())
    async with here.sessions.begin() as session:
        back = {"state": "PRESENT", "delete_time": None, "content_version": 2, "is_original": True}
        await session.execute(update(Document).where(Document.id == ids["again"]).values(**back))
        new = Artifact(
            document_id=ids["again"],
            content_version=2,
            kind="ORIGINAL",
            mime_type="text/plain",
            object_key="the/new/object",
            content_sha256="a",
            size_bytes=1,
        )
        session.add(new)
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        assert await removal.purge(session, here.collection.id, tombstones) == 1
    async with here.sessions() as session:
        assert await session.get(DocumentIndex, (ids["gone"], 1)) is None
        assert await session.get(DocumentIndex, (ids["again"], 1)) is not None
        assert await session.get(Artifact, (ids["again"], 2, "ORIGINAL")) is not None
        assert await session.get(ObjectDeletion, "the/new/object") is None
        assert await removal.tombstones(session, here.collection.id, 10) == []


async def test_vectors_are_kept_until_their_documents_are_committed(stored: Make) -> None:
    """What a worker that died has embedded is not embedded again, and is gone once it is in the index."""
    here = await stored()
    async with here.sessions.begin() as session:
        await vectors.keep(session, here.generation, {"one": b"1", "two": b"2"})
        await vectors.keep(session, here.generation, {"two": b"2"})
    async with here.sessions.begin() as session:
        assert await vectors.cached(session, here.generation, ["one", "two", "three"]) == {"one": b"1", "two": b"2"}
        await vectors.forget(session, here.generation, ["one"])
    async with here.sessions() as session:
        assert await vectors.cached(session, here.generation, ["one", "two"]) == {"two": b"2"}
