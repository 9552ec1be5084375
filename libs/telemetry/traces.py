"""W3C trace context through every hop; spans are made and exported only where an endpoint is set."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_HEADERS = ("traceparent", "tracestate")
_tracer: "Tracer | None" = None
# Without an exporter the caller's context is passed on as it came: there is no span of ours in between.
_incoming: ContextVar[dict[str, str]] = ContextVar("trace", default={})  # noqa: B039 - never changed in place


def start(service: str, endpoint: str) -> None:
    """Export spans of ``service`` over OTLP to ``endpoint``; without one, only the context is passed on."""
    global _tracer  # noqa: PLW0603 - tracing is the process's, as logging is
    if not endpoint:
        return
    # OpenTelemetry costs memory and time to import, so only who exports pays for it.
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("semantik")


class ServedSpan:
    """The span of one RPC served, a child of the caller's; nothing is made where nothing is exported."""

    def __init__(self, method: str, metadata: Mapping[str, Any]) -> None:
        self._span: Span | None = None
        if _tracer is None:
            _incoming.set({name: metadata[name] for name in _HEADERS if name in metadata})
            return
        from opentelemetry import context, propagate, trace  # noqa: PLC0415

        self._span = _tracer.start_span(method.removeprefix("/"), propagate.extract(metadata), kind=trace.SpanKind.SERVER)
        self._token = context.attach(trace.set_span_in_context(self._span))

    def end(self, code: str) -> None:
        """End the span with the name of the RPC's status."""
        if self._span is None:
            return
        from opentelemetry import context  # noqa: PLC0415

        self._span.set_attribute("rpc.response.status_code", code)
        self._span.end()
        # A stream that is torn down ends in another context than it began in; the token is void there.
        try:
            context._RUNTIME_CONTEXT.detach(self._token)  # noqa: SLF001 - the public detach logs an error
        except ValueError:
            return


def outgoing() -> Mapping[str, str]:
    """Return the headers that carry the current trace to a peer."""
    if _tracer is None:
        return _incoming.get()
    from opentelemetry import propagate  # noqa: PLC0415

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
