"""The one exception that the SDK raises."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class SemantikError(Exception):
    """A call that the server refused or could not answer.

    ``code`` is the gRPC status name, ``reason`` one of the contract's ErrorReasons (empty where the network failed),
    ``metadata`` names what it is about, ``field`` the request's field at fault, ``correlation_id`` finds it in the logs.
    """

    def __init__(
        self, code: str, reason: str, message: str, metadata: dict[str, str] | None = None, *, field: str = "", correlation_id: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = metadata or {}
        self.field = field
        self.correlation_id = correlation_id

    def __str__(self) -> str:
        return f"{self.message} ({self.reason or self.code})"


def translated(error: grpc.aio.AioRpcError) -> SemantikError:
    """Return a failed call as SemantikError."""
    trailers = dict(error.trailing_metadata() or ())
    correlation_id = str(trailers.get("x-correlation-id", ""))
    status = rpc_status.from_call(error)
    reason, metadata, field = "", {}, ""
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    message = error.details() or error.code().name
    return SemantikError(error.code().name, reason, message, metadata, field=field, correlation_id=correlation_id)
