"""Embeds chunks in batches; each batch is kept until its documents are committed, so that a death costs one batch at most."""

from collections.abc import Iterator, Sequence

from services.collection.store import vectors as kept
from services.collection.worker.failpoints import reach
from services.collection.worker.job import Job
from services.collection.worker.reading import Passages

_TEXTS = 256
# Well below what one message may hold, whatever the alphabet.
_CHARACTERS = 500_000


async def embed(job: Job, group: Sequence[Passages]) -> dict[str, bytes]:
    """Return the vector of every chunk's text, by the text's digest."""
    texts = {digest: chunk for read in group for digest, chunk in zip(read.digests, read.chunks, strict=True)}
    async with job.tools.sessions() as session:
        vectors = await kept.cached(session, job.generation, texts.keys())
    missing = [(digest, chunk.text, chunk.token_count) for digest, chunk in texts.items() if digest not in vectors]
    for batch in _batches(missing, job.tools.settings.batch_tokens):
        made = await job.tools.embedder.embed(job.generation, [text for _, text, _ in batch])
        fresh = dict(zip((digest for digest, _, _ in batch), made, strict=True))
        async with job.tools.sessions.begin() as session:
            await kept.keep(session, job.generation, fresh)
        vectors |= fresh
        reach("after_embed")
    return vectors


def _batches(texts: Sequence[tuple[str, str, int]], most_tokens: int) -> Iterator[list[tuple[str, str, int]]]:
    batch: list[tuple[str, str, int]] = []
    tokens = characters = 0
    for each in texts:
        _, text, count = each
        if batch and (tokens + count > most_tokens or characters + len(text) > _CHARACTERS or len(batch) == _TEXTS):
            yield batch
            batch, tokens, characters = [], 0, 0
        batch.append(each)
        tokens += count
        characters += len(text)
    if batch:
        yield batch
