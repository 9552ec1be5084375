"""The one exception a servicer raises, its constructors by reason, and its form on the wire."""

from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from libs.rpc import call
from semantik.error.v1.error_reason_pb2 import ErrorReason

DOMAIN = "semantik"
_PREFIX = "ERROR_REASON_"

# A peer's answer in these codes is about the caller's request and passes through as it is.
_PASSED_ON = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.PERMISSION_DENIED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.ABORTED,
    StatusCode.OUT_OF_RANGE,
}


class Failure(Exception):  # noqa: N818 - it is an answer, not a defect
    """An error for the client: a gRPC code, a reason from the contract, one sentence.

    ``field`` names the field of the request at fault; after ``retry_after`` seconds trying again may help.
    """

    def __init__(
        self,
        code: StatusCode,
        reason: "ErrorReason.ValueType",
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        field: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.field = field
        self.retry_after = retry_after

    @property
    def reason_name(self) -> str:
        return ErrorReason.Name(self.reason).removeprefix(_PREFIX)

    def proto(self) -> status_pb2.Status:
        """Return the failure as ``google.rpc.Status`` with its details packed."""
        details = [error_details_pb2.ErrorInfo(reason=self.reason_name, domain=DOMAIN, metadata=self.metadata)]
        packed = [_packed(detail) for detail in details]
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
            packed.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
        if self.retry_after is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(round(self.retry_after * 1000))
            packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        return status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)

    async def abort(self, context: "grpc.aio.ServicerContext[object, object]") -> None:
        """End the call with this failure; raises, as every abort does."""
        status = rpc_status.to_status(self.proto())
        # The status brings its own trailers along, in place of those set before.
        trailers = [*status.trailing_metadata]
        if correlation_id := call.current().correlation_id:
            trailers.append(("x-correlation-id", correlation_id))
        if self.retry_after is not None:
            trailers.append(("retry-after", str(max(1, round(self.retry_after)))))
        await context.abort_with_status(_Status(status.code, status.details, tuple(trailers)))


class _Status(grpc.Status):
    def __init__(self, code: StatusCode, details: str, trailing_metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        self.code = code
        self.details = details
        self.trailing_metadata = trailing_metadata


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


def not_found(noun: str, identifier: str) -> Failure:
    """Return NOT_FOUND for what does not exist, and for what the caller may not know about: the answers are equal."""
    reason, words = ErrorReason.Value(f"{_PREFIX}{noun.upper()}_NOT_FOUND"), noun.replace("_", " ")
    return Failure(StatusCode.NOT_FOUND, reason, f"{words} {identifier} does not exist", {f"{noun}_id": identifier})


def invalid(field: str, message: str, rule: str = "") -> Failure:
    """Return INVALID_ARGUMENT for one field of a request."""
    metadata = {"field": field, "rule": rule} if rule else {"field": field}
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, f"{field}: {message}", metadata, field=field)


def unavailable(dependency: str) -> Failure:
    """Return UNAVAILABLE for a store or peer that cannot be reached."""
    return Failure(
        StatusCode.UNAVAILABLE,
        ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
        f"{dependency} cannot be reached at the moment",
        {"dependency": dependency},
        retry_after=1.0,
    )


def storage_full(store: str) -> Failure:
    """Return RESOURCE_EXHAUSTED for a store without space."""
    return Failure(
        StatusCode.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_STORAGE_FULL,
        f"{store} has no space left; nothing was written",
        {"store": store},
        retry_after=15.0,
    )


def statement_timeout() -> Failure:
    """Return DEADLINE_EXCEEDED for a statement that the database ended because it took too long."""
    message = "the database needed too long for this request and ended it; nothing was written"
    return Failure(StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_STATEMENT_TIMEOUT, message)


def transaction_conflict() -> Failure:
    """Return UNAVAILABLE for a transaction that lost against another one: the same call can succeed at once."""
    message = "another request changed the same data at the same time; nothing was written, try again"
    return Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_TRANSACTION_CONFLICT, message, retry_after=0.1)


def credentials_missing() -> Failure:
    """Return UNAUTHENTICATED for a call without an ``authorization`` header."""
    message = "sign in first: send `authorization: Bearer <access token>`"
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIALS_MISSING, message)


def gateway_only() -> Failure:
    """Return UNAUTHENTICATED for a client that calls a service itself."""
    message = "this service answers clients through the gateway alone"
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIALS_MISSING, message)


def token_invalid() -> Failure:
    """Return UNAUTHENTICATED for a credential that is not valid, without the reason."""
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_INVALID, "the access token is not valid")


def role_required(role: str) -> Failure:
    """Return PERMISSION_DENIED for a global role below ``role``."""
    message = f"this requires the role {role} or a higher one"
    return Failure(StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_ROLE_REQUIRED, message, {"role": role})


def internal() -> Failure:
    """Return INTERNAL, which says nothing: the correlation id finds the cause in the log."""
    return Failure(StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, "internal error")


def deadline_exceeded() -> Failure:
    """Return DEADLINE_EXCEEDED for work that outlasted the caller's deadline."""
    message = "the work was not done within the deadline"
    return Failure(StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED, message)


def message_missing() -> Failure:
    """Return INVALID_ARGUMENT for a call that ends before its request."""
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, "the request has no message")


def overloaded(message: str, seconds: float) -> Failure:
    """Return RESOURCE_EXHAUSTED with ``seconds`` as RetryInfo: too much waits already."""
    return Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED, message, retry_after=seconds)


def draining(message: str) -> Failure:
    """Return UNAVAILABLE for a call that another replica, or this one in a moment, answers."""
    return Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DRAINING, message, retry_after=0.1)


def reason_of(error: grpc.RpcError) -> str:
    """Return the ErrorInfo reason of a peer's answer, or an empty string."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def from_peer(error: grpc.aio.AioRpcError) -> Failure | None:
    """Translate a peer's answer into ours, or return None where it means a fault on our side."""
    code = error.code()
    if code is StatusCode.UNAVAILABLE:
        return unavailable("a service of the mesh")
    if code is StatusCode.DEADLINE_EXCEEDED:
        return deadline_exceeded()
    if code not in _PASSED_ON:
        return None
    status = rpc_status.from_call(error)
    if status is None:
        return None
    metadata: dict[str, str] = {}
    reason, field, retry_after = "", "", None
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    if f"{_PREFIX}{reason}" not in ErrorReason.keys():  # noqa: SIM118 - an enum wrapper, not a dict
        return None
    return Failure(code, ErrorReason.Value(f"{_PREFIX}{reason}"), status.message, metadata, field=field, retry_after=retry_after)
