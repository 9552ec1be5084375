"""The lists of an index, however they were asked for."""

from dataclasses import replace

import numpy as np

from semantik.collection.v1.collection_pb2 import Collection
from services.search import conditions
from services.search.passage import HIDDEN, PUBLISHED
from services.search.qdrant import Qdrant
from services.search.stages.request import Plan, index_queries
from services.search.stages.retrieve import retrieve, words_ahead
from services.search.stages.trace import Trace
from tests.conftest import Person
from tests.service.search.conftest import Fill, Place

_TEXTS = [f"heat moves along plate {number} of the wing" for number in range(30)]


async def test_words_asked_ahead_bring_the_same_lists(
    ada: Person, collection: Collection, fill: Fill, place: Place, qdrant: Qdrant
) -> None:
    """Ids, scores and order, of both lists; an index that is missing is missing either way."""
    await fill(ada, collection, _TEXTS)
    there = await place(ada, collection)
    queries = index_queries([there])
    visible = conditions.all_of(conditions.equals(HIDDEN, PUBLISHED))
    plan = Plan(text="heat of a wing", by_meaning=True, by_words=True, queries=queries, filter_=visible, limit=10)
    vectors = {queries[0].model: np.full(384, 384**-0.5, "<f4").tobytes()}
    together = await retrieve(qdrant, plan, vectors, Trace())
    async with words_ahead(qdrant, plan) as words:
        assert words is not None
        apart = await retrieve(qdrant, plan, vectors, Trace(), words)
    assert [len(ranking.points) for ranking in together.rankings] == [30, 30]
    assert apart == together
    there.index_name = "never-made"
    missing = replace(plan, queries=index_queries([there]))
    async with words_ahead(qdrant, missing) as words:
        assert (await retrieve(qdrant, missing, vectors, Trace(), words)).missing == [collection.id]
