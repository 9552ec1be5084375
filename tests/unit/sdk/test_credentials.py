"""Where the command keeps sign-ins."""

import json
import os
from pathlib import Path

import pytest

from semantik.auth.v1.session_pb2 import Tokens
from semantik.command.credentials import Credentials

_HERE, _THERE = "127.0.0.1:8080", "search.example.org:443"


def _tokens(access: str) -> Tokens:
    return Tokens(access_token=access, refresh_token=f"{access}-refresh")


@pytest.mark.abuse(40)
def test_sign_ins_are_kept_by_address_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody else can read them, whatever the umask; signing out of one place leaves the other."""
    path = tmp_path / "new" / "credentials.json"
    before = os.umask(0)
    try:
        Credentials(_HERE, path).write(_tokens("here"))
    finally:
        os.umask(before)
    Credentials(_THERE, path).write(_tokens("there"))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (Credentials(_HERE, path).read(), Credentials(_THERE, path).read()) == (_tokens("here"), _tokens("there"))
    Credentials(_HERE, path).write(None)
    assert (Credentials(_HERE, path).read(), Credentials(_THERE, path).read()) == (None, _tokens("there"))


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file changes whole or not at all, and nothing with a token in it is left beside it."""
    path = tmp_path / "credentials.json"
    Credentials(_HERE, path).write(_tokens("here"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space left"):
        Credentials(_HERE, path).write(_tokens("other"))
    assert Credentials(_HERE, path).read() == _tokens("here")
    assert [each.name for each in tmp_path.iterdir()] == ["credentials.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"127.0.0.1:8080": {"accessToken": 5}}', '{"127.0.0.1:8080": "x"}'])
def test_a_file_that_was_spoilt_is_no_sign_in(tmp_path: Path, content: str) -> None:
    """One signs in again, and the file is whole."""
    path = tmp_path / "credentials.json"
    path.write_text(content)
    assert Credentials(_HERE, path).read() is None
    Credentials(_HERE, path).write(_tokens("here"))
    assert Credentials(_HERE, path).read() == _tokens("here")
