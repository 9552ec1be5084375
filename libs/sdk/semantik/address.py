"""The address of a gateway as people write it: ``host:port``, or a URL."""

import re
from dataclasses import dataclass

DEFAULT_PORT = 8080
_PORTS = {"http": 80, "https": 443}
_FORM = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9a-f:.%]+\]|[^\s:/@?#\[\]]+)(?::(?P<port>\d{1,5}))?/*", re.IGNORECASE)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """A gateway."""

    host: str
    port: int
    is_tls: bool = False

    @property
    def target(self) -> str:
        """What gRPC connects to."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"{'https' if self.is_tls else 'http'}://{self.host}:{self.port}"

    @property
    def name(self) -> str:
        """The same for all spellings of one gateway: what a sign-in is stored under, and what people are shown."""
        host = self.host.lower()
        return f"{_LOOPBACK if host == 'localhost' else host}:{self.port}"


def parsed(text: str) -> Address:
    """Return the address that ``text`` names, with or without ``http://`` or ``https://``; raises ValueError."""
    form = _FORM.fullmatch(text.strip())
    if form is None or not 0 < int(form["port"] or 1) < 65536:
        raise ValueError(f"{text!r} is not an address: use host:port, such as {_LOOPBACK}:{DEFAULT_PORT}, or http://host:port")
    scheme = (form["scheme"] or "").lower()
    return Address(form["host"], int(form["port"] or _PORTS.get(scheme, DEFAULT_PORT)), scheme == "https")
