"""The comments of the contract by the full names of what they describe."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

# Field numbers of descriptor.proto that lead from a thing to its parts, with the name of the list they stand for.
_FILE = {4: "message_type", 5: "enum_type", 6: "service"}
_PARTS = {
    "DescriptorProto": {2: "field", 3: "nested_type", 4: "enum_type", 8: "oneof_decl"},
    "EnumDescriptorProto": {2: "value"},
    "ServiceDescriptorProto": {2: "method"},
}


def comments(files: FileDescriptorSet) -> Mapping[str, str]:
    """Return the leading comment of each thing in ``files``, which carry source information."""
    found = {}
    for file in files.file:
        for location in file.source_code_info.location:
            name = ".".join(_names(file, list(location.path)))
            if location.leading_comments and name:
                found[f"{file.package}.{name}"] = _text(location.leading_comments)
    return found


def _names(thing: Any, path: list[int]) -> Iterator[str]:
    """Give the names on the way of ``path``; none where it leads to no thing with a name of its own."""
    names = []
    lists = _FILE
    while path:
        number, *path = path
        if number not in lists or not path:
            return
        position, *path = path
        thing = getattr(thing, lists[number])[position]
        names.append(thing.name)
        lists = _PARTS.get(thing.DESCRIPTOR.name, {})
    yield from names


def _text(comment: str) -> str:
    return "\n".join(line.removeprefix(" ") for line in comment.rstrip().split("\n"))
