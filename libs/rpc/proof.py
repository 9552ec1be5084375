"""What services know the gateway by; apart, because whoever starts a gateway needs no more of the mesh."""

import hmac

GATEWAY_HEADER = "x-gateway-proof"


def gateway_proof(key_pem: bytes) -> str:
    """Return what the gateway adds to each call as ``GATEWAY_HEADER``: what a client says past the gateway is not believed."""
    return hmac.digest(key_pem, b"gateway", "sha256").hex()
