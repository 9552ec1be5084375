"""The listener for TLS, beside the plain one: the same filters behind a certificate."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LISTENER = """\
- name: tls
    address: {address}
    enable_reuse_port: false
    per_connection_buffer_limit_bytes: 65536
    filter_chains:
    - filters: *filters
      transport_socket: {socket}"""
_YEAR_SECONDS = 365 * 86400
# Of the first filter, so that Envoy's own answers have it too.
_HSTS = f"""
function envoy_on_response(response)
  if response:streamInfo():downstreamSslConnection() then
    response:headers():replace("strict-transport-security", "max-age={_YEAR_SECONDS}")
  end
end"""


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain and its key, both PEM, and the address (host:port) that answers with them."""

    certificate: Path
    key: Path
    address: str


def listener(tls: Tls | None, address: dict[str, Any]) -> str:
    """Return the listener as YAML at the template's indent; it shares the filters of the plain one, which stands before it."""
    if tls is None:
        return ""
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    context = {
        "@type": kind,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [{"certificate_chain": {"filename": str(tls.certificate)}, "private_key": {"filename": str(tls.key)}}],
        },
    }
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return _LISTENER.format(address=json.dumps(address), socket=json.dumps(socket))


def lua(tls: Tls | None, indent: int) -> str:
    """Return what lets browsers come back by TLS only, on answers that went through it."""
    return _HSTS.replace("\n", "\n" + " " * indent) if tls else ""
