"""Lists reach Postgres whatever is in them: the binary format names the type of its elements, which an empty list does not show."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, DateTime, LargeBinary, Text, select
from sqlalchemy.dialects.postgresql import JSONB

from libs.db import engine as db
from libs.db.arrays import Rows
from libs.db.engine import DatabaseSettings

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Text, 'a "quoted" \\ {text}, \u00e9'),
        (BigInteger, 1 << 40),
        (Boolean, True),
        (DateTime(timezone=True), _NOON),
        (LargeBinary, b"\x00\\x\xff"),
        (JSONB, {"path": 'a"b'}),
    ],
)
async def test_a_list_comes_back_as_it_was_given(settings: DatabaseSettings, kind: Any, value: object) -> None:
    """Empty, without a value, small beside large."""
    rows = Rows(each=kind)
    lists: Sequence[Sequence[object]] = ([], [None, None], [value], [None, value]) + (([1, 1 << 40],) if kind is BigInteger else ())
    async with db.reads(settings, "tests") as engine, engine.connect() as connection:
        for values in lists:
            found = (await connection.execute(select(rows.c.each), rows.parameters(each=values))).scalars().all()
            assert list(found) == values
