"""The search for secrets finds one wherever it stands."""

import pytest

from tests.e2e.secrets import Secrets, bodies

_JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlIG9mIDY0IGJ5dGVz"
_KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG\nshort\n-----END PRIVATE KEY-----\n"
_SECRETS = Secrets({"redis": "s3cret", "mesh.pem": bodies(_KEY)}, {"opaque-token-of-a-test.1"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing here; 12:30:01 https://example.org/a:b and smr_nonsense", []),
        ("password=s3cret", ["redis"]),
        ("xMIGHAgEAMBMGByqGSM49AgEGCCqGx", ["mesh.pem"]),
        ('{"authorization": "Bearer opaque-token-of-a-test.1"}', ["a token that a test held"]),
        ("ends with opaque-token-of-a-test.1.", ["a token that a test held"]),
        (f"Bearer {_JWT}", ["an access token"]),
        ("token smr_0123456789abcdefghijklmn was", ["a refresh token"]),
        (_KEY.replace("MIGH", ""), ["a private key"]),
        ("$argon2id$v=19$m=65536", ["a hash of a password"]),
        ("unix://:pass@/run/redis.sock", ["a password in a URL"]),
        ("postgresql+psycopg://auth:pass@host/db", ["a password in a URL"]),
    ],
)
def test_a_secret_is_found(text: str, found: list[str]) -> None:
    """By its value or by its shape, and is named without being shown."""
    assert _SECRETS.found_in(text.encode()) == found


def test_what_belongs_somewhere_is_left_out() -> None:
    """A table of users holds hashes."""
    assert _SECRETS.found_in(b"$argon2id$v=19", but=["a hash of a password"]) == []
