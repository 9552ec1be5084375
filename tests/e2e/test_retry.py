"""A failure is not the end: the work is started again from the command line, and watched as JSON."""

import shutil
from pathlib import Path

import httpx

from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.e2e.conftest import Command


async def test_failed_work_is_retried(semantik: Command, ada: Person, shelf: Path, http: httpx.AsyncClient) -> None:
    """A sync of a folder that was gone and is back; what has succeeded is not retried, and one message says how it ended."""
    (shelf / "one.txt").write_text("One fish.")
    await semantik("login", ada.user.username)
    code, states = await semantik("index", shelf, "--collection", "papers")
    assert (code, states[-1]["state"]) == (0, "STATE_SUCCEEDED")
    shutil.rmtree(shelf)
    failed = await ada.client.operations.wait((await ada.client.sources.sync(states[-1]["sourceId"])).id)
    assert failed.state == Operation.STATE_FAILED
    shelf.mkdir()
    (shelf / "two.txt").write_text("Two fish.")
    code, states = await semantik("operations", "retry", failed.id)
    assert (code, states[-1]["state"], states[-1]["retryOf"]) == (0, "STATE_SUCCEEDED", failed.id)
    assert await semantik("operations", "retry", failed.id, "--detach") == (0, [states[-1]])
    assert await semantik("operations", "retry", states[-1]["id"]) == (1, [])
    answer = await http.get(f"/v1/operations/{failed.id}:watch", headers=ada.headers)
    events = [line for line in answer.text.splitlines() if line]
    assert (len(events), '"STATE_FAILED"' in events[0]) == (1, True)
