"""Bring tables up, check them, take them down, on both stores; rows of the ledger and audit are only added."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from ledgers import CLERK, NOW, bill, enrol, posted
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from test_backup import a_value

from medfloor.errors import StoreError
from medfloor.store import ledger, schema
from medfloor.store.books import Books
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring
from medfloor.store.ledger import Request
from medfloor.store.migrate import _VERSIONS, check, current, differences, downgrade, upgrade, versions
from medfloor.store.migrations.versions import v0001, v0002
from medfloor.store.watching import pending


def test_tables_come_up_are_what_the_schema_declares_and_go_down_again(empty_address: str) -> None:
    store = open_store(empty_address)
    try:
        with pytest.raises(StoreError) as refused:
            check(store)
        assert refused.value.code == "schema_missing"
        assert upgrade(store) == "0002"
        check(store)
        assert differences(store) == []
        downgrade(store)
        assert current(store) is None
        with store.reading() as connection:
            assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
        upgrade(store)
        check(store)
    finally:
        store.close()


def test_the_versions_known_are_those_of_the_scripts_in_their_order() -> None:
    scripts = ScriptDirectory(str(_VERSIONS))
    assert versions() == [one.revision for one in scripts.walk_revisions()][::-1]
    assert versions()[-1] == scripts.get_current_head()


def test_looking_at_the_version_needs_no_alembic() -> None:
    code = (
        "import sys\n"
        "from medfloor.errors import StoreError\n"
        "from medfloor.store import check, open_store\n"
        "try:\n"
        "    check(open_store('sqlite:///:memory:'))\n"
        "except StoreError as error:\n"
        "    print(error.code, 'alembic' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["schema_missing", "False"], done.stderr


def test_an_upgrade_of_an_upgraded_store_changes_nothing(store: Store) -> None:
    upgrade(store)
    assert differences(store) == []


def test_two_who_upgrade_at_once_do_it_once(empty_address: str) -> None:
    said: list[object] = []

    def go() -> None:
        one = open_store(empty_address)
        try:
            said.append(upgrade(one))
        except Exception as error:
            said.append(error)
        finally:
            one.close()

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["0002"] * 4


@pytest.mark.parametrize(("version", "code"), [("9999", "schema_new")])
def test_a_store_of_another_version_is_refused(store: Store, version: str, code: str) -> None:
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(StoreError) as refused:
        check(store)
    assert refused.value.code == code
    with pytest.raises(StoreError) as refused:
        upgrade(store)
    assert refused.value.code == code


def test_every_table_that_only_grows_has_its_triggers(store: Store) -> None:
    asked = (
        "SELECT event_object_table FROM information_schema.triggers"
        if store.is_postgresql
        else "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    )
    with store.reading() as connection:
        assert set(connection.execute(sa.text(asked)).scalars()) == set(schema.APPEND_ONLY)


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit"])
def test_a_row_of_the_audit_cannot_be_changed_or_deleted(store: Store, statement: str, now: object) -> None:
    with store.writing() as connection:
        connection.execute(schema.audit.insert().values(at=now, by="a", action="login"))
    with pytest.raises(sa.exc.DBAPIError, match="only added"), store.writing() as connection:
        connection.execute(sa.text(statement))
    with store.reading() as connection:
        assert connection.execute(sa.select(schema.audit.c.action)).scalars().all() == ["login"]


def test_sqlite_cannot_put_another_row_in_the_place_of_one(sqlite_store: Store, now: object) -> None:
    with sqlite_store.writing() as connection:
        connection.execute(schema.audit.insert().values(id=1, at=now, by="a", action="login"))
    with pytest.raises(sa.exc.DBAPIError, match="only added"), sqlite_store.writing() as connection:
        connection.execute(sa.text("INSERT OR REPLACE INTO audit (id, at, by, action) VALUES (1, '2024', 'b', 'x')"))


def test_postgresql_refuses_to_empty_a_table_that_only_grows(postgresql_store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="only added"), postgresql_store.writing() as connection:
        connection.execute(sa.text("TRUNCATE audit CASCADE"))


def test_a_store_of_the_first_version_is_brought_up_with_what_it_holds(empty_address: str, keyring: Keyring) -> None:
    """Fill every table of 0001, bring the store up, and see that nothing changed and that watching works."""
    store = open_store(empty_address)
    try:
        assert upgrade(store, "0001") == "0001"
        with pytest.raises(StoreError) as refused:
            check(store)
        assert refused.value.code == "schema_old"
        old = [table for table in schema.metadata.sorted_tables if table.name in v0001.TABLES]
        with store.writing() as connection:
            for table in old:
                for number in (1, 2):
                    row = {column.name: a_value(column, number, keyring, NOW) for column in table.columns}
                    if "id" in row and isinstance(table.c.id.type, (sa.BigInteger, sa.Integer)):
                        del row["id"]
                    connection.execute(table.insert().values(**{str.__str__(name): one for name, one in row.items()}))
        before = contents(store, old)
        assert upgrade(store) == "0002"
        check(store)
        assert differences(store) == [] and contents(store, old) == before
        with pytest.raises(sa.exc.DBAPIError, match="only added"), store.writing() as connection:
            connection.execute(sa.text("DELETE FROM audit"))
        enrol(store, keyring, "p1", household="h1")
        with store.writing() as connection:
            connection.execute(sa.delete(schema.setting))
        books = Books.of(store, "cn/beijing")
        posted(ledger.settle(books, [Request(bill("c9", yuan=200_000), "k9")], actor=CLERK, now=NOW))
        with store.reading() as connection:
            assert pending(connection) == 1
        downgrade(store, "0001")
        assert current(store) == "0001"
        with store.reading() as connection:
            assert not {name for name in sa.inspect(connection).get_table_names() if name.startswith("watch_")}
    finally:
        store.close()


def contents(store: Store, tables: list[sa.Table]) -> dict[str, list[tuple[object, ...]]]:
    with store.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            ]
            for table in tables
        }


@pytest.mark.parametrize(
    ("version", "print_"),
    [(v0001, "17f8c3628f0da6c5"), (v0002, "0505cfe19169c666")],
)
def test_what_a_version_made_is_frozen(version: ModuleType, print_: str) -> None:
    """Whoever changes a table of a version that offices have must write a new version, not this one anew."""
    dialects = (sqlite.dialect(), postgresql.dialect())  # type: ignore[no-untyped-call]
    text = ""
    for name in version.TABLES:
        table = schema.metadata.tables[name]
        parts = [
            CreateTable(table),
            *(CreateIndex(one) for one in sorted(table.indexes, key=lambda one: str(one.name))),
        ]
        text += "".join(str(part.compile(dialect=dialect)) for part in parts for dialect in dialects)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == print_


def test_every_table_stands_in_one_version_and_so_does_its_guard() -> None:
    assert sorted((*v0001.TABLES, *v0002.TABLES)) == sorted(schema.metadata.tables)
    assert sorted((*v0001.GUARDED, *v0002.GUARDED)) == sorted(schema.APPEND_ONLY)
