"""Finds the query's words in a hit's text."""

from itertools import islice

from semantik.search.v1.highlight_pb2 import Highlight
from services.search.words import Marks

_MOST = 100


def highlights(marks: Marks, text: str) -> list[Highlight]:
    """Return where words of the query stand in ``text``, in any form, in characters; at most 100. Stopwords match nothing."""
    return [Highlight(start=start, end=end) for start, end in islice(marks.places(text), _MOST)]
