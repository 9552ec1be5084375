"""The language of an index: what is set for its collection, or what most of its documents are in."""

from collections import Counter
from collections.abc import Iterable

from services.collection.store.indexing import languages
from services.collection.worker.job import Job, Target

ENGLISH = "en"
# An index changes its language where two thirds of the documents have another one and its own has no half.
_MOST, _ENOUGH = 2 / 3, 1 / 2
# To index the words of more anew would hold up searches for seconds: there a language has to be asked for.
_CHUNKS = 20_000


def chosen(counts: Counter[str], current: str) -> str:
    """Return the language for an index of documents with these languages, which has ``current``; English where they do not agree."""
    known = Counter({language: count for language, count in counts.items() if language})
    total = known.total()
    if not total or total < _ENOUGH * counts.total() or known[current] >= _ENOUGH * total:
        return current
    language, count = known.most_common(1)[0]
    return language if count >= _MOST * total else ENGLISH


async def begin(job: Job, found: Iterable[str]) -> None:
    """Give an index the language of its first documents, while it is empty and that takes no time."""
    there = await job.read(lambda session: languages.chosen(session, job.target.generation))
    if there is not None and not there.setting and not there.chunk_count:
        await _change(job, job.target, there.language, chosen(Counter(found), there.language))


async def settle(job: Job) -> None:
    """Give every live index the language that is set for the collection, or else that of most of its documents."""
    counts = await job.read(lambda session: languages.counts(session, job.collection_id))
    for target in job.targets:
        there = await job.read(lambda session, target=target: languages.chosen(session, target.generation))  # type: ignore[misc]
        if there is None:
            continue
        wanted = there.setting or (chosen(counts, there.language) if there.chunk_count <= _CHUNKS else there.language)
        await _change(job, target, there.language, wanted)


async def _change(job: Job, target: Target, current: str, wanted: str) -> None:
    if wanted != current:
        await target.index.set_language(wanted)
        await job.write(lambda session: languages.put(session, target.generation, wanted))
