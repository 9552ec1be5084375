"""What ``strict.lua`` has to know: the contract's HTTP rules, what their paths hold, and the fields of their messages."""

import json
import re
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from gateway import contract

_SOURCE = Path(__file__).parent / "strict.lua"
# Messages with a JSON form of their own, or with any content.
_FREE = ("google.protobuf.", "google.api.HttpBody")


def source() -> str:
    """Return the filter's Lua code with its tables."""
    rules: list[str] = []
    types: dict[str, Descriptor] = {}
    for service in contract.public_services():
        for method in service.methods:
            rule = contract.http_rule(method)
            message = method.input_type if rule.body == "*" else _message(method.input_type.fields_by_name.get(rule.body))
            kind = "false" if message is None else _quoted(message.full_name)
            if message is not None:
                _collect(message, types)
            is_request = "true" if rule.body == "*" else "false"
            columns = (_quoted(rule.method), _quoted(_pattern(rule.path)), kind, _bound(method, rule.path), is_request)
            rules.append("{ " + ", ".join(columns) + " },")
    tables = ["local RULES = {", *rules, "}", "local TYPES = {", *map(_fields, types.values()), "}"]
    return "\n".join(tables) + "\n" + _SOURCE.read_text()


def _bound(method: MethodDescriptor, path: str) -> str:
    """Return how often a query may name each field: 0 for what the path holds, 1 for a single value, 2 for a list."""
    in_path = set(re.findall(r"\{(\w+)[^}]*\}", path))
    counts = {field.name: 0 if field.name in in_path else 2 if field.is_repeated else 1 for field in method.input_type.fields}
    return "{ " + ", ".join(f"[{_quoted(name)}] = {count}" for name, count in counts.items()) + " }"


def _collect(message: Descriptor, types: dict[str, Descriptor]) -> None:
    if message.full_name in types:
        return
    types[message.full_name] = message
    for field in message.fields:
        inner = _message(field)
        if inner is not None:
            _collect(inner, types)


def _message(field: FieldDescriptor | None) -> Descriptor | None:
    if field is None or field.message_type is None or field.message_type.GetOptions().map_entry:
        return None
    return None if field.message_type.full_name.startswith(_FREE) else field.message_type


def _fields(message: Descriptor) -> str:
    """Return each spelling of a field with its own name and the type of its messages, or true."""
    known: dict[str, str] = {}
    for field in message.fields:
        inner = _message(field)
        kind = "true" if inner is None else _quoted(inner.full_name)
        known[field.name] = known[field.json_name] = f"{{ {_quoted(field.name)}, {kind} }}"
    inside = ", ".join(f"[{_quoted(name)}] = {field}" for name, field in known.items())
    return f"[{_quoted(message.full_name)}] = {{ {inside} }},"


def _pattern(path: str) -> str:
    """Return the Lua pattern of a path template."""
    parts = re.split(r"\{[^}]+\}", path)
    return "^" + "[^/]+".join(re.sub(r"(\W)", r"%\1", part) for part in parts) + "$"


def _quoted(text: str) -> str:
    return json.dumps(text)
