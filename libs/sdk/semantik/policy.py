"""What may be called again, read from the contract: each RPC's ``idempotency_level``."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

_REPEATABLE = {MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT}


def is_repeatable(method: MethodDescriptor) -> bool:
    """Return whether a call that may have been served can be made again: it changes nothing, or nothing more."""
    return method.GetOptions().idempotency_level in _REPEATABLE


def retries(services: Iterable[str], attempts: int, longest_wait_seconds: float) -> list[dict[str, Any]]:
    """Return gRPC's ``methodConfig``: the repeatable methods of ``services`` are called again on UNAVAILABLE.

    ``services`` are full names whose stubs are imported; raises KeyError for one that is not.
    """
    descriptors = [descriptor_pool.Default().FindServiceByName(name) for name in services]
    names = [
        {"service": service.full_name, "method": method.name}
        for service in descriptors
        for method in service.methods
        if is_repeatable(method)
    ]
    if not names:
        return []
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.1s",
        "maxBackoff": f"{longest_wait_seconds}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return [{"name": names, "retryPolicy": policy}]
