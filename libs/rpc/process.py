"""The first and last lines of every process."""

import asyncio
import faulthandler
import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from pydantic import ValidationError

from libs.rpc.settings import MeshSettings
from libs.telemetry import logs, metrics, traces

_EXIT_SECONDS = 10.0

log = logging.getLogger(__name__)
_Settings = TypeVar("_Settings", bound=MeshSettings)


def configured(kind: type[_Settings]) -> _Settings:
    """Read a process's settings; exit with a line for each one that is missing or wrong, without values."""
    try:
        return kind()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, fault['loc'])).upper() or 'settings'}: {fault['msg']}" for fault in error.errors()]
        raise SystemExit("\n".join(lines)) from None


def run(service: str, settings: MeshSettings, main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` to its end with logs, metrics and traces of ``service``, on uvloop where that is on.

    Once ``main`` has ended the process does, within 10 s, whatever tasks and threads are left.
    """
    logs.start(service, settings.log_format, settings.log_level)
    if settings.tmpdir is not None:
        # Otherwise Python looks for another directory, once for all, if this one is full at the first use.
        tempfile.tempdir = str(settings.tmpdir)
    metrics.start(settings.metrics_address)
    traces.start(service, settings.otel_exporter_otlp_endpoint)
    # What was imported stays: looking through it again took 45-106 ms at a time, in which nothing else was answered.
    gc.freeze()
    factory = None
    if settings.use_uvloop:
        import uvloop  # noqa: PLC0415 - only who uses it pays for it

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(main)
        finally:
            # The runner waits for every task that is left, and the interpreter for every thread, without a bound.
            exit_anyway = threading.Timer(_EXIT_SECONDS, _exit_anyway)
            exit_anyway.daemon = True
            exit_anyway.start()


def _exit_anyway() -> None:
    log.error("the process did not end within %.0f s of its work; what is left follows", _EXIT_SECONDS)
    faulthandler.dump_traceback(sys.stderr)
    logging.shutdown()
    os._exit(1)
