"""What the embedder tells Prometheus of itself."""

from prometheus_client import Counter, Gauge

_memory = Gauge("semantik_embedding_model_memory_bytes", "Memory of a loaded model.", ("model", "precision", "provider"))
_load = Gauge("semantik_embedding_model_load_seconds", "Time the last loading of a model took.", ("model", "precision", "provider"))
_tokens = Counter("semantik_embedding_tokens_total", "Tokens computed, padding left out.", ("model", "precision", "lane"))
_padding = Counter("semantik_embedding_padding_tokens_total", "Padding computed beside them.", ("model", "precision", "lane"))
_waiting = Gauge("semantik_embedding_waiting_tokens", "Tokens admitted to a lane and not computed yet.", ("lane",))
_refused = Counter("semantik_embedding_refused_total", "Requests refused because too much was waiting.", ("lane",))


def loaded(model: str, precision: str, provider: str, memory_bytes: int, seconds: float) -> None:
    _memory.labels(model, precision, provider).set(memory_bytes)
    _load.labels(model, precision, provider).set(seconds)


def unloaded(model: str, precision: str, provider: str) -> None:
    _memory.labels(model, precision, provider).set(0)


def computed(model: str, precision: str, lane: str, tokens: int, padding: int) -> None:
    _tokens.labels(model, precision, lane).inc(tokens)
    _padding.labels(model, precision, lane).inc(padding)


def waiting(lane: str, tokens: int) -> None:
    _waiting.labels(lane).set(tokens)


def refused(lane: str) -> None:
    _refused.labels(lane).inc()
