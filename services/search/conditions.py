"""Qdrant's filter conditions in as many words as they mean."""

from collections.abc import Iterable
from typing import Any

from services.search.qdrant import q


def all_of(*conditions: Any) -> Any:
    """Return a filter that keeps points which meet every condition."""
    return q.Filter(must=conditions)


def none_of(*conditions: Any) -> Any:
    """Return a filter that keeps points which meet no condition."""
    return q.Filter(must_not=conditions)


def any_of(filters: Iterable[Any]) -> Any:
    """Return a condition: one of ``filters`` keeps the point."""
    return q.Condition(filter=q.Filter(should=[q.Condition(filter=filter_) for filter_ in filters]))


def equals(key: str, value: int | str) -> Any:
    """Return a condition: the field has this value."""
    match = q.Match(integer=value) if isinstance(value, int) else q.Match(keyword=value)
    return q.Condition(field=q.FieldCondition(key=key, match=match))


def is_in(key: str, values: Iterable[str]) -> Any:
    """Return a condition: the field has one of these values."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(keywords=q.RepeatedStrings(strings=values))))


def contains(key: str, phrase: str) -> Any:
    """Return a condition: the indexed text has these words one after another, in any form."""
    return q.Condition(field=q.FieldCondition(key=key, match=q.Match(phrase=phrase)))


def in_range(key: str, **bounds: float) -> Any:
    """Return a condition: the field lies within ``lt``, ``lte``, ``gt`` and ``gte``, as far as they are given."""
    return q.Condition(field=q.FieldCondition(key=key, range=q.Range(**bounds)))


def exists(key: str) -> Any:
    """Return a filter that keeps points which have the field."""
    return none_of(q.Condition(is_empty=q.IsEmptyCondition(key=key)))
