"""Reads the passages around hits: a number of them, or the section."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from semantik.search.v1.index_pb2 import Chunk
from semantik.search.v1.neighbours_pb2 import Neighbours
from semantik.search.v1.search_service_pb2 import Hit
from semantik.search.v1.search_warning_pb2 import SearchWarning
from services.search.passage import HIDDEN, SECTION, TEXT, is_published, passage, point_id, selector
from services.search.qdrant import Qdrant
from services.search.stages.candidate import Candidate, Key
from services.search.stages.read import points
from services.search.stages.request import SECTION_PASSAGES, Plan

# All texts of one answer together: with the hits they fit into a message.
_MOST_CHARACTERS = 1_000_000
_TEXTS = selector(TEXT, SECTION, HIDDEN)
# Of a hit's passage and those around it by their ordinals, those to return, by theirs.
Choice = Callable[[Chunk, Mapping[int, Chunk]], Sequence[int]]


async def add_neighbours(
    qdrant: Qdrant, plan: Plan, candidates: Sequence[Candidate], hits: Sequence[Hit], reach: int, chosen: Choice
) -> list[SearchWarning]:
    """Give each hit what is ``chosen`` of the ``reach`` passages before and after it in its version of the document; the best hits first.

    A point's id follows from document, version and ordinal, so nothing is searched for.
    """
    wanted: dict[int, dict[str, None]] = defaultdict(dict)
    for candidate in candidates:
        for key in (_key(plan, candidate, ordinal) for ordinal in _ordinals(candidate.passage, reach)):
            wanted[key.query][key.point_id] = None
    answers = await asyncio.gather(*(points(qdrant, plan.queries[number].index_name, list(ids), _TEXTS) for number, ids in wanted.items()))
    passages = {
        Key(number, point.id.uuid): passage(point.payload)
        for number, found in zip(wanted, answers, strict=True)
        for point in found
        if is_published(point.payload)
    }
    left = _MOST_CHARACTERS
    for candidate, hit in zip(candidates, hits, strict=True):
        keys = {ordinal: _key(plan, candidate, ordinal) for ordinal in _ordinals(candidate.passage, reach)}
        found = _neighbours(candidate.passage, {ordinal: passages[key] for ordinal, key in keys.items() if key in passages}, chosen)
        left -= sum(map(len, (*found.before, *found.after)))
        if left < 0:
            message = "the passages around some hits are left out: all together would be too large for one answer"
            return [SearchWarning(kind=SearchWarning.KIND_NEIGHBOURS_LIMITED, message=message)]
        hit.neighbours.CopyFrom(found)
    return []


def around(_: Chunk, near: Mapping[int, Chunk]) -> Sequence[int]:
    """Choose all."""
    return list(near)


def section(hit: Chunk, near: Mapping[int, Chunk]) -> Sequence[int]:
    """Choose the hit's section: the passages under its heading that follow one another; of more than 20 those nearest to it."""
    found: list[int] = []
    for step in (-1, 1):
        ordinal = hit.ordinal + step
        while ordinal in near and near[ordinal].section == hit.section:
            found.append(ordinal)
            ordinal += step
    return sorted(found, key=lambda ordinal: abs(ordinal - hit.ordinal))[:SECTION_PASSAGES]


def _neighbours(hit: Chunk, near: Mapping[int, Chunk], chosen: Choice) -> Neighbours:
    ordinals = sorted(chosen(hit, near))
    return Neighbours(
        before=[near[ordinal].text for ordinal in ordinals if ordinal < hit.ordinal],
        after=[near[ordinal].text for ordinal in ordinals if ordinal > hit.ordinal],
    )


def _ordinals(chunk: Chunk, reach: int) -> Iterator[int]:
    for ordinal in range(max(0, chunk.ordinal - reach), chunk.ordinal + reach + 1):
        if ordinal != chunk.ordinal:
            yield ordinal


def _key(plan: Plan, candidate: Candidate, ordinal: int) -> Key:
    number, chunk = candidate.key.query, candidate.passage
    return Key(number, point_id(plan.queries[number].index_name, chunk.document_id, chunk.content_version, ordinal))
