"""A second look at the best passages, by a cross-encoder of the test's own."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from deploy.local.supervisor import Mesh
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.rerank_pb2 import Rerank
from tests.conftest import Person
from tests.golden.embedding.families import FAMILIES, save
from tests.service.embedding import tiny
from tests.service.search.conftest import Fill

_TEXTS = ["the moon", "moon and sea", "the tides of the sea", "sea", "tide tide moon", "the the the", "tides"]


@pytest.fixture
async def scorer(mesh: Mesh, person: Callable[[], Awaitable[Person]]) -> AsyncIterator[str]:
    """A small cross-encoder with random weights, installed for as long as a test runs."""
    [family] = [family for family in FAMILIES if family.id == "reranker"]
    directory = save(family, mesh.home.models / "scorer")
    (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    yield "scorer"
    shutil.rmtree(directory)
    await (await person()).client.models.list()  # the service looks again at what is installed


async def test_the_cross_encoder_decides_the_order(ada: Person, collection: Collection, fill: Fill, scorer: str) -> None:
    """The hits have its scores and its order; the ranks before stay in the explanation."""
    await fill(ada, collection, _TEXTS)
    scores = {
        _TEXTS[result.index]: result.score for result in (await ada.client.embedding.rerank("tide moon", _TEXTS, model=scorer)).results
    }
    plain = await ada.client.search("tide moon", [collection.id])
    found = await ada.client.search("tide moon", [collection.id], rerank=Rerank(model=scorer), explain=True, limit=5)
    assert {hit.text: hit.score for hit in found.hits} == pytest.approx({hit.text: scores[hit.text] for hit in found.hits})
    assert [hit.text for hit in found.hits] == sorted(scores, key=lambda text: -scores[text])[:5]
    assert [hit.explanation.rerank_score for hit in found.hits] == [hit.score for hit in found.hits]
    before = {hit.text: (number, hit.score) for number, hit in enumerate(plain.hits, 1)}
    for hit in found.hits:
        rank, score = before[hit.text]
        assert hit.explanation.fused_rank == rank
        assert hit.explanation.fused_score == pytest.approx(score)
    reranker = found.explanation.reranker
    assert (reranker.model, reranker.candidate_count) == (scorer, len(_TEXTS))
    assert reranker.digest
    assert "rerank" in {stage.stage for stage in found.explanation.stages}


async def test_only_the_candidates_are_reranked(ada: Person, collection: Collection, fill: Fill, scorer: str) -> None:
    """The best by fusion, at least as many as hits are asked for."""
    await fill(ada, collection, _TEXTS)
    plain = [hit.text for hit in (await ada.client.search("tide moon", [collection.id])).hits]
    for count, limit, scored in ((3, 2, 3), (1, 1, 1), (1, 4, 4), (200, 2, len(_TEXTS))):
        found = await ada.client.search(
            "tide moon", [collection.id], rerank=Rerank(model=scorer, candidate_count=count), explain=True, limit=limit
        )
        assert found.explanation.reranker.candidate_count == scored
        assert not found.next_page_token
        assert len(found.hits) == limit
        assert {hit.text for hit in found.hits} <= set(plain[:scored])


async def test_a_model_that_is_not_there_or_does_not_rerank_is_refused(ada: Person, collection: Collection, fill: Fill) -> None:
    """Each with its own reason."""
    await fill(ada, collection, _TEXTS)
    for model, refused in (
        ("not-installed", ("NOT_FOUND", "MODEL_NOT_FOUND")),
        ("all-minilm-l6-v2", ("FAILED_PRECONDITION", "MODEL_KIND_WRONG")),
        ("", ("FAILED_PRECONDITION", "RERANKER_MISSING")),
    ):
        with pytest.raises(SemantikError) as refusal:
            await ada.client.search("tide", [collection.id], rerank=Rerank(model=model))
        assert (refusal.value.code, refusal.value.reason) == refused


@pytest.mark.abuse(38)
async def test_reranks_of_one_user_wait_for_each_other_and_not_others(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, scorer: str
) -> None:
    """All are answered; a short search of the same user, or of another, is not held up until they are."""
    for number in range(30):
        await fill(ada, collection, [f"{text} {number}" for text in _TEXTS])
    own = await stranger.client.collections.create("own")
    await fill(stranger, own, _TEXTS)
    dear = [
        asyncio.create_task(ada.client.search("tide moon", [collection.id], rerank=Rerank(model=scorer, candidate_count=200), limit=100))
        for _ in range(12)
    ]
    await stranger.client.search("tide", [own.id])
    assert not all(task.done() for task in dear)
    assert all(len(found.hits) == 100 for found in await asyncio.gather(*dear))
