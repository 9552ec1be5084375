"""The lock that a running mesh holds, and its state in ``state.json``."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.local.home import Home, MeshError


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Lock the data directory. The kernel unlocks it when the process ends, however it ends."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            address = read(home).get("gateway", "")
            raise MeshError(f"a mesh already runs on {home.path} (pid {holder(home)}, {address or 'starting'})") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(home: Home) -> int | None:
    """Return the pid of the supervisor that holds the data directory, None if there is none."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(descriptor, 20, 0) or b"0")
    else:
        return None
    finally:
        os.close(descriptor)


def read(home: Home) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(home.state.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return state


def write(home: Home, state: dict[str, Any]) -> None:
    fresh = home.state.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file, indent=1)
    fresh.rename(home.state)
