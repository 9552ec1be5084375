"""The messages and enums of the contract as schemas, each under its short name, as protobuf's JSON writes them."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from buf.validate import validate_pb2
from gateway.openapi import rules

_ANY: dict[str, Any] = {}
_INTEGER = {"type": "integer", "format": "int32"}
_UNSIGNED = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 4294967295}
_LONG = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UNSIGNED_LONG = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: _INTEGER,
    FieldDescriptor.TYPE_SINT32: _INTEGER,
    FieldDescriptor.TYPE_UINT32: _UNSIGNED,
    FieldDescriptor.TYPE_INT64: _LONG,
    FieldDescriptor.TYPE_SINT64: _LONG,
    FieldDescriptor.TYPE_UINT64: _UNSIGNED_LONG,
}
# Messages that JSON writes in a form of their own.
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+([.][0-9]{1,9})?s$", "examples": ["1.5s"]},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": _ANY,
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
}


class Schemas:
    """Collects the schemas of all that a document refers to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._names: dict[str, str] = {}
        self.components: dict[str, Any] = {}

    def message(self, message: Descriptor, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the schema of a message; ``without`` the fields that travel elsewhere, it has no name of its own."""
        if message.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[message.full_name]
        if without:
            return self._object(message, without)
        name = self._name(message)
        if name not in self.components:
            self.components[name] = {}  # a message may contain itself
            self.components[name] = self._object(message, without)
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor) -> dict[str, Any]:
        """Return the schema of a field with its comment and the constraints of its rules."""
        described = {"description": comment} if (comment := self._comments.get(field.full_name)) else {}
        schema = self._shape(field)
        found = rules.constraints(rules.of(field))
        return {**schema, **found, **described}

    def _shape(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            inner = rules.constraints(rules.of(field).map.values)
            return {"type": "object", "additionalProperties": {**self._single(value), **inner}}
        if field.is_repeated:
            return {"type": "array", "items": {**self._single(field), **rules.constraints(rules.of(field).repeated.items)}}
        return self._single(field)

    def _single(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.enum_type:
            return self._enum(field.enum_type)
        return self.message(field.message_type) if field.message_type else _SCALARS[field.type]

    def _enum(self, enum: EnumDescriptor) -> dict[str, Any]:
        name = self._name(enum)
        if name not in self.components:
            values = [value.name for value in enum.values]
            meanings = [f"- `{value.name}`: {self._line(f'{enum.full_name}.{value.name}')}" for value in enum.values]
            about = self._comments.get(enum.full_name, "")
            self.components[name] = {"type": "string", "enum": values, "description": "\n".join([about, "", *meanings]).strip()}
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, without: frozenset[str]) -> dict[str, Any]:
        fields = [field for field in message.fields if field.name not in without]
        schema: dict[str, Any] = {"type": "object"}
        if comment := self._comments.get(message.full_name):
            schema["description"] = comment
        if fields:
            schema["properties"] = {field.json_name: self.field(field) for field in fields}
        if required := [field.json_name for field in fields if rules.is_required(field)]:
            schema["required"] = required
        choices = [_choice(oneof) for oneof in message.oneofs if not _is_optional(oneof)]
        if len(choices) == 1:
            schema["oneOf"] = choices[0]
        elif choices:
            schema["allOf"] = [{"oneOf": choice} for choice in choices]
        return schema

    def _line(self, name: str) -> str:
        return self._comments.get(name, "").replace("\n", " ")

    def _name(self, thing: Descriptor | EnumDescriptor) -> str:
        name = str(thing.full_name.removeprefix(f"{thing.file.package}."))
        if self._names.setdefault(name, thing.full_name) != thing.full_name:
            raise ValueError(f"two things are named {name}: {thing.full_name} and {self._names[name]}")
        return name


def _is_optional(oneof: Any) -> bool:
    return bool(len(oneof.fields) == 1 and oneof.name.startswith("_"))


def _choice(oneof: Any) -> list[dict[str, Any]]:
    """Say that one of these fields is there, or none where none may be."""
    names = [field.json_name for field in oneof.fields]
    choice: list[dict[str, Any]] = [{"required": [name]} for name in names]
    if not oneof.GetOptions().Extensions[validate_pb2.oneof].required:
        choice.append({"not": {"anyOf": [{"required": [name]} for name in names]}})
    return choice
