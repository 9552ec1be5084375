"""A filter's conditions: bounded, checked, and as Qdrant has them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.rpc.errors import invalid
from libs.rpc.validation import check
from semantik.search.v1 import filter_pb2 as messages
from services.search import conditions
from services.search.languages.language import ENGLISH, Language
from services.search.metadata import NUMBERS, TEXTS, TIMES
from services.search.passage import (
    DOCUMENT,
    EXTENSION,
    FOLDED_NAME,
    FOLDED_PATH,
    LANGUAGE,
    MIME_TYPE,
    MODIFY_TIME,
    SIZE,
    SOURCE,
    TEXT,
)
from services.search.paths import folded
from services.search.words import has_words

_BOUNDS = {"min": "gte", "max": "lte", "above": "gt", "below": "lt"}
MOST_CONDITIONS = 100
MOST_LEVELS = 8


def checked(condition: messages.Condition, field: str, language: Language = ENGLISH) -> messages.Condition:
    """Return a condition; raises INVALID_REQUEST where the tree is too large, and then for the first rule that it breaks.

    In this order: to check the rules of a tree takes time for each of its conditions.
    """
    count, depth, level = 1, 1, [condition]
    while level:
        joined = [_joined(each) for each in level]
        count += sum(len(each) for each in joined)
        if count > MOST_CONDITIONS or depth > MOST_LEVELS:
            raise invalid(field, f"must have at most {MOST_CONDITIONS} conditions and {MOST_LEVELS} levels", "filter.size")
        level = [each for inner in joined for each in inner]
        depth += 1
    check(condition, within=field)
    _check_values(condition, field, language)
    return condition


def levels(condition: messages.Condition) -> int:
    """Return how deep a condition is; 1 for a single test."""
    return 1 + max((levels(each) for each in _joined(condition)), default=0)


def compiled(condition: messages.Condition) -> Any:
    """Return a checked condition as Qdrant's."""
    kind = condition.WhichOneof("kind")
    if kind is None:
        raise AssertionError
    return _COMPILERS[kind](getattr(condition, kind))


def mime_type(value: str) -> Any:
    """Return Qdrant's condition for a MIME type, a family of them, or a part of one."""
    value = value.lower()
    family, slash, subtype = value.partition("/")
    if not slash:
        return conditions.has_part(MIME_TYPE, value)
    return conditions.begins_with(MIME_TYPE, f"{family}/") if subtype == "*" else conditions.equals(MIME_TYPE, value)


def _joined(condition: messages.Condition) -> Sequence[messages.Condition]:
    kind = condition.WhichOneof("kind")
    if kind == "all_of":
        return condition.all_of.conditions
    if kind == "any_of":
        return condition.any_of.conditions
    return condition.none_of.conditions if kind == "none_of" else ()


def _check_values(condition: messages.Condition, field: str, language: Language) -> None:
    """Refuse what no rule of the contract can: a moment that is none, and a text without a word that is indexed."""
    for each in _joined(condition):
        _check_values(each, field, language)
    if condition.HasField("text") and not has_words(condition.text, language):
        raise invalid(field, f"{condition.text!r} has no word to look for: signs and stopwords are not indexed", "filter.text")
    times = condition.metadata.time if condition.metadata.HasField("time") else condition.modify_time
    for name, moment in times.ListFields():
        if not _is_moment(moment):
            raise invalid(field, f"{name.name} must be a time between the years 1 and 9999", "filter.time")


def _is_moment(moment: Timestamp) -> bool:
    try:
        moment.ToDatetime()
    except (ValueError, OverflowError):
        return False
    return True


def _metadata(test: messages.MetadataTest) -> Any:
    kind = test.WhichOneof("test")
    if kind == "number":
        return conditions.in_range(f"{NUMBERS}.{test.key}", **{_BOUNDS[field.name]: bound for field, bound in test.number.ListFields()})
    if kind == "time":
        return _times(test.time, f"{TIMES}.{test.key}")
    wanted = str(test.bool_value).lower() if kind == "bool_value" else folded(test.string_value)
    return conditions.equals(f"{TEXTS}.{test.key}", wanted)


def _times(times: messages.TimeRange, field: str = MODIFY_TIME) -> Any:
    given = {field.name: moment for field, moment in times.ListFields()}
    return conditions.in_times(field, **_bounds({"gte": given.get("start_time"), "lt": given.get("end_time")}))


def _sizes(sizes: messages.SizeRange) -> Any:
    given = {field.name: size for field, size in sizes.ListFields()}
    return conditions.in_range(SIZE, **_bounds({"gte": given.get("min_bytes"), "lte": given.get("max_bytes")}))


def _bounds(bounds: Mapping[str, Any]) -> dict[str, Any]:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _compiled(joined: messages.Conditions) -> list[Any]:
    return [compiled(each) for each in joined.conditions]


_COMPILERS: Mapping[str, Callable[[Any], Any]] = {
    "all_of": lambda joined: conditions.nested(conditions.all_of(*_compiled(joined))),
    "any_of": lambda joined: conditions.nested(conditions.one_of(*_compiled(joined))),
    "none_of": lambda joined: conditions.nested(conditions.none_of(*_compiled(joined))),
    "path_prefix": lambda value: conditions.begins_with(FOLDED_PATH, folded(value).lstrip("/")),
    "name_contains": lambda value: conditions.has_part(FOLDED_NAME, folded(value)),
    "extension": lambda value: conditions.equals(EXTENSION, folded(value).removeprefix(".")),
    "mime_type": mime_type,
    "source_id": lambda value: conditions.equals(SOURCE, value.lower()),
    "document_id": lambda value: conditions.equals(DOCUMENT, value.lower()),
    "language": lambda value: conditions.equals(LANGUAGE, value.lower()),
    "metadata": _metadata,
    "modify_time": _times,
    "size": _sizes,
    "text": lambda value: conditions.contains(TEXT, value),
}
