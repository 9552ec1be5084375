"""The embedding service's own metrics: tokens by lane, what waits, loads, memory, downloads, damage."""

from prometheus_client import Counter, Gauge, Histogram

_WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LOADS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 900.0)
_MODEL = ("model", "precision")

_tokens = Counter("semantik_embedding_tokens_total", "Tokens computed, without padding.", (*_MODEL, "lane"))
_padding = Counter("semantik_embedding_padding_tokens_total", "Padding computed beside them.", (*_MODEL, "lane"))
_queue = Gauge("semantik_embedding_queue_tokens", "Tokens admitted to a lane and not answered yet.", ("lane",))
_waits = Histogram("semantik_embedding_wait_seconds", "Time from admission to the first computation.", ("lane",), buckets=_WAITS)
_refused = Counter("semantik_embedding_refused_total", "Calls refused because too much waits.", ("lane",))
_loads = Counter("semantik_embedding_loads_total", "Attempts to load a model, by outcome.", (*_MODEL, "outcome"))
_load_seconds = Histogram("semantik_embedding_load_seconds", "Time a load took, with its graph's build.", _MODEL, buckets=_LOADS)
_builds = Histogram("semantik_embedding_graph_build_seconds", "Time the build of a graph took.", _MODEL, buckets=_LOADS)
_memory = Gauge("semantik_embedding_model_memory_bytes", "Memory of a loaded model.", (*_MODEL, "provider"))
_damaged = Counter("semantik_embedding_damaged_total", "Models whose files were found damaged.", ("model",))
_unsound = Counter("semantik_embedding_unsound_total", "Results that were not vectors or scores, and were not sent.", _MODEL)
_downloads = Counter("semantik_embedding_downloads_total", "Downloads that ended, by outcome.", ("outcome",))


def computed(model: str, precision: str, lane: str, tokens: int, padding: int) -> None:
    _tokens.labels(model, precision, lane).inc(tokens)
    _padding.labels(model, precision, lane).inc(padding)


def queued(lane: str, tokens: int) -> None:
    _queue.labels(lane).set(tokens)


def waited(lane: str, seconds: float) -> None:
    _waits.labels(lane).observe(seconds)


def refused(lane: str) -> None:
    _refused.labels(lane).inc()


def loaded(model: str, precision: str, provider: str, memory_bytes: int, seconds: float) -> None:
    _loads.labels(model, precision, "loaded").inc()
    _load_seconds.labels(model, precision).observe(seconds)
    _memory.labels(model, precision, provider).set(memory_bytes)


def load_failed(model: str, precision: str) -> None:
    _loads.labels(model, precision, "failed").inc()


def unloaded(model: str, precision: str, provider: str) -> None:
    _memory.remove(model, precision, provider)


def graph_built(model: str, precision: str, seconds: float) -> None:
    _builds.labels(model, precision).observe(seconds)


def damaged(model: str) -> None:
    _damaged.labels(model).inc()


def unsound(model: str, precision: str) -> None:
    _unsound.labels(model, precision).inc()


def download_ended(outcome: str) -> None:
    _downloads.labels(outcome).inc()
