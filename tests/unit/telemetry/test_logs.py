"""A log line is one line, whatever the texts in it hold."""

import json
import re
import subprocess
import sys

import pytest

HOSTILE = 'x\r\n2026-01-01T00:00:00.000000Z [error    ] forged\n{"event": "forged"}\x1b]0;title\x07\x9b2J\x00\u202e\u2066\u200b\u2028\ufeff'
PROGRAM = """
import logging, sys
from libs.telemetry import logs

logs.start("test", sys.argv[1])
log = logging.getLogger("test")
text = sys.argv[2].replace("NUL", chr(0))
log.warning("the path %s is odd", text)
log.warning("as an event: " + text)
try:
    raise ValueError(text)
except ValueError as error:
    log.error("failed", exc_info=error)
"""
ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066\ufeff]")


def _logged(style: str) -> str:
    command = [sys.executable, "-P", "-c", PROGRAM, style, HOSTILE.replace("\x00", "NUL")]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stderr.decode()


@pytest.mark.abuse(35)
def test_json_has_one_object_a_line() -> None:
    """A line for each event, and the text as a value."""
    events = [json.loads(line) for line in _logged("json").splitlines()]
    assert [each["event"] for each in events] == [f"the path {HOSTILE} is odd", f"as an event: {HOSTILE}", "failed"]
    assert events[-1]["exception"][0]["exc_value"] == HOSTILE


@pytest.mark.abuse(35)
def test_the_console_shows_what_would_act() -> None:
    """An event begins its line, its traceback is indented, and nothing reaches the terminal as a code."""
    text = _logged("console")
    assert ACTIVE.findall(text) == []
    begins = [line.partition("Z [")[2].partition("]")[2].split()[0] for line in text.splitlines() if not line.startswith("    ")]
    assert begins == ["the", "as", "failed"]
    assert "\\x1b]0;title\\x07\\x9b2J" in text
