"""Back a store up while others write, bring it back into either kind, and refuse what is not whole."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledgers import CLERK, bill, enrol, posted

from medfloor.errors import ConflictError, InputError, OutputError, StoreError, UsageError
from medfloor.store import ledger, schema
from medfloor.store.backup import back_up, content_of, restore, verify_backup
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring
from medfloor.store.ledger import Request
from medfloor.store.retention import erase
from medfloor.store.roles import Actor
from medfloor.store.rotation import check_keys


def fill_every_table(store: Store, ring: Keyring, now: datetime, *, rows: int = 3) -> None:
    """Write rows into every table, with missing values in the last of them."""
    with store.writing() as connection:
        for table in schema.metadata.sorted_tables:
            for number in range(1, rows + 1):
                row = {column.name: a_value(column, number, ring, now) for column in table.columns}
                if number == rows:
                    row.update({c.name: None for c in table.columns if c.nullable and not c.foreign_keys})
                if "id" in row and isinstance(table.c.id.type, (sa.BigInteger, sa.Integer)):
                    del row["id"]
                connection.execute(table.insert().values(**{str.__str__(name): value for name, value in row.items()}))


def a_value(column: sa.Column[Any], number: int, ring: Keyring, now: datetime) -> Any:
    if column.foreign_keys:
        (key,) = column.foreign_keys
        return number if isinstance(key.column.type, (sa.BigInteger, sa.Integer)) else f"{key.column.name}{number}"
    if isinstance(column.type, schema.Instant):
        return now.replace(microsecond=number)
    if isinstance(column.type, sa.Date):
        return date(2024, 2, 28 + number % 2)
    if isinstance(column.type, sa.Boolean):
        return number % 2 == 0
    if isinstance(column.type, sa.LargeBinary):
        return ring.encrypt("张三丰")
    if isinstance(column.type, sa.Double):
        return number / 3
    if isinstance(column.type, (sa.BigInteger, sa.Integer)):
        return number * 10**9 if isinstance(column.type, sa.BigInteger) and column.name.endswith("_fen") else number
    return f"{column.name}{number}"[: column.type.length or 99] if column.name != "note" else "换行\n“引号”\\"  # type: ignore[attr-defined]


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a store without tables, of each kind."""
    if request.param == "sqlite":
        store = open_store(tmp_path / "restored.db")
        yield store
        store.close()
        return
    server = request.getfixturevalue("postgresql_server")
    name = server.fresh(template="template1")
    store = open_store(server.address(name))
    yield store
    store.close()
    server.drop(name)


def test_what_is_restored_equals_what_was_there_in_either_kind(
    store: Store, other: Store, keyring: Keyring, now: datetime, tmp_path: Path
) -> None:
    fill_every_table(store, keyring, now)
    before = content_of(store)
    assert all(told["rows"] == 3 for told in before.values())
    manifest = back_up(store, tmp_path / "office.backup", now=now)
    assert manifest.keys == [keyring.active]
    assert content_of(store) == before
    restore(other, tmp_path / "office.backup")
    assert content_of(other) == before
    assert check_keys(other, keyring).values == check_keys(store, keyring).values
    with store.reading() as ours, other.reading() as theirs:
        for table in schema.metadata.sorted_tables:
            asked = sa.select(table).order_by(*table.primary_key.columns)
            assert theirs.execute(asked).all() == ours.execute(asked).all()
    # Both count on from the last row, and the triggers hold in the restored one too.
    with other.writing() as connection:
        done = connection.execute(schema.audit.insert().values(at=now, by="a", action="x"))
        assert done.inserted_primary_key is not None
        assert done.inserted_primary_key[0] == 4
    with pytest.raises(sa.exc.DBAPIError), other.writing() as connection:
        connection.execute(schema.audit.delete())


def test_a_restored_ledger_verifies_and_goes_on(
    store: Store, other: Store, keyring: Keyring, administrator: Actor, now: datetime, tmp_path: Path
) -> None:
    enrol(store, keyring, "p1", "p2")
    books = Books.of(store, "cn/beijing")
    for month, who in ((3, "p1"), (5, "p1"), (4, "p1"), (3, "p2")):
        one = bill(f"{who}-{month}", who, date(2024, month, 1))
        posted(ledger.settle(books, [Request(one, one.claim_id)], actor=CLERK, now=now))
    seal_now(store, now=now)
    back_up(store, tmp_path / "office.backup", now=now)
    restore(other, tmp_path / "office.backup")
    theirs = Books.of(other, "cn/beijing")
    before, after = verify(store, books=books), verify(other, books=theirs)
    assert before.whole
    assert after == before
    # The key of a request is known there too, and the year goes on.
    again, more = bill("p1-3", "p1", date(2024, 3, 1)), bill("p1-6", "p1", date(2024, 6, 1))
    (known,) = posted(ledger.settle(theirs, [Request(again, "p1-3")], actor=CLERK, now=now))
    (fresh,) = posted(ledger.settle(theirs, [Request(more, "p1-6")], actor=CLERK, now=now))
    assert known.again
    assert not fresh.again
    assert verify(other, books=theirs).whole
    # Who is erased leaves a ledger that still verifies.
    other.attempt(lambda connection: erase(connection, "p1", actor=administrator, now=now))
    assert verify(other, books=theirs).whole


def test_a_backup_shows_one_moment_while_others_write(
    store: Store, other: Store, now: datetime, tmp_path: Path
) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                with store.writing() as connection:
                    connection.execute(schema.provider.insert().values(provider_id=f"H{number}"))
                    connection.execute(
                        schema.setting.insert().values(name=f"s{number}", value="", changed_by="a", changed_at=now)
                    )
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifests = [back_up(store, tmp_path / f"{number}.backup", now=now) for number in range(4)]
    finally:
        stop.set()
        writer.join()
    assert not failed
    counts = [(told.tables["provider"]["rows"], told.tables["setting"]["rows"]) for told in manifests]
    assert all(providers == settings for providers, settings in counts)
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
    restore(other, tmp_path / "3.backup")
    assert content_of(other) == manifests[3].tables


def test_a_backup_is_private_never_overwritten_and_leaves_nothing_when_it_fails(
    sqlite_store: Store, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(sqlite_store, folder / "a", now=now)
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError) as refused:
        back_up(sqlite_store, folder / "a", now=now)
    assert refused.value.code == "backup_exists"

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medfloor.store.backup._write", full)
    with pytest.raises(OutputError) as failed:
        back_up(sqlite_store, folder / "b", now=now)
    assert failed.value.code == "cannot_write"
    assert [file.name for file in folder.iterdir()] == ["a"]


def test_a_store_without_tables_cannot_be_backed_up(empty_address: str, now: datetime, tmp_path: Path) -> None:
    store = open_store(empty_address)
    with pytest.raises(StoreError) as refused:
        back_up(store, tmp_path / "a", now=now)
    store.close()
    assert refused.value.code == "schema_missing"


def test_a_store_that_is_not_empty_is_not_restored_into(store: Store, now: datetime, tmp_path: Path) -> None:
    back_up(store, tmp_path / "a", now=now)
    with store.writing() as connection:
        connection.execute(schema.provider.insert().values(provider_id="H1"))
    before = content_of(store)
    with pytest.raises(ConflictError) as refused:
        restore(store, tmp_path / "a")
    assert refused.value.code == "store_not_empty"
    assert content_of(store) == before


def test_a_store_with_strange_tables_is_not_restored_into(sqlite_store: Store, now: datetime, tmp_path: Path) -> None:
    back_up(sqlite_store, tmp_path / "a", now=now)
    stranger = open_store(tmp_path / "strange.db")
    with stranger.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(ConflictError):
        restore(stranger, tmp_path / "a")
    stranger.close()


def rewrite(path: Path, changed: dict[str, bytes]) -> None:
    """Write a zip anew with other content of some files."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (held | changed).items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"no zip"),
        lambda path: rewrite(path, {"provider.jsonl": b'{"provider_id":"H2","name":"","level":null,"place":""}\n'}),
        lambda path: rewrite(path, {"provider.jsonl": b""}),
        lambda path: rewrite(path, {"manifest.json": b"[]"}),
        lambda path: rewrite(path, {"manifest.json": b"{}"}),
        lambda path: rewrite(path, {"manifest.json": b" " * (2 << 20)}),
    ],
    ids=["cut", "no zip", "another row", "no row", "list", "empty", "long"],
)
def test_a_backup_that_is_not_whole_is_refused_and_nothing_restored(
    sqlite_store: Store, now: datetime, tmp_path: Path, spoil: Any
) -> None:
    with sqlite_store.writing() as connection:
        connection.execute(schema.provider.insert().values(provider_id="H1"))
    path = tmp_path / "a.backup"
    back_up(sqlite_store, path, now=now)
    verify_backup(path)
    spoil(path)
    new = open_store(tmp_path / "new.db")
    with pytest.raises(InputError) as refused:
        restore(new, path)
    assert refused.value.code == "broken_backup"
    with new.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    new.close()


def test_a_backup_of_another_version_is_refused(sqlite_store: Store, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    back_up(sqlite_store, path, now=now)
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("manifest.json")
    new = open_store(tmp_path / "new.db")
    for old, other in ((b'"form": 1', b'"form": 9'), (b'"schema": "0002"', b'"schema": "0099"')):
        rewrite(path, {"manifest.json": manifest.replace(old, other)})
        with pytest.raises(InputError) as refused:
            restore(new, path)
        assert refused.value.code == "backup_of_another_version"
    new.close()
    with pytest.raises(InputError) as refused:
        verify_backup(tmp_path / "nothing")
    assert refused.value.code == "file_not_found"
