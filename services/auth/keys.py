"""The signing keys of access tokens: files only the owner can read."""

import json
import os
from pathlib import Path

from joserfc.jwk import ECKey, KeySet

from libs.rpc.mesh import new_key

_NAMES = ("previous", "current", "next")


class SigningKeys:
    """Signs with ``current.pem``; publishes previous, current and next, so that tokens verify before and after a rotation."""

    def __init__(self, directory: Path, *, may_generate: bool) -> None:
        if may_generate:
            _generate(directory)
        self._keys: dict[str, ECKey] = {}
        for name in _NAMES:
            path = directory / f"{name}.pem"
            if path.exists():
                key = ECKey.import_key(path.read_bytes())
                key.ensure_kid()
                self._keys[name] = key
        if "current" not in self._keys:
            raise SystemExit(f"auth: no signing key: put an ES256 private key (PEM) at {directory}/current.pem")
        self.current = self._keys["current"]
        public = KeySet(list(self._keys.values())).as_dict(private=False)
        for entry in public["keys"]:
            entry.update(use="sig", alg="ES256")
        self.jwks = json.dumps(public)


def _generate(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("current", "next"):
        fresh = directory / f".{name}.{os.getpid()}"
        if not (directory / f"{name}.pem").exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(new_key())
            # A link never replaces a key that another replica has generated meanwhile.
            try:
                os.link(fresh, directory / f"{name}.pem")
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
