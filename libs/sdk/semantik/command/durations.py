"""Durations as people read them."""


def duration(seconds: float) -> str:
    """Return the two largest units: ``0.4 s``, ``12 s``, ``1m 23s``, ``2h 05m``, ``3d 04h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"
