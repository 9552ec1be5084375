"""What looks like a secret is left out, and what only sounds like one is not."""

import pytest

from semantik.secrecy import is_secret_file, is_secret_folder, is_secret_text


@pytest.mark.abuse(33)
@pytest.mark.parametrize(
    "name",
    [
        "id_ed25519", "ID_RSA", "id_rsa.old", "server.pem", "Server.PEM", ".env", ".env.production", "prod.env", ".netrc", ".pgpass",
        ".bash_history", ".zsh_history", ".python_history", "credentials.json", "credentials", "passwords.kdbx", "key.p12", ".npmrc",
        "terraform.tfstate", "terraform.tfstate.backup", ".git-credentials", "secrets.yaml", "shadow", "putty.ppk",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """In whatever case they are written."""
    assert is_secret_file(name)


@pytest.mark.parametrize(
    "name",
    [
        "id_rsa.pub",
        ".env.example",
        "environment.md",
        "history.txt",
        "a history of keys.txt",
        "keynote.key",
        "secrets.md",
        "pem.txt",
        "envoy.yaml",
    ],
)
def test_names_of_documents(name: str) -> None:
    """They are what people want to find."""
    assert not is_secret_file(name)


@pytest.mark.abuse(33)
def test_folders_of_secrets() -> None:
    """All that is in them stays out."""
    assert all(is_secret_folder(name) for name in (".ssh", ".AWS", ".gnupg", "keyrings"))
    assert not any(is_secret_folder(name) for name in ("ssh", "papers", ".github"))


@pytest.mark.abuse(33)
@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_known_by_its_first_line(kind: str) -> None:
    """A text that speaks of one, or shows a certificate, is a text."""
    assert is_secret_text(f"\n -----BEGIN {kind}PRIVATE KEY-----\nMIIE")
    assert not is_secret_text(f"Put it between\n-----BEGIN {kind}PRIVATE KEY-----")
    assert not is_secret_text("-----BEGIN CERTIFICATE-----\nMIIE")
    assert is_secret_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
