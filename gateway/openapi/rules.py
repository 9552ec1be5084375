"""The rules of protovalidate as constraints of JSON Schema."""

import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2

_INTEGERS = {"int32", "uint32", "sint32", "fixed32", "sfixed32"}
# What classes of Unicode stand for, in escapes that every dialect of patterns reads.
# C has controls, formats and private use; what is not assigned differs from version to version of Unicode.
_CLASSES = {
    r"\p{C}": r"\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ue000-\uf8ff\ufeff\ufff9-\ufffb",
    r"\p{Z}": r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{Zl}": r"\u2028",
    r"\p{Zp}": r"\u2029",
}
_LONG = {"int64", "uint64", "sint64", "fixed64", "sfixed64"}


def of(field: FieldDescriptor) -> Any:
    """Return the ``FieldRules`` of a field; empty where it has none."""
    return field.GetOptions().Extensions[validate_pb2.field]


def is_required(field: FieldDescriptor) -> bool:
    """Return whether a message without the field breaks its rule."""
    rules = of(field)
    if rules.required:
        return True
    if field.has_presence or rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    kind = rules.WhichOneof("type")
    if not kind:
        return False
    refuses: Callable[[Any], Any] = _REFUSES_ZERO.get(kind, _excludes_zero)
    return bool(refuses(getattr(rules, kind)))


def constraints(rules: Any) -> dict[str, Any]:
    """Return what a schema says beside the type of a value under these rules."""
    kind = rules.WhichOneof("type")
    if not kind:
        return {}
    bound = getattr(rules, kind)
    if kind == "string":
        found = _string(bound)
    elif kind == "bytes":
        found = {}
    elif kind == "repeated":
        found = _named(bound, min_items="minItems", max_items="maxItems") | ({"uniqueItems": True} if bound.unique else {})
    elif kind == "map":
        found = _named(bound, min_pairs="minProperties", max_pairs="maxProperties")
        if keys := constraints(bound.keys):
            found["propertyNames"] = keys
    elif kind in _INTEGERS | {"double", "float"}:
        found = _named(bound, gte="minimum", lte="maximum", gt="exclusiveMinimum", lt="exclusiveMaximum")
    elif kind in _LONG:
        found = _digits(bound)
    else:
        found = {}
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and kind == "string":
        return {"anyOf": [{"maxLength": 0}, found]}
    return found


def _string(bound: Any) -> dict[str, Any]:
    found = _named(bound, min_len="minLength", max_len="maxLength")
    if bound.pattern:
        found["pattern"] = _pattern(bound.pattern)
    if bound.HasField("len"):
        found |= {"minLength": bound.len, "maxLength": bound.len}
    if known := bound.WhichOneof("well_known"):
        found["format"] = known
    if allowed := list(getattr(bound, "in")):
        found["enum"] = allowed
    return found


def _pattern(pattern: str) -> str:
    for name, members in _CLASSES.items():
        pattern = pattern.replace(name, members)
    return pattern


def _digits(bound: Any) -> dict[str, Any]:
    """Say of a 64-bit number, which is a text in JSON, what sign it has."""
    if (bound.HasField("gt") and bound.gt >= 0) or (bound.HasField("gte") and bound.gte > 0):
        return {"pattern": "^[1-9][0-9]{0,18}$"}
    return {"pattern": "^(0|[1-9][0-9]{0,18})$"} if bound.HasField("gte") and bound.gte == 0 else {}


def _excludes_zero(bound: Any) -> bool:
    names = {field.name for field, _ in bound.ListFields()}
    return bool(
        ("gt" in names and bound.gt >= 0)
        or ("gte" in names and bound.gte > 0)
        or ("lt" in names and bound.lt <= 0)
        or ("lte" in names and bound.lte < 0)
    )


def _named(bound: Any, **names: str) -> dict[str, Any]:
    return {name: getattr(bound, rule) for rule, name in names.items() if bound.HasField(rule)}


def _refuses_empty(bound: Any) -> bool:
    allowed = getattr(bound, "in")
    return bool(
        bound.min_len
        or bound.len
        or bound.WhichOneof("well_known")
        or (allowed and "" not in allowed)
        or (bound.pattern and not re.search(_pattern(bound.pattern), ""))
    )


_REFUSES_ZERO: dict[str, Callable[[Any], Any]] = {
    "string": _refuses_empty,
    "bytes": lambda bound: bound.min_len,
    "repeated": lambda bound: bound.min_items,
    "map": lambda bound: bound.min_pairs,
    "enum": lambda bound: 0 in bound.not_in,
    "bool": lambda bound: bound.const,
}
