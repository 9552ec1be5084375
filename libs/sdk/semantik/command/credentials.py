"""Stores sign-ins between commands in one file, which only its owner can read and concurrent commands share."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import typer
from google.protobuf import json_format

from semantik.auth.v1 import session_pb2

try:
    import fcntl
except ImportError:  # Windows: only the server's grace period for parallel renewals and re-reading the file protect the sign-in
    fcntl = None  # type: ignore[assignment]

_LOCK_SECONDS = 40.0  # longer than a renewal may take
_LOCK_POLL = 0.05


class Credentials:
    """The tokens of one address, in ``credentials.json`` of the user's configuration directory (mode 600): a TokenStore."""

    def __init__(self, address: str, path: Path | None = None) -> None:
        self._address = address
        self._path = path or Path(os.environ.get("SEMANTIK_CONFIG_DIR") or typer.get_app_dir("semantik")) / "credentials.json"

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Lock the file against other commands; raises TimeoutError. The kernel unlocks it when the process ends."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A separate file, because writing replaces the other.
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _locked(descriptor):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self._path} is locked")
                await asyncio.sleep(_LOCK_POLL)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> session_pb2.Tokens | None:
        """Return the stored tokens; None where there are none, or none that can be understood."""
        stored = self._all().get(self._address)
        try:
            return json_format.ParseDict(stored, session_pb2.Tokens()) if isinstance(stored, dict) else None
        except json_format.ParseError:
            return None

    def write(self, tokens: session_pb2.Tokens | None) -> None:
        """Store the tokens, or delete them; the file changes whole or not at all."""
        stored = self._all()
        if tokens is None:
            stored.pop(self._address, None)
        else:
            stored[self._address] = json_format.MessageToDict(tokens)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, fresh = tempfile.mkstemp(dir=self._path.parent)  # mkstemp makes it 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(stored, file, indent=1)
            Path(fresh).replace(self._path)
        except BaseException:
            Path(fresh).unlink()
            raise

    def _all(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}


def _locked(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
