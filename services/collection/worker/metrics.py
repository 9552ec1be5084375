"""What the worker counts: documents and seconds by stage and outcome."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_stage_seconds = Histogram("semantik_worker_stage_seconds", "Seconds a stage took for one batch.", ("stage",), buckets=_BUCKETS)
documents = Counter("semantik_worker_documents_total", "Documents whose end was committed, by outcome and reason.", ("outcome", "reason"))
chunks = Counter("semantik_worker_chunks_total", "Chunks that were committed.")
tokens = Counter("semantik_worker_tokens_total", "Tokens by where their vectors came from: the model, or an earlier attempt.", ("origin",))
entries = Counter("semantik_worker_entries_total", "Entries of sources that were listed, by what changed.", ("change",))
failures = Counter("semantik_worker_failures_total", "Faults that were logged, by what was being done.", ("what",))


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure one batch of a stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        _stage_seconds.labels(name).observe(time.perf_counter() - started)
