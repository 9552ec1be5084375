"""Envoy's own errors as the services' errors look: a google.rpc.Status with an ErrorInfo, in JSON and in gRPC."""

from base64 import b64encode
from http import HTTPStatus
from typing import Any

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

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
    429: (Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_RATE_LIMITED),
    431: (Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE),
    500: (Code.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL),
    503: (Code.UNAVAILABLE, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE),
    504: (Code.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED),
}
# Where Envoy says nothing, or something only its operator understands.
_TEXTS = {
    404: "there is no such route",
    405: "this method is not allowed",
    408: "the request did not arrive in time",
    429: "too many requests, try again after the seconds in retry-after",
    503: "a service is not available, try again",
    504: "the service did not answer in time",
}
# What gRPC callers are told: always the same words, since the status in the details repeats them.
_GRPC_TEXTS = _TEXTS | {
    400: "the gateway cannot read this request",
    404: "there is no such method",
    411: "the request has no length",
    413: "the request is too large",
    415: "the gateway does not know this content type",
    426: "the gateway does not speak this protocol",
    431: "the request's headers are too large",
    500: "the gateway failed",
}
_TYPES = "type.googleapis.com/google.rpc"


def mappers() -> list[dict[str, Any]]:
    """Return ``local_reply_config.mappers``, two for each status: JSON and gRPC."""
    # Envoy refuses HTTP/1 for want of memory with a 500, known by its details.
    overload = [{**mapper, "status_code": 503} for mapper in (_json(503, _out_of_memory()), _grpc(503, _out_of_memory()))]
    return overload + [mapper for status in _MEANINGS for mapper in (_json(status, _status_is(status)), _grpc(status, _status_is(status)))]


def trailers(status: int) -> list[dict[str, Any]]:
    """Return, as Envoy's ``headers_to_add``, how an error of this HTTP status ends a gRPC call."""
    code, reason = _MEANINGS[status]
    code = Code.UNIMPLEMENTED if status == HTTPStatus.NOT_FOUND else code
    details = Status(code=int(code), message=_GRPC_TEXTS[status])
    details.details.add().Pack(ErrorInfo(reason=_name(reason), domain="semantik"))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        details.details.add().Pack(RetryInfo(retry_delay={"seconds": 1}))
    values = {
        "grpc-status": str(int(code)),
        "grpc-message": details.message,
        "grpc-status-details-bin": b64encode(details.SerializeToString()).decode(),
    }
    # The rate-limit service says in details of its own how long to wait.
    kept = {"grpc-status-details-bin"} if status == HTTPStatus.TOO_MANY_REQUESTS else set()
    actions = {key: "ADD_IF_ABSENT" if key in kept else "OVERWRITE_IF_EXISTS_OR_ADD" for key in values}
    return [{"header": {"key": key, "value": value}, "append_action": actions[key]} for key, value in values.items()]


def _json(status: int, condition: dict[str, Any]) -> dict[str, Any]:
    code, reason = _MEANINGS[status]
    details: list[dict[str, Any]] = [{"@type": f"{_TYPES}.ErrorInfo", "reason": _name(reason), "domain": "semantik", "metadata": {}}]
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        details.append({"@type": f"{_TYPES}.RetryInfo", "retryDelay": "%RESP(RETRY-AFTER)%s"})
    body = {"code": int(code), "message": _TEXTS.get(status, "%LOCAL_REPLY_BODY%"), "details": details}
    json = {"or_filter": {"filters": [_content_type_is_grpc(no=True), _transcoded()]}}
    return {"filter": {"and_filter": {"filters": [condition, json]}}, "body_format_override": {"json_format": body}}


def _grpc(status: int, condition: dict[str, Any]) -> dict[str, Any]:
    grpc = {"and_filter": {"filters": [condition, _content_type_is_grpc()]}}
    return {
        "filter": grpc,
        "headers_to_add": trailers(status),
        "body_format_override": {"text_format_source": {"inline_string": _GRPC_TEXTS[status]}},
    }


def _name(reason: "ErrorReason.ValueType") -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def _status_is(status: int) -> dict[str, Any]:
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"error_{status}"}}}}


def _out_of_memory() -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    config = {"@type": kind, "expression": "response.code_details == 'overload'"}
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": config}}


def _content_type_is_grpc(*, no: bool = False) -> dict[str, Any]:
    header = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return {"header_filter": {"header": {**header, "invert_match": no, "treat_missing_header_as_empty": True}}}


def _transcoded() -> dict[str, Any]:
    return {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}}
