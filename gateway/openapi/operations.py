"""An RPC as an operation of a path."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from gateway import contract
from gateway.openapi import rules
from gateway.openapi.answers import Answers
from gateway.openapi.schemas import Schemas

_BYTES = "google.api.HttpBody"
_JSON = "application/json"
_VALUES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}
_VARIABLE = re.compile(r"\{(\w+)\}")


class Operations:
    """Writes operations; what they refer to is collected in ``schemas``."""

    def __init__(self, comments: Mapping[str, str], schemas: Schemas) -> None:
        self._comments = comments
        self._schemas = schemas
        self._answers = Answers(comments)

    def of(self, method: MethodDescriptor) -> dict[str, Any]:
        rule = contract.http_rule(method)
        comment = self._comments[method.full_name]
        in_path = frozenset(_VARIABLE.findall(rule.path))
        signed_in = method.containing_service.full_name != contract.ANONYMOUS
        operation: dict[str, Any] = {
            "operationId": f"{method.containing_service.name}_{method.name}",
            "tags": [method.containing_service.name],
            "summary": re.split(r"(?<=[.])\s", comment, maxsplit=1)[0].removesuffix("."),
            "description": comment,
        }
        if not signed_in:
            operation["security"] = []
        parameters = [self._in_path(method.input_type.fields_by_name[name]) for name in _VARIABLE.findall(rule.path)]
        if rule.body != "*":
            parameters += self._in_query(method.input_type, in_path | {rule.body})
        if parameters:
            operation["parameters"] = parameters
        if rule.body:
            operation["requestBody"] = self._body(method.input_type, rule.body, in_path)
        error = "OpenAiError" if rule.path.startswith("/openai/") else "Status"
        errors = self._answers.of(method.full_name, error, body=bool(rule.body), signed_in=signed_in)
        operation["responses"] = {"200": self._answer(method), **errors}
        return operation

    def _in_path(self, field: FieldDescriptor) -> dict[str, Any]:
        found = self._parameter(field)
        # What may be empty elsewhere is not in a path.
        *_, given = found["schema"].pop("anyOf", [{}])
        found["schema"] |= given
        return {"name": field.name, "in": "path", "required": True, **found}

    def _in_query(self, message: Descriptor, elsewhere: frozenset[str], prefix: str = "") -> Iterator[dict[str, Any]]:
        for field in message.fields:
            if field.name in elsewhere:
                continue
            kind = field.message_type
            if kind is None or kind.full_name in _VALUES:
                yield {
                    "name": f"{prefix}{field.json_name}",
                    "in": "query",
                    "required": rules.is_required(field) and not prefix,
                    **self._parameter(field),
                }
            elif not field.is_repeated and kind.file.package.startswith("semantik."):
                yield from self._in_query(kind, frozenset(), f"{prefix}{field.json_name}.")

    def _parameter(self, field: FieldDescriptor) -> dict[str, Any]:
        schema = self._schemas.field(field)
        described = {"description": schema.pop("description")} if "description" in schema else {}
        return {**described, "schema": schema}

    def _body(self, message: Descriptor, body: str, in_path: frozenset[str]) -> dict[str, Any]:
        if body == "*":
            return {"required": True, "content": {_JSON: {"schema": self._schemas.message(message, without=in_path)}}}
        field = message.fields_by_name[body]
        if field.message_type and field.message_type.full_name == _BYTES:
            about = "The bytes as they are, with their own `content-type`."
            return {"required": True, "description": about, "content": {"application/octet-stream": {"schema": {}}}}
        return {"required": True, "content": {_JSON: {"schema": self._schemas.field(field)}}}

    def _answer(self, method: MethodDescriptor) -> dict[str, Any]:
        headers = {"x-correlation-id": {"$ref": "#/components/headers/CorrelationId"}}
        if method.output_type.full_name == _BYTES:
            kind = _JSON if contract.http_rule(method).path.endswith(".json") else "*/*"
            return {"description": "The bytes, with their own content type.", "headers": headers, "content": {kind: {"schema": {}}}}
        schema = self._schemas.message(method.output_type)
        if method.server_streaming:
            about = "A stream of server-sent events: the `data` of each has this schema. A stream that breaks ends without an event."
            return {"description": about, "headers": headers, "content": {"text/event-stream": {"schema": schema}}}
        return {"description": "The answer.", "headers": headers, "content": {_JSON: {"schema": schema}}}
