"""What every service but auth reads from auth: its verifier's keys and revocations."""

import grpc

from libs.rpc.identity import Verifier
from libs.rpc.identity.revocations import Pages, Revocation
from semantik.auth.v1 import auth_internal_service_pb2 as messages
from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceStub

_KEYS_SECONDS = 2.0
_PAGE_SECONDS = 5.0


def verifier(auth: grpc.aio.Channel) -> Verifier:
    """Return a verifier that reads keys and revocations over a channel to auth."""
    stub = AuthInternalServiceStub(auth)

    async def keys() -> str:
        response = await stub.GetVerificationKeys(messages.GetVerificationKeysRequest(), timeout=_KEYS_SECONDS)
        return str(response.jwks)

    async def revocations() -> Pages:
        request = messages.ListRevocationsRequest()
        while True:
            response = await stub.ListRevocations(request, timeout=_PAGE_SECONDS)
            yield [Revocation(entry.user_id or entry.session_id, entry.not_before.ToNanoseconds() / 1e9) for entry in response.revocations]
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    return Verifier(keys, revocations)
