"""Configurations of search as people write them, such as ``mode=keyword`` or ``mode=hybrid rerank candidates=100``."""

import shlex
from collections.abc import Callable
from typing import NamedTuple

from semantik.client.search import MODES
from semantik.search.v1.search_service_pb2 import SearchRequest

_GENERATION = "generation"


class Configuration(NamedTuple):
    """A search without its query, in the active index or in that of a generation."""

    search: SearchRequest
    generation: int


def parsed(text: str) -> Configuration:
    """Return the configuration; raises ValueError with a sentence."""
    search, generation = SearchRequest(), 0
    for word in shlex.split(text):
        name, given, value = word.partition("=")
        if name == _GENERATION and value.isdecimal():
            generation = int(value)
            continue
        if name not in _SETTINGS:
            raise ValueError(f"{name!r} is no setting with a value like this; those are {', '.join((*_SETTINGS, _GENERATION))}")
        if not given and name != "rerank":
            raise ValueError(f"{name} needs a value: {name}=...")
        try:
            _SETTINGS[name](search, value)
        except (ValueError, KeyError):
            raise ValueError(f"{value!r} is no value of {name}") from None
    return Configuration(search, generation)


def written(search: SearchRequest) -> str:
    """Return the search of a configuration as ``parsed`` reads it."""
    mode = next((name for name, mode in MODES.items() if mode == search.mode), "hybrid")
    words = [f"mode={mode}"]
    if search.HasField("rerank"):
        words.append(f"rerank={search.rerank.model}" if search.rerank.model else "rerank")
    if search.rerank.HasField("candidate_count"):
        words.append(f"candidates={search.rerank.candidate_count}")
    if search.filter_text:
        words.append(shlex.quote(f"filter={search.filter_text}"))
    if search.HasField("min_similarity"):
        words.append(f"min-similarity={search.min_similarity:g}")
    if search.HasField("max_hits_per_document"):
        words.append(f"per-document={search.max_hits_per_document}")
    return " ".join(words)


def _mode(search: SearchRequest, value: str) -> None:
    search.mode = MODES[value]


def _rerank(search: SearchRequest, value: str) -> None:
    search.rerank.model = value


def _candidates(search: SearchRequest, value: str) -> None:
    search.rerank.candidate_count = int(value)


def _filter(search: SearchRequest, value: str) -> None:
    search.filter_text = value


def _min_similarity(search: SearchRequest, value: str) -> None:
    search.min_similarity = float(value)


def _per_document(search: SearchRequest, value: str) -> None:
    search.max_hits_per_document = int(value)


_SETTINGS: dict[str, Callable[[SearchRequest, str], None]] = {
    "mode": _mode,
    "rerank": _rerank,
    "candidates": _candidates,
    "filter": _filter,
    "min-similarity": _min_similarity,
    "per-document": _per_document,
}
