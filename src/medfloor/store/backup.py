"""Take a whole store out into one file while others write, and bring it back; one form for both kinds of store.

A backup is a zip of one file of JSON lines a table, and a manifest that says how many rows each has and its SHA-256.
All tables are read in one transaction, so that the file shows one moment. It is read again before it gets its name. A
store is restored into an empty one, of either kind, and what was written is read again and compared with the manifest.
The keys are not in it: names and identity numbers stay enciphered, and the manifest says which keys they need.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from medfloor import __version__
from medfloor.errors import ConflictError, InputError, OutputError, UsageError
from medfloor.store import schema
from medfloor.store.engine import Store
from medfloor.store.migrate import current, upgrade

FORM = 1
"""The form of the file; a later one gets another number."""

CHUNK = 2_000
"""So many rows are held at once."""

_MANIFEST = "manifest.json"
_LONGEST_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """Say what a backup holds: when it was taken, of which version, and each table's rows and SHA-256."""

    form: int
    made_at: str
    medfloor: str
    schema: str
    kind: str
    keys: list[str]
    tables: dict[str, dict[str, Any]]

    @property
    def rows(self) -> int:
        """Give the rows of all tables."""
        return sum(int(told["rows"]) for told in self.tables.values())


def back_up(store: Store, path: str | Path, *, now: datetime) -> Manifest:
    """Write a backup, whole or not at all; others go on writing meanwhile. Only its owner may read the file.

    Raises UsageError (`backup_exists`), OutputError (`cannot_write`), StoreError of `check` for a store without tables.
    """
    from medfloor.store.migrate import check

    target = Path(path)
    if target.exists():
        raise UsageError("backup_exists", f"{target} is there and is never overwritten; name another file")
    check(store)
    version = current(store) or ""
    beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            manifest = _write(store, file, version=version, now=now)
            file.flush()
            os.fsync(file.fileno())
        verify_backup(beside)
        # A link fails where a file is there meanwhile; a rename would put ours in its place.
        os.link(beside, target)
        _keep_name(target.parent)
    except FileExistsError:
        raise UsageError("backup_exists", f"{target} is there and is never overwritten; name another file") from None
    except OSError as error:
        why = error.strerror or "the system refused"
        raise OutputError("cannot_write", f"{target} could not be written: {why}; nothing was left") from None
    finally:
        beside.unlink(missing_ok=True)
    return manifest


def verify_backup(path: str | Path) -> Manifest:
    """Read a backup from end to end and compare it with its manifest.

    Raises InputError: file_not_found, broken_backup, backup_of_another_version.
    """
    with _opened(path) as (archive, manifest):
        for name, told in manifest.tables.items():
            rows, digest = 0, hashlib.sha256()
            for line in _lines(archive, name):
                rows += 1
                digest.update(line)
            if (rows, digest.hexdigest()) != (told["rows"], told["sha256"]):
                raise _broken(path)
    return manifest


def restore(store: Store, path: str | Path) -> Manifest:
    """Bring a backup into an empty store, all of it or nothing, and compare what is then there with the manifest.

    Raises ConflictError (`store_not_empty`), InputError: file_not_found, broken_backup, backup_of_another_version (its
    tables are of another version: restore with that medfloor, then upgrade).
    """
    verify_backup(path)
    _check_empty(store)
    with _opened(path) as (archive, manifest):
        upgrade(store)
        if current(store) != manifest.schema:
            raise _of_another_version(path, manifest.medfloor)
        with store.writing() as connection:
            _check_without_rows(store, connection)
            for table in schema.metadata.sorted_tables:
                if table.name in manifest.tables:
                    _fill(connection, table, _lines(archive, table.name))
                    _count_on(store, connection, table)
            if _tables(connection) != manifest.tables:
                raise _broken(path)
    return manifest


def content_of(store: Store) -> dict[str, dict[str, Any]]:
    """Give rows and SHA-256 of every table, so that two stores can be compared."""
    with store.reading() as connection:
        return _tables(connection)


# --- Writing --------------------------------------------------------------------------------------------------------


def _write(store: Store, file: Any, *, version: str, now: datetime) -> Manifest:
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=1) as archive,
        store.reading() as connection,
    ):
        tables: dict[str, dict[str, Any]] = {}
        for table in schema.metadata.sorted_tables:
            with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as part:
                tables[_name(table)] = _told(connection, table, part.write)
        manifest = Manifest(
            FORM, now.isoformat(), __version__, version, store.kind, _keys_in_use(connection), tables
        )  # fmt: skip
        archive.writestr(_MANIFEST, orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
    return manifest


def _tables(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    return {_name(table): _told(connection, table, lambda _: None) for table in schema.metadata.sorted_tables}


def _told(connection: sa.Connection, table: sa.Table, write: Callable[[bytes], object]) -> dict[str, Any]:
    """Give a table's lines to `write`, and say how many there were and their SHA-256."""
    rows, digest = 0, hashlib.sha256()
    for line in _rows_as_lines(connection, table):
        rows += 1
        digest.update(line)
        write(line)
    return {"rows": rows, "sha256": digest.hexdigest()}


def _rows_as_lines(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    names = [_name(column) for column in table.columns]
    asked = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=CHUNK)
    for part in connection.execute(asked).partitions():
        for row in part:
            yield orjson.dumps(dict(zip(names, map(_plain, row), strict=True))) + b"\n"


def _name(named: sa.Table | sa.Column[Any]) -> str:
    """Give a name as plain text; SQLAlchemy's own kind of text is none that JSON takes."""
    return str.__str__(named.name)


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value


def _keys_in_use(connection: sa.Connection) -> list[str]:
    found: set[str] = set()
    for table, column in schema.ENCIPHERED:
        head = sa.func.substr(table.c[column], 2, 4).label("head")
        asked = sa.select(head).where(table.c[column].is_not(None)).distinct()
        found |= {bytes(value).hex() for value in connection.execute(asked).scalars()}
    return sorted(found)


# --- Reading --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """Open a backup; what is wrong with the file while it is read is an error of ours."""
    if not Path(path).is_file():
        raise InputError("file_not_found", f"{path} is not there. Give the path of a backup.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_MANIFEST).file_size > _LONGEST_MANIFEST:
                raise _broken(path)
            manifest = Manifest(**orjson.loads(archive.read(_MANIFEST)))
            if manifest.form != FORM or not set(manifest.tables) <= set(schema.metadata.tables):
                raise _of_another_version(path, manifest.medfloor)
            yield archive, manifest
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, NotImplementedError):
        raise _broken(path) from None


def _lines(archive: zipfile.ZipFile, table: str) -> Iterator[bytes]:
    with archive.open(f"{table}.jsonl") as part:
        yield from part


def _broken(path: str | Path) -> InputError:
    return InputError("broken_backup", f"{path} is not a whole backup of medfloor; take another one")


def _of_another_version(path: str | Path, version: str) -> InputError:
    return InputError(
        "backup_of_another_version",
        f"{path} was made by medfloor {version}, whose tables differ; restore it with that version, then upgrade",
    )


def _fill(connection: sa.Connection, table: sa.Table, lines: Iterable[bytes]) -> None:
    readers = {column.name: _reader(column.type) for column in table.columns}
    rows: list[dict[str, Any]] = []
    for line in lines:
        rows.append({name: readers[name](value) for name, value in orjson.loads(line).items()})
        if len(rows) == CHUNK:
            connection.execute(table.insert(), rows)
            rows = []
    if rows:
        connection.execute(table.insert(), rows)


def _reader(kind: Any) -> Callable[[Any], Any]:
    reads: Callable[[Any], Any] | None = None
    if isinstance(kind, schema.Instant):
        reads = datetime.fromisoformat
    elif isinstance(kind, sa.Date):
        reads = date.fromisoformat
    elif isinstance(kind, sa.LargeBinary):
        reads = base64.b64decode
    return lambda value: value if value is None or reads is None else reads(value)


def _count_on(store: Store, connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL count on from the highest row number that was restored."""
    if store.is_postgresql and "id" in table.c:
        most = connection.execute(sa.select(sa.func.max(table.c.id))).scalar()
        if most is not None:
            sequence = sa.func.pg_get_serial_sequence(f'"{table.name}"', "id")
            connection.execute(sa.select(sa.func.setval(sequence, most)))


def _check_empty(store: Store) -> None:
    with store.reading() as connection:
        names = set(sa.inspect(connection).get_table_names())
    if current(store) is None:
        if names - {"alembic_version"}:
            raise ConflictError("store_not_empty", "the store has tables already; restore into a new one")
        return
    with store.reading() as connection:
        _check_without_rows(store, connection)


def _check_without_rows(store: Store, connection: sa.Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise ConflictError("store_not_empty", "the store has rows already; restore into a new one")


def _keep_name(folder: Path) -> None:
    """Bring the name of a new file to the disk too."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
