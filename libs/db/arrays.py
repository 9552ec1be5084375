"""Lists as one parameter of a statement, however long they are."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, TableValuedAlias, Text, column, func, literal
from sqlalchemy.types import TypeEngine


def texts(values: Collection[str]) -> BindParameter[Any]:
    """Return ``values`` as one ``text[]`` parameter, for ``column == any_(texts(...))`` and ``unnest``."""
    return literal(list(values), ARRAY(Text))


def integers(values: Collection[int]) -> BindParameter[Any]:
    """Return ``values`` as one ``bigint[]`` parameter."""
    return literal(list(values), ARRAY(BigInteger))


def unnested(columns: Mapping[str, tuple[type[TypeEngine[Any]], Sequence[Any]]]) -> TableValuedAlias:
    """Return rows given column by column, as ``unnest`` of one array a column: one statement for any number of rows."""
    arrays = [literal(list(values), ARRAY(kind)) for kind, values in columns.values()]
    names = [column(name, kind) for name, (kind, _) in columns.items()]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")
