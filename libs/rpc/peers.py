"""What every service but auth asks of auth."""

import grpc

from libs.rpc.identity import Revocation, Verifier
from semantik.auth.v1 import auth_internal_service_pb2 as messages
from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceStub

AUTH_IDEMPOTENT = ("semantik.auth.v1.AuthInternalService",)
_SECONDS = 5.0


def verifier(auth: grpc.aio.Channel) -> Verifier:
    """Return a verifier that learns keys and revocations from auth."""
    stub = AuthInternalServiceStub(auth)

    async def keys() -> str:
        answer = await stub.GetVerificationKeys(messages.GetVerificationKeysRequest(), timeout=_SECONDS)
        return str(answer.jwks)

    async def revocations(after: int) -> list[Revocation]:
        answer = await stub.ListRevocations(messages.ListRevocationsRequest(after_seq=after), timeout=_SECONDS)
        return [
            Revocation(entry.seq, entry.user_id or entry.session_id, entry.not_before.ToNanoseconds() / 1e9) for entry in answer.revocations
        ]

    return Verifier(keys, revocations)
