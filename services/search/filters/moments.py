"""Years, months, days and moments of a filter's text as ranges of time."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from libs.rpc.timestamps import timestamp
from semantik.search.v1.filter_pb2 import TimeRange

_PERIOD = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_SHORTEST = timedelta(microseconds=1)


def time_range(operator: str, value: str) -> TimeRange:
    """Return the times that lie so to a year, month, day or moment: before it begins, after it ends, in it; raises ValueError."""
    try:
        start, end = _period(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no time such as 2026, 2026-01, 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return _RANGES[operator](timestamp(start), timestamp(end))


def _period(value: str) -> tuple[datetime, datetime]:
    """Return when a period begins, and when the next one does."""
    if _MOMENT.fullmatch(value):
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
        return moment, moment + _SHORTEST
    found = _PERIOD.fullmatch(value)
    if found is None:
        raise ValueError
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    start = datetime(year, month, day, tzinfo=UTC)
    if found[3]:
        return start, start + timedelta(days=1)
    if found[2]:
        return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return start, datetime(year + 1, 1, 1, tzinfo=UTC)


_RANGES: Mapping[str, Callable[[Timestamp | None, Timestamp | None], TimeRange]] = {
    ":": lambda start, end: TimeRange(start_time=start, end_time=end),
    "<": lambda start, _: TimeRange(end_time=start),
    "<=": lambda _, end: TimeRange(end_time=end),
    ">": lambda _, end: TimeRange(start_time=end),
    ">=": lambda start, _: TimeRange(start_time=start),
}
