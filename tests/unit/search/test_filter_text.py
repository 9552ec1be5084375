"""A filter's text: what is written is read, and what cannot be read is refused at its place."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from libs.rpc.errors import Failure
from semantik.search.v1.filter_pb2 import Condition, Conditions, MetadataTest, NumberRange, SizeRange, TimeRange
from services.search.filters.text import parsed
from services.search.filters.tree import checked
from services.search.words import has_words

_FIELDS = {
    "path_prefix": "path",
    "name_contains": "name",
    "extension": "ext",
    "mime_type": "mime",
    "source_id": "source",
    "document_id": "document",
    "language": "lang",
}


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _printed(condition: Condition) -> str:
    """Return a text that says the condition."""
    kind = condition.WhichOneof("kind")
    value = getattr(condition, str(kind))
    if kind in ("all_of", "any_of"):
        return f"({(' ' if kind == 'all_of' else ' OR ').join(_printed(each) for each in value.conditions)})"
    if kind == "none_of":
        return f"-{_printed(value.conditions[0])}"
    if kind == "modify_time":
        times = [f"modified{sign}{value.start_time.ToJsonString()}" for sign in [">="] if value.HasField("start_time")]
        return (times or [f"modified<{value.end_time.ToJsonString()}"])[0]
    if kind == "metadata":
        number = value.number
        bound = f">={number.min!r}" if number.HasField("min") else f"<{number.below!r}"
        return f"meta.{value.key}" + (bound if value.HasField("number") else f":{_quoted(value.string_value)}")
    if kind == "size":
        return f"size>={value.min_bytes}" if value.HasField("min_bytes") else f"size<={value.max_bytes}"
    return _quoted(value) if kind == "text" else f"{_FIELDS[str(kind)]}:{_quoted(value)}"


def _moment(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    return moment


def _test(kind: str, value: str) -> Condition:
    return Condition(**{kind: value})  # type: ignore[arg-type]


def _noted(key: str, **test: object) -> Condition:
    return Condition(metadata=MetadataTest(key=key, **test))  # type: ignore[arg-type]


_keys = st.from_regex("[a-z][a-z0-9_]{0,39}", fullmatch=True)
# No years, which are times too.
_numbers = st.floats(-1e20, 1e20).filter(lambda number: not number.is_integer())
_values = st.text(min_size=1, max_size=17)
_bytes = st.integers(0, 10**14)
_times = st.floats(0, 3e11).map(_moment)
_tests = st.one_of(
    *(_values.map(partial(_test, kind)) for kind in ("path_prefix", "name_contains", "extension", "mime_type", "language")),
    *(st.uuids().map(str).map(partial(_test, kind)) for kind in ("source_id", "document_id")),
    _values.filter(has_words).map(lambda value: Condition(text=value)),
    _bytes.map(lambda size: Condition(size=SizeRange(min_bytes=size))),
    _bytes.map(lambda size: Condition(size=SizeRange(max_bytes=size))),
    _times.map(lambda moment: Condition(modify_time=TimeRange(start_time=moment))),
    _times.map(lambda moment: Condition(modify_time=TimeRange(end_time=moment))),
    st.builds(_noted, _keys, string_value=_values.filter(lambda value: not any(map(str.isdecimal, value)))),
    st.builds(_noted, _keys, number=_numbers.map(lambda number: NumberRange(min=number))),
    st.builds(_noted, _keys, number=_numbers.map(lambda number: NumberRange(below=number))),
)  # fmt: skip


def _joins(conditions: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(conditions, min_size=2, max_size=4).map(lambda each: Conditions(conditions=each))
    return st.one_of(
        several.map(lambda joined: Condition(all_of=joined)),
        several.map(lambda joined: Condition(any_of=joined)),
        conditions.map(lambda each: Condition(none_of=Conditions(conditions=[each]))),
    )


def _is_allowed(condition: Condition) -> bool:
    try:
        checked(condition, "condition")
    except Failure:
        return False
    return True


_conditions = st.recursive(_tests, _joins, max_leaves=12).filter(_is_allowed)
# Texts that are nearly filters.
_pieces = st.sampled_from(
    ['"', "(", ")", "-", "--", " ", "\n", ",", ":", "<", ">=", "\\", "OR", "AND", "NOT", "path:", "size>", "10kb", "modified<=", "2026-02",
     "mime:pdf", "draft", "the", "meta.", "meta.year", "META.a:", "2026", "1e999", "true", "x:", "lang:de,", "é", "\x00", "🍎"]
)  # fmt: skip
_nearly = st.lists(_pieces, max_size=30).map("".join)


@given(_conditions)
@example(Condition(any_of=Conditions(conditions=[Condition(path_prefix="OR"), Condition(text="-x"), Condition(text='"z" \\')])))
def test_what_is_printed_is_read(condition: Condition) -> None:
    """Every condition that a text can say, with any value."""
    assert parsed(_printed(condition)) == condition


@given(st.text(max_size=60) | _nearly)
@example("-" * 2000)
@example("(" * 2000)
@example("(-" * 1000)
@example("a " * 1000)
@example('"' + "\\" * 1999)
def test_any_text_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    """What is read is a condition within its bounds."""
    condition, failure = _outcome(text)
    if failure is not None:
        assert (failure.code.name, failure.reason_name, failure.field) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "filter_text")
        assert 0 <= int(failure.metadata["position"]) < len(text)
    elif condition is not None:
        checked(condition, "condition")
    else:
        assert not text.strip()


def _outcome(text: str) -> tuple[Condition | None, Failure | None]:
    try:
        return parsed(text), None
    except Failure as failure:
        return None, failure


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("mime:pdf colour:red", 9, "there is no field 'colour', only path,"),
        ("http://example.org", 0, "there is no field 'http', only path,"),
        ("x meta.Ö:1", 2, "'ö' is no key: it has up to 40 letters a-z"),
        ("meta.:x", 0, "'' is no key: it has up to 40 letters a-z"),
        (f"x meta.{'y' * 41}>1", 2, f"'{'y' * 41}' is no key"),
        ("meta.a.b:1", 0, "'a.b' is no key"),
        ("x meta.year>late", 12, "'late' is neither a number nor a time such as"),
        ("x meta.year>1e999", 12, "'1e999' is neither a number nor a time"),
        ("meta.year<", 9, "after this, a value is missing"),
        ('meta.year:""', 10, "must not be empty"),
        (f"meta.a:{'x' * 501}", 7, "must be at most 500 characters"),
        ("-------meta.year:2020", 0, "this is deeper than 8 levels"),
        ("mime:", 4, "after this, a value is missing"),
        ("x mime:pdf,", 10, "after this, a value is missing"),
        ("mime: pdf", 4, "after this, a value is missing"),
        ("mime>pdf", 4, "mime takes :, not >"),
        ("size:10", 4, "size takes < or <= or > or >=, not :"),
        ("size > 10", 5, "'>' has no word to look for"),
        ("x size>10x", 7, "'10x' is no size such as"),
        ("size>ten", 5, "'ten' is no size such as"),
        ("size<0", 5, "must be greater than or equal to 0"),
        ("size<99999999999999tib", 5, "'99999999999999tib' is larger than any file"),
        ("modified:2026-13", 9, "'2026-13' is no time such as"),
        ("modified:2026-02-30", 9, "'2026-02-30' is no time such as"),
        ("modified:yesterday", 9, "'yesterday' is no time such as"),
        ("modified>9999", 9, "'9999' is no time such as"),
        ("modified>2026-01-01T10:00", 9, "'2026-01-01T10:00' is no time such as"),
        ("source:papers", 7, "must be a valid UUID"),
        ("x OR", 2, "after this, a term is missing"),
        ("x OR OR z", 5, "before this, a term is missing"),
        ("AND x", 0, "before this, a term is missing"),
        ("x NOT", 2, "after this, a term is missing"),
        ("x (", 2, "after this, a term is missing"),
        ("x ()", 3, "before this, a term is missing"),
        ("x (u OR (z)", 2, "this parenthesis is not closed"),
        ("x) z", 1, "this parenthesis closes nothing"),
        ('x "z', 2, "this quotation mark is not closed"),
        ('path:"z', 5, "this quotation mark is not closed"),
        ('x ""', 2, "must not be empty"),
        ("x - z", 2, "'-' has no word to look for"),
        ("x -the", 3, "'the' has no word to look for"),
        ("((((((((x))))))))", 8, "this is deeper than 8 levels"),
        ("--------x", 8, "this is deeper than 8 levels"),
        ("-------(x z)", 8, "this is deeper than 8 levels"),
        ("z OR x -------x", 5, "this is deeper than 8 levels"),
        ("x" + " x" * 100, 200, "here are more than 100 conditions"),
        (f"ext:{'x' * 18}", 4, "must be at most 17 characters"),
    ],
)
def test_an_error_says_what_and_where(text: str, position: int, message: str) -> None:
    """In characters from 0, in the message and in the metadata."""
    with pytest.raises(Failure) as caught:
        parsed(text)
    assert caught.value.message.startswith(f"filter_text: {message}")
    assert caught.value.message.endswith(f"(position {position})")
    assert caught.value.metadata == {"field": "filter_text", "rule": "filter_text.syntax", "position": str(position)}


def _range(start: str = "", end: str = "") -> TimeRange:
    times = TimeRange()
    if start:
        times.start_time.FromJsonString(start)
    if end:
        times.end_time.FromJsonString(end)
    return times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modified:2026", _range("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")),
        ("modified:2026-12", _range("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")),
        ("modified:2024-02-29", _range("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z")),
        ("modified<2026", _range(end="2026-01-01T00:00:00Z")),
        ("modified<=2026", _range(end="2027-01-01T00:00:00Z")),
        ("modified>2026-01", _range("2026-02-01T00:00:00Z")),
        ("modified>=2026-01", _range("2026-01-01T00:00:00Z")),
        ("modified>=2026-01-31T12:30:00.5+02:00", _range("2026-01-31T10:30:00.5Z")),
        ("modified>2026-01-31t12:30z", _range("2026-01-31T12:30:00.000001Z")),
        ("Modified<=2026-01-31T12:30:00Z", _range(end="2026-01-31T12:30:00.000001Z")),
    ],
)
def test_a_time_is_a_year_a_month_a_day_or_a_moment(text: str, expected: TimeRange) -> None:
    """Before it begins, until it ends, after it has ended, from its beginning, or in it."""
    assert parsed(text) == Condition(modify_time=expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size>10kb", SizeRange(min_bytes=10_001)),
        ("size>=10KiB", SizeRange(min_bytes=10_240)),
        ("size<1.5mb", SizeRange(max_bytes=1_499_999)),
        ("size<=500", SizeRange(max_bytes=500)),
        ("size>=1.5b", SizeRange(min_bytes=2)),
        ("size<1.5b", SizeRange(max_bytes=1)),
        ("size<=2TB", SizeRange(max_bytes=2 * 10**12)),
    ],
)
def test_a_size_has_a_unit(text: str, expected: SizeRange) -> None:
    """In bytes without one."""
    assert parsed(text) == Condition(size=expected)


def test_and_binds_closer_than_or_and_not_closest() -> None:
    """With and without the words."""
    u, x, z = (Condition(text=text) for text in "uxz")
    both = Condition(all_of=Conditions(conditions=[x, Condition(none_of=Conditions(conditions=[u]))]))
    expected = Condition(any_of=Conditions(conditions=[both, z]))
    assert [parsed(text) for text in ("x -u OR z", "x AND NOT u OR z", "((x (-(u)))OR(z))", 'x NOT "u"OR z')] == [expected] * 4


def test_a_value_of_metadata_is_all_that_it_may_be() -> None:
    """A text does not tell a year from a number, or yes from the word."""
    number, year = NumberRange(min=2020, max=2020), _range("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
    several = Condition(
        any_of=Conditions(conditions=[_noted("a", string_value="2020"), _noted("a", number=number), _noted("a", time=year)])
    )
    assert parsed("meta.a:2020") == several
    assert parsed("Meta.A:true") == _noted("a", string_value="true")
    after = _range("2021-01-01T00:00:00Z")
    assert parsed("meta.a>2020") == Condition(
        any_of=Conditions(conditions=[_noted("a", number=NumberRange(above=2020)), _noted("a", time=after)])
    )
    assert parsed("meta.a<=-1.5e3") == _noted("a", number=NumberRange(max=-1500))
