"""Embeds chunks in batches; a batch is kept until its documents are committed, so that a death costs one batch at most."""

from collections.abc import Iterator, Sequence

from services.collection.store.indexing import vectors as stored
from services.collection.worker import metrics
from services.collection.worker.begun import Stage
from services.collection.worker.job import Job
from services.collection.worker.reading import ChunkedDocument

_TEXTS = 256
# Well below what one message may hold, whatever the alphabet.
_CHARACTERS = 500_000
_Text = tuple[str, str, int]  # digest, text, tokens


async def embed(job: Job, group: Sequence[ChunkedDocument], shown: Stage) -> dict[str, bytes]:
    """Return the vector of every chunk, by the digest of what the model reads of it."""
    generation = job.target.generation
    texts = {
        digest: (text, chunk.token_count)
        for document in group
        for digest, text, chunk in zip(document.digests, document.embedded, document.chunks, strict=True)
    }
    vectors = await job.read(lambda session: stored.cached(session, generation, texts.keys()))
    kept = sum(texts[digest][1] for digest in vectors)
    metrics.tokens.labels("kept").inc(kept)
    shown.embedded(len(vectors), kept)
    missing = [(digest, text, tokens) for digest, (text, tokens) in texts.items() if digest not in vectors]
    job.progress.computing()
    for batch in _batches(missing, job.dependencies.settings.batch_tokens):
        with metrics.stage("embed"):
            computed = await job.dependencies.embedder.embed(generation, [text for _, text, _ in batch], job.report)
        fresh = dict(zip((digest for digest, _, _ in batch), computed, strict=True))
        await job.write(lambda session, fresh=fresh: stored.keep(session, generation, fresh))  # type: ignore[misc]
        vectors |= fresh
        tokens = sum(count for _, _, count in batch)
        metrics.tokens.labels("model").inc(tokens)
        job.progress.computed(tokens)
        shown.embedded(len(batch), tokens)
        job.dependencies.failpoint("after_embed")
    return vectors


def _batches(texts: Sequence[_Text], most_tokens: int) -> Iterator[list[_Text]]:
    batch: list[_Text] = []
    tokens = characters = 0
    for entry in texts:
        _, text, count = entry
        if batch and (tokens + count > most_tokens or characters + len(text) > _CHARACTERS or len(batch) == _TEXTS):
            yield batch
            batch, tokens, characters = [], 0, 0
        batch.append(entry)
        tokens += count
        characters += len(text)
    if batch:
        yield batch
