"""Hooks of schemathesis: notes the status of every case in the file named by FUZZ_RECORD, one JSON line each."""

import json
import os
from pathlib import Path
from typing import Any

import schemathesis


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:  # noqa: ARG001 - schemathesis passes it by name
    """Note what was sent and what came back."""
    request = response.request
    line = {
        "path": case.operation.path,
        "method": str(request.method),
        "described": case.operation.method.upper(),
        "status": response.status_code,
        "url": str(request.url),
        "body": repr(request.body)[:2000],
        "answer": response.content[:500].decode(errors="replace"),
    }
    with Path(os.environ["FUZZ_RECORD"]).open("a") as record:
        record.write(json.dumps(line) + "\n")
