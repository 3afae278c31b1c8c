"""Bring everything that is enciphered to another key, and look whether the keys fit the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from medfloor.errors import StoreError
from medfloor.store import schema
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring

CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Say which keys the store needs: values a key, keys that the ring lacks, values that cannot be read."""

    values: dict[str, int]
    missing: list[str]
    broken: int
    lookups_of_other_keys: int

    @property
    def whole(self) -> bool:
        """Say whether everything can be read and found with the active key."""
        return not self.missing and not self.broken and not self.lookups_of_other_keys


def check_keys(store: Store, ring: Keyring) -> KeyReport:
    """Read every enciphered value once, and say what cannot be read or found."""
    values: Counter[str] = Counter()
    broken = 0
    with store.reading() as connection:
        for table, column in schema.ENCIPHERED:
            asked = sa.select(table.c[column]).where(table.c[column].is_not(None)).execution_options(yield_per=CHUNK)
            for sealed in connection.execute(asked).scalars():
                values[ring.key_of(sealed)] += 1
                broken += not _readable(ring, sealed)
        lookup = schema.person.c.identity_lookup
        asked_others = sa.select(sa.func.count()).where(lookup.is_not(None), lookup.not_like(f"{ring.active}:%"))
        others = connection.execute(asked_others).scalar_one()
    missing = sorted(key for key in values if key not in ring.secrets)
    return KeyReport(dict(values), missing, broken, others)


def check_fit(store: Store, ring: Keyring) -> None:
    """Read one enciphered value of each kind, so that the keys of another office are seen before anybody works.

    Raises StoreError: key_missing, cipher_broken.
    """
    with store.reading() as connection:
        for table, column in schema.ENCIPHERED:
            asked = sa.select(table.c[column]).where(table.c[column].is_not(None)).limit(1)
            for sealed in connection.execute(asked).scalars():
                ring.decrypt(sealed)


def rotate(store: Store, ring: Keyring) -> int:
    """Write everything that is enciphered anew under the coming key, in one transaction; give how many values.

    Stop the service first: one that holds the old ring finds nobody afterwards. Raises StoreError: key_missing,
    cipher_broken; then nothing has changed.
    """
    assert ring.coming is not None, "a ring without a coming key"
    turned = ring.turned()
    return store.attempt(lambda connection: sum(_rewrite(connection, *pair, turned) for pair in schema.ENCIPHERED))


def _readable(ring: Keyring, sealed: bytes) -> bool:
    try:
        ring.decrypt(sealed)
    except StoreError:
        return False
    return True


def _rewrite(connection: sa.Connection, table: sa.Table, column: str, ring: Keyring) -> int:
    (key,) = table.primary_key.columns
    done = 0
    last = None
    while True:
        asked = sa.select(key, table.c[column]).order_by(key).limit(CHUNK)
        rows = connection.execute(asked if last is None else asked.where(key > last)).all()
        if not rows:
            return done
        last = rows[-1][0]
        changes = [
            {"key_": one, **_anew(column, ring.decrypt(sealed), ring)} for one, sealed in rows if sealed is not None
        ]
        if changes:
            connection.execute(table.update().where(key == sa.bindparam("key_")), changes)
        done += len(changes)


def _anew(column: str, text: str, ring: Keyring) -> dict[str, object]:
    values: dict[str, object] = {column: ring.encrypt(text)}
    if column == "identity_cipher":
        values["identity_lookup"] = ring.lookup(text)
    return values
