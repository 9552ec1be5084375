"""The answers of an RPC that are errors, by HTTP status, with the reasons that its comment lists."""

import re
from collections.abc import Mapping
from typing import Any

from google.rpc.code_pb2 import Code

from semantik.error.v1.error_reason_pb2 import ErrorReason

# As the gateway translates the status of a call.
_STATUSES = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
_MEANINGS = {
    400: "The request is invalid, or the resource's state does not allow it.",
    401: "The credentials are missing, wrong or expired.",
    403: "The caller may not do this.",
    404: "There is no such resource, or the caller may not know of it.",
    408: "The request did not arrive in time.",
    409: "Something of this name or id is there already, or another call was faster.",
    413: "The request is too large.",
    429: "Too much for now: try again after the seconds of `retry-after` or the RetryInfo of the body, where one is there.",
    431: "The request's headers are too large.",
    499: "The client ended the call.",
    500: "Something broke in the mesh; the correlation id finds it in the logs.",
    501: "This installation does not have the RPC.",
    503: "A service is not available at the moment: try again.",
    504: "The work was not done in time.",
}
# What each call can meet, whatever its comment lists.
_ALWAYS = {
    400: ["INVALID_REQUEST"],
    404: ["ROUTE_NOT_FOUND"],
    429: ["OVERLOADED", "RATE_LIMITED"],
    431: ["MESSAGE_TOO_LARGE"],
    500: ["INTERNAL"],
    503: ["DEPENDENCY_UNAVAILABLE", "DRAINING"],
    504: ["DEADLINE_EXCEEDED"],
}
_WITH_A_BODY = {408: ["DEADLINE_EXCEEDED"], 413: ["MESSAGE_TOO_LARGE"], 429: ["MESSAGE_TOO_LARGE"]}
_SIGNED_IN = {401: ["CREDENTIALS_MISSING", "TOKEN_INVALID"], 403: ["ROLE_REQUIRED"]}
_REASONS = re.compile(r"Reasons:(?P<listed>[^.]*)[.]")
_REASON = re.compile(r"\b[A-Z][A-Z]+(?:_[A-Z]+)*\b")
_ASIDE = re.compile(r"\([^)]*\)")
_PREFIX = "ERROR_REASON_"
RETRY_AFTER = {"description": "The seconds to wait, where the gateway knows them.", "schema": {"type": "integer", "minimum": 1}}


class Answers:
    """Knows by the comments of ``ErrorReason`` which status each reason comes with."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._texts: dict[str, str] = {}
        self._status: dict[str, int] = {}
        for value in ErrorReason.DESCRIPTOR.values:
            text = comments.get(f"{ErrorReason.DESCRIPTOR.full_name}.{value.name}", "")
            name = value.name.removeprefix(_PREFIX)
            self._texts[name] = text.split("\n{", maxsplit=1)[0].replace("\n", " ")
            codes = [word for word in _REASON.findall(self._texts[name]) if word in Code.keys()]  # noqa: SIM118 - no mapping
            if codes:
                self._status[name] = _STATUSES[Code.Value(codes[0])]

    def of(self, method: str, schema: str, *, body: bool, signed_in: bool) -> dict[str, Any]:
        """Return the responses of a method's errors, whose schema is of this name."""
        reasons: dict[int, list[str]] = {}
        for chosen, more in ((True, _ALWAYS), (body, _WITH_A_BODY), (signed_in, _SIGNED_IN)):
            for status, names in more.items() if chosen else ():
                reasons.setdefault(status, []).extend(names)
        for reason in self._listed(method):
            names = reasons.setdefault(self._status[reason], [])
            if reason not in names:
                names.append(reason)
        return {str(status): self._response(status, names, schema) for status, names in sorted(reasons.items())}

    def _listed(self, method: str) -> list[str]:
        found = _REASONS.search(_ASIDE.sub("", self._comments.get(method, "")))
        if found is None:
            raise ValueError(f"{method}: its comment lists no reasons")
        return [word for word in _REASON.findall(found["listed"]) if word in self._status]

    def _response(self, status: int, reasons: list[str], schema: str) -> dict[str, Any]:
        lines = [f"- `{reason}`: {self._texts[reason]}" for reason in reasons]
        headers: dict[str, Any] = {"x-correlation-id": {"$ref": "#/components/headers/CorrelationId"}}
        if status == _STATUSES[Code.RESOURCE_EXHAUSTED]:
            headers["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
        return {
            "description": "\n".join([_MEANINGS[status], "", *lines]),
            "headers": headers,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
