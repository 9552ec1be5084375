"""What looks like a secret and is not indexed unless somebody says so: by name, and by the beginning of its text."""

import re
from collections.abc import Sequence
from fnmatch import translate

_FOLDERS = {
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".gcloud", "gcloud", ".password-store", "keyrings", ".vault",
}  # fmt: skip
_FILES = (
    "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.kdb", "*.ppk", "*.tfstate", "*.tfstate.*",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "ssh_host_*_key",
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pgpass", "pgpass.conf", ".my.cnf", ".git-credentials", ".npmrc",
    ".pypirc", ".dockercfg", ".htpasswd", ".vault-token", "credentials", "credentials.json", "credentials.ini", "secrets.json",
    "secrets.yml", "secrets.yaml", "secrets.toml", "shadow", "gshadow", "wallet.dat", "*_history", ".lesshst", ".viminfo",
)  # fmt: skip
# Public halves, and what shows others how to write the file.
_HARMLESS = ("*.pub", "*.example", "*.sample", "*.template", "*.dist")
_is_named_secret = re.compile("|".join(translate(glob) for glob in _FILES)).match
_is_harmless = re.compile("|".join(translate(glob) for glob in _HARMLESS)).match
_BEGIN = re.compile(r"\s*(-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1)")


def is_secret_folder(name: str) -> bool:
    """Return whether folders of this name hold keys or passwords."""
    return name.casefold() in _FOLDERS


def is_secret_file(name: str) -> bool:
    """Return whether files of this name hold keys, passwords or what somebody typed."""
    folded = name.casefold()
    return bool(_is_named_secret(folded)) and not _is_harmless(folded)


def is_secret_path(parts: Sequence[str]) -> bool:
    """Return whether the file at the end of a path has the name of a secret, or lies among secrets."""
    *folders, name = parts
    return is_secret_file(name) or any(is_secret_folder(folder) for folder in folders)


def is_secret_text(text: str) -> bool:
    """Return whether a text is a private key, whatever its file is called."""
    return bool(_BEGIN.match(text))
