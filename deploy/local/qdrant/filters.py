"""Qdrant's filter messages as the engine's filters."""

from datetime import UTC
from typing import Any

import qdrant_edge as edge

from deploy.local.qdrant.values import only, point_id, unsupported

_MATCHES = {
    "keyword": edge.MatchValue,
    "integer": edge.MatchValue,
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
    "prefix": edge.MatchPrefix,
    "substring": edge.MatchSubstring,
}
_LISTS = {
    "keywords": ("strings", edge.MatchAny),
    "integers": ("integers", edge.MatchAny),
    "except_keywords": ("strings", edge.MatchExcept),
    "except_integers": ("integers", edge.MatchExcept),
}


def engine_filter(message: Any) -> Any:
    """Return the engine's filter; raises UNIMPLEMENTED for conditions it does not have."""
    only(message, "must", "should", "must_not")
    parts: dict[str, Any] = {
        name: [engine_condition(each) for each in getattr(message, name)] or None for name in ("must", "should", "must_not")
    }
    return edge.Filter(**parts)


def optional_filter(message: Any) -> Any:
    """Return the filter of a request that may have one."""
    return engine_filter(message.filter) if message.HasField("filter") else None


def engine_condition(message: Any) -> Any:
    """Return the engine's condition; raises UNIMPLEMENTED for one that it does not have."""
    kind = message.WhichOneof("condition_one_of")
    if kind == "field":
        return _field(message.field)
    if kind == "filter":
        return engine_filter(message.filter)
    if kind == "has_id":
        return edge.HasIdCondition({point_id(each) for each in message.has_id.has_id})
    if kind == "is_empty":
        return edge.IsEmptyCondition(message.is_empty.key)
    if kind == "is_null":
        return edge.IsNullCondition(message.is_null.key)
    raise unsupported(f"the condition {kind}")


def _field(message: Any) -> Any:
    only(message, "key", "match", "range", "datetime_range")
    if message.HasField("match"):
        return edge.FieldCondition(message.key, match=_match(message.match))
    if message.HasField("range"):
        bounds = {field.name: value for field, value in message.range.ListFields()}
        return edge.FieldCondition(message.key, range=edge.RangeFloat(**bounds))
    if message.HasField("datetime_range"):
        moments = {field.name: value.ToDatetime(UTC).isoformat() for field, value in message.datetime_range.ListFields()}
        return edge.FieldCondition(message.key, range=edge.RangeDateTime(**moments))
    raise unsupported("a field condition without match or range")


def _match(message: Any) -> Any:
    kind = message.WhichOneof("match_value")
    if kind == "boolean":
        # The engine's binding takes a plain bool for a number, which matches nothing; NumPy's bool it takes for what it is.
        import numpy as np  # noqa: PLC0415 - only who filters by booleans pays for it

        value: Any = np.bool_(message.boolean)
        return edge.MatchValue(value)
    if kind in _MATCHES:
        return _MATCHES[kind](getattr(message, kind))
    if kind in _LISTS:
        values, match = _LISTS[kind]
        return match(list(getattr(getattr(message, kind), values)))
    raise unsupported(f"the match {kind}")
