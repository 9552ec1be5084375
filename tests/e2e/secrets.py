"""Finds secrets where none belong: those that a run knows, and whatever looks like one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WORDS = re.compile(rb"[A-Za-z0-9_.\-]{16,}")
_SHAPES = {
    "an access token": re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}"),
    "a refresh token": re.compile(rb"smr_[\w-]{20,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a hash of a password": re.compile(rb"\$argon2"),
    "a password in a URL": re.compile(rb"://[^\s/:@]*:[^\s/:@]+@"),
}


@dataclass
class Secrets:
    """What must stand nowhere: a few secrets by name, and any number of tokens."""

    named: Mapping[str, str]
    tokens: Iterable[str] = field(default_factory=set)

    def found_in(self, text: bytes, *, but: Iterable[str] = ()) -> list[str]:
        """Return what of the secrets is in ``text``, by name or shape; never the secret itself."""
        found = [name for name, secret in self.named.items() if secret.encode() in text]
        words = {word.decode() for match in _WORDS.findall(text) for word in (match, match.strip(b"."))}
        if words & set(self.tokens):
            found.append("a token that a test held")
        return [*found, *(name for name, shape in _SHAPES.items() if name not in but and shape.search(text))]


def bodies(pem: str) -> str:
    """Return the longest line of a key's body, by which it is known however it is wrapped."""
    return max((line for line in pem.splitlines() if not line.startswith("-")), key=len)
