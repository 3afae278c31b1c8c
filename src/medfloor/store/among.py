"""Ask for rows by a list of texts: one statement whose text stays the same however long the list is.

An IN with a place for each value is another statement for each length, which SQLAlchemy writes out and PostgreSQL
prepares anew. Here the list travels as one value: an array to PostgreSQL, JSON to SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Texts(sa.types.TypeDecorator[list[str]]):
    """Be a list of texts as one value of a statement."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """Give the type that travels."""
        return dialect.type_descriptor(ARRAY(sa.String) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> Any:
        """Give the value that travels."""
        listed = list(value or ())
        return listed if dialect.name == "postgresql" else json.dumps(listed)


def among(column: sa.ColumnElement[Any], parameter: str) -> sa.ColumnElement[bool]:
    """Give the condition that a column of text is one of a list, which is given as `parameter` when it is asked.

    >>> asked = sa.select(sa.literal_column("name")).where(among(sa.column("name"), "names"))
    >>> print(str(asked.compile(dialect=sa.create_engine("sqlite://").dialect)).splitlines()[-1])
    WHERE name IN (SELECT value FROM json_each(?))
    """
    return _Among(column, sa.bindparam(parameter, type_=Texts()))


class _Among(FunctionElement[bool]):
    name = "among"
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Stand as it is: SQLite would else be asked whether the condition `= 1`, and look past its indexes."""
        return self


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: Any, **words: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **words)} = ANY ({compiler.process(values, **words)})"


@compiles(_Among)
def _each(element: _Among, compiler: Any, **words: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **words)} IN (SELECT value FROM json_each({compiler.process(values, **words)}))"
