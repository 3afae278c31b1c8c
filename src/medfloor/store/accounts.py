"""Hold the accounts: one row a chain of entries, which is at once the lock of who posts to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from medfloor.store.among import among
from medfloor.store.bills import Order
from medfloor.store.schema import account, claim, person

GENESIS = "0" * 64
"""What stands before the first entry of a chain."""

PERSON, HOME, FACILITY = "person_year", "home_year", "facility"

SAVED = ("length", "head", "policy", "state", "last_order")
"""The columns that entries change."""

Key = tuple[str, str, int]
"""Kind, owner, benefit year (0 for facilities)."""

Counters = Mapping[str, int]
"""What has been used of the year, by the names of the policy's layout; what stands at its start is left out. Where the
policy counts by household, a member's own counters are named <counter>@<person_id>."""


@dataclass(slots=True)
class Account:
    """Be one chain: its length and head, and of a year what has been used after the last claim that stands.

    `policy_hash` says under which law the counters were made. An `id` of 0 is an account that is not in the store.
    """

    id: int
    kind: str
    owner: str
    benefit_year: int
    length: int = 0
    head: str = GENESIS
    policy: str | None = None
    policy_hash: str | None = None
    counters: Counters = field(default_factory=dict)
    last_order: Order | None = None

    @property
    def key(self) -> Key:
        """Give what names the account."""
        return self.kind, self.owner, self.benefit_year

    @classmethod
    def of_row(cls, row: Any) -> Account:
        """Read a row of the table."""
        state = json.loads(row.state) if row.state else {}
        return cls(
            row.id, row.kind, row.owner, row.benefit_year, row.length, row.head, row.policy,
            state.get("policy_hash"), state.get("counters", {}), order_of(row.last_order),
        )  # fmt: skip

    @property
    def state(self) -> str | None:
        """Give the counters as the store keeps them; None for an account that counts nothing."""
        if self.policy_hash is None:
            return None
        return json.dumps({"counters": self.counters, "policy_hash": self.policy_hash}, sort_keys=True)


def locked(connection: sa.Connection, keys: Iterable[Key], *, create: bool = True) -> dict[Key, Account]:
    """Lock accounts in sorted order, so that two who need the same ones never wait for each other, and read them.

    Missing ones are made, those of a person only where the person is in the register. An account that could not be made
    is not in the answer. SQLite holds its one write lock already.
    """
    wanted = sorted(set(keys))
    found = _select(connection, wanted, lock=True)
    missing = [key for key in wanted if key not in found]
    if missing and create:
        found |= _insert(connection, missing)  # what this transaction makes, it holds
        found |= _select(connection, [key for key in missing if key not in found], lock=True)
    return found


def looked_at(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, Account]:
    """Read accounts without locking them; one that is not in the store is given empty."""
    wanted = sorted(set(keys))
    found = _select(connection, wanted, lock=False)
    return {key: found.get(key) or Account(0, *key) for key in wanted}


def of_person(connection: sa.Connection, person_id: str, benefit_year: int) -> Account | None:
    """Find the account in which a person's benefit year is settled: their own, or their household's; None for none."""
    row = connection.execute(_OWN, {"owner": person_id, "year": benefit_year}).first()
    if row is None:
        row = connection.execute(_SHARED, {"person_id": person_id, "year": benefit_year}).first()
    return None if row is None else Account.of_row(row)


def save(connection: sa.Connection, accounts: Iterable[Account]) -> None:
    """Write back what entries made of the accounts."""
    rows = [{**row_of(one), "_id": one.id} for one in accounts]
    if rows:
        connection.execute(_SAVE, rows)


def row_of(one: Account) -> dict[str, Any]:
    """Give what entries change of an account (`SAVED`), with its id."""
    return {
        "id": one.id, "length": one.length, "head": one.head, "policy": one.policy, "state": one.state,
        "last_order": text_of(one.last_order),
    }  # fmt: skip


def order_of(text: str | None) -> Order | None:
    """Read the order of the last claim that stands."""
    if not text:
        return None
    settled, start, claim_id = text.split("|", 2)
    return date.fromisoformat(settled), date.fromisoformat(start), claim_id


def text_of(order: Order | None) -> str | None:
    """Write the order of the last claim that stands.

    >>> text_of((date(2024, 3, 2), date(2024, 3, 1), "c1"))
    '2024-03-02|2024-03-01|c1'
    """
    return None if order is None else f"{order[0].isoformat()}|{order[1].isoformat()}|{order[2]}"


_SAVE = (
    sa.update(account).where(account.c.id == sa.bindparam("_id")).values({name: sa.bindparam(name) for name in SAVED})
)

_NAMED = sa.tuple_(account.c.kind, account.c.owner, account.c.benefit_year)

_ASKED: Any = (
    sa.func.unnest(
        sa.bindparam("kinds", type_=postgresql.ARRAY(sa.String)),
        sa.bindparam("owners", type_=postgresql.ARRAY(sa.String)),
        sa.bindparam("years", type_=postgresql.ARRAY(sa.Integer)),
    )
    .table_valued("kind", "owner", "year", name="asked")
    .render_derived()
)
"""The keys as three arrays of PostgreSQL, so that one statement serves any number of them."""

_WHICH = {
    "postgresql": sa.select(account).where(_NAMED.in_(sa.select(_ASKED))),
    "sqlite": sa.select(account).where(_NAMED.in_(sa.bindparam("keys", expanding=True))),
}

_OWN = sa.select(account).where(
    account.c.kind == PERSON, account.c.owner == sa.bindparam("owner"), account.c.benefit_year == sa.bindparam("year")
)

_SHARED = (
    sa.select(account)
    .join(claim, claim.c.account_id == account.c.id)
    .where(claim.c.person_id == sa.bindparam("person_id"), account.c.benefit_year == sa.bindparam("year"))
    .limit(1)
)

_IN_ORDER = {
    name: which.order_by(account.c.kind, account.c.owner, account.c.benefit_year).with_for_update(of=account)
    for name, which in _WHICH.items()
}


def _select(connection: sa.Connection, keys: list[Key], *, lock: bool) -> dict[Key, Account]:
    if not keys:
        return {}
    name = connection.dialect.name
    kinds, owners, years = zip(*keys, strict=True)
    asked: dict[str, Any] = {"kinds": list(kinds), "owners": list(owners), "years": list(years)}
    rows = connection.execute((_IN_ORDER if lock else _WHICH)[name], asked if name == "postgresql" else {"keys": keys})
    return {(row.kind, row.owner, row.benefit_year): Account.of_row(row) for row in rows}


def _insert(connection: sa.Connection, keys: list[Key]) -> dict[Key, Account]:
    """Make accounts in sorted order, and give those; one that another makes at this moment is waited for and left."""
    plain = [
        {"kind": kind, "owner": owner, "benefit_year": year, "length": 0, "head": GENESIS}
        for kind, owner, year in keys
        if kind != PERSON
    ]
    name = connection.dialect.name
    made = list(connection.execute(_MAKE[name], plain)) if plain else []
    people: dict[int, list[str]] = {}
    for kind, owner, year in keys:
        if kind == PERSON:
            people.setdefault(year, []).append(owner)
    for year, owners in sorted(people.items()):
        made += connection.execute(_MAKE_KNOWN[name], {"year": year, "owners": owners})
    return {(row.kind, row.owner, row.benefit_year): Account.of_row(row) for row in made}


_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_MAKE = {name: insert(account).on_conflict_do_nothing().returning(account) for name, insert in _INSERTS.items()}

_REGISTERED = (
    sa.select(
        sa.literal(PERSON), person.c.person_id, sa.bindparam("year", type_=sa.Integer), sa.literal(0),
        sa.literal(GENESIS),
    )
    .where(among(person.c.person_id, "owners"))
    .order_by(person.c.person_id)
)  # fmt: skip

_MAKE_KNOWN = {
    name: insert(account)
    .from_select(["kind", "owner", "benefit_year", "length", "head"], _REGISTERED)
    .on_conflict_do_nothing()
    .returning(account)
    for name, insert in _INSERTS.items()
}
