"""Which calls are counted together, and how many of them are let through."""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 60
"""Calls are counted by the minute, which is also the unit that clients read."""

SIGN_IN, WRITE = "sign_in", "write"
"""The kinds of calls that are counted: those that show credentials for the first time, and those that change something."""


@dataclass(frozen=True)
class Limits:
    """How many calls of each kind a minute lets through, by user and by address; several users may share an address."""

    sign_in_by_address: int
    write_by_user: int
    write_by_address: int


@dataclass(frozen=True)
class Bucket:
    """Calls that are counted together."""

    key: str
    limit: int


def bucket(limits: Limits, descriptor: Mapping[str, str], user_id: str | None) -> Bucket | None:
    """Return the bucket of a descriptor; None if nothing is counted for it.

    ``user_id`` is whose credentials were verified: a token that only looks like somebody's is counted by the address alone.
    """
    kind = descriptor.get("kind")
    if kind == SIGN_IN:
        return Bucket(f"{SIGN_IN}:address:{_network(descriptor)}", limits.sign_in_by_address)
    if kind != WRITE:
        return None
    if "credentials" not in descriptor:
        return Bucket(f"{WRITE}:address:{_network(descriptor)}", limits.write_by_address)
    return Bucket(f"{WRITE}:user:{user_id}", limits.write_by_user) if user_id else None


def _network(descriptor: Mapping[str, str]) -> str:
    """Return the address, for IPv6 the /64 network, as a pseudonym: Redis holds no addresses."""
    text = descriptor.get("masked_remote_address", "").partition("/")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        address = ipaddress.ip_network((address, 64), strict=False).network_address
    return hashlib.sha256(address.packed).hexdigest()[:32]
