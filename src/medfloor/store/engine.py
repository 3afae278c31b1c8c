"""Open the store: a SQLite file by default, PostgreSQL for an office; one way of beginning, committing, trying again.

SQLite's driver begins no transaction before a SELECT and drops FOR UPDATE, so that two who read, compute and write lose
each other's updates without an error. Here every writing transaction begins at once with the write lock
(BEGIN IMMEDIATE), and a commit is on the disk when it returns (synchronous FULL). On PostgreSQL the same code locks
rows.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from medfloor.errors import StoreError, UsageError

Answer = TypeVar("Answer")

BUSY_SECONDS = 30.0
"""How long a writer of SQLite waits for the one before it."""

TRIES = 8
"""How often a transaction is tried that another one made impossible (deadlock, serialisation, a lost connection)."""

IDLE_SECONDS = 1.0
"""A connection that lay so long is asked if it still stands before it is used; a busy one is not: that is a trip to the
server for each transaction, and one that is lost shows itself at once (`Store.attempt` then tries again)."""

PLAN_SECONDS = 1.0
"""So long at most a connection of PostgreSQL keeps its plans. A plan that was made while the tables were small reads
them whole for ever after: in the first minute of a new office, before the server counts its rows, each settlement cost
more than the one before, thirty times as much after ten thousand. Planning again costs some milliseconds."""


@dataclass(frozen=True)
class Store:
    """Be an open store. `writing` and `reading` give a connection in a transaction; `attempt` tries again when it may.

    >>> store = open_store("sqlite:///:memory:")
    >>> with store.reading() as connection:
    ...     connection.execute(sa.text("SELECT 1")).scalar_one()
    1
    >>> store.close()
    """

    engine: sa.Engine
    kind: str

    @property
    def is_postgresql(self) -> bool:
        """Say whether the store is a PostgreSQL server."""
        return self.kind == "postgresql"

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that may write; commit at the end, roll back on an error."""
        with self.engine.connect().execution_options(medfloor_writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that only reads, and sees one state of the store throughout."""
        isolation = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self.is_postgresql else {}
        with self._standing().execution_options(**isolation) as connection, connection.begin():
            yield connection

    def attempt(
        self, work: Callable[[sa.Connection], Answer], *, tries: int = TRIES, harmless_twice: bool = False
    ) -> Answer:
        """Do work in one writing transaction; do it all again when another transaction stood in its way.

        `work` must change nothing but the store. Where the connection breaks while it commits, nobody knows whether it
        did: it is then done again only if it is `harmless_twice`. Raises StoreError: `store_busy` when each try failed,
        `store_away` when the store could not be reached, `commit_unknown`, `store_full` (nothing was written).
        """
        for number in range(tries):
            committing = False
            try:
                with self.writing() as connection:
                    answer = work(connection)
                    committing = True
                return answer
            except DBAPIError as error:
                if is_full(error):
                    raise full() from error
                if not _may_try_again(error):
                    raise
                if committing and is_lost(error) and not harmless_twice:
                    raise StoreError(
                        "commit_unknown", "the store broke off at the very end; it may have been done, so look it up"
                    ) from error
                last = error
            # Two who met once should not meet again at the same moment.
            time.sleep(random.uniform(0.0, 0.01 * 2**number))
        if is_lost(last):
            raise away() from last
        raise StoreError("store_busy", f"the store did not take the transaction in {tries} tries; try again") from last

    def _standing(self) -> sa.Connection:
        """Give a connection that still stands: who reads has nobody to do it again when it is lost.

        A lost one that was used within `IDLE_SECONDS` would fail once; looking costs a trip, and the connections from
        before the server went are all dropped with it.
        """
        connection = self.engine.connect()
        if not self.is_postgresql:
            return connection
        try:
            self.engine.dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
        except Exception:
            connection.invalidate()
            connection.close()
            self.engine.dispose()
            return self.engine.connect()
        return connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(address: str | Path, *, connections: int = 12) -> Store:
    """Open a store by its address: `postgresql://...`, `sqlite:///file`, or the path of a SQLite file.

    Nothing is created but the empty file; `upgrade` of `medfloor.store.migrate` makes the tables. Raises UsageError for
    an address that names no store that we know, or a driver that is not installed. No message holds a password.
    """
    url = _url(address)
    kind = url.get_backend_name()
    if kind == "postgresql":
        return Store(_postgresql(url, connections), kind)
    if kind == "sqlite":
        return Store(_sqlite(url), kind)
    raise UsageError("unknown_store", f"a store is SQLite or PostgreSQL, not {kind}; give a file or postgresql://...")


def _url(address: str | Path) -> URL:
    text = str(address)
    if "://" not in text:
        path = Path(text).expanduser()
        if path.is_dir():
            raise UsageError("store_is_folder", f"{path} is a folder; name the store's file in it")
        if not path.parent.exists():
            raise UsageError("no_folder", f"{path.parent} does not exist; make it, or name another file for the store")
        return URL.create("sqlite", database=str(path))
    try:
        return make_url(text)
    except ArgumentError:
        # The text may hold a password, so it is not said.
        raise UsageError(
            "unknown_store", "the store's address cannot be read; it is like postgresql://user@host/name"
        ) from None


def _sqlite(url: URL) -> sa.Engine:
    in_memory = url.database in (None, "", ":memory:")
    engine = sa.create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
        # One connection keeps a store in memory; a file has one a thread, and SQLite lets one write at a time.
        **(
            {"poolclass": sa.pool.StaticPool}
            if in_memory
            else {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 24}
        ),
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",  # INSERT OR REPLACE must not delete past the triggers of what only grows
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("medfloor_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, connections: int) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=connections,
            max_overflow=connections,
            pool_use_lifo=True,  # the one that was used last has its plans, and the others may rest
            connect_args={"connect_timeout": 10, "application_name": "medfloor"},
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise UsageError(
            "no_driver", "the driver of PostgreSQL is not installed; run pip install 'medfloor[postgres]'"
        ) from None

    @event.listens_for(engine, "checkin")
    def _lay_down(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _take_up(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used", 0.0) > IDLE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except Exception:
                # The server went away meanwhile: no connection from before is good for anything.
                raise InvalidatePoolError from None
        _refresh_plans(engine, connection, record)

    return engine


def _refresh_plans(engine: sa.Engine, connection: Any, record: ConnectionPoolEntry) -> None:
    """Have statements planned anew, those that check foreign keys too, where the plans are old."""
    now = time.monotonic()
    if now - record.info.setdefault("planned", now) > PLAN_SECONDS:
        record.info["planned"] = now
        try:
            connection.execute("DISCARD PLANS", prepare=False)
        except Exception:
            raise InvalidatePoolError from None
        connection.rollback()


def _may_try_again(error: DBAPIError) -> bool:
    """Say whether a transaction failed for what other transactions did, or for a connection that was lost."""
    # 40001 serialisation, 40P01 deadlock, 55P03 lock
    if is_lost(error) or getattr(error.orig, "sqlstate", None) in {"40001", "40P01", "55P03"}:
        return True
    text = str(error.orig)
    return isinstance(error, OperationalError) and ("locked" in text or "busy" in text)


def is_lost(error: DBAPIError) -> bool:
    """Say whether the store could not be reached, or the connection to it broke."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        # 57P01 to 57P03 the server goes or comes, 08 connection
        return state in {"57P01", "57P02", "57P03"} or state.startswith("08")
    return isinstance(error, OperationalError) and "connection" in str(error.orig)


def is_full(error: DBAPIError) -> bool:
    """Say whether the store has no room left: its disk, or the most that a file may hold."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or getattr(error.orig, "sqlstate", None) == "53100"


def away() -> StoreError:
    """Give the error for a store that cannot be reached."""
    return StoreError("store_away", "the store does not answer now; ask again with the same key")


def full() -> StoreError:
    """Give the error for a store that has no room left."""
    return StoreError("store_full", "the store has no room left, and nothing was written; the office must free some")


def is_broken(error: DBAPIError) -> bool:
    """Say whether the file is no database, or one that was damaged."""
    return getattr(error.orig, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def broken() -> StoreError:
    """Give the error for a file that is no store."""
    return StoreError("store_broken", "the file is no store, or was damaged; name the right one, or restore a backup")


def default_address(environment: dict[str, str] | Any = os.environ) -> str | None:
    """Give what MEDFLOOR_DATABASE names, or None."""
    return environment.get("MEDFLOOR_DATABASE") or None
