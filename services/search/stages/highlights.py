"""Finds the query's words in a hit's text."""

from collections.abc import Iterator
from itertools import islice

from semantik.search.v1 import search_service_pb2 as messages
from services.search.words import Marks, words

_MOST = 100


def highlights(marks: Marks, text: str) -> list[messages.Highlight]:
    """Return where words of the query stand in ``text``, in any form, in characters; at most 100. Stopwords match nothing."""
    return [messages.Highlight(start=start, end=end) for start, end in islice(_places(marks, text), _MOST)]


def _places(marks: Marks, text: str) -> Iterator[tuple[int, int]]:
    for match in words(text):
        for start, end in marks[match.group()]:
            yield match.start() + start, match.start() + end
