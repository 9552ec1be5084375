"""The public part of the contract, read from the generated stubs: its services and the files that describe them."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2

PACKAGES = ("auth", "collection", "operation", "embedding", "search")
"""The services of the mesh, each of which owns ``semantik.<name>.v1``."""
REFLECTION = "semantik.PublicReflection"
"""The name under which one service describes all public ones to the gateway; the messages are ``grpc.reflection``'s."""


def public_services() -> list[ServiceDescriptor]:
    """Return every service of ``semantik.*.v1`` that is not for the mesh alone, in the packages' order."""
    return [service for file in _files() for service in file.services_by_name.values() if not service.name.endswith("InternalService")]


def descriptor_set() -> FileDescriptorSet:
    """Return the files of the public services and all they import, and the error details, each after those it imports."""
    files = FileDescriptorSet()
    seen: set[str] = set()
    for root in (*(service.file for service in public_services()), error_details_pb2.DESCRIPTOR):
        for file in _with_imports(root, seen):
            file.CopyToProto(files.file.add())
    return files


def _files() -> Iterator[FileDescriptor]:
    for name in PACKAGES:
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
