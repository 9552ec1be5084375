"""How often may be tried: buckets of attempts, each with some that are free and growing delays after them."""

import ipaddress
from dataclasses import dataclass

_MAX_DELAY_SECONDS = 60.0
_DEVICE_FREE = 10
_NAME_IN_NETWORK_FREE = 10
_NAME_FREE = 100
_NETWORK_FREE = 100
_LOOPBACK = "loopback"
# What one customer is given: an address more of these costs nothing.
_PREFIX_BITS = {4: 24, 6: 56}


@dataclass(frozen=True)
class Bucket:
    """Attempts that are counted together; the first ``free`` of them within 15 minutes wait for nothing."""

    key: str
    free: int


def wait_seconds(bucket: Bucket, count: int, newest_age: float) -> float:
    """Return how long the next attempt has to wait when ``count`` were made lately, the last one ``newest_age`` seconds ago.

    Each attempt beyond the free ones doubles the delay, from 1 s to 60 s: nobody is kept out, and nobody guesses fast.
    """
    excess = count - bucket.free
    if excess < 0:
        return 0.0
    return max(0.0, min(2.0 ** min(excess, 6), _MAX_DELAY_SECONDS) - newest_age)


def of_sign_in(name: str, address: str) -> list[Bucket]:
    """Return the buckets of a sign-in from a device that shows nothing; ``name`` is a pseudonym of what was typed.

    The name is counted as it was typed, whether a user has it or not, so that both get the same answers.
    """
    network = network_of(address)
    return [
        Bucket(f"name:{name}@{network}", _NAME_IN_NETWORK_FREE),
        Bucket(f"name:{name}", _NAME_FREE),
        Bucket(f"network:{network}", _NETWORK_FREE),
    ]


def of_known_device(session_id: str) -> list[Bucket]:
    """Return the buckets of a sign-in from a device that shows it had a session of this user: what strangers do is not counted."""
    return [Bucket(f"device:{session_id}", _DEVICE_FREE)]


def of_registration(address: str, free: int) -> list[Bucket]:
    return [Bucket(f"register:{network_of(address)}", free)]


def network_of(address: str) -> str:
    """Return the network that an address is one of many of: /24 of IPv4, /56 of IPv6; what is no address is its own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return _LOOPBACK
    return str(ipaddress.ip_network((parsed, _PREFIX_BITS[parsed.version]), strict=False))
