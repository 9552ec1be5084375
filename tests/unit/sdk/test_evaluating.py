"""Judged files, configurations as people write them, and the picture."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from semantik.client.search import MODES
from semantik.command.evaluating.configurations import parsed, written
from semantik.command.evaluating.judged_files import JudgedFilesError, judgements, queries
from semantik.command.evaluating.plot import svg
from semantik.search.v1.evaluation_pb2 import METRIC_NDCG, Evaluation, Measurement, QueryDifference
from semantik.search.v1.search_service_pb2 import SearchRequest


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("", "mode=hybrid"),
        ("mode=keyword", "mode=keyword"),
        ("rerank mode=semantic candidates=80", "mode=semantic rerank candidates=80"),
        ("rerank=tiny per-document=3", "mode=hybrid rerank=tiny per-document=3"),
        ('"filter=mime:pdf -draft" min-similarity=0.3', "mode=hybrid 'filter=mime:pdf -draft' min-similarity=0.3"),
    ],
)
def test_a_configuration_is_written_as_it_is_read(text: str, again: str) -> None:
    """What is not written is not set."""
    search = parsed(text).search
    assert written(search) == again
    assert parsed(again).search.mode == (search.mode or MODES["hybrid"])
    assert parsed("") == (SearchRequest(), 0)
    assert parsed(f"generation=2 {text}") == (search, 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("speed=high", "'speed' is no setting with a value like this; those are mode, rerank, candidates, filter, min-similarity"),
        ("generation=new", "'generation' is no setting with a value like this; those are mode"),
        ("mode=loud", "'loud' is no value of mode"),
        ("candidates=many", "'many' is no value of candidates"),
        ("mode", "mode needs a value: mode=..."),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(text: str, problem: str) -> None:
    """And what there is."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        parsed(text)


def test_judged_files_are_read(tmp_path: Path) -> None:
    """With a line of names or without; a grade below 0 is 0; queries may lack judgements."""
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "one"}\n\n{"_id": 2, "text": "two\u2028three"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t-1\n")
    assert queries(tmp_path) == {"1": "one", "2": "two\u2028three"}
    assert judgements(tmp_path) == {"1": {"a": 2, "b": 0}}
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels.tsv").rename(tmp_path / "qrels" / "test.tsv")
    (tmp_path / "qrels" / "test.tsv").write_text("1\ta\t2\n")
    assert judgements(tmp_path) == {"1": {"a": 2}}


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("queries.jsonl", '{"_id": "1", "text": "one"}\n{"id": 2}\n', "queries.jsonl, line 2: not an object with `_id` and `text`"),
        ("queries.jsonl", "[]", "queries.jsonl, line 1: not an object with `_id` and `text`"),
        ("qrels.tsv", "q\td\tscore\n1 a 2\n", "qrels.tsv, line 2: not a query, a document and a whole number, with tabs between"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, file: str, text: str, problem: str) -> None:
    """With its file."""
    (tmp_path / file).write_text(text)
    with pytest.raises(JudgedFilesError) as error:
        queries(tmp_path) if file == "queries.jsonl" else judgements(tmp_path)
    assert str(error.value) == problem
    with pytest.raises(JudgedFilesError, match=re.escape("neither qrels.tsv nor qrels/test.tsv")):
        judgements(tmp_path / "nowhere")


def test_the_picture_is_well_formed_and_says_its_values() -> None:
    """Whatever names and queries hold."""
    measured = Measurement(metric=METRIC_NDCG, cutoff=10, value=0.5, low=0.4, high=0.6)
    evaluation, other = (Evaluation(id=key * 36, name="<b>&\x1b[31m", query_count=3, measurements=[measured]) for key in "ab")
    differences = [QueryDifference(text='"</svg>', value=0.2, baseline=0.7), QueryDifference(text="b", value=1.0, baseline=0.0)]
    root = ET.fromstring(svg([evaluation, other], differences, "ndcg@10"))  # noqa: S314 - it is our own
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1] == "<b>&\ufffd[31m, generation 0, aaaaaaaa: ndcg@10 0.500 (0.400 to 0.600)"
    # The best difference first.
    assert titles[-2:] == ["b: 1.000 against 0.000", '"</svg>: 0.200 against 0.700']
