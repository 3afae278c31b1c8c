"""Say how a month of the office stands in a few numbers, and list what each is made of.

Every number is a sum over entries as they were posted, so that settlements, what was settled again and what was taken
back come to the fen to what the funds and people bore. `whose` narrows all of it to some people; None is everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from medfloor.store.postings import SETTLING
from medfloor.store.schema import (
    arrear,
    claim,
    entry,
    import_run,
    posting,
    proposal,
    reconciliation_item,
    statement,
    watch_case,
)
from medfloor.store.statements import bounds_of

Condition = sa.ColumnElement[bool] | None

FUND = "basic"
"""The tier that the residents' fund pays: its months of payment are counted."""

YEAR = 12


@dataclass(frozen=True, slots=True)
class Month:
    """Be what was settled in a month, in fen.

    `claims` counts claims settled, `taken_back` those reversed, `again` what was settled anew because of another entry;
    `paid` is what each tier bore, net of all that, and `own_fen` what stayed with people.
    """

    claims: int
    taken_back: int
    again: int
    paid: Mapping[str, int]
    own_fen: int

    @property
    def paid_fen(self) -> int:
        """Give what all funds bore."""
        return sum(self.paid.values())

    @property
    def total_fen(self) -> int:
        """Give the whole cost: what funds and people bore."""
        return self.paid_fen + self.own_fen


@dataclass(frozen=True, slots=True)
class Reserve:
    """Be how long the fund could pay: what it holds over what it paid in a mean month of those with statements.

    `months` are the months counted; None for `lasts` where the office has not said what it holds or no month is drawn.
    """

    reserve_fen: int
    mean_fen: int
    months: tuple[str, ...]

    @property
    def lasts(self) -> float | None:
        """Give the months of payment."""
        return self.reserve_fen / self.mean_fen if self.reserve_fen and self.mean_fen > 0 else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Count what waits for somebody: a number and, where there is money in it, how much in fen."""

    count: int
    fen: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """Be one entry of a month: the claim, whose, where, what it cost, what funds and the person bore by this entry."""

    entry_id: int
    kind: str
    claim_id: str
    person_id: str
    provider_id: str | None
    care_type: str
    settled_date: date
    posted_at: datetime
    total_fen: int
    paid_fen: int
    own_fen: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Be two stays of one person that cannot both be: they overlap by so many days."""

    person_id: str
    claim_id: str
    other_id: str
    start_date: date
    end_date: date
    other_start: date
    other_end: date
    total_fen: int
    provider_id: str | None
    other_provider: str | None


def last_entry(connection: sa.Connection) -> tuple[int, datetime | None]:
    """Give number and moment of the ledger's last entry: while it is the same, so is every sum over the ledger."""
    row = connection.execute(sa.select(entry.c.id, entry.c.posted_at).order_by(entry.c.id.desc()).limit(1)).first()
    return (0, None) if row is None else (row.id, row.posted_at)


def month_of(connection: sa.Connection, month: str, *, whose: Condition = None) -> Month:
    """Sum a month of entries (YYYY-MM of posting, in the office's time). Raises UsageError (`bad_month`)."""
    during = sa.select(entry.c.id, entry.c.kind).where(*_during(month), *_of_claims(whose)).cte("during")
    kinds = sa.select(sa.literal("kind"), during.c.kind, sa.func.count()).group_by(during.c.kind)
    sums = (
        sa.select(sa.literal("party"), posting.c.party, sa.func.sum(posting.c.amount_fen))
        .select_from(during.join(posting, posting.c.entry_id == during.c.id))
        .where(sa.or_(posting.c.party == "person", posting.c.party.startswith("fund:")))
        .group_by(posting.c.party)
    )
    if connection.dialect.name == "postgresql":
        # Without these bounds it reads the postings of all years; SQLite looks up those of each entry.
        sums = sums.where(
            posting.c.entry_id >= sa.select(sa.func.min(during.c.id)).scalar_subquery(),
            posting.c.entry_id <= sa.select(sa.func.max(during.c.id)).scalar_subquery(),
        )
    # One statement, so that the entries of the month are looked for once.
    rows = connection.execute(sa.union_all(kinds, sums)).all()
    counts = {name: int(number) for what, name, number in rows if what == "kind"}
    borne = {name: int(fen or 0) for what, name, fen in rows if what == "party"}
    return Month(
        sum(counts.get(kind, 0) for kind in SETTLING), counts.get("reversal", 0), counts.get("difference", 0),
        {party.removeprefix("fund:"): fen for party, fen in sorted(borne.items()) if party != "person"},
        borne.get("person", 0),
    )  # fmt: skip


def reserve_of(connection: sa.Connection, reserve_fen: int, *, before: str) -> Reserve:
    """Hold what the fund has against its statements of the last twelve months before a month (YYYY-MM).

    A month counts what facilities advanced for the fund and what moved between it and people.
    """
    borne = sa.func.sum(statement.c.amount_fen + statement.c.difference_fen)
    asked = (
        sa.select(statement.c.month, borne)
        .where(statement.c.fund == FUND, statement.c.month < before)
        .group_by(statement.c.month)
        .order_by(statement.c.month.desc())
        .limit(YEAR)
    )
    rows = [(month, int(fen)) for month, fen in connection.execute(asked)]
    mean = sum(fen for _, fen in rows) // len(rows) if rows else 0
    return Reserve(reserve_fen, mean, tuple(sorted(month for month, _ in rows)))


def due_soon(connection: sa.Connection, prefix: str, *, on: date, until: date) -> dict[str, int]:
    """Count deadlines of cases from a day until another, by what is due; within a place (its code's beginning)."""
    table = watch_case
    asked = sa.select(table.c.due_for, sa.func.count()).where(
        table.c.due_on.between(on, until), table.c.place.startswith(prefix, autoescape=True)
    )
    return {what: int(number) for what, number in connection.execute(asked.group_by(table.c.due_for)) if what}


def open_arrears(connection: sa.Connection, *, whose: Condition = None) -> Waiting:
    """Count arrears that nobody has paid, returned or closed; the money is what is owed to people less their debts."""
    asked = sa.select(sa.func.count(), sa.func.sum(arrear.c.amount_fen)).where(
        arrear.c.state.in_(("found", "notified")), *_of(whose)
    )
    number, fen = connection.execute(asked).one()
    return Waiting(int(number), int(fen or 0))


def open_proposals(connection: sa.Connection, prefix: str) -> Waiting:
    """Count proposals that wait for a second person, within a place (its code's beginning)."""
    asked = sa.select(sa.func.count()).where(
        proposal.c.state == "open", proposal.c.place.startswith(prefix, autoescape=True)
    )
    return Waiting(connection.execute(asked).scalar_one())


def open_statements(connection: sa.Connection, state: str, *, of: Condition = None) -> Waiting:
    """Count statements in a state, and their money; `of` narrows them to some facilities."""
    asked = sa.select(sa.func.count(), sa.func.sum(statement.c.amount_fen)).where(statement.c.state == state, *_of(of))
    number, fen = connection.execute(asked).one()
    return Waiting(int(number), int(fen or 0))


def open_differences(connection: sa.Connection, *, of: Condition = None) -> Waiting:
    """Count lines in which our books and a hospital's file differ and nobody has said why; `of` narrows facilities."""
    asked = sa.select(sa.func.count()).where(reconciliation_item.c.state == "open", *_of(of))
    return Waiting(connection.execute(asked).scalar_one())


def refused_rows(connection: sa.Connection, *, since: datetime) -> Waiting:
    """Count rows of departments' files that were refused since a moment."""
    asked = sa.select(sa.func.sum(import_run.c.rows_rejected)).where(import_run.c.started_at >= since)
    return Waiting(int(connection.execute(asked).scalar() or 0))


def overlaps(connection: sa.Connection, month: str, *, whose: Condition = None, limit: int = 100) -> list[Overlap]:
    """List stays settled in a month that overlap another stay of the same person by a day or more; both still stand.

    The day on which one stay ends may be that on which the next begins.
    """
    other, back = claim.alias("other"), entry.alias("back")
    gone = sa.select(back.c.claim_id).where(back.c.kind == "reversal")
    named = {
        "other_id": other.c.claim_id, "other_start": other.c.start_date, "other_end": other.c.end_date,
        "other_provider": other.c.provider_id,
    }  # fmt: skip
    own = ("person_id", "claim_id", "start_date", "end_date", "total_fen", "provider_id")
    asked = (
        sa.select(*(claim.c[name] for name in own), *(column.label(name) for name, column in named.items()))
        .select_from(
            entry.join(claim, claim.c.claim_id == entry.c.claim_id).join(other, other.c.person_id == claim.c.person_id)
        )
        .where(
            *_during(month), entry.c.kind.in_(SETTLING), claim.c.care_type == "inpatient",
            other.c.care_type == "inpatient", other.c.id != claim.c.id, other.c.start_date < claim.c.end_date,
            other.c.end_date > claim.c.start_date,
            sa.or_(other.c.settled_date < claim.c.settled_date, other.c.id < claim.c.id),
            ~sa.exists(gone.where(back.c.claim_id == claim.c.claim_id)),
            ~sa.exists(gone.where(back.c.claim_id == other.c.claim_id)), *_of(whose),
        )
        .order_by(claim.c.id.desc())
        .limit(limit)
    )  # fmt: skip
    return [Overlap(**row._mapping) for row in connection.execute(asked)]


def settled_in(
    connection: sa.Connection, month: str, *, kind: str | None = None, whose: Condition = None,
    before: int | None = None, limit: int = 50,
) -> list[Settled]:  # fmt: skip
    """List the entries of claims in a month, the latest first; `kind` keeps those of one kind, `before` goes on."""
    clauses = [*_during(month), entry.c.claim_id.is_not(None), *_of_claims(whose)]
    if kind is not None:
        clauses.append(entry.c.kind == kind)
    if before is not None:
        last = sa.select(entry.c.posted_at).where(entry.c.id == before).scalar_subquery()
        clauses += [entry.c.posted_at <= last, sa.or_(entry.c.posted_at < last, entry.c.id < before)]
    # Along the index of moments, so that it ends after so many; the rows of claims are looked up for these only.
    latest = sa.select(entry.c.id).where(*clauses).order_by(entry.c.posted_at.desc(), entry.c.id.desc()).limit(limit)
    names = ("claim_id", "person_id", "provider_id", "care_type", "total_fen")
    asked = (
        sa.select(
            entry.c.id, entry.c.kind, entry.c.settled_date, entry.c.posted_at, *(claim.c[name] for name in names)
        )
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        .where(entry.c.id.in_(latest.scalar_subquery()))
        .order_by(entry.c.posted_at.desc(), entry.c.id.desc())
    )  # fmt: skip
    rows = connection.execute(asked).all()
    borne = _borne(connection, [row.id for row in rows])
    return [
        Settled(
            row.id, row.kind, row.claim_id, row.person_id, row.provider_id, row.care_type, row.settled_date,
            row.posted_at, row.total_fen, *borne.get(row.id, (0, 0)),
        )
        for row in rows
    ]  # fmt: skip


def _borne(connection: sa.Connection, entries: list[int]) -> dict[int, tuple[int, int]]:
    """Give what funds and the person bore by each entry."""
    found: dict[int, list[int]] = {}
    asked: sa.Select[Any] = sa.select(posting.c.entry_id, posting.c.party, posting.c.amount_fen)
    for entry_id, party, fen in connection.execute(asked.where(posting.c.entry_id.in_(entries))):
        if party == "person" or party.startswith("fund:"):
            found.setdefault(entry_id, [0, 0])[party == "person"] += fen
    return {entry_id: (paid, own) for entry_id, (paid, own) in found.items()}


def _during(month: str) -> list[sa.ColumnElement[bool]]:
    begins, ends = bounds_of(month)
    return [entry.c.posted_at >= begins, entry.c.posted_at < ends]


def _of_claims(whose: Condition) -> list[sa.ColumnElement[bool]]:
    """Give the condition that an entry's claim is of some people, to be looked at entry by entry.

    By a list of all their claims, which a store would rather make, a month took three times as long.
    """
    return [] if whose is None else [sa.exists().where(claim.c.claim_id == entry.c.claim_id, whose)]


def _of(condition: Condition) -> list[sa.ColumnElement[bool]]:
    return [] if condition is None else [condition]
