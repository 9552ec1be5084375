"""What `semantik search --explain` prints."""

import io

import pytest
from rich.console import Console, RenderableType

from semantik.command.explaining import hit_lines, summary
from semantik.embedding.v1.model_pb2 import Model
from semantik.search.v1 import explanation_pb2 as messages


def _printed(shown: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_hit_has_a_line_for_each_ranking() -> None:
    """Rank, score and part; what has no place in a ranking has no numbers there."""
    explanation = messages.HitExplanation(
        meaning=messages.RankedScore(rank=1, score=0.7123, part=1.2),
        words=messages.RankedScore(ranking=1, rank=12, score=12.31, part=0.81),
        terms=["heat", "[bold]transfer"],
        fused_rank=2,
        fused_score=2.01,
        rerank_score=0.993,
        deviations_above_unrelated=9.12,
    )
    assert _printed(hit_lines(explanation, is_fused=True)) == [
        "   meaning   1.   0.712  1.200  9.1 deviations above unrelated texts",
        "   words    12.  12.310  0.810  heat, [bold]transfer",
        "   fused     2.          2.010",
        "   rerank         0.993         the hit's score",
    ]
    explanation = messages.HitExplanation(meaning=messages.RankedScore(rank=3, score=0.2, part=0.2))
    assert _printed(hit_lines(explanation, is_fused=False)) == [
        "   meaning  3.  0.200",
        "   words                 no word of the query",
    ]


def test_a_summary_says_what_holds_for_all() -> None:
    """Rankings, reranker, indexes, terms, phrases, filter and time."""
    explanation = messages.SearchExplanation(
        rankings=[
            messages.Ranking(
                kind=messages.Ranking.KIND_MEANING, model="m", precision=Model.PRECISION_INT8, point_count=9, mean=0.4, deviation=0.1
            ),
            messages.Ranking(kind=messages.Ranking.KIND_WORDS, point_count=2, mean=7, deviation=2),
        ],
        indexes=[messages.SearchedIndex(collection_id="c", generation=2, model="m", precision=Model.PRECISION_INT8)],
        terms=["heat"],
        phrases=["flat plate"],
        filter='{"mimeTypes": ["text/plain"]}',
        reranker=messages.Reranker(model="r", candidate_count=50),
        stages=[messages.StageTime(stage="embed")],
    )
    explanation.stages[0].time.FromMicroseconds(3140)
    assert _printed(summary(explanation, {"c": "papers"})) == [
        "   meaning  m int8: 9 passages, mean 0.400, deviation 0.100",
        "   words    2 passages, mean 7.000, deviation 2.000",
        "   rerank   r: 50 passages",
        "   index    papers: generation 2, m int8",
        "   terms    heat",
        '   phrase   "flat plate"',
        '   filter   {"mimeTypes": ["text/plain"]}',
        "   time     embed 3.1 ms",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_long_lists_fold_under_themselves(width: int) -> None:
    """However many terms there are."""
    explanation = messages.HitExplanation(words=messages.RankedScore(rank=1, score=1, part=1), terms=[f"term{n}" for n in range(60)])
    lines = _printed(hit_lines(explanation, is_fused=True), width)
    assert max(map(len, lines)) <= width
    assert all(line.startswith("   ") for line in lines)
