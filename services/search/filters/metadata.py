"""A test of metadata in a filter's text. The text does not tell the type of a value, so it holds for a value of any that fits."""

import math
import re

from semantik.search.v1.filter_pb2 import Condition, Conditions, MetadataTest, NumberRange
from services.search.filters.moments import time_range

PREFIX = "meta."
OPERATORS = (":", "<", "<=", ">", ">=")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_BOUNDS = {"<": "below", "<=": "max", ">": "above", ">=": "min"}


def key_of(name: str) -> str:
    """Return the key that a field's name such as ``meta.author`` has, empty where it has none; raises ValueError for a wrong one."""
    if not name.startswith(PREFIX):
        return ""
    key = name.removeprefix(PREFIX)
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key: it has up to 40 letters a-z, digits and _, a letter first")
    return key


def condition(key: str, operator: str, value: str) -> Condition:
    """Return the condition that one of the tests holds which the value fits; raises ValueError where none does."""
    tests = [MetadataTest(key=key, string_value=value)] if operator == ":" else []
    number = float(value) if _NUMBER.fullmatch(value) else math.inf
    if math.isfinite(number):
        bounds = ("min", "max") if operator == ":" else (_BOUNDS[operator],)
        tests.append(MetadataTest(key=key, number=NumberRange(**dict.fromkeys(bounds, number))))
    try:
        tests.append(MetadataTest(key=key, time=time_range(operator, value)))
    except ValueError:
        if not tests:
            raise ValueError(f"{value!r} is neither a number nor a time such as 2026, 2026-01-31 or 2026-01-31T12:00:00Z") from None
    found = [Condition(metadata=test) for test in tests]
    return found[0] if len(found) == 1 else Condition(any_of=Conditions(conditions=found))
