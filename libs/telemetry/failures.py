"""Failures that a process survives: counted, and logged with their exception without flooding the log."""

import logging
import time

from prometheus_client import Counter

_REPEAT_SECONDS = 30.0
_failures = Counter("semantik_failures_total", "Failures that were survived, by what failed.", ("what",))
_logged: dict[str, float] = {}


def record(log: logging.Logger, what: str, message: str, error: BaseException) -> None:
    """Count a failure under ``what`` and log ``message`` with the error's text; its traceback follows at DEBUG.

    ``what`` is one of a few fixed words: it is a metric's label. The same one is a WARNING once in 30 s, else DEBUG.
    """
    _failures.labels(what).inc()
    now = time.monotonic()
    is_due = now - _logged.get(what, float("-inf")) >= _REPEAT_SECONDS
    if is_due:
        _logged[what] = now
    log.log(logging.WARNING if is_due else logging.DEBUG, "%s: %s: %s", message, type(error).__name__, error)
    log.debug("the traceback of: %s", message, exc_info=error)
