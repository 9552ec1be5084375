"""Renders ``envoy.yaml``; see ``python -P -m gateway.render --help``."""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway import contract, files, metrics, strict
from gateway import tls as tls_listener
from gateway.errors import mappers, trailers
from gateway.openapi import document, reference
from gateway.tls import Tls
from libs.rpc.contract import REFLECTION
from libs.rpc.proof import gateway_proof
from semantik import policy

_TEMPLATE = Path(__file__).parent / "envoy.yaml"
# The browser app as it was built, where it was: in the wheel, and in a checkout after `make web`.
_APP = Path(__file__).parent / "web" / "dist"
_OPEN_AI = Path(__file__).parent / "open_ai.lua"
_UNARY_SECONDS = 60
# 2,048 texts on a busy machine; OpenAI's clients wait ten minutes.
_EMBEDDINGS_SECONDS = 240
_EMBEDDINGS = "/semantik.embedding.v1.OpenAiService/CreateEmbeddings"
_STREAM_HOURS = 24
# Of what needs no credentials, the one that signs nobody in: services ask for it too.
_KEYS = "GetJwks"
_JSON_BYTES = 8 * 1024 * 1024
# What signing in takes, and more.
_ANONYMOUS_BYTES = 16 * 1024
# What the largest answer has as JSON: 12 MiB of vectors, a number of which has 11 bytes before and up to 24 after.
_ANSWER_BYTES = 28 * 1024 * 1024
_UPLOAD_BYTES = 200 * 1024 * 1024
# What precedes a message in gRPC.
_GRPC_PREFIX = 5
# What people stored is for saving, never for showing in place.
_ATTACHMENT = {"header": {"key": "content-disposition", "value": "attachment"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
# A watch repeats its state every 15 s; a stream without data for this long is dead.
_IDLE = "300s"
# Where JSON is until its body is whole; then the RPC's route has its own times.
_NOWHERE = {
    "cluster": "nowhere",
    "cluster_not_found_response_code": "NOT_FOUND",
    "idle_timeout": "10s",
    "max_stream_duration": {"max_stream_duration": "30s"},
}
# What a person sees who opens the address in a browser.
_ABOUT = {
    "name": "Semantik",
    "about": "Self-hosted semantic search over gRPC, gRPC-Web and JSON at this address. README.md shows how to sign in, index and search.",
    "health": {"gateway": "/healthz", "services": "/readyz"},
    "openai": "/openai/v1",
    "openapi": "/openapi.json",
    "reference": "/docs",
}
# Both versions have the same messages.
_REFLECTION = [f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")]
_REFLECTION_SECONDS = 600
# What a call that comes as gRPC has no use for: left out, a stream takes less memory. (JSON comes on another route.)
_ONLY_JSON = (
    "envoy.filters.http.compressor",
    "envoy.filters.http.header_mutation",
    "envoy.filters.http.file_server",
    "open_ai_errors",
    "strict_json",
    "envoy.filters.http.grpc_json_transcoder",
)
_FILTER = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_UNSENT = "connect-failure,refused-stream"


@dataclass(frozen=True)
class Gateway:
    """The settings of one gateway.

    ``endpoints`` maps a cluster to ``host:port`` of its replicas; ``proof`` is what services know the gateway by; ``admin``
    is the path of a socket or host:port;
    ``trusted_hops`` is the number of proxies in front whose report of the client's address is trusted; ``reflection`` describes the
    public services to whoever asks; ``metrics`` is host:port of a listener for Prometheus, empty for none;
    ``app`` is the folder of the built browser app, None for none; ``tls`` is a second listener with a certificate.
    """

    endpoints: Mapping[str, Sequence[str]]
    descriptor: Path
    port: int
    proof: str
    host: str = "127.0.0.1"
    admin: str = "127.0.0.1:9901"
    cors_origins: Sequence[str] = field(default=())
    trusted_hops: int = 0
    reflection: bool = False
    metrics: str = ""
    app: Path | None = None
    tls: Tls | None = None

    def render(self) -> str:
        """Return Envoy's configuration as YAML."""
        values: dict[str, Any] = {name: [_endpoints(self.endpoints[name])] for name in contract.CLUSTERS}
        values |= {
            "admin": _admin(self.admin),
            "host": self.host,
            "port": self.port,
            "proof": self.proof,
            "trusted_hops": self.trusted_hops,
            "cors_origins": [{"exact": origin} for origin in self.cors_origins],
            "json_bytes": _JSON_BYTES,
            "anonymous_bytes": _ANONYMOUS_BYTES,
            "upload_bytes": _UPLOAD_BYTES,
            "about": json.dumps(_ABOUT) + "\n",
            "answer_bytes": _ANSWER_BYTES,
            "until_whole": _NOWHERE,
            "descriptor": str(self.descriptor),
            "open_ai": _OPEN_AI.read_text(),
            "strict": strict.source(),
            "no_such_method": trailers(404),
            "services": [service.full_name for service in contract.public_services()],
        }
        # JSON is YAML, and the serializer quotes each value once.
        filled = {name: json.dumps(value) for name, value in values.items()}
        filled["tls_listener"] = tls_listener.listener(self.tls, _socket_address(self.tls.address) if self.tls else {})
        filled["hsts"] = tls_listener.lua(self.tls, 18)
        filled["errors"] = _lines(mappers(), 12)
        filled["metrics_listener"] = _lines([metrics.listener(_socket_address(self.metrics))] if self.metrics else [], 2)
        filled["metrics_cluster"] = _lines([metrics.cluster(_admin(self.admin))] if self.metrics else [], 2)
        filled["anonymous"] = _lines([_anonymous(prefix) for prefix in (f"/{contract.ANONYMOUS}/", "/grpc.reflection.")], 14)
        filled["app"] = _lines([files.open_file(document.PATH), *reference.routes(), *(files.routes(self.app) if self.app else ())], 14)
        filled["routes"] = _lines([*(_reflection() if self.reflection else ()), *_routes()], 14)
        return Template(_TEMPLATE.read_text()).substitute(filled)


def built_app() -> Path | None:
    """Return the folder of the browser app that came with the gateway; None in a checkout in which it was not built."""
    return _APP if (_APP / "index.html").exists() else None


def _lines(items: Sequence[Any], indent: int) -> str:
    return ("\n" + " " * indent).join(f"- {json.dumps(item)}" for item in items)


def _routes() -> list[dict[str, Any]]:
    rpcs, uploads, anonymous = [], [], []
    for service in contract.public_services():
        cluster = contract.cluster(service)
        is_anonymous = service.full_name == contract.ANONYMOUS
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            route = (
                _stream(path, cluster) if contract.is_stream(method) else _unary(path, cluster, is_repeatable=policy.is_repeatable(method))
            )
            if is_anonymous:
                route["typed_per_filter_config"] |= _buffered(_GRPC_PREFIX + _ANONYMOUS_BYTES)
            if contract.returns_files(method):
                route["response_headers_to_add"] = [_ATTACHMENT]
            route["route"] |= _rates(method)
            rpcs.append(route)
            if is_anonymous:
                anonymous.append(_small(contract.http_rule(method).path))
            if method.client_streaming:
                uploads.append(_upload(contract.http_rule(method).path))
    return rpcs + uploads + anonymous


def _rates(method: MethodDescriptor) -> dict[str, Any]:
    """Have a call counted that signs in or changes something; one that only reads never waits for that."""
    address = {"masked_remote_address": {"v6_prefix_mask_len": 64}}
    if method.containing_service.full_name == contract.ANONYMOUS:
        return {} if method.name == _KEYS else {"rate_limits": [{"actions": [_kind("sign_in"), address]}]}
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS:
        return {}
    credentials = {"request_headers": {"header_name": "authorization", "descriptor_key": "credentials"}}
    return {"rate_limits": [{"actions": [_kind("write"), address]}, {"actions": [_kind("write"), credentials]}]}


def _kind(value: str) -> dict[str, Any]:
    return {"generic_key": {"descriptor_key": "kind", "descriptor_value": value}}


def _reflection() -> list[dict[str, Any]]:
    """Lead reflection to the service that describes all public ones."""
    routes = []
    for path in _REFLECTION:
        route = _rpc(path, "auth", timeout="0s", longest=f"{_REFLECTION_SECONDS}s", retry_on=_UNSENT)
        route["route"] |= {"prefix_rewrite": f"/{REFLECTION}/ServerReflectionInfo", "idle_timeout": "60s"}
        routes.append(route)
    return routes


def _anonymous(prefix: str) -> dict[str, Any]:
    """Count the calls below ``prefix`` by address."""
    named = {"descriptor_value": "anonymous", "headers": [{"name": ":path", "string_match": {"prefix": prefix}}]}
    return {"actions": [{"header_value_match": named}, {"masked_remote_address": {"v6_prefix_mask_len": 64}}]}


def _upload(path: str) -> dict[str, Any]:
    """Keep the path of an upload, which is not yet gRPC, off the catch-all route: its body is not buffered."""
    pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]+\}", path))
    return {"match": {"safe_regex": {"regex": pattern}}, "route": _NOWHERE}


def _small(path: str) -> dict[str, Any]:
    """Let the JSON of a path that asks for no credentials have a small body."""
    return {"match": {"path": path}, "route": _NOWHERE, "typed_per_filter_config": _buffered(_ANONYMOUS_BYTES)}


def _buffered(limit: int) -> dict[str, Any]:
    """Hold a request in the gateway, which accounts for it, until it is whole."""
    kind = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
    return {"envoy.filters.http.buffer": {"@type": kind, "buffer": {"max_request_bytes": limit}}}


def _stream(path: str, cluster: str) -> dict[str, Any]:
    return _rpc(path, cluster, timeout="0s", longest=f"{_STREAM_HOURS * 3600}s", retry_on=_UNSENT)


def _unary(path: str, cluster: str, *, is_repeatable: bool) -> dict[str, Any]:
    longest = f"{_EMBEDDINGS_SECONDS if path == _EMBEDDINGS else _UNARY_SECONDS}s"
    return _rpc(path, cluster, timeout=longest, longest=longest, retry_on=f"{_UNSENT},unavailable" if is_repeatable else _UNSENT)


def _rpc(path: str, cluster: str, *, timeout: str, longest: str, retry_on: str) -> dict[str, Any]:
    grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    route = {
        "cluster": cluster,
        "timeout": timeout,
        "idle_timeout": _IDLE,  # else that of the route before would stay
        "max_stream_duration": {"max_stream_duration": longest, "grpc_timeout_header_max": longest},
    }
    without = {name: {"@type": _FILTER, "disabled": True} for name in _ONLY_JSON}
    return {"match": {"path": path, "headers": [grpc]}, "route": {**route, **_retries(retry_on)}, "typed_per_filter_config": without}


def _retries(retry_on: str) -> dict[str, Any]:
    previous_hosts = {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}
    return {
        "retry_policy": {
            "retry_on": retry_on,
            "num_retries": 2,
            "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
            "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": previous_hosts}],
            "host_selection_retry_max_attempts": 3,
        }
    }


def _endpoints(addresses: Sequence[str]) -> dict[str, Any]:
    return {"lb_endpoints": [{"endpoint": {"address": _socket_address(address)}} for address in addresses]}


def _socket_address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _admin(address: str) -> dict[str, Any]:
    return {"pipe": {"path": address, "mode": 0o600}} if "/" in address else _socket_address(address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in contract.CLUSTERS:
        parser.add_argument(f"--{name}", action="append", required=True, metavar="HOST:PORT", help="a replica; may be repeated")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on")  # noqa: S104 - in a pod, everywhere
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--admin", default="127.0.0.1:9901", help="host:port, or the path of a socket")
    parser.add_argument("--cors-origin", action="append", default=[], help="an origin from which browsers may call; may be repeated")
    parser.add_argument("--trusted-hops", type=int, default=0, help="the number of proxies in front whose x-forwarded-for is trusted")
    parser.add_argument("--reflection", action="store_true", help="describe the public services to whoever asks by gRPC reflection")
    parser.add_argument("--metrics", default="", help="host:port of a listener for Prometheus; none by default")
    parser.add_argument("--app", type=Path, default=built_app(), help="the folder of the built browser app")
    parser.add_argument("--mesh-key", type=Path, required=True, help="the mesh key's file, from which the gateway's proof is derived")
    parser.add_argument("--descriptor", type=Path, required=True, help="the file to write the descriptor set to, from which Envoy reads it")
    parser.add_argument("--tls-certificate", type=Path, help="the certificate and its chain (PEM) of a listener for TLS; needs --tls-key")
    parser.add_argument("--tls-key", type=Path, help="the certificate's key (PEM)")
    parser.add_argument(
        "--tls-address", default="0.0.0.0:8443", metavar="HOST:PORT", help="where TLS is answered; --host and --port stay plain"
    )
    options = parser.parse_args()
    if bool(options.tls_certificate) != bool(options.tls_key):
        parser.error("--tls-certificate and --tls-key go together")
    options.descriptor.write_bytes(contract.descriptor_set())
    endpoints = {name: getattr(options, name) for name in contract.CLUSTERS}
    proof = gateway_proof(options.mesh_key.read_bytes())
    gateway = Gateway(
        endpoints,
        options.descriptor,
        options.port,
        proof,
        options.host,
        options.admin,
        tuple(options.cors_origin),
        options.trusted_hops,
        options.reflection,
        options.metrics,
        options.app,
        Tls(options.tls_certificate, options.tls_key, options.tls_address) if options.tls_certificate else None,
    )
    sys.stdout.write(gateway.render())


if __name__ == "__main__":
    main()
