"""Asking for rows by a list of texts, of any length and any characters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from medfloor.store import schema
from medfloor.store.among import among
from medfloor.store.engine import Store

ASKED = sa.select(schema.person.c.person_id).where(among(schema.person.c.person_id, "ids"))


@pytest.mark.parametrize(
    "ids", [[], ["p1"], ['a"b', "it's", "{x}", "a,b", "\\", "王", "null", "NULL"], [f"p{n}" for n in range(5_000)]]
)
def test_exactly_those_that_are_listed_are_found(store: Store, ids: list[str]) -> None:
    with store.writing() as connection:
        there = [*ids, "other"]
        connection.execute(
            sa.insert(schema.person),
            [{"person_id": one, "created_at": datetime(2024, 1, 1, tzinfo=UTC)} for one in there],
        )
        assert sorted(connection.execute(ASKED, {"ids": [*ids, "nobody"]}).scalars()) == sorted(ids)
