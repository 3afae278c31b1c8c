"""Settle years again after what is known of people changed: a recognition, a birth date, the law."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa

from medfloor.store import accounts, arrears
from medfloor.store.accounts import FACILITY, Key
from medfloor.store.arrears import Arrear
from medfloor.store.books import Books
from medfloor.store.entries import write
from medfloor.store.history import Touched
from medfloor.store.register import known
from medfloor.store.roles import Actor
from medfloor.store.schema import account, arrear, claim
from medfloor.store.year import Year


def resettle_after(
    books: Books, touched: Iterable[Touched], *, actor: Actor, now: datetime, cause: str = "backdated_status"
) -> list[Arrear]:
    """Settle again the years of people of whom something changed from a day on, and give the arrears found.

    Each year is settled in a transaction of its own, so that terminals go on; done twice, the second time finds
    nothing. `cause` is written to entries and arrears.
    """
    found: list[Arrear] = []
    for key in _years(books, list(touched)):
        found += books.store.attempt(lambda connection, key=key: _again(books, connection, key, actor, now, cause))  # type: ignore[misc]
    return found


def resettle_all(books: Books, *, actor: Actor, now: datetime, cause: str = "changed_law") -> list[Arrear]:
    """Settle every year again, for instance after a number of the law was mended, and give the arrears found."""
    with books.store.reading() as connection:
        rows = connection.execute(
            sa.select(account.c.kind, account.c.owner, account.c.benefit_year)
            .where(account.c.kind != FACILITY, account.c.length > 0)
            .order_by(account.c.id)
        ).all()
    found: list[Arrear] = []
    for row in rows:
        key = (row[0], row[1], row[2])
        found += books.store.attempt(lambda connection, key=key: _again(books, connection, key, actor, now, cause))  # type: ignore[misc]
    return found


def _years(books: Books, touched: Sequence[Touched]) -> list[Key]:
    """List the accounts with a claim on or after the day from which something changed."""
    since = {one.person_id: one.from_date for one in sorted(touched, key=lambda one: one.from_date, reverse=True)}
    if not since:
        return []
    keys: dict[Key, None] = {}
    people = sorted(since)
    with books.store.reading() as connection:
        for first in range(0, len(people), 500):
            rows = connection.execute(
                sa.select(
                    claim.c.person_id, claim.c.end_date, claim.c.settled_date, account.c.kind, account.c.owner,
                    account.c.benefit_year,
                )
                .join(account, account.c.id == claim.c.account_id)
                .where(claim.c.person_id.in_(people[first : first + 500]))
                .order_by(account.c.id)
            )  # fmt: skip
            for row in rows:
                if max(row.end_date, row.settled_date) >= since[row.person_id]:
                    keys[row.kind, row.owner, row.benefit_year] = None
    return list(keys)


def _again(books: Books, connection: sa.Connection, key: Key, actor: Actor, now: datetime, cause: str) -> list[Arrear]:
    chain = accounts.locked(connection, [key], create=False)[key]
    year = Year(books, chain, books.stamp(actor, now), connection, lambda ids: known(connection, sorted(ids)))
    year.again(cause)
    if not year.drafts:
        return []
    write(connection, year.drafts, [chain])
    ids = arrears.found(connection, [(chain.benefit_year, one) for one in year.owed], now=now)
    return [
        Arrear(*row) for row in connection.execute(sa.select(arrear).where(arrear.c.id.in_(ids)).order_by(arrear.c.id))
    ]
