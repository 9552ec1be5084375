"""An upload is read from object storage, through a file that has no name."""

import os
from pathlib import Path

import pytest

from services.collection.locators import object_locator
from services.collection.objects import Objects
from services.collection.worker.connectors.entries import OpenFile
from services.collection.worker.connectors.upload import UploadConnector
from services.collection.worker.extraction.extracted import UnreadableError


async def test_an_upload_is_an_open_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the process, nothing is left of it."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    objects = Objects((tmp_path / "objects").as_uri())
    await objects.put("c/d/original/1", b"words " * 500_000)
    async with UploadConnector(objects).content(object_locator("c/d/original/1")) as content:
        assert isinstance(content, OpenFile)
        assert (content.size_bytes, os.fstat(content.descriptor).st_nlink) == (3_000_000, 0)
        assert os.read(content.descriptor, 12) == b"words words "
        assert list(temporary.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(content.descriptor)


@pytest.mark.parametrize(
    ("locator", "message"), [({}, "not stored"), ({"kind": "object", "key": "missing"}, "missing from object storage")]
)
async def test_an_upload_that_is_not_stored_is_unreadable(tmp_path: Path, locator: dict[str, str], message: str) -> None:
    """It says which of the two it is."""
    with pytest.raises(UnreadableError, match=message):
        async with UploadConnector(Objects((tmp_path / "objects").as_uri())).content(locator):
            pass


async def test_uploads_are_not_listed(tmp_path: Path) -> None:
    """So that nothing that was not listed is taken for gone."""
    connector = UploadConnector(Objects((tmp_path / "objects").as_uri()))
    assert [batch async for batch in connector.entries()] == []
    assert not connector.is_complete
