"""The fields of a filter's text: which operators each takes, and the condition that one of its values makes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from semantik.search.v1.filter_pb2 import Condition
from services.search.filters import metadata
from services.search.filters.moments import time_range
from services.search.filters.sizes import size_range

_ORDER = ("<", "<=", ">", ">=")


class Field(NamedTuple):
    """``condition`` makes one of an operator and a value; it raises ValueError with a message for people."""

    operators: Sequence[str]
    condition: Callable[[str, str], Condition]


FIELDS: Mapping[str, Field] = {
    "path": Field((":",), lambda _, value: Condition(path_prefix=value)),
    "name": Field((":",), lambda _, value: Condition(name_contains=value)),
    "ext": Field((":",), lambda _, value: Condition(extension=value)),
    "mime": Field((":",), lambda _, value: Condition(mime_type=value)),
    "source": Field((":",), lambda _, value: Condition(source_id=value)),
    "document": Field((":",), lambda _, value: Condition(document_id=value)),
    "lang": Field((":",), lambda _, value: Condition(language=value)),
    "modified": Field((":", *_ORDER), lambda operator, value: Condition(modify_time=time_range(operator, value))),
    "size": Field(_ORDER, lambda operator, value: Condition(size=size_range(operator, value))),
}


def field_of(name: str) -> Field:
    """Return the field of a lowercase name; raises ValueError, with a message for people, where there is none."""
    if key := metadata.key_of(name):
        return Field(metadata.OPERATORS, partial(metadata.condition, key))
    if name not in FIELDS:
        raise ValueError(f"there is no field {name!r}, only {', '.join(FIELDS)} and meta.KEY; put other texts in quotation marks")
    return FIELDS[name]
