"""The judged documents among the hits of a search."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from semantik.search.v1.search_service_pb2 import Hit


class Found(NamedTuple):
    """A judged document and its rank, from 1, among the documents found."""

    rank: int
    document: str
    grade: int


class Answer(NamedTuple):
    """What one search found: the judged documents in their order, and how many documents altogether."""

    found: Sequence[Found]
    document_count: int


def answer(hits: Sequence[Hit], judgements: Mapping[str, int]) -> Answer:
    """Return the answer that the hits are; a document counts once, at its best passage, by the name it is judged by."""
    documents = list(dict.fromkeys(_judged_as(hit, judgements) for hit in hits))
    found = [Found(rank, name, judgements[name]) for rank, name in enumerate(documents, 1) if name in judgements]
    return Answer(found, len(documents))


def grades(found: Sequence[Found]) -> list[int]:
    """Return the grades of all documents up to the last judged one, best first."""
    by_rank = {each.rank: each.grade for each in found}
    return [by_rank.get(rank, 0) for rank in range(1, max(by_rank, default=0) + 1)]


def _judged_as(hit: Hit, judgements: Mapping[str, int]) -> str:
    return next((name for name in _names(hit) if name in judgements), hit.document_id)


def _names(hit: Hit) -> Iterator[str]:
    yield hit.document_id
    yield hit.path
    if "#" in hit.path:
        yield hit.path.rpartition("#")[2]
    yield hit.name
    yield hit.name.rpartition(".")[0]
