"""The OpenAPI 3.1 document of the public services: the contract as Envoy transcodes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.rpc.status_pb2 import Status

from gateway import contract
from gateway.openapi.answers import RETRY_AFTER
from gateway.openapi.operations import Operations
from gateway.openapi.schemas import Schemas

PATH = Path(__file__).parent / "openapi.json"
"""The document as it is served; `make generate` writes it."""

_ABOUT = """\
Self-hosted semantic search. These are the JSON paths of the services that also answer gRPC and gRPC-Web at the same address.

- **Names.** Answers have camelCase names. Requests take these or those of the contract (`page_size`), but not a name it does not have.
- **Numbers of 64 bits** are texts in answers; requests take numbers too.
- **Enums** are names in answers; requests take numbers too.
- **Times** are RFC 3339 in UTC, durations seconds with an `s` (`1.5s`), bytes base64.
- **Absent.** A field that is a message is absent where it has no value; other fields always have one in answers, which is empty, 0
  or false by default.
- **Errors** are a `google.rpc.Status` whose details contain an `ErrorInfo`: its `reason` is for programs, `message` for people.
- **Streams** are server-sent events.
- **Correlation.** Send `x-correlation-id` or take the one of the answer: logs contain it.
"""
_STATUS = {
    "type": "object",
    "description": "An error.",
    "properties": {
        "code": {"type": "integer", "format": "int32", "description": "The code of google.rpc.Code."},
        "message": {"type": "string", "description": "What is wrong, for people."},
        "details": {
            "type": "array",
            "description": "An ErrorInfo, and where they help a RetryInfo or a BadRequest.",
            "items": {
                "type": "object",
                "properties": {
                    "@type": {"type": "string", "examples": ["type.googleapis.com/google.rpc.ErrorInfo"]},
                    "reason": {"type": "string", "description": "The reason, of an ErrorInfo.", "examples": ["INVALID_REQUEST"]},
                    "domain": {"type": "string", "description": "`semantik`, of an ErrorInfo."},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    "retryDelay": {"type": "string", "description": "The time to wait, of a RetryInfo.", "examples": ["1s"]},
                },
                "required": ["@type"],
            },
        },
    },
    "required": ["code", "message"],
}
_OPEN_AI_ERROR = {
    "type": "object",
    "description": "An error in the form of OpenAI's.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": ["string", "null"]},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def document(comments: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return the document of the contract whose comments are given by name."""
    schemas = Schemas(comments)
    # What the contract says of an operation's error, and what a failed request gets, is the same message.
    schemas.message(Status.DESCRIPTOR)
    operations = Operations(comments, schemas)
    paths: dict[str, Any] = {}
    tags = []
    for service in contract.public_services():
        tags.append({"name": service.name, "description": comments[service.full_name]})
        for method in service.methods:
            rule = contract.http_rule(method)
            paths.setdefault(rule.path, {})[rule.method.lower()] = operations.of(method)
    components = {**schemas.components, "Status": _STATUS, "OpenAiError": _OPEN_AI_ERROR}
    correlation = {"description": "The id of this call in all logs.", "schema": {"type": "string"}}
    bearer = {"type": "http", "scheme": "bearer", "description": "An access token (`AuthService_Login`)."}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Semantik",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": tags,
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "headers": {"CorrelationId": correlation, "RetryAfter": RETRY_AFTER},
            "securitySchemes": {"bearer": bearer},
        },
    }


def written(found: Mapping[str, Any]) -> str:
    """Return the document as its file holds it."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
