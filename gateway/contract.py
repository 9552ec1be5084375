"""What the gateway knows of the contract: the public services, their routes, the descriptor set."""

from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from libs.rpc import contract
from libs.rpc.contract import public_services

__all__ = ["ANONYMOUS", "CLUSTERS", "HttpRule", "cluster", "descriptor_set", "http_rule", "is_stream", "public_services", "returns_files"]

CLUSTERS = contract.PACKAGES


def cluster(service: ServiceDescriptor) -> str:
    return str(service.full_name.split(".")[1])


ANONYMOUS = "semantik.auth.v1.AuthService"
"""The service that is called without credentials."""


def is_stream(method: MethodDescriptor) -> bool:
    return bool(method.client_streaming or method.server_streaming)


def returns_files(method: MethodDescriptor) -> bool:
    """Return whether the answer is bytes that people stored."""
    return bool(method.server_streaming and method.output_type.full_name == "google.api.HttpBody")


@dataclass(frozen=True)
class HttpRule:
    """How a method is reached in JSON: ``body`` is ``*``, the name of a field, or empty."""

    method: str
    path: str
    body: str


def http_rule(method: MethodDescriptor) -> HttpRule:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    pattern = rule.WhichOneof("pattern") or ""
    return HttpRule(pattern.upper(), str(getattr(rule, pattern, "")), rule.body)


def descriptor_set() -> bytes:
    """Return the files that describe the public services, as Envoy reads them."""
    return contract.descriptor_set().SerializeToString(deterministic=True)
