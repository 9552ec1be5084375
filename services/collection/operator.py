"""The person who runs a local mesh, known by what only the account that owns its data directory can read."""

import hmac
from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """``capability`` is the secret that proves it; without one nobody is the operator."""

    capability: str

    def is_proven(self, given: str) -> bool:
        """Return whether ``given`` is the capability."""
        return bool(self.capability) and hmac.compare_digest(given.encode(), self.capability.encode())
