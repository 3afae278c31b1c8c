"""Put triggers on tables whose rows are only added, so that the store itself refuses to change or delete them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

_ONLY_ADDED = "medfloor: rows of this table are only added"


def make_guard(connection: sa.Connection) -> None:
    """Make what the triggers of PostgreSQL call; SQLite needs nothing. Once a store."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE FUNCTION medfloor_only_added() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_ONLY_ADDED}' USING ERRCODE = 'restrict_violation'; END $$"
        )


def drop_guard(connection: sa.Connection) -> None:
    """Take away what `make_guard` made, after the tables."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION medfloor_only_added()")


def guard(connection: sa.Connection, tables: Iterable[str]) -> None:
    """Let rows of these tables only be added from now on."""
    postgresql = connection.dialect.name == "postgresql"
    for table in tables:
        for statement in _postgresql(table) if postgresql else _sqlite(table):
            connection.exec_driver_sql(statement)


def _sqlite(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON \"{table}\" BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END"
        for verb in ("update", "delete")
    ]


def _postgresql(table: str) -> list[str]:
    return [
        f'CREATE TRIGGER {table}_{name} BEFORE {verbs} ON "{table}" FOR EACH {each} '
        "EXECUTE FUNCTION medfloor_only_added()"
        for name, verbs, each in (("no_change", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT"))
    ]
