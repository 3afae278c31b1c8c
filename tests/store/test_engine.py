"""Lose no update: processes that read, compute and write at once, on both stores; and what an address may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from stores import address_of

from medfloor.errors import StoreError, UsageError
from medfloor.store import schema
from medfloor.store.engine import Store, default_address, open_store

COUNT = """
import sys
import sqlalchemy as sa
from medfloor.store import schema
from medfloor.store.engine import open_store

table = schema.account

def count(connection):
    asked = sa.select(table.c.length).where(table.c.owner == "p1").with_for_update()
    before = connection.execute(asked).scalar_one()
    connection.execute(table.update().where(table.c.owner == "p1").values(length=before + 1))

store = open_store(sys.argv[1])
for _ in range(int(sys.argv[2])):
    store.attempt(count)
store.close()
"""


def count_together(store: Store, *, processes: int, each: int) -> int:
    with store.writing() as connection:
        connection.execute(schema.account.insert().values(kind="person_year", owner="p1", head=""))
    command = [sys.executable, "-c", COUNT, address_of(store), str(each)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(processes)]
    for one in running:
        _, said = one.communicate(timeout=300)
        assert one.returncode == 0, said
    with store.reading() as connection:
        return int(connection.execute(sa.select(schema.account.c.length)).scalar_one())


def test_four_processes_that_count_lose_no_update(store: Store) -> None:
    assert count_together(store, processes=4, each=100) == 400


@pytest.mark.heavy
def test_many_counts_lose_no_update(store: Store) -> None:
    assert count_together(store, processes=4, each=500) == 2_000


def test_a_commit_of_sqlite_is_on_the_disk_and_foreign_keys_hold(sqlite_store: Store) -> None:
    with sqlite_store.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_reader_sees_one_moment(store: Store) -> None:
    asked = sa.select(sa.func.count()).select_from(schema.provider)
    with store.reading() as reader:
        assert reader.execute(asked).scalar_one() == 0
        with store.writing() as writer:
            writer.execute(schema.provider.insert().values(provider_id="H1"))
        assert reader.execute(asked).scalar_one() == 0
    with store.reading() as reader:
        assert reader.execute(asked).scalar_one() == 1


def test_work_is_tried_again_and_given_up_with_a_code(store: Store) -> None:
    tries = []

    def busy(connection: sa.Connection) -> None:
        tries.append(1)
        raise sa.exc.OperationalError("statement", {}, Exception("database is locked"))

    with pytest.raises(StoreError) as refused:
        store.attempt(busy, tries=3)
    assert (refused.value.code, len(tries)) == ("store_busy", 3)


def test_an_error_rolls_back(store: Store) -> None:
    with pytest.raises(ValueError, match="no"), store.writing() as connection:
        connection.execute(schema.provider.insert().values(provider_id="H1"))
        raise ValueError("no")
    with store.reading() as connection:
        assert connection.execute(sa.select(schema.provider)).all() == []


@pytest.mark.parametrize(
    ("address", "code"),
    [("mysql://user:secret@host/x", "unknown_store"), ("://secret", "unknown_store"), ("nowhere/x.db", "no_folder")],
)
def test_an_address_that_names_no_store_is_refused_without_its_password(address: str, code: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_store(address)
    assert refused.value.code == code
    assert "secret" not in refused.value.message


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        open_store(tmp_path)
    assert refused.value.code == "store_is_folder"


def test_the_address_comes_from_the_environment() -> None:
    assert default_address({"MEDFLOOR_DATABASE": "x.db"}) == "x.db"
    assert default_address({}) is None


@pytest.mark.parametrize("idle", [0.0, 60.0])
def test_a_connection_that_was_lost_is_replaced(
    postgresql_store: Store, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    def whoami(connection: sa.Connection) -> int:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())

    first = postgresql_store.attempt(whoami)
    other = open_store(address_of(postgresql_store))
    other.attempt(lambda connection: connection.execute(sa.text(f"SELECT pg_terminate_backend({first}, 5000)")))
    other.close()
    # One that lay idle is looked at before it is used; one that did not is found out, and the work is done again.
    monkeypatch.setattr("medfloor.store.engine.IDLE_SECONDS", idle)
    assert postgresql_store.attempt(whoami) != first


@pytest.mark.parametrize("idle", [0.0, 60.0])
def test_who_reads_does_not_notice_that_a_connection_was_lost(
    postgresql_store: Store, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    asked = sa.text("SELECT pg_backend_pid()")
    with postgresql_store.reading() as one, postgresql_store.reading() as two:
        first, second = (int(each.execute(asked).scalar_one()) for each in (one, two))
    other = open_store(address_of(postgresql_store))
    for pid in (first, second):
        other.attempt(
            lambda connection, pid=pid: connection.execute(sa.text(f"SELECT pg_terminate_backend({pid}, 5000)"))
        )
    other.close()
    monkeypatch.setattr("medfloor.store.engine.IDLE_SECONDS", idle)
    with postgresql_store.reading() as one, postgresql_store.reading() as two:
        assert not {int(each.execute(asked).scalar_one()) for each in (one, two)} & {first, second}


def test_a_plan_that_was_made_while_a_table_was_empty_is_made_again(
    postgresql_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medfloor.store.engine.PLAN_SECONDS", 0.0)
    asked = "EXPLAIN EXECUTE one('k5')"
    with postgresql_store.writing() as connection:
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql("CREATE TABLE grown (k text PRIMARY KEY)")
        connection.exec_driver_sql("ANALYZE grown")
        connection.exec_driver_sql("PREPARE one(text) AS SELECT k FROM grown WHERE k = $1")
        connection.exec_driver_sql(asked)
        connection.exec_driver_sql("INSERT INTO grown SELECT 'k' || n FROM generate_series(1, 5000) AS n")
    with postgresql_store.writing() as connection:
        plan = " ".join(connection.exec_driver_sql(asked).scalars())
    assert "grown_pkey" in plan and "Seq Scan" not in plan
