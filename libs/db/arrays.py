"""Lists as one parameter of a statement, however long they are."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, Text, literal


def texts(values: Collection[str]) -> BindParameter[Any]:
    """Return ``values`` as one ``text[]`` parameter, for ``column == any_(texts(...))`` and ``unnest``."""
    return literal(list(values), ARRAY(Text))


def integers(values: Collection[int]) -> BindParameter[Any]:
    """Return ``values`` as one ``bigint[]`` parameter."""
    return literal(list(values), ARRAY(BigInteger))
