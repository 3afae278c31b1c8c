"""Make the first tables, and the triggers that let rows of the ledger and of the audit only be added.

As long as nothing is released, the tables are those of `medfloor.store.schema` as it stands; with the first release
this version is frozen and what follows is written as versions of its own.
"""

from __future__ import annotations

from alembic import op

from medfloor.store.schema import APPEND_ONLY, metadata

revision = "0001"
down_revision = None

_ONLY_ADDED = "medfloor: rows of this table are only added"


def upgrade() -> None:
    """Make tables and triggers."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    postgresql = connection.dialect.name == "postgresql"
    for statement in _postgresql_triggers() if postgresql else _sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Take everything away."""
    connection = op.get_bind()
    metadata.drop_all(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION medfloor_only_added()")


def _sqlite_triggers() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON \"{table}\" BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END"
        for table in APPEND_ONLY
        for verb in ("update", "delete")
    ]


def _postgresql_triggers() -> list[str]:
    function = (
        "CREATE FUNCTION medfloor_only_added() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_ONLY_ADDED}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    triggers = [
        f'CREATE TRIGGER {table}_{name} BEFORE {verbs} ON "{table}" FOR EACH {each} '
        "EXECUTE FUNCTION medfloor_only_added()"
        for table in APPEND_ONLY
        for name, verbs, each in (("no_change", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT"))
    ]
    return [function, *triggers]
