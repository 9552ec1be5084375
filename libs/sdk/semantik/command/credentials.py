"""Keeps sign-ins between commands: one file, readable by its owner alone."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import typer
from google.protobuf import json_format

from semantik.auth.v1 import session_pb2


class Credentials:
    """Tokens by address, in ``credentials.json`` of the user's configuration directory (mode 600)."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Path(os.environ.get("SEMANTIK_CONFIG_DIR") or typer.get_app_dir("semantik")) / "credentials.json"

    def read(self, address: str) -> session_pb2.Tokens | None:
        """Return the kept tokens; None where there are none, or none that can be understood."""
        kept = self._all().get(address)
        try:
            return json_format.ParseDict(kept, session_pb2.Tokens()) if isinstance(kept, dict) else None
        except json_format.ParseError:
            return None

    def write(self, address: str, tokens: session_pb2.Tokens | None) -> None:
        """Keep tokens, or forget them; the file changes whole or not at all."""
        kept = self._all()
        if tokens is None:
            kept.pop(address, None)
        else:
            kept[address] = json_format.MessageToDict(tokens)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, fresh = tempfile.mkstemp(dir=self._path.parent)  # mkstemp makes it 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(kept, file, indent=1)
            Path(fresh).replace(self._path)
        except BaseException:
            Path(fresh).unlink()
            raise

    def _all(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}
