"""The log: structured lines on standard error, with the correlation id of the call."""

import io
import logging
import re
import sys
from contextvars import ContextVar
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
# Line ends, terminal codes, and what reorders or hides text: nothing that a user wrote may look like a line of ours.
_ACTIVE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]")
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
        [_shown, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_indented_traceback)]
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


def _shown(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Write out the control characters of texts, so that each event is one line."""
    return {name: _written_out(value) if isinstance(value, str) else value for name, value in event.items()}


def _written_out(text: str) -> str:
    return _ACTIVE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _indented_traceback(output: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback, whose messages may be of a user's making, so that no line of it begins like an event."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    output.write("\n".join(f"    {_written_out(line)}" for line in text.getvalue().split("\n")))


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
