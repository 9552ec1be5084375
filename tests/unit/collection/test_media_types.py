"""What somebody calls their bytes is parsed, and rebuilt before it is a header again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collection.media_types import parsed, served

_SAFE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(; charset=[a-z0-9._-]+)?")


@pytest.mark.parametrize(
    ("said", "mime_type"),
    [
        ("", ""),
        ("text/plain", "text/plain"),
        ("Text/HTML; charset=utf-8", "text/html"),
        (" application/pdf ;x=y", "application/pdf"),
        ("application/vnd.api+json", "application/vnd.api+json"),
    ],
)
def test_a_type_is_read_without_its_parameters(said: str, mime_type: str) -> None:
    """In lower case, as registries write it."""
    assert parsed(said) == mime_type


@pytest.mark.abuse(35)
@pytest.mark.parametrize(
    "said",
    [
        "text", "text/", "/plain", "text/plain/x", "text/pl ain", "text/plain\r\n", "text/plain\r\nset-cookie: a=b", "\ntext/plain",
        "text/plain\x00", "text/plain\x0b", "text/pl\u2028ain", "text/plain\u00a0", "text/pla\u0131n", "text/plain,text/html", "té/xt",
        "text/<script>", 'text/"x"', "text/" + "x" * 128, "text\\plain",
    ],
)  # fmt: skip
def test_what_is_no_type_is_refused(said: str) -> None:
    """Above all what would end a line of headers."""
    assert parsed(said) is None


@pytest.mark.abuse(35)
@given(st.text(), st.text())
def test_nothing_stored_leaves_the_value_of_a_header(mime_type: str, charset: str) -> None:
    """Whatever stands in the tables."""
    assert _SAFE.fullmatch(served(mime_type, charset))


@pytest.mark.abuse(35)
@pytest.mark.parametrize(
    "mime_type",
    [
        "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "text/javascript", "application/javascript",
        "application/x-shockwave-flash", "text/css", "multipart/x-mixed-replace", "text/vtt", "application/wasm", "text/HTML", "",
    ],
)  # fmt: skip
def test_what_a_browser_could_run_is_bytes(mime_type: str) -> None:
    """A known document keeps its type and its charset."""
    assert served(mime_type, "utf-8") == "application/octet-stream"
    assert served("text/plain", "UTF-8") == "text/plain; charset=utf-8"
    assert served("application/pdf", "") == "application/pdf"
    assert served("text/plain", "utf-8\r\nx: y") == "text/plain"
