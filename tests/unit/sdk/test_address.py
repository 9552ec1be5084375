"""Addresses as people write them."""

import re

import pytest

from semantik.address import parsed


@pytest.mark.parametrize(
    ("text", "target", "name", "is_tls"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", False),
        ("http://localhost:8080/", "localhost:8080", "127.0.0.1:8080", False),
        ("LOCALHOST", "LOCALHOST:8080", "127.0.0.1:8080", False),
        ("  search.example.org//", "search.example.org:8080", "search.example.org:8080", False),
        ("http://search.example.org", "search.example.org:80", "search.example.org:80", False),
        ("HTTPS://Search.example.org/", "Search.example.org:443", "search.example.org:443", True),
        ("https://search.example.org:8443", "search.example.org:8443", "search.example.org:8443", True),
        ("[::1]:8080", "[::1]:8080", "[::1]:8080", False),
    ],
)
def test_an_address_is_read(text: str, target: str, name: str, is_tls: bool) -> None:
    """The spellings of one gateway have one name, under which the sign-in is stored."""
    address = parsed(text)
    assert (address.target, address.name, address.is_tls) == (target, name, is_tls)


@pytest.mark.parametrize(
    "text", ["", "http://", "ftp://host:1", "host:port", "host:0", "host:70000", "host/path", "::1:8080", "a b:1", "u@host"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not an address: use host:port")):
        parsed(text)
