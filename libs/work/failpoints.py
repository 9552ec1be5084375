"""Named points at which a fault test kills or stops the process, for example ``after_upsert:kill@3``."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

Failpoint: TypeAlias = Callable[[str], None]
"""Called with the name of each point the work passes."""

_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def nothing(_: str) -> None:
    """Pass a point without effect."""


def parse(text: str) -> Failpoint:
    """Return the failpoint that ``text`` describes: ``NAME:ACTION@N``, comma-separated.

    The N-th pass (default 1) kills or stops the process.
    An empty text arms nothing. Raises ValueError for an unknown action.
    """
    points: dict[str, tuple[int, signal.Signals]] = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition(":")
        kind, _, count = action.partition("@")
        if kind not in _ACTIONS:
            raise ValueError(f"unknown failpoint action {kind!r}")
        points[name] = (int(count or 1), _ACTIONS[kind])
    if not points:
        return nothing
    passed: Counter[str] = Counter()

    def reach(name: str) -> None:
        passed[name] += 1
        if name in points and passed[name] == points[name][0]:
            os.kill(os.getpid(), points[name][1])

    return reach
