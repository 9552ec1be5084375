"""Named points at which a fault test kills the process, for example ``after_upsert:kill@3``."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

Failpoint: TypeAlias = Callable[[str], None]
"""Called with the name of each point the work passes."""


def nothing(_: str) -> None:
    """Pass a point without effect."""


def parse(text: str) -> Failpoint:
    """Return the failpoint that ``text`` describes: ``NAME:kill@N``, comma-separated; the N-th pass (default 1) kills the process.

    An empty text arms nothing. Raises ValueError for an unknown action.
    """
    points: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition(":")
        kind, _, count = action.partition("@")
        if kind != "kill":
            raise ValueError(f"unknown failpoint action {kind!r}")
        points[name] = int(count or 1)
    if not points:
        return nothing
    passed: Counter[str] = Counter()

    def reach(name: str) -> None:
        passed[name] += 1
        if passed[name] == points.get(name):
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
