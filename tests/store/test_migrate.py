"""Bring tables up, check them, take them down, on both stores; rows of the ledger and audit are only added."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from medfloor.errors import StoreError
from medfloor.store import schema
from medfloor.store.engine import Store, open_store
from medfloor.store.migrate import check, current, differences, downgrade, upgrade


def test_tables_come_up_are_what_the_schema_declares_and_go_down_again(empty_address: str) -> None:
    store = open_store(empty_address)
    try:
        with pytest.raises(StoreError) as refused:
            check(store)
        assert refused.value.code == "schema_missing"
        assert upgrade(store) == "0001"
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
    assert said == ["0001"] * 4


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
