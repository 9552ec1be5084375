"""What `semantik search --explain` says of a hit and of all of them, within 80 columns."""

from typing import TYPE_CHECKING

from semantik.command.output import escape, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from semantik.search.v1.explanation_pb2 import HitExplanation, RankedScore, Ranking, SearchedIndex, SearchExplanation

_INDENT = 3


def hit_lines(explanation: "HitExplanation", *, is_fused: bool) -> "RenderableType":
    """Return how a hit came to its place: a line for each ranking, the fusion and the reranking."""
    found = escape(", ".join(explanation.terms)) or "no word of the query"
    far = f"{explanation.deviations_above_unrelated:.1f} deviations above unrelated texts"
    lines = []
    if explanation.HasField("meaning"):
        known = far if explanation.HasField("deviations_above_unrelated") else ""
        lines.append((*_place("meaning", explanation.meaning, is_fused=is_fused), known))
    if explanation.HasField("words"):
        lines.append((*_place("words", explanation.words, is_fused=is_fused), found))
    else:
        lines.append(("words", "", "", "", found))
    if is_fused:
        lines.append(("fused", f"{explanation.fused_rank}.", "", f"{explanation.fused_score:.3f}", ""))
    if explanation.HasField("rerank_score"):
        lines.append(("rerank", "", f"{explanation.rerank_score:.3f}", "", "the hit's score"))
    return _rows(lines)


def summary(explanation: "SearchExplanation", names: dict[str, str]) -> "RenderableType":
    """Return what holds for all hits; ``names`` are those of the collections with a hit."""
    rows = [(word(ranking, "kind"), _ranking(ranking)) for ranking in explanation.rankings]
    if explanation.HasField("reranker"):
        rows.append(("rerank", escape(f"{explanation.reranker.model}: {explanation.reranker.candidate_count} passages")))
    named = [index for index in explanation.indexes if index.collection_id in names]
    rows += [("index", escape(f"{names[index.collection_id]}: {_index(index)}")) for index in named]
    if len(named) < len(explanation.indexes):
        rows.append(("index", f"{len(explanation.indexes) - len(named)} without a hit"))
    rows.append(("terms", escape(", ".join(explanation.terms)) or "none"))
    rows += [("phrase", escape(f'"{phrase}"')) for phrase in explanation.phrases]
    if explanation.filter:
        rows.append(("filter", escape(explanation.filter)))
    rows.append(("time", ", ".join(f"{stage.stage} {stage.time.ToMicroseconds() / 1000:.1f} ms" for stage in explanation.stages)))
    return _rows(rows)


def _place(name: str, place: "RankedScore", *, is_fused: bool) -> tuple[str, str, str, str]:
    return name, f"{place.rank}.", f"{place.score:.3f}", f"{place.part:.3f}" if is_fused else ""


def _ranking(ranking: "Ranking") -> str:
    of = f"{ranking.model} {word(ranking, 'precision')}: " if ranking.model else ""
    return escape(f"{of}{ranking.point_count} passages, mean {ranking.mean:.3f}, deviation {ranking.deviation:.3f}")


def _index(index: "SearchedIndex") -> str:
    return f"generation {index.generation}, {index.model} {word(index, 'precision')}"


def _rows(rows: "Sequence[tuple[str, ...]]") -> "RenderableType":
    """Return rows as columns: the numbers to the right, the last one folded under itself."""
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for number in range(len(rows[0])):
        is_last = number == len(rows[0]) - 1
        table.add_column(justify="left" if number == 0 or is_last else "right", no_wrap=not is_last, overflow="fold", style="dim")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, _INDENT), expand=False)
