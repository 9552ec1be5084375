"""The identity of a service within the mesh, and its proof."""

import hmac
import secrets
import time

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from libs.rpc.proof import gateway_proof
from libs.rpc.settings import MeshSettings
from libs.rpc.tls import Tls

LIFETIME_SECONDS = 60
_RENEW_SECONDS = 30
_LEEWAY_SECONDS = 5
_TYPE = "mesh+jwt"


class MeshIdentity:
    """Signs and verifies mesh tokens (JWT, ES256; issuer = caller, audience = callee, 60 s); ``tls`` is what its connections use."""

    def __init__(self, service: str, key_pem: bytes, tls: Tls | None = None) -> None:
        self.service = service
        self.tls = tls
        self._key = ECKey.import_key(key_pem)
        self._pem = key_pem
        self.gateway_proof = gateway_proof(key_pem)
        self._signed: dict[str, tuple[float, str]] = {}
        self._verified: dict[str, tuple[float, str]] = {}

    @classmethod
    def of(cls, service: str, settings: MeshSettings) -> "MeshIdentity":
        """Return the identity of a process from the files that its settings name."""
        return cls(service, settings.mesh_key_file.read_bytes(), Tls.of(settings))

    def token(self, audience: str) -> str:
        """Return a token for calls to ``audience``; it is signed again after half its life."""
        now = time.time()
        renew_at, token = self._signed.get(audience, (0.0, ""))
        if now >= renew_at:
            times = {"iat": int(now), "exp": int(now) + LIFETIME_SECONDS}
            claims = {"iss": self.service, "aud": audience, "jti": secrets.token_hex(8), **times}
            token = jwt.encode({"alg": "ES256", "typ": _TYPE}, claims, self._key, algorithms=["ES256"])
            self._signed[audience] = (now + _RENEW_SECONDS, token)
        return token

    def verify(self, token: str) -> str | None:
        """Return the calling service if the token is valid and meant for this one, else None."""
        now = time.time()
        expires, caller = self._verified.get(token, (0.0, ""))
        if now < expires:
            return caller
        try:
            decoded = jwt.decode(token, self._key, algorithms=["ES256"])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        claims = decoded.claims
        fresh = claims.get("iat", now + 1e9) <= now + _LEEWAY_SECONDS and now < claims.get("exp", 0) + _LEEWAY_SECONDS
        if decoded.header.get("typ") != _TYPE or claims.get("aud") != self.service or not claims.get("iss") or not fresh:
            return None
        if len(self._verified) > 1000:
            self._verified.clear()
        self._verified[token] = (float(claims["exp"]), str(claims["iss"]))
        return str(claims["iss"])

    def is_gateway(self, proof: str) -> bool:
        """Return whether a call comes from the gateway, which alone knows its proof beside the services."""
        return hmac.compare_digest(proof.encode(), self.gateway_proof.encode())

    def derive(self, purpose: str) -> bytes:
        """Return 32 secret bytes for one purpose, equal on all replicas of the mesh (HKDF, RFC 5869)."""
        return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(self._pem)


def new_key() -> bytes:
    """Return a new ES256 private key as PEM."""
    pem: bytes = ECKey.generate_key("P-256").as_pem(private=True)
    return pem
