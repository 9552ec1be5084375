"""What a service tells of itself: spans that continue the caller's trace, and metrics of every RPC."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from deploy.local.ports import choose
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity, new_key
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_PARENT = "00f067aa0ba902b7"


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """The receiving end of OTLP."""

    spans: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)

    async def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put_nowait(span)
        return trace_service_pb2.ExportTraceServiceResponse()


@dataclass(frozen=True)
class Watched:
    stub: Any
    metrics: str
    collector: Collector


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """An embedding service of its own, with a collector and a metrics port."""
    collector, server = Collector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    otlp = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    (tmp_path / "mesh.pem").write_bytes(new_key())
    ports = choose(["service", "metrics"], tmp_path / "ports.json", str(tmp_path))
    environment = {
        **os.environ,
        "LISTEN_ADDRESS": f"127.0.0.1:{ports['service']}",
        "METRICS_ADDRESS": f"127.0.0.1:{ports['metrics']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "MODEL_DIR": str(tmp_path),
        "MESH_KEY_FILE": str(tmp_path / "mesh.pem"),
        "AUTH_ADDRESS": "127.0.0.1:1",
    }
    log = (tmp_path / "log").open("wb")
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "services.embedding", env=environment, stderr=log)
    try:
        identity = MeshIdentity("tests", (tmp_path / "mesh.pem").read_bytes())
        async with channels.connect(f"127.0.0.1:{ports['service']}", "embedding", identity) as channel:
            yield Watched(EmbeddingInternalServiceStub(channel), f"http://127.0.0.1:{ports['metrics']}/metrics", collector)
    finally:
        process.terminate()
        await process.wait()
        log.close()
        await server.stop(0)


async def test_a_span_continues_the_callers_trace(watched: Watched) -> None:
    """The W3C trace context crosses the hop, and the span arrives at the collector."""
    call = watched.stub.DescribeModel(
        messages.DescribeModelRequest(), timeout=60, wait_for_ready=True, metadata=(("traceparent", f"00-{_TRACE}-{_PARENT}-01"),)
    )
    await call
    span = await asyncio.wait_for(watched.collector.spans.get(), 20)
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (
        "semantik.embedding.v1.EmbeddingInternalService/DescribeModel",
        _TRACE,
        _PARENT,
    )


async def test_every_rpc_is_counted_by_method_and_status(watched: Watched) -> None:
    """One good call and one bad one are one line each."""
    await watched.stub.DescribeModel(messages.DescribeModelRequest(), timeout=60, wait_for_ready=True)
    with pytest.raises(grpc.aio.AioRpcError):
        await watched.stub.DescribeModel(messages.DescribeModelRequest(model="nothing"), timeout=10)
    async with httpx.AsyncClient() as http:
        text = (await http.get(watched.metrics)).text
    method = "/semantik.embedding.v1.EmbeddingInternalService/DescribeModel"
    assert f'semantik_rpc_handled_total{{code="OK",method="{method}"}} 1.0' in text
    assert f'semantik_rpc_handled_total{{code="NOT_FOUND",method="{method}"}} 1.0' in text
