"""The log: structured lines on standard error, with the correlation id of the call."""

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_QUIET = ("httpx", "hpack", "alembic.runtime.migration", "arq.worker")


def start(service: str, style: str = "json", level: str = "INFO") -> None:
    """Log from now on as ``service``; ``style`` is ``json`` or ``console``."""
    before: list[Processor] = [
        _add_correlation_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        # Tracebacks without the values of variables: those hold people's texts and credentials.
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if style == "console"
        else [structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)), structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, _service_name(service)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # asyncio's own debug chatter says nothing about the service.
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def _service_name(service: str) -> Processor:
    def add(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


def _add_correlation_id(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if correlation_id := _correlation_id.get():
        event["correlation_id"] = correlation_id
    return event


def correlate(correlation_id: str) -> None:
    """Put ``correlation_id`` on every line this task logs."""
    _correlation_id.set(correlation_id)


def clean_correlation_id(value: str) -> str:
    """Return ``value`` if it is fit for a log, otherwise an empty string."""
    return value if _CORRELATION_ID.fullmatch(value) else ""
