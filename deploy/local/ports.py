"""Chooses loopback ports for the processes of one mesh, the same ones after a restart."""

import json
import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

# Below the kernel's range for outgoing connections, so that none of them takes a port while its process restarts.
_RANGE = range(20_000, 32_000)


def choose(names: Iterable[str], file: Path, seed: str) -> dict[str, int]:
    """Return a free port for each name, its earlier one if that is free; ``file`` stores them."""
    before = remembered(file)
    others = set(before.values())
    candidates = [port for port in random.Random(seed).sample(_RANGE, len(_RANGE)) if port not in others]  # noqa: S311 - no secret, only spread
    chosen: dict[str, int] = {}
    with ExitStack() as held:  # every port stays bound until all are chosen
        for name in names:
            port = before.get(name, 0)
            while not port or not _hold(port, held):
                port = candidates.pop()
            chosen[name] = port
    remember(file, chosen)
    return chosen


def remembered(file: Path) -> dict[str, int]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def remember(file: Path, chosen: dict[str, int]) -> None:
    file.write_text(json.dumps({**remembered(file), **chosen}, indent=1))


def is_free(port: int) -> bool:
    with ExitStack() as held:
        return _hold(port, held)


def _hold(port: int, held: ExitStack) -> bool:
    listener = held.enter_context(socket.socket())
    # As the servers do it: a port whose connections are still closing is free, one with a listener is not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        return False
    return True
