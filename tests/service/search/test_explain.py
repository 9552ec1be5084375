"""What an explanation says: enough to compute every score again."""

from collections.abc import Sequence

import pytest

from semantik.collection.v1.collection_pb2 import Collection
from semantik.embedding.v1.model_pb2 import Model
from semantik.search.v1.explanation_pb2 import RankedScore, Ranking
from semantik.search.v1.search_service_pb2 import Hit, SearchRequest
from tests.conftest import Person
from tests.service.search.conftest import Fill, Place

_TEXTS = [
    *(f"whale number {number} {'breathes air' if number % 3 else 'nurses its calf'}" for number in range(30)),
    *(f"bread recipe {number} with {'rye flour' if number % 2 else 'sourdough'}" for number in range(30)),
]


def _recomputed(hit: Hit, rankings: Sequence[Ranking]) -> float:
    """Return a hit's score as the contract says that it comes about."""
    explained = hit.explanation
    return sum(
        _part(place, rankings)
        for place, is_there in ((explained.meaning, explained.HasField("meaning")), (explained.words, explained.HasField("words")))
        if is_there
    )


def _part(place: RankedScore, rankings: Sequence[Ranking]) -> float:
    ranking = rankings[place.ranking]
    if sum(each.round == ranking.round for each in rankings) == 1:
        return place.score
    return 0.5 + (place.score - ranking.mean) / (6 * ranking.deviation) if ranking.deviation else 0.5


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
@pytest.mark.parametrize("query", ["how do whales breathe", "rye", "whale with sourdough and 7"])
async def test_every_score_can_be_computed_again(ada: Person, collection: Collection, fill: Fill, mode: str, query: str) -> None:
    """From the ranks' scores and the mean and deviation of each ranking; ranks follow from the scores."""
    await fill(ada, collection, _TEXTS)
    found = await ada.client.search(query, [collection.id], mode=mode, limit=60, explain=True)
    rankings = found.explanation.rankings
    kinds = {"semantic": ["KIND_MEANING"], "keyword": ["KIND_WORDS"]}.get(mode, ["KIND_MEANING", "KIND_WORDS"])
    assert [Ranking.Kind.Name(ranking.kind) for ranking in rankings] == kinds
    assert found.hits
    for number, hit in enumerate(found.hits, 1):
        assert hit.score == pytest.approx(_recomputed(hit, rankings))
        assert hit.explanation.fused_score == hit.score
        assert hit.explanation.fused_rank == number
        for place in (hit.explanation.meaning, hit.explanation.words):
            if place.rank:
                assert place.part == pytest.approx(_part(place, rankings))
    for kind in ("meaning", "words"):
        places = sorted(
            (getattr(hit.explanation, kind) for hit in found.hits if hit.explanation.HasField(kind)), key=lambda each: each.rank
        )
        assert [place.score for place in places] == sorted((place.score for place in places), reverse=True)
        if places and len(places) == rankings[places[0].ranking].point_count:
            mean = sum(place.score for place in places) / len(places)
            assert rankings[places[0].ranking].mean == pytest.approx(mean)


async def test_scores_of_deeper_rounds_can_be_computed_again(ada: Person, collection: Collection, fill: Fill) -> None:
    """Each from the rankings of its round, and none above the one before; pages go on where the one before ended."""
    for number in range(4):
        await fill(ada, collection, [f"{text} again {number}" for text in _TEXTS])
    rank, before, rounds, token = 0, 1e9, set[int](), ""
    while rank == 0 or token:
        found = await ada.client.search("whale with air", [collection.id], limit=100, explain=True, page_token=token)
        rankings, token = found.explanation.rankings, found.next_page_token
        for hit in found.hits:
            rank += 1
            assert hit.explanation.fused_rank == rank
            assert hit.explanation.fused_score == pytest.approx(_recomputed(hit, rankings))
            assert hit.score == pytest.approx(min(before, hit.explanation.fused_score))
            before = hit.score
            places = (hit.explanation.meaning, hit.explanation.words)
            rounds |= {rankings[place.ranking].round for place in places if place.rank}
    assert rank == 4 * len(_TEXTS)
    assert rounds == {1, 2}


async def test_each_model_has_a_ranking_of_its_own(ada: Person, collection: Collection, fill: Fill) -> None:
    """And a hit is in that of its collection's model."""
    other = await ada.client.collections.create("other", precision=Model.PRECISION_FLOAT32)
    await fill(ada, collection, _TEXTS[:40])
    await fill(ada, other, _TEXTS[20:])
    found = await ada.client.search("how do whales breathe", [collection.id, other.id], limit=80, explain=True)
    rankings = found.explanation.rankings
    by_meaning = [ranking.precision for ranking in rankings if ranking.kind == Ranking.KIND_MEANING]
    assert by_meaning == [Model.PRECISION_INT8, Model.PRECISION_FLOAT32]
    precisions = {index.collection_id: index.precision for index in found.explanation.indexes}
    assert len(found.hits) == 80
    for hit in found.hits:
        assert hit.score == pytest.approx(_recomputed(hit, rankings))
        assert rankings[hit.explanation.meaning.ranking].precision == precisions[hit.collection_id]


async def test_an_explanation_says_what_was_searched_and_how(ada: Person, collection: Collection, fill: Fill, place: Place) -> None:
    """Index, model, terms, phrases, filter and the time of each stage; without asking nothing is explained."""
    await fill(ada, collection, ["the blue whale sings", "a whale sees blue skies"])
    there = await place(ada, collection)
    await fill(ada, collection, ["blue whales sing under the skies"], mime_type="text/plain")
    asked = '"blue whale" what sings in getCloseMatches?'
    found = await ada.client.search(asked, [collection.id], explain=True, mime_types=["text/plain"])
    explained = found.explanation
    [index] = explained.indexes
    assert (index.collection_id, index.generation, index.model, index.digest, index.precision) == (
        collection.id, there.generation, there.model, there.digest, there.precision
    )  # fmt: skip
    assert list(explained.terms) == ["blue", "whale", "sings", "getCloseMatches"]
    assert list(explained.phrases) == ["blue whale"]
    assert explained.filter == '{"mimeTypes": ["text/plain"]}'
    assert [ranking.model for ranking in explained.rankings] == [there.model, ""]
    assert {"authorize", "embed", "retrieve", "fuse", "read", "present"} <= {stage.stage for stage in explained.stages}
    assert sum(stage.time.ToMicroseconds() for stage in explained.stages) <= found.timings.total.ToMicroseconds() * 1.01
    [hit] = found.hits
    assert list(hit.explanation.terms) == ["blue", "whale", "sings"]
    assert hit.explanation.deviations_above_unrelated > 3
    plain = await ada.client.search(asked, [collection.id], mime_types=["text/plain"])
    assert not plain.HasField("explanation")
    assert not plain.hits[0].HasField("explanation")
    assert [each.score for each in plain.hits] == [each.score for each in found.hits]


@pytest.mark.parametrize(
    ("query", "fields", "terms"),
    [
        ("close", {"text": "def getCloseMatches(word)"}, ["close"]),
        ("get_close_matches", {"text": "def getCloseMatches(word)"}, ["get", "close", "matches"]),
        ("getCloseMatches", {"text": "get some close matches"}, ["getCloseMatches"]),
        ("getCloseMatches", {"text": "get some matches"}, []),
        (
            "rye loaf of bread",
            {"text": "how to bake", "name": "ryeLoaf.md", "path": "recipes/ryeLoaf.md", "section": "Breads"},
            ["rye", "loaf", "bread"],
        ),
        ("whales and WHALING", {"text": "a whale"}, ["whales"]),
    ],
)
async def test_terms_are_matched_as_the_index_matches_them(
    ada: Person, collection: Collection, fill: Fill, query: str, fields: dict[str, str], terms: list[str]
) -> None:
    """In any form, by the parts of compounds, in text, heading, name and path."""
    text = fields["text"]
    await fill(ada, collection, [text], **{name: value for name, value in fields.items() if name != "text"})
    [hit] = (await ada.client.search(query, [collection.id], mode="semantic", explain=True)).hits
    assert list(hit.explanation.terms) == terms


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_weak_match_says_so(ada: Person, collection: Collection, fill: Fill, mode: str) -> None:
    """One that is no nearer than unrelated texts and has a word of many; not one that is near or has the words."""
    texts = ["The blue whale breathes air through its blowhole at home in the sea.", "Rye flour makes a dense and dark loaf."]
    await fill(ada, collection, texts)
    good = await ada.client.search("how do whales breathe air", [collection.id], mode=mode)
    bad = await ada.client.search("how should I repair the roof of my home insurance office", [collection.id], mode=mode)
    assert good.hits[0].text == texts[0]
    assert not good.hits[0].is_weak_match
    assert bad.hits
    assert all(hit.is_weak_match for hit in bad.hits)


async def test_each_search_of_a_batch_explains_itself(ada: Person, collection: Collection, fill: Fill) -> None:
    """Where it was asked to."""
    await fill(ada, collection, _TEXTS[:6])
    asked = SearchRequest(query="whale", explain=True)
    explained, plain = await ada.client.search.batch([asked, "whale"], [collection.id])
    assert explained.HasField("explanation")
    assert not plain.HasField("explanation")
    assert [hit.text for hit in explained.hits] == [hit.text for hit in plain.hits]
