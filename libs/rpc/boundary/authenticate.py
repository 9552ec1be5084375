"""Identifies the caller, before the request is looked at."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from libs.rpc import call
from libs.rpc.boundary import Access, Context, Stream, Unary
from libs.rpc.boundary.refusals import Refusals
from libs.rpc.errors import Failure, credentials_missing, gateway_only, token_invalid
from libs.rpc.identity import Verifier
from libs.rpc.identity.roles import require_role
from libs.rpc.mesh import MeshIdentity
from semantik.auth.v1.user_pb2 import User

_BEARER = "bearer "


class Authenticate:
    """Adds the principal, or the calling service, to the call; refuses callers without access to the method's service.

    Clients are let in with the gateway's proof alone, which also vouches for the address that it says they have. ``access`` holds
    the access of each service by its full name.
    """

    def __init__(self, access: Mapping[str, Access], mesh: MeshIdentity, verifier: Verifier | None, refusals: Refusals) -> None:
        self._access = access
        self._refusals = refusals
        self._mesh = mesh
        self._verifier = verifier

    def unary(self, method: str, behavior: Unary) -> Unary:
        access = self._access_to(method)

        async def authenticated(request: Any, context: Context) -> Any:
            await self._identify(access)
            return await behavior(request, context)

        return authenticated

    def stream(self, method: str, behavior: Stream) -> Stream:
        access = self._access_to(method)

        async def authenticated(request: Any, context: Context) -> AsyncIterator[Any]:
            await self._identify(access)
            async with aclosing(behavior(request, context)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    yield response

        return authenticated

    def _access_to(self, method: str) -> Access:
        return self._access[method.rpartition("/")[0].removeprefix("/")]

    async def _identify(self, access: Access) -> None:
        shown = call.current()
        authorization = shown.authorization
        is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
        credential = authorization[len(_BEARER) :]
        if access is Access.MESH:
            peer = self._mesh.verify(credential) if is_bearer else None
            if peer is None:
                raise token_invalid()
            call.amend(peer=peer)
            return
        if not self._mesh.is_gateway(shown.gateway_proof):
            raise gateway_only()
        if access is Access.ANYONE:
            return
        try:
            if not authorization:
                raise credentials_missing()
            if not is_bearer or self._verifier is None:
                raise token_invalid()
            principal = await self._verifier.authenticate(credential)
            if access is Access.MEMBER:
                require_role(principal, User.ROLE_USER)
        except Failure:
            await self._refusals.hold(f"address {shown.client_address}")
            raise
        call.amend(principal=principal)
