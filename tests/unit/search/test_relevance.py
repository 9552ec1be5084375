"""When a hit is said to be weak."""

import pytest

from semantik.search.v1.search_service_pb2 import Hit
from services.search.stages.candidate import Candidate, Key, Ranking
from services.search.stages.highlights import highlights
from services.search.stages.relevance import relevance
from services.search.stages.request import IndexQuery, Model, Plan
from services.search.terms import Terms
from services.search.vectors.spread import Spread
from services.search.words import Marks

_MODEL = Model("m", "d", 1)
_UNRELATED = Spread(0.1, 0.1)
_KEY = Key(0, "p")


def _weak(query: str, text: str, similarity: float | None, *, last: float | None = None, spread: Spread | None = _UNRELATED) -> bool:
    """Return whether a hit is weak; ``last`` is the lowest score of the ranking by meaning, None in a search by words."""
    by_meaning = last is not None
    plan = Plan(query, by_meaning, True, [IndexQuery("c", "i", 1, _MODEL)], None, 10)
    scores = {} if similarity is None else {"dense": similarity}
    rankings = [Ranking("dense", [(Key(0, "other"), last)], _MODEL)] if last is not None else []
    hit = Hit(text=text, highlights=highlights(Marks(query), text))
    [found] = relevance(plan, Terms(query), [rankings], {_MODEL: spread}, [Candidate(_KEY, 1, {}, scores, {}, 1, 1)], [hit])
    if similarity is not None and spread == _UNRELATED:
        assert found.deviations == pytest.approx((similarity - 0.1) / 0.1)
    return found.is_weak


@pytest.mark.parametrize(
    ("query", "text", "is_weak"),
    [
        ("whale", "a whale", False),
        ("blue whale", "a whale", True),
        ("blue whale", "a blue whale", False),
        ("blue whale song recorded", "a blue whale", True),
        ("blue whale song", "a blue whale", False),
        ("one two three four five six seven eight nine", "one two three", False),
        ("one two three four five six seven eight nine", "one two", True),
    ],
)
def test_words_are_few_below_three_and_at_most_half(query: str, text: str, is_weak: bool) -> None:
    """In a search by words nothing else counts; in one by meaning that it is far, too."""
    assert _weak(query, text, None) == is_weak
    assert _weak(query, text, 0.39, last=0.2) == is_weak
    assert not _weak(query, text, 0.41, last=0.2)


@pytest.mark.parametrize(("last", "is_weak"), [(0.39, True), (0.41, False)])
def test_what_the_ranking_did_not_reach_is_no_nearer_than_its_last(last: float, is_weak: bool) -> None:
    """Where that is near, nothing is known of the hit."""
    assert _weak("blue whale", "a whale", None, last=last) == is_weak


def test_where_the_model_was_not_measured_no_hit_is_weak() -> None:
    """Nor where all unrelated texts are equally far."""
    for spread in (None, Spread(0.1, 0.0)):
        assert not _weak("blue whale", "a whale", 0.1, last=0.1, spread=spread)
