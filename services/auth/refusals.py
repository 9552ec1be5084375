"""What auth refuses, one constructor for each reason."""

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason


def registration_closed() -> Failure:
    message = "this installation does not accept registrations; ask its administrator for an account"
    return Failure(StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_REGISTRATION_CLOSED, message)


def user_exists(field: str) -> Failure:
    message = f"another user has this {field}"
    return Failure(StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_USER_EXISTS, message, {"field": field}, field=field)


def too_many_attempts(seconds: float) -> Failure:
    message = "too many wrong passwords; try again later"
    return Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS, message, retry_after=seconds)


def too_many_registrations(seconds: float) -> Failure:
    message = "too many registrations; try again later"
    return Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS, message, retry_after=seconds)


def credentials_wrong() -> Failure:
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIALS_WRONG, "the username or the password is wrong")


def refresh_token_invalid() -> Failure:
    message = "the refresh token is not valid; sign in again"
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_REFRESH_TOKEN_INVALID, message)


def sign_in_code_invalid() -> Failure:
    message = "the sign-in code was used or has expired; make a new one"
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_SIGN_IN_CODE_INVALID, message)
