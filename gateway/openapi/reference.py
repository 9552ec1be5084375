"""The reference at ``/docs``: swagger-ui over the OpenAPI document, served like the app's files."""

from pathlib import Path
from typing import Any

from gateway import files

FOLDER = Path(__file__).parent / "docs"
"""The page, and after ``make setup`` or from a wheel the files of swagger-ui."""


def routes() -> list[dict[str, Any]]:
    """Return the routes of the page and its files."""
    return files.pages_of(FOLDER)
