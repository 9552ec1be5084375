"""W3C trace context through every hop; spans are exported only where an endpoint is set."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind

_tracer = trace.get_tracer("semantik")


def start(service: str, endpoint: str) -> None:
    """Export spans of ``service`` over OTLP to ``endpoint``; without one, only the context is passed on."""
    if not endpoint:
        return
    # The SDK costs memory and time to import, so only who exports pays for it.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


@contextmanager
def server_span(method: str, metadata: Mapping[str, str]) -> Iterator[None]:
    """Span one RPC served, as a child of the caller's span."""
    span = _tracer.start_span(method.removeprefix("/"), propagate.extract(metadata), kind=SpanKind.SERVER)
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        span.end()
        _detach(token)


def _detach(token: object) -> None:
    # A stream that is torn down ends in another context than it began in; the token is void there.
    try:
        context._RUNTIME_CONTEXT.detach(token)  # type: ignore[arg-type]  # noqa: SLF001 - the public detach logs an error
    except ValueError:
        return


def outgoing() -> dict[str, str]:
    """Return the headers that carry the current trace to a peer."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
