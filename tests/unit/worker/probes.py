"""What a parser that was taken over would try: run in a sandbox of its own, prints what happened as one JSON object."""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from services.collection.worker.extraction import sandbox
from services.collection.worker.extraction.formats import preload

_PTRACE_SEIZE = 0x4206


def main() -> None:
    layers, key, port, unix = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    inherited = socket.socket()  # opened before: only connecting is left to refuse
    local = socket.socket(socket.AF_UNIX)
    attempts: dict[str, Callable[[], object]] = {
        "read a key": key.read_text,
        "list a directory": lambda: list(key.parent.iterdir()),
        "write a file": lambda: key.with_name("new").write_text("x"),
        "write to a key": lambda: key.open("a"),
        "delete a key": lambda: key.with_name("other").unlink(),
        "link a key": lambda: key.with_name("link").hardlink_to(key),
        "read passwords": Path("/etc/passwd").read_text,
        "read the parent's environment": Path(f"/proc/{parent}/environ").read_bytes,
        "read the parent's memory": Path(f"/proc/{parent}/mem").open,
        "read the parent's files": lambda: list(Path(f"/proc/{parent}/fd").iterdir()),
        "attach to the parent": lambda: _called(libc.ptrace(_PTRACE_SEIZE, parent, 0, 0)),
        "signal the parent": lambda: os.kill(parent, 0),
        "open a socket": socket.socket,
        "open a local socket": lambda: socket.socket(socket.AF_UNIX),
        "connect to a port": lambda: inherited.connect(("127.0.0.1", port)),
        "connect to a local socket": lambda: local.connect(unix),
        "listen": lambda: inherited.bind(("127.0.0.1", 0)),
        "run a program": lambda: subprocess.run(["/bin/true"], check=True) if layers == "none" else os.execv("/bin/true", ["true"]),  # noqa: S606
        "fork": _forked,
        "become root": lambda: os.setuid(0),
        "change its groups": lambda: os.setgroups([0]),
        "raise its limits": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)),
        "make a user namespace": lambda: _called(libc.unshare(0x10000000)),
        "keep something in memory files": lambda: os.memfd_create("x"),
    }
    entered = _entered(layers)
    outcomes = {name: _outcome(attempt) for name, attempt in attempts.items()}
    print(json.dumps({"layers": entered, "outcomes": outcomes}))  # noqa: T201 - its answer


def _entered(layers: str) -> dict[str, str]:
    version, _ = sandbox._support()
    match layers:
        case "all":
            return sandbox.enter(preload, is_required=True)
        case "landlock":
            return {"landlock": sandbox._enter_landlock(version, sandbox._libraries())}
        case "seccomp":
            preload()
            return {"seccomp": sandbox._enter_seccomp(may_open=False)}
    return {}


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    except ValueError as error:
        return str(error)
    return "done"


def _called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _forked() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
