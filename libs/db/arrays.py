"""Lists as one parameter of a statement, however long they are."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, Text, bindparam, column, func, literal
from sqlalchemy.types import TypeEngine

_GIVEN = "given_"


def texts(values: Collection[str]) -> BindParameter[Any]:
    """Return ``values`` as one ``text[]`` parameter, for ``column == any_(texts(...))`` and ``unnest``."""
    return literal(list(values), ARRAY(Text))


def integers(values: Collection[int]) -> BindParameter[Any]:
    """Return ``values`` as one ``bigint[]`` parameter."""
    return literal(list(values), ARRAY(BigInteger))


class Rows:
    """Rows that a statement is given, one array a column: one statement for any number of rows, built once.

    ``c`` holds the columns, for use in the statement; ``parameters`` makes its parameters.
    """

    def __init__(self, **columns: type[TypeEngine[Any]] | TypeEngine[Any]) -> None:
        arrays = [bindparam(f"{_GIVEN}{name}", type_=ARRAY(kind)) for name, kind in columns.items()]
        named = [column(name, kind) for name, kind in columns.items()]
        self.names = tuple(columns)
        self.c = func.unnest(*arrays).table_valued(*named).render_derived(name="given").c

    def parameters(self, **columns: Collection[Any]) -> dict[str, list[Any]]:
        """Return a statement's parameters for rows given column by column; KeyError where one is missing."""
        return {f"{_GIVEN}{name}": list(columns[name]) for name in self.names}
