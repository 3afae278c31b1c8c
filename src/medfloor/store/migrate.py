"""Bring the tables of a store to the version of this program, and say which version it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from medfloor.errors import StoreError
from medfloor.store.engine import Store
from medfloor.store.schema import metadata

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

_VERSIONS = Path(__file__).parent / "migrations"
_MARK = sa.table("alembic_version", sa.column("version_num", sa.String))
_LOCK = 0x6D66_0001
"""The advisory lock of PostgreSQL under which one program changes tables at a time."""


def upgrade(store: Store, to: str = "head") -> str:
    """Bring the tables to a version, all in one transaction, and give the version. What is there stays.

    Two who do it at once do it once. Raises StoreError (`schema_new`) for a store of a later medfloor.

    >>> from medfloor.store.engine import open_store
    >>> store = open_store("sqlite:///:memory:")
    >>> upgrade(store), current(store)
    ('0002', '0002')
    >>> check(store)
    """
    scripts = _scripts()
    _run(store, lambda version, _: scripts._upgrade_revs(to, version))
    return current(store) or ""


def downgrade(store: Store, to: str = "base") -> None:
    """Take the tables back to a version; `base` takes all away with what they hold. For tests and developers."""
    scripts = _scripts()
    _run(store, lambda version, _: scripts._downgrade_revs(to, version))


def current(store: Store) -> str | None:
    """Give the version of the store's tables, or None for an empty store."""
    # Asked here without alembic, whose import takes longer than a small command's work.
    with store.reading() as connection:
        if not sa.inspect(connection).has_table(_MARK.name):
            return None
        return connection.execute(sa.select(_MARK.c.version_num)).scalar_one_or_none()


def check(store: Store) -> None:
    """Go on only if the tables are of this program's version.

    Raises StoreError: schema_missing (no tables), schema_old (an upgrade is due), schema_new (of a later medfloor).
    """
    version = current(store)
    known = versions()
    if version is None:
        raise StoreError("schema_missing", "the store has no tables yet; run medfloor admin init")
    if version == known[-1]:
        return
    if version not in known:
        raise StoreError("schema_new", f"the store has version {version} of a later medfloor; install that one")
    raise StoreError(
        "schema_old", f"the store has version {version}; back it up, then run medfloor admin init to bring it up"
    )


def versions() -> list[str]:
    """List the versions of tables that this program knows, the newest last: each has a file of its name.

    >>> versions()
    ['0001', '0002']
    """
    return sorted(path.stem.removeprefix("v") for path in (_VERSIONS / "versions").glob("v*.py"))


def differences(store: Store) -> list[Any]:
    """List how the tables differ from what `schema` declares; for tests."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with store.reading() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_VERSIONS))


def _run(store: Store, steps: Callable[[Any, MigrationContext], Any]) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    try:
        with store.writing() as connection:
            if store.is_postgresql:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            with EnvironmentContext(Config(), _scripts(), fn=steps) as environment:
                environment.configure(connection=connection, target_metadata=metadata)
                environment.run_migrations()
    except (CommandError, ResolutionError):
        raise StoreError("schema_new", "the store has a version of a later medfloor; install that one") from None
