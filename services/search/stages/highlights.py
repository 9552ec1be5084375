"""Finds the query's words in a hit's text."""

import re

from semantik.search.v1 import search_service_pb2 as messages

_WORD = re.compile(r"\w+")
_MOST = 100
_SHORT = 2


def highlights(query: str, text: str) -> list[messages.Highlight]:
    """Return where words of ``query`` stand in ``text``, in characters; at most 100. Words of one letter match nothing."""
    wanted = {word.casefold() for word in _WORD.findall(query) if len(word) >= _SHORT}
    matches = (match for match in _WORD.finditer(text) if match.group().casefold() in wanted)
    return [messages.Highlight(start=match.start(), end=match.end()) for match, _ in zip(matches, range(_MOST), strict=False)]
