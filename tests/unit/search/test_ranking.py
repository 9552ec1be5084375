"""What a hit counts for."""

import pytest

from semantik.search.v1.search_service_pb2 import Hit
from services.search.evaluation.ranking import answer, grades


def _hit(document_id: str, path: str) -> Hit:
    return Hit(document_id=document_id, path=path, name=path.rpartition("/")[2])


@pytest.mark.parametrize("name", ["id-1", "notes/day.one.md", "day.one.md", "day.one"])
def test_a_document_goes_by_its_id_its_path_or_its_name(name: str) -> None:
    """With the extension or without."""
    assert answer([_hit("id-1", "notes/day.one.md")], {name: 2}).found == [(1, name, 2)]


def test_a_line_of_a_file_goes_by_its_own_id() -> None:
    """What follows the file's path."""
    assert answer([_hit("id-1", "corpus.jsonl#184")], {"184": 3}).found == [(1, "184", 3)]


def test_a_document_counts_once_at_its_best_place() -> None:
    """Whether two passages are of one document, or two documents go by one name."""
    hits = [_hit("x", "a.md"), _hit("y", "b.md"), _hit("y", "b.md"), _hit("z", "old/b.md"), _hit("w", "c.md")]
    found, document_count = answer(hits, {"b": 1, "c.md": 2})
    assert (found, document_count) == ([(2, "b", 1), (3, "c.md", 2)], 3)
    assert grades(found) == [0, 1, 2]


def test_an_empty_name_is_not_what_a_file_without_extension_goes_by() -> None:
    """It goes by its name."""
    assert answer([_hit("x", "Makefile")], {"Makefile": 1}).found == [(1, "Makefile", 1)]
