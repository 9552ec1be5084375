"""Sizes of a filter's text as ranges of bytes."""

import math
import re
from fractions import Fraction

from semantik.search.v1.filter_pb2 import SizeRange

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([a-z]*)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for unit, base in (("b", 1000), ("ib", 1024))
}  # fmt: skip
_MOST_BYTES = 2**63 - 1


def size_range(operator: str, value: str) -> SizeRange:
    """Return the sizes that lie so to a number of bytes, which may have a unit; raises ValueError."""
    found = _SIZE.fullmatch(value)
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{value!r} is no size such as 500, 10kb or 1.5mib")
    exact = Fraction(found[1]) * unit
    if exact >= _MOST_BYTES:
        raise ValueError(f"{value!r} is larger than any file")
    return _RANGES[operator](exact)


_RANGES = {
    "<": lambda size: SizeRange(max_bytes=math.ceil(size) - 1),
    "<=": lambda size: SizeRange(max_bytes=math.floor(size)),
    ">": lambda size: SizeRange(min_bytes=math.floor(size) + 1),
    ">=": lambda size: SizeRange(min_bytes=math.ceil(size)),
}
