"""Keep what is owed to people (应补) and owing by them (应退) because settled claims came out anew.

An arrear is found by a difference (or by a reversal of a claim that had one), and then moves by rule only::

    found -> notified -> paid (owed) or returned (owing) -> closed
    found or notified -> closed, with a note: set off against another, or waived

Paying posts an entry to the chain of the year; the amount itself never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError, UsageError
from medfloor.periods import OFFICE_ZONE
from medfloor.store import postings
from medfloor.store.accounts import locked
from medfloor.store.books import Books
from medfloor.store.entries import Draft, append
from medfloor.store.identity import without_identities
from medfloor.store.roles import Actor
from medfloor.store.schema import account, arrear, arrear_step, entry
from medfloor.store.year import Owed

STATES = ("found", "notified", "paid", "returned", "closed")

NEXT: dict[str, tuple[str, ...]] = {
    "found": ("notified", "closed"),
    "notified": ("paid", "returned", "closed"),
    "paid": ("closed",),
    "returned": ("closed",),
    "closed": (),
}
"""State -> the states that may follow."""


@dataclass(frozen=True, slots=True)
class Arrear:
    """Be one arrear; amount_fen above zero is owed to the person, below zero by the person.

    `entry_id` is the entry that found it; `cause` says why that was made: late_claim, reversal, reinstatement,
    correction, backdated_status and the like.
    """

    id: int
    person_id: str
    benefit_year: int
    claim_id: str
    entry_id: int
    amount_fen: int
    state: str
    cause: str


@dataclass(frozen=True, slots=True)
class Step:
    """Be one step of an arrear: which state, on which day, by whom, with which note."""

    state: str
    on_date: date
    at: datetime
    by: str
    note: str | None
    entry_id: int | None


def owed(
    connection: sa.Connection,
    *,
    state: str | None = None,
    person_id: str | None = None,
    benefit_year: int | None = None,
) -> list[Arrear]:
    """List arrears in the order in which they were found; None = all. Raises UsageError for an unknown state."""
    if state is not None:
        _check_state(state)
    asked = sa.select(arrear).order_by(arrear.c.id)
    for column, value in (
        (arrear.c.state, state),
        (arrear.c.person_id, person_id),
        (arrear.c.benefit_year, benefit_year),
    ):
        if value is not None:
            asked = asked.where(column == value)
    return [Arrear(*row) for row in connection.execute(asked)]


def steps_of(connection: sa.Connection, arrear_id: int) -> list[Step]:
    """List the steps of one arrear in their order."""
    names = ("state", "on_date", "at", "by", "note", "entry_id")
    asked = sa.select(*(arrear_step.c[name] for name in names)).where(arrear_step.c.arrear_id == arrear_id)
    return [Step(*row) for row in connection.execute(asked.order_by(arrear_step.c.id))]


def move(
    books: Books, arrear_id: int, state: str, *, on: date, note: str | None = None, actor: Actor, now: datetime
) -> Arrear:
    """Move an arrear to its next state on a day; paid and returned post the payment to the chain of the year.

    Raises NotFoundError (`no_such_arrear`), UsageError (`unknown_state`), ConflictError (`arrear_state`) where the rule
    does not allow the step: what is owed is paid, what is owing is returned, who closes without money gives a note.
    """
    _check_state(state)
    note = without_identities(note) if note else note
    return books.store.attempt(lambda connection: _moved(books, connection, arrear_id, state, on, note, actor, now))


def found(connection: sa.Connection, items: Sequence[tuple[int, Owed]], *, now: datetime) -> list[int]:
    """Write what entries left owing: benefit year and what is owed, of drafts that are written. Gives the ids.

    Who found it is who posted the entry.
    """
    if not items:
        return []
    rows = [
        {
            "person_id": one.person_id, "benefit_year": year, "claim_id": one.claim_id, "entry_id": one.draft.id,
            "amount_fen": one.amount_fen, "state": "found", "cause": one.cause,
        }
        for year, one in items
    ]  # fmt: skip
    insert = sa.insert(arrear).returning(arrear.c.id, sort_by_parameter_order=True)
    ids = list(connection.execute(insert, rows).scalars())
    steps = [
        {
            "arrear_id": one,
            "state": "found",
            "on_date": now.astimezone(OFFICE_ZONE).date(),
            "at": now,
            "by": owed.draft.row["posted_by"],
        }
        for one, (_, owed) in zip(ids, items, strict=True)
    ]
    connection.execute(sa.insert(arrear_step), steps)
    return ids


def _check_state(state: str) -> None:
    if state not in STATES:
        raise UsageError("unknown_state", f"an arrear is {', '.join(STATES)}, not {state!r}")


def _moved(
    books: Books,
    connection: sa.Connection,
    arrear_id: int,
    state: str,
    on: date,
    note: str | None,
    actor: Actor,
    now: datetime,
) -> Arrear:
    whose = connection.execute(
        sa.select(account.c.kind, account.c.owner, account.c.benefit_year, entry.c.number)
        .join(entry, entry.c.account_id == account.c.id)
        .join(arrear, arrear.c.entry_id == entry.c.id)
        .where(arrear.c.id == arrear_id)
    ).first()
    if whose is None:
        raise NotFoundError("no_such_arrear", f"there is no arrear {arrear_id}")
    key = (whose.kind, whose.owner, whose.benefit_year)
    chain = locked(connection, [key], create=False)[key]
    # Under the lock of the chain, so that two who pay at once pay once.
    one = Arrear(*connection.execute(sa.select(arrear).where(arrear.c.id == arrear_id)).one())
    _check_step(one, state, note)
    entry_id = None
    if state in ("paid", "returned"):
        draft = Draft(
            "payment", one.claim_id, on, {"amount": one.amount_fen, "of": whose.number, "note": note},
            {"paid": one.amount_fen}, postings.of_payment(one.amount_fen), cause=whose.number,
        )  # fmt: skip
        (entry_id,) = append(connection, chain, [draft], books.stamp(actor, now))
    connection.execute(
        sa.insert(arrear_step),
        [
            {
                "arrear_id": one.id,
                "state": state,
                "on_date": on,
                "at": now,
                "by": actor.login,
                "note": note,
                "entry_id": entry_id,
            }
        ],
    )
    connection.execute(sa.update(arrear).where(arrear.c.id == one.id).values(state=state))
    return Arrear(one.id, one.person_id, one.benefit_year, one.claim_id, one.entry_id, one.amount_fen, state, one.cause)


def _check_step(one: Arrear, state: str, note: str | None) -> None:
    allowed = NEXT[one.state]
    if state not in allowed:
        nexts = " or ".join(allowed) or "nothing"
        raise ConflictError("arrear_state", f"arrear {one.id} is {one.state}; what may follow is {nexts}")
    if state in ("paid", "returned") and (state == "paid") != (one.amount_fen > 0):
        raise ConflictError("arrear_state", f"arrear {one.id} is {one.amount_fen} fen: owed is paid, owing is returned")
    if state == "closed" and one.state in ("found", "notified") and not note:
        raise ConflictError("arrear_state", f"arrear {one.id} has not been paid; say in a note why it is closed")
