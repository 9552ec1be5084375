"""Envoy's own errors as the services' errors look in JSON: a google.rpc.Status with an ErrorInfo."""

from typing import Any

from google.rpc.code_pb2 import Code

from semantik.error.v1.error_reason_pb2 import ErrorReason

# HTTP status -> code and reason of the same meaning.
_MEANINGS = {
    400: (Code.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST),
    404: (Code.NOT_FOUND, ErrorReason.ERROR_REASON_ROUTE_NOT_FOUND),
    405: (Code.UNIMPLEMENTED, ErrorReason.ERROR_REASON_ROUTE_NOT_FOUND),
    408: (Code.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED),
    411: (Code.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST),
    413: (Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE),
    415: (Code.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST),
    426: (Code.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST),
    429: (Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED),
    431: (Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE),
    500: (Code.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL),
    503: (Code.UNAVAILABLE, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE),
    504: (Code.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED),
}
# Where Envoy says nothing, or something only its operator understands.
_TEXTS = {
    404: "there is no such route",
    405: "this method is not allowed",
    503: "a service is not available, try again",
    504: "the service did not answer in time",
}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def mappers() -> list[dict[str, Any]]:
    """Return ``local_reply_config.mappers``, one for each status."""
    return [_mapper(status) for status in _MEANINGS]


def _mapper(status: int) -> dict[str, Any]:
    code, reason = _MEANINGS[status]
    name = ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
    body = {
        "code": int(code),
        "message": _TEXTS.get(status, "%LOCAL_REPLY_BODY%"),
        "details": [{"@type": _INFO, "reason": name, "domain": "semantik", "metadata": {}}],
    }
    is_status = {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"error_{status}"}}}}
    return {
        "filter": {"and_filter": {"filters": [is_status, {"or_filter": {"filters": [_not_grpc(), _transcoded()]}}]}},
        "body_format_override": {"json_format": body},
    }


def _not_grpc() -> dict[str, Any]:
    grpc = {"prefix": "application/grpc"}
    header = {"name": "content-type", "string_match": grpc, "invert_match": True, "treat_missing_header_as_empty": True}
    return {"header_filter": {"header": header}}


def _transcoded() -> dict[str, Any]:
    return {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}}
