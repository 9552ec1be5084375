"""One extraction child, as the pool sees it: its process and the socket to it. Every call waits in a thread, for a bounded time."""

import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, Self

from services.collection.landmarks import Landmarks
from services.collection.tables import Reason
from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.wire import receive_answer, receive_ready, receive_taken, send_request

_PASSED_ON = ("LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")
_START_SECONDS = 60.0
_REAP_SECONDS = 5.0
_LANGUAGE = re.compile(r"(?:[a-z]{2,3}(?:-[A-Z][a-z]{3})?)?")


class ExtractionUnavailableError(Exception):
    """No child can be started: a fault of the installation, not of a document."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost: seconds (wall and processor), memory of the child, characters of its text.

    With ``sandbox`` "required" no child starts where seccomp is missing; with "best" it does with what the system has.
    """

    seconds: float
    memory_mib: int
    max_characters: int
    sandbox: Literal["required", "best"] = "best"


@dataclass(frozen=True)
class File:
    """A file or pipe, open for reading; ``name`` and ``mime_type`` are hints."""

    descriptor: int
    name: str
    mime_type: str = ""


class Child:
    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket, limits: Limits) -> None:
        self._process = process
        self._channel = channel
        self._limits = limits
        self._is_killed = False
        # The sandbox's layers by name, each "on: ..." or "off: ..." with the reason.
        self.layers: dict[str, str] = {}

    @classmethod
    def start(cls, limits: Limits) -> Self:
        """Start a child and wait until it is ready; raises ExtractionUnavailableError."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    *(sys.executable, "-P", "-m", "services.collection.worker.extraction"),
                    *(str(limits.memory_mib), str(math.ceil(limits.seconds)), str(limits.max_characters), limits.sandbox),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # It parses hostile files: it gets none of our secrets.
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
        child = cls(process, ours, limits)
        try:
            report = receive_ready(ours, monotonic() + _START_SECONDS)
        except (EOFError, OSError, ValueError) as error:
            child.stop()
            raise ExtractionUnavailableError("an extraction child does not start") from error
        if "error" in report:
            child.stop()
            raise ExtractionUnavailableError(str(report["error"]))
        child.layers = {str(name): str(value) for name, value in report["layers"].items()}
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return not self._is_killed and self._process.poll() is None

    def extract(self, files: Sequence[File]) -> list[Extracted | UnreadableError]:
        """Return the text of each file; where one ends the child, its refusal is the last, and the rest was not read.

        Empty if the child had died before: nothing was read.
        """
        try:
            self._channel.settimeout(self._limits.seconds)
            send_request(
                self._channel, [file.descriptor for file in files], [{"name": file.name, "mime_type": file.mime_type} for file in files]
            )
            receive_taken(self._channel, monotonic() + self._limits.seconds)
        except (EOFError, OSError):
            self.kill()
            return []
        answers: list[Extracted | UnreadableError] = []
        try:
            for _ in files:
                deadline = monotonic() + self._limits.seconds
                answers.append(_answer(*receive_answer(self._channel, deadline, self._limits.max_characters)))
        except (EOFError, OSError):  # it died, or the time is over
            self.kill()
            answers.append(UnreadableError(Reason.TOO_COSTLY, "extracting the text takes too much time or memory"))
        except (ValueError, LookupError, TypeError):
            self.kill()
            answers.append(UnreadableError(Reason.CORRUPT, "the file made its parser answer nonsense"))
        return answers

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer gets an end of file."""
        self._is_killed = True
        self._process.kill()

    def stop(self) -> None:
        """Kill and reap the process."""
        self.kill()
        self._channel.close()
        self._process.wait(_REAP_SECONDS)


def _answer(head: dict[str, Any], text: str) -> Extracted | UnreadableError:
    """Take an answer as what it is: the word of a process that has read a hostile file. Raises ValueError and the like."""
    if "reason" in head:
        return UnreadableError(Reason(head["reason"]), _text(head["message"]), skip=head["skip"] is True)
    marks = head["landmarks"]
    landmarks = Landmarks(
        [int(offset) for offset in marks["pages"]],
        [(int(offset), _text(title)) for offset, title in marks["headings"]],
        [int(offset) for offset in marks["breaks"]],
        [(int(start), int(end)) for start, end in marks["blocks"]],
    )
    language = _text(head["language"])
    if not _LANGUAGE.fullmatch(language):
        raise ValueError("not a language")
    return Extracted(_text(text), _text(head["mime_type"]), landmarks, head["is_truncated"] is True, language)


def _text(value: object) -> str:
    """Return a text that the database can keep."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("not a text")
    value.encode()
    return value
