"""The child that reads files: one JSON request a line on standard input, one answer a line on standard output."""

import json
import resource
import sys
from pathlib import Path

from services.collection.worker.extraction.formats import UnreadableError, extract


def _answer(request: dict[str, object]) -> dict[str, object]:
    try:
        found = extract(Path(str(request["path"])), str(request["name"]), str(request["mime_type"]), int(str(request["max_characters"])))
    except UnreadableError as error:
        return {"reason": error.reason, "message": str(error), "skip": error.skip}
    except OSError as error:
        return {"reason": "UNREADABLE", "message": f"the file cannot be read: {error.strerror}", "skip": False}
    except MemoryError:
        return {"reason": "TOO_COSTLY", "message": "reading it takes too much memory", "skip": False}
    except Exception as error:  # noqa: BLE001 - a parser may raise anything; the file is to blame, not the child
        return {"reason": "CORRUPT", "message": f"the file cannot be parsed ({type(error).__name__})", "skip": False}
    return found.plain()


def main() -> None:
    memory, seconds = int(sys.argv[1]) * 1024 * 1024, int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        # The kernel ends a child that spins, also when nobody is left to kill it.
        spent = resource.getrusage(resource.RUSAGE_SELF)
        used = int(spent.ru_utime + spent.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds + 1, resource.RLIM_INFINITY))
        sys.stdout.buffer.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
