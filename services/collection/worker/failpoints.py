"""Named points where a fault test kills the process: FAILPOINTS=after_upsert:kill@3. Without the variable they do nothing."""

import os
import signal
from collections import Counter

_passed: Counter[str] = Counter()


def _parsed(text: str) -> dict[str, int]:
    points = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition(":")
        kind, _, count = action.partition("@")
        if kind != "kill":
            raise ValueError(f"unknown failpoint action {kind!r}")
        points[name] = int(count or 1)
    return points


_points = _parsed(os.environ.get("FAILPOINTS", ""))


def reach(name: str) -> None:
    """Pass the point ``name``; the n-th pass of an armed one is the last thing this process does."""
    if name in _points:
        _passed[name] += 1
        if _passed[name] == _points[name]:
            os.kill(os.getpid(), signal.SIGKILL)
