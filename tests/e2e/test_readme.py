"""The Python of README.md does what it says."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from semantik.collection.v1.collection_pb2 import Collection
from tests.conftest import PASSWORD, Person

_README = Path(__file__).resolve().parents[2] / "README.md"
_BLOCKS = re.findall(r"^```python\n(.*?)^```$", _README.read_text(), re.MULTILINE | re.DOTALL)
_EXPECTED = {"SyncClient": "heat.txt  'heat transfer", "Client": "heat.txt", "OpenAI": "2 384"}


def _named(block: str) -> str:
    return next(name for name in ("OpenAI", "SyncClient", "Client") if name in block)


@pytest.mark.parametrize("block", _BLOCKS, ids=map(_named, _BLOCKS))
async def test_an_example_runs(block: str, address: str, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """As it stands there, with the address, name and password of the test."""
    path = tmp_path / "heat.txt"
    path.write_text("heat transfer on a flat plate was measured by davies and bourne")
    _, operation = await ada.client.documents.upload(collection.id, path)
    await ada.client.operations.wait(operation.id)
    for there, here in (("127.0.0.1:8080", address), ('"ada", "..."', f'"{ada.user.username}", "{PASSWORD}"')):
        assert there in block
        block = block.replace(there, here)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-W", "error", "-c", block), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    assert _EXPECTED[_named(block)] in output.decode()
