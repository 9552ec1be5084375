"""The child that reads files: a batch of open files over the socket on standard input, an answer to each back."""

import os
import resource
import socket
import sys
from typing import Any

from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.formats import extract, preload
from services.collection.worker.extraction.sandbox import enter
from services.collection.worker.extraction.wire import receive_request, send_answer, send_ready, send_taken


def main() -> None:
    memory, seconds, max_characters = int(sys.argv[1]) * 1024 * 1024, int(sys.argv[2]), int(sys.argv[3])
    channel = socket.socket(fileno=sys.stdin.fileno())
    try:
        layers = enter(preload, is_required=sys.argv[4] == "required")
    except Exception as error:  # noqa: BLE001 - nobody else can say why it does not start
        send_ready(channel, {"error": f"an extraction child cannot start: {error}"})
        return
    # Last: what is imported above maps more than it uses.
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    send_ready(channel, {"layers": layers})
    while request := receive_request(channel):
        send_taken(channel)
        for descriptor, file in zip(*request, strict=True):
            _limit_processor_time(seconds)
            send_answer(channel, *_answer(descriptor, file, max_characters))


def _answer(descriptor: int, file: dict[str, Any], max_characters: int) -> tuple[dict[str, Any], str]:
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            content = opened.readall()
        extracted = extract(content, file["name"], file["mime_type"], max_characters)
    except UnreadableError as error:
        return _refused(error.reason, str(error), skip=error.skip)
    except OSError as error:
        return _refused("UNREADABLE", f"the file cannot be read: {error.strerror}")
    except MemoryError:
        return _refused("TOO_COSTLY", "extracting the text takes too much memory")
    except Exception as error:  # noqa: BLE001 - a parser may raise anything; the file is to blame, not the child
        return _refused("CORRUPT", f"the file cannot be parsed ({type(error).__name__})")
    return _found(extracted), extracted.text


def _found(extracted: Extracted) -> dict[str, Any]:
    marks = extracted.landmarks
    return {
        "mime_type": extracted.mime_type,
        "is_truncated": extracted.is_truncated,
        "language": extracted.language,
        "landmarks": {"pages": marks.pages, "headings": marks.headings, "breaks": marks.breaks, "blocks": marks.blocks},
    }


def _refused(reason: str, message: str, *, skip: bool = False) -> tuple[dict[str, Any], str]:
    return {"reason": reason, "message": message, "skip": skip}, ""


def _limit_processor_time(seconds: int) -> None:
    """The kernel ends a child that spins, also when the pool is gone and cannot."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds + 1, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
