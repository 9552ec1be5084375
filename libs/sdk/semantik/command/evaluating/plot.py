"""Evaluations as a picture: the means with their intervals, and the differences by query."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from semantik.command.evaluating.report import labels, measure_name
from semantik.command.output import printable

if TYPE_CHECKING:
    from semantik.search.v1.evaluation_pb2 import Evaluation, QueryDifference

# Colours that people with any colour vision tell apart (Okabe and Ito).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_WIDTH, _LEFT, _TOP, _HEIGHT = 760, 50, 30, 240
_INNER = _WIDTH - _LEFT - 10
_LINE = 18
_GREY = "#888888"


def svg(evaluations: "Sequence[Evaluation]", differences: "Sequence[QueryDifference]" = (), metric: str = "") -> str:
    """Return an SVG document; its texts are for people with and without eyesight."""
    named = [_text(each) for each in labels(evaluations)]
    legend_top = _TOP + _HEIGHT + 40
    bottom = legend_top + _LINE * len(evaluations)
    parts = [*_grid(), *_bars(evaluations, named), *_legend(evaluations, named, legend_top)]
    if differences:
        parts += _sorted_differences(differences, metric, bottom + 30)
        bottom += _HEIGHT + 60
    title = f"Evaluation: {', '.join(named)}"
    size = f'width="{_WIDTH}" height="{bottom + 20}" viewBox="0 0 {_WIDTH} {bottom + 20}"'
    style = 'font-family="sans-serif" font-size="12" role="img"'
    background = f'<rect width="{_WIDTH}" height="{bottom + 20}" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><title>{title}</title>{background}{"".join(parts)}</svg>\n'


def _grid() -> Iterator[str]:
    for tenth in range(0, 11, 2):
        height = _TOP + _HEIGHT * (1 - tenth / 10)
        yield _path(_LEFT, height, _LEFT + _INNER, height, "#dddddd")
        yield f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>'


def _bars(evaluations: "Sequence[Evaluation]", named: Sequence[str]) -> Iterator[str]:
    names = list(dict.fromkeys(measure_name(each) for evaluation in evaluations for each in evaluation.measurements))
    group = _INNER / max(len(names), 1)
    width = group * 0.8 / len(evaluations)
    for place, evaluation in enumerate(evaluations):
        for measured in evaluation.measurements:
            left = _LEFT + group * (names.index(measure_name(measured)) + 0.1) + width * place
            top, middle = _height(measured.value), left + width / 2
            said = f"{named[place]}: {measure_name(measured)} {measured.value:.3f} ({measured.low:.3f} to {measured.high:.3f})"
            box = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_TOP + _HEIGHT - top:.1f}"'
            yield f'<rect {box} fill="{_COLOURS[place % len(_COLOURS)]}"><title>{said}</title></rect>'
            yield _path(middle, _height(measured.low), middle, _height(measured.high), "black")
    for place, name in enumerate(names):
        yield f'<text x="{_LEFT + group * (place + 0.5):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{name}</text>'


def _legend(evaluations: "Sequence[Evaluation]", named: Sequence[str], top: int) -> Iterator[str]:
    for place, evaluation in enumerate(evaluations):
        height = top + _LINE * place
        yield f'<rect x="{_LEFT}" y="{height}" width="12" height="12" fill="{_COLOURS[place % len(_COLOURS)]}"/>'
        said = f"{named[place]}, {evaluation.query_count:,} queries, mean and 95 %"
        yield f'<text x="{_LEFT + 18}" y="{height + 10}">{said}</text>'


def _sorted_differences(differences: "Sequence[QueryDifference]", metric: str, top: int) -> Iterator[str]:
    middle, width = top + _HEIGHT / 2, _INNER / len(differences)
    yield f'<text x="{_LEFT}" y="{top}">{metric}, query by query: above the line the evaluation is better, below it the baseline</text>'
    yield _path(_LEFT, middle, _LEFT + _INNER, middle, _GREY)
    for place, query in enumerate(sorted(differences, key=lambda query: query.baseline - query.value)):
        difference = query.value - query.baseline
        size = abs(difference) * (_HEIGHT / 2 - 20)
        start = middle - size if difference > 0 else middle
        box = f'x="{_LEFT + width * place:.2f}" y="{start:.1f}" width="{max(width * 0.8, 0.5):.2f}" height="{size:.1f}"'
        said = f"{_text(query.text)}: {query.value:.3f} against {query.baseline:.3f}"
        yield f'<rect {box} fill="{_COLOURS[0 if difference > 0 else 5]}"><title>{said}</title></rect>'


def _height(value: float) -> float:
    return _TOP + _HEIGHT * (1 - value)


def _path(left: float, top: float, right: float, bottom: float, colour: str) -> str:
    return f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>'


def _text(text: str) -> str:
    return escape(printable(text))
