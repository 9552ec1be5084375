"""Qdrant's filter conditions in as many words as they mean."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.search.qdrant import q


def all_of(*conditions: Any) -> Any:
    """Return a filter that keeps points which meet every condition."""
    return q.Filter(must=conditions)


def none_of(*conditions: Any) -> Any:
    """Return a filter that keeps points which meet no condition."""
    return q.Filter(must_not=conditions)


def one_of(*conditions: Any) -> Any:
    """Return a filter that keeps points which meet at least one of the conditions."""
    return q.Filter(should=conditions)


def nested(filter_: Any) -> Any:
    """Return a condition: the filter keeps the point."""
    return q.Condition(filter=filter_)


def any_of(filters: Iterable[Any]) -> Any:
    """Return a condition: one of ``filters`` keeps the point."""
    return nested(one_of(*(nested(filter_) for filter_ in filters)))


def equals(key: str, value: int | str) -> Any:
    """Return a condition: the field has this value."""
    match = q.Match(integer=value) if isinstance(value, int) else q.Match(keyword=value)
    return q.Condition(field=q.FieldCondition(key=key, match=match))


def is_in(key: str, values: Iterable[str]) -> Any:
    """Return a condition: the field has one of these values."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(keywords=q.RepeatedStrings(strings=values))))


def begins_with(key: str, prefix: str) -> Any:
    """Return a condition: the field's value begins with this."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(prefix=prefix)))


def has_part(key: str, part: str) -> Any:
    """Return a condition: the field's value has this in it."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(substring=part)))


def contains(key: str, phrase: str) -> Any:
    """Return a condition: the indexed text has these words one after another, in any form."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(phrase=phrase)))


def has_words(key: str, text: str) -> Any:
    """Return a condition: the indexed text has each of these words, in any order; beginnings of words where those are indexed."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(text=text)))


def has_id(ids: Iterable[str]) -> Any:
    """Return a condition: the point is one of these."""
    return q.Condition(has_id=q.HasIdCondition(has_id=[q.PointId(uuid=identifier) for identifier in ids]))


def in_range(key: str, **bounds: float) -> Any:
    """Return a condition: the field lies within ``lt``, ``lte``, ``gt`` and ``gte``, as far as they are given."""
    return q.Condition(field=q.FieldCondition(key=key, range=q.Range(**bounds)))


def in_times(key: str, **bounds: Timestamp) -> Any:
    """Return a condition: the field is a time within ``lt``, ``lte``, ``gt`` and ``gte``, as far as they are given."""
    return q.Condition(field=q.FieldCondition(key=key, datetime_range=q.DatetimeRange(**bounds)))


def exists(key: str) -> Any:
    """Return a filter that keeps points which have the field."""
    return none_of(q.Condition(is_empty=q.IsEmptyCondition(key=key)))
