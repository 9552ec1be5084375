"""Durations and rates as people read them."""

import math

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """Return the two largest units: ``0.4 s``, ``12 s``, ``1m 23s``, ``2h 05m``, ``3d 04h``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02}h"


def time_left(seconds: float) -> str:
    """Return an estimate no finer than it is good for: ``about 20 s left``, ``about 2 min left``, ``about 1 h 10 min left``."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 55:
        return f"about {_rounded(seconds, 5)} s left"
    if seconds < _HOUR - _MINUTE / 2:
        return f"about {_rounded(seconds, _MINUTE) // _MINUTE} min left"
    if seconds < _DAY:
        minutes = _rounded(seconds, 10 * _MINUTE) // _MINUTE
        return f"about {minutes // 60} h{f' {minutes % 60} min' if minutes % 60 else ''} left"
    hours = _rounded(seconds, _HOUR) // _HOUR
    return f"about {hours // 24} d{f' {hours % 24} h' if hours % 24 else ''} left"


def rate(per_second: float) -> str:
    """Return a number with two digits that count: ``87``, ``2,400``, ``15,000``."""
    if per_second < 1:
        return f"{per_second:.1f}"
    unit = max(1, 10 ** (math.floor(math.log10(per_second)) - 1))
    return f"{_rounded(per_second, unit):,}"


def _rounded(value: float, unit: int) -> int:
    return round(value / unit) * unit
