"""Page tokens: opaque, bound to the request and the user, and authenticated."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from grpc import StatusCode

from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from libs.rpc.mesh import MeshIdentity
from semantik.error.v1.error_reason_pb2 import ErrorReason

DEFAULT_PAGE_SIZE = 50
_MAC_BYTES = 16
# What the pages of one request may differ in.
_OF_A_PAGE = {"page_token", "page_size", "limit"}
Cursor = list[str | int]
_Row = TypeVar("_Row")


class Pager:
    """Makes and reads page tokens: the cursor of the last row, with a MAC over cursor, request and user.

    ``principal`` is None for an RPC of the mesh, which no user calls.
    """

    def __init__(self, mesh: MeshIdentity) -> None:
        self._key = mesh.derive("page tokens")

    def cursor(self, request: Message, principal: Principal | None) -> Cursor | None:
        """Return where ``request.page_token`` continues, None for a first page; raises PAGE_TOKEN_INVALID."""
        token: str = request.page_token  # type: ignore[attr-defined]
        if not token:
            return None
        try:
            raw = base64.urlsafe_b64decode(token.encode())
        except (binascii.Error, ValueError):
            raise _token_invalid() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, request, principal)):
            raise _token_invalid()
        cursor: Cursor = json.loads(body)
        return cursor

    def token(self, cursor: Cursor, request: Message, principal: Principal | None) -> str:
        """Return the token that continues ``request`` after ``cursor``."""
        body = json.dumps(cursor, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body, request, principal) + body).decode()

    def page(
        self, rows: Sequence[_Row], size: int, cursor: Callable[[_Row], Cursor], request: Message, principal: Principal | None
    ) -> tuple[Sequence[_Row], str]:
        """Cut ``rows``, of which ``size`` + 1 were read, to a page; return it with the token of the next, empty on the last."""
        page = rows[:size]
        return page, self.token(cursor(page[-1]), request, principal) if len(rows) > size else ""

    def _mac(self, body: bytes, request: Message, principal: Principal | None) -> bytes:
        user_id = "" if principal is None else principal.user_id
        plain = type(request)()
        plain.CopyFrom(request)
        for name in _OF_A_PAGE.intersection(plain.DESCRIPTOR.fields_by_name):
            plain.ClearField(name)
        bound = b"\0".join([request.DESCRIPTOR.full_name.encode(), user_id.encode(), plain.SerializeToString(deterministic=True)])
        return hmac.digest(self._key, hashlib.sha256(bound).digest() + body, "sha256")[:_MAC_BYTES]


def page_size(request: Message) -> int:
    """Return the requested page size, 50 by default."""
    return int(request.page_size) if request.HasField("page_size") else DEFAULT_PAGE_SIZE  # type: ignore[attr-defined]


def _token_invalid() -> Failure:
    return Failure(
        StatusCode.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID,
        "page_token: not valid for this request",
        field="page_token",
    )
