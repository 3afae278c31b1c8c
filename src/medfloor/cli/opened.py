"""Open the office's store and keys for a command, and say who acts: what all commands of an office share."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

    from medfloor.errors import StoreError
    from medfloor.store.engine import Store
    from medfloor.store.keys import Keyring
    from medfloor.store.roles import Actor

_Function = TypeVar("_Function", bound=Callable[..., Any])

DEFAULT_DATABASE = "medfloor.db"
"""The store of an office that names no server: a SQLite file in the folder where medfloor runs."""


def database_option(function: _Function) -> _Function:
    """Add --database."""
    return click.option(
        "--database",
        metavar="ADDRESS",
        help="SQLite file or postgresql://...  [default: MEDFLOOR_DATABASE, or medfloor.db here]",
    )(function)


def keys_option(function: _Function) -> _Function:
    """Add --keys."""
    return click.option(
        "--keys",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Keys file.  [default: MEDFLOOR_KEYS_FILE, or medfloor.keys here]",
    )(function)


def lang_option(function: _Function) -> _Function:
    """Add --lang."""
    choice = click.Choice(["zh", "en"])
    return click.option("--lang", type=choice, default="en", show_default=True, help="Language of the output.")(
        function
    )


def address(database: str | None) -> str:
    """Give the address of the store: what was asked for, else MEDFLOOR_DATABASE, else a file here."""
    from medfloor.store.engine import default_address

    return database or default_address() or DEFAULT_DATABASE


@contextmanager
def opened(database: str | None, *, checked: bool = True) -> Iterator[Store]:
    """Open the store of a command, and close it at the end.

    Raises StoreError (`schema_missing`, ...) for a store whose tables are not those of this program, unless `checked`
    is False; NotFoundError (`no_store`) for a file that is not there; StoreError for what its database says while the
    command works: store_away, store_broken, store_full. What databases say may hold values, and is not passed on.
    """
    from sqlalchemy.exc import DBAPIError

    from medfloor.errors import NotFoundError
    from medfloor.store.engine import open_store
    from medfloor.store.migrate import check

    where = address(database)
    if checked and "://" not in where and not Path(where).exists():
        raise NotFoundError(
            "no_store", f"there is no store {where}; run medfloor admin init, or name it with --database"
        )
    if not checked:
        _make_private(where)
    store = open_store(where)
    try:
        if checked:
            check(store)
        yield store
    except DBAPIError as error:
        said = _of_database(error)
        if said is None:
            raise
        raise said from None
    finally:
        store.close()


def _of_database(error: DBAPIError) -> StoreError | None:
    """Give our error for one of the database that is no bug of ours."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    from medfloor.errors import StoreError
    from medfloor.store.engine import broken, full, is_broken, is_full

    if is_full(error):
        return full()
    if is_broken(error):
        return broken()
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return StoreError(
            "store_away",
            "the store cannot be opened, or does not answer: is it running, are its name, the user and the password "
            "right (MEDFLOOR_DATABASE, ~/.pgpass), is it locked or not writable here?",
        )
    return None


def _make_private(where: str) -> None:
    """Make the file of a new SQLite store so that only its owner may read it."""
    if "://" not in where:
        with contextlib.suppress(FileExistsError, FileNotFoundError, IsADirectoryError, PermissionError):
            os.close(os.open(where, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def keyring(keys: Path | None) -> Keyring:
    """Read the office's keys. Raises UsageError: no_keys, keys_open, bad_keys."""
    from medfloor.store.keys import keyring_from

    return keyring_from(os.environ, file=keys)


def local_actor(role: str = "administrator", place: str = "") -> Actor:
    """Give who acts at the command line: whoever may open the store's file is trusted, and is named in the audit."""
    from medfloor.store.roles import Actor

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return Actor(f"local:{name}"[:64], role, place, "en")


def moment() -> datetime:
    """Give this moment in UTC."""
    return datetime.now(UTC)
