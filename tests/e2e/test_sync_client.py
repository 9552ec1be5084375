"""The blocking client against the mesh: in a thread, in several, and where a loop runs already."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from semantik.client import SemantikError, SyncClient
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import PASSWORD, Person


def _index_and_search(address: str, user: str, path: Path) -> tuple[list[str], str]:
    """Do what a script does; return the states of a watch and the text found."""
    with SyncClient(address) as semantik:
        semantik.accounts.login(user, PASSWORD)
        collection = semantik.collections.create("notes")
        document, operation = semantik.documents.upload(collection.id, path)
        states = [Operation.State.Name(each.state) for each in semantik.operations.watch(operation.id)]
        assert [each.id for each in semantik.documents.list(collection.id)] == [document.id]
        assert b"".join(semantik.documents.content(document.id, original=True)) == path.read_bytes()
        [hit] = semantik.search("tides", [collection.id], limit=1).hits
        assert [each.text for each in semantik.search.suggest("MOO", [collection.id])] == ["moon.txt"]
        semantik.search.forget("tides")
        assert semantik.search.suggest("") == []
        return states, hit.text


async def test_a_script_indexes_watches_and_searches(address: str, ada: Person, tmp_path: Path) -> None:
    """Uploads, streams and searches, each to its end."""
    path = tmp_path / "moon.txt"
    path.write_text("the moon pulls the sea, and the tides follow")
    states, text = await asyncio.to_thread(_index_and_search, address, ada.user.username, path)
    assert (states[-1], text) == ("STATE_SUCCEEDED", path.read_text())


async def test_a_notebook_has_a_loop_of_its_own(address: str, ada: Person) -> None:
    """Calls block in the thread of a running loop, beside an asynchronous client there."""
    with SyncClient(address, ada.client.session.tokens) as semantik:
        assert semantik.accounts.me() == await ada.client.accounts.me()
        with pytest.raises(SemantikError) as refused:
            semantik.collections.named("nothing of this name")
        assert refused.value.reason == "COLLECTION_NOT_FOUND"
        with ThreadPoolExecutor(8) as threads:
            answers = await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(threads, semantik.accounts.me) for _ in range(64)))
        assert {user.id for user in answers} == {ada.user.id}
