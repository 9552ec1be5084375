"""What the gateway knows of the contract, read from the generated stubs: the public services, their routes, the descriptor set."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2

CLUSTERS = ("auth", "collection", "operation", "embedding", "search")


def public_services() -> list[ServiceDescriptor]:
    """Return every service of ``semantik.*.v1`` that is not for the mesh alone, in the clusters' order."""
    return [service for file in _files() for service in file.services_by_name.values() if not service.name.endswith("InternalService")]


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
    """Return the files of the public services and all they import, and the error details, as a FileDescriptorSet."""
    files = FileDescriptorSet()
    seen: set[str] = set()
    for root in (*(service.file for service in public_services()), error_details_pb2.DESCRIPTOR):
        for file in _with_imports(root, seen):
            file.CopyToProto(files.file.add())
    return files.SerializeToString(deterministic=True)


def _files() -> Iterator[FileDescriptor]:
    for name in CLUSTERS:
        package = importlib.import_module(f"semantik.{name}.v1")
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            if module.endswith("_service_pb2"):
                yield importlib.import_module(f"{package.__name__}.{module}").DESCRIPTOR


def _with_imports(file: FileDescriptor, seen: set[str]) -> Iterator[FileDescriptor]:
    if file.name in seen:
        return
    seen.add(file.name)
    for needed in file.dependencies:
        yield from _with_imports(needed, seen)
    yield file
