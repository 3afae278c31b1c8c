"""Draw up, month by month, what facilities advanced for the funds, agree it with them, and clear it.

An entry belongs to the month in which it was posted, by the clock of China: a claim of February that is taken back in
March lowers March. A statement is drawn once; what comes later, however late it was committed, stands on the next one
that is drawn, and each entry stands on one statement only (`statement_line` has one row an entry). So at every moment
the statements and what is pending come to the advances of the ledger, to the fen.

A *difference* moves burden between a fund and the person and is settled with the person (`store.arrears`); it is told
beside the statement of the facility and is no part of its amount. What no facility advanced has lists of its own::

    *people     claims that people paid themselves (claim.paid_by is person): reimbursed by hand
    *none       claims that name no facility: nobody can be paid until that is mended
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError, UsageError
from medfloor.periods import OFFICE_ZONE
from medfloor.store import audit, postings
from medfloor.store.accounts import FACILITY, locked
from medfloor.store.books import Books
from medfloor.store.engine import Store
from medfloor.store.entries import Draft, append
from medfloor.store.identity import without_identities
from medfloor.store.postings import SETTLING
from medfloor.store.roles import Actor, require
from medfloor.store.schema import claim, entry, posting, reconciliation_item, statement, statement_line

PEOPLE, NOBODY = "*people", "*none"
"""The lists of claims that no facility advanced, and of those that name none."""

STATES = ("drawn", "agreed", "cleared")


COUNTED = (*SETTLING, "reversal", "difference")
"""The kinds of entries that stand on statements."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Be what a facility advanced for one fund in one month.

    `claims` and `reversals` count the claims for which the fund paid something, `amount_fen` is what was advanced for
    them less what was taken back, and is what clearing pays (below zero: the facility pays back). `difference_fen` is
    what re-settlements moved between the fund and people in that month: together the two are what the fund bears.
    """

    id: int
    provider_id: str
    month: str
    fund: str
    claims: int
    reversals: int
    amount_fen: int
    differences: int
    difference_fen: int
    state: str
    drawn_at: datetime
    drawn_by: str
    agreed_at: datetime | None
    agreed_by: str | None
    cleared_at: datetime | None
    cleared_by: str | None
    cleared_entry: int | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """Be what is posted and stands on no statement yet: by provider and fund, as a statement would say it."""

    provider_id: str
    fund: str
    claims: int
    reversals: int
    amount_fen: int
    differences: int
    difference_fen: int


@dataclass(frozen=True, slots=True)
class Line:
    """Be one entry of a statement: what was advanced, by fund, and what the person bore at the till (`own_fen`).

    All are below zero where a claim was taken back.
    """

    entry_id: int
    kind: str
    claim_id: str
    person_id: str
    settled_date: date
    posted_at: datetime
    own_fen: int
    amount_fen: Mapping[str, int]

    @property
    def pay_fen(self) -> int:
        """Give what was advanced for all funds."""
        return sum(self.amount_fen.values())


def draw(
    store: Store, month: str, *, provider_id: str | None = None, early: bool = False, actor: Actor, now: datetime
) -> list[Statement]:
    """Draw the statements of a month (YYYY-MM), of one facility or of all; drawn again they are the same.

    Months before it that were never drawn are drawn too, because each entry stands on the statement of its own month
    where that is still open. A month that is not over is drawn only if `early`; what is posted after that stands on the
    next. Raises UsageError (`bad_month`), ConflictError (`month_not_over`), AccessError (`forbidden`).
    """
    require(actor, "draw_statements")
    begins, ends = bounds_of(month)
    if now < (begins if early else ends):
        raise ConflictError("month_not_over", f"{month} is not over; draw it afterwards, or say that it is drawn early")
    if provider_id is None:
        with store.reading() as connection:
            wanted = _with_pending(connection, ends)
    else:
        wanted = [provider_id]
    for one in wanted:
        store.attempt(lambda connection, one=one: _draw(connection, one, month, actor, now))  # type: ignore[misc]
    with store.reading() as connection:
        return statements(connection, month=month, provider_id=provider_id)


def agree(
    store: Store, provider_id: str, month: str, *, fund: str | None = None, note: str | None = None,
    actor: Actor, now: datetime,
) -> list[Statement]:  # fmt: skip
    """Write down that a facility agreed to its statement, of one fund or of all; agreed again it is the same.

    `note` names the document. Raises NotFoundError (`no_such_statement`), ConflictError (`items_open`) while lines of
    its reconciliation wait to be resolved, AccessError (`forbidden`).
    """
    require(actor, "draw_statements")
    note = without_identities(note) if note else note

    def work(connection: sa.Connection) -> list[Statement]:
        found = _locked(connection, provider_id, month, fund)
        drawn = [one.id for one in found if one.state == "drawn"]
        if drawn and _items_open(connection, provider_id, month):
            raise ConflictError(
                "items_open", f"lines of the reconciliation of {provider_id} for {month} are open; resolve them first"
            )
        if drawn:
            values: dict[str, Any] = {"state": "agreed", "agreed_at": now, "agreed_by": actor.login, "note": note}
            connection.execute(sa.update(statement).where(statement.c.id.in_(drawn)).values(values))
            audit.record(connection, actor, "agree_statement", detail=f"{provider_id} {month} {fund or 'all'}", now=now)
        return statements(connection, month=month, provider_id=provider_id, fund=fund)

    return store.attempt(work)


def clear(
    books: Books, provider_id: str, month: str, *, fund: str | None = None, on: date | None = None,
    actor: Actor, now: datetime,
) -> list[Statement]:  # fmt: skip
    """Clear an agreed statement, of one fund or of all: one balanced entry a fund on the facility's account.

    `on` is the day of payment (default: today in China). Cleared again it is the same, and nothing is posted. Raises
    NotFoundError (`no_such_statement`), ConflictError: `statement_state` where one is not agreed yet, `no_facility` for
    claims that name none; AccessError (`forbidden`).
    """
    require(actor, "clear_statements")
    if provider_id == NOBODY:
        raise ConflictError("no_facility", "these claims name no facility, so nobody can be paid; correct the claims")
    day = on or now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> list[Statement]:
        chain = locked(connection, [(FACILITY, provider_id, 0)])[FACILITY, provider_id, 0]
        found = _found(connection, provider_id, month, fund)
        waiting = [one.fund for one in found if one.state == "drawn"]
        if waiting:
            raise ConflictError(
                "statement_state", f"{provider_id} has not agreed to {month} for {', '.join(waiting)}; agree first"
            )
        paid = [one for one in found if one.state == "agreed"]
        drafts = [
            Draft("clearing", None, day, _said(one), {"cleared": one.amount_fen}, postings.of_clearing(one.amount_fen))
            for one in paid
        ]
        if drafts:
            ids = append(connection, chain, drafts, books.stamp(actor, now))
            for one, entry_id in zip(paid, ids, strict=True):
                values = {"state": "cleared", "cleared_at": now, "cleared_by": actor.login, "cleared_entry": entry_id}
                connection.execute(sa.update(statement).where(statement.c.id == one.id).values(values))
            audit.record(connection, actor, "clear_statement", detail=f"{provider_id} {month} {fund or 'all'}", now=now)
        return statements(connection, month=month, provider_id=provider_id, fund=fund)

    return books.store.attempt(work)


def statements(
    connection: sa.Connection, *, month: str | None = None, provider_id: str | None = None, fund: str | None = None,
    state: str | None = None, after: tuple[str, str, str] | None = None, limit: int | None = None,
) -> list[Statement]:  # fmt: skip
    """List statements by month, provider and fund; None = all.

    `after` is the (month, provider, fund) from which to go on. Raises UsageError (`unknown_state`, `bad_month`).
    """
    if state is not None and state not in STATES:
        raise UsageError("unknown_state", f"a statement is {', '.join(STATES)}, not {state!r}")
    if month is not None:
        bounds_of(month)
    asked = sa.select(*(statement.c[one.name] for one in fields(Statement))).order_by(*_ORDER)
    wanted = {"month": month, "provider_id": provider_id, "fund": fund, "state": state}
    for name, value in wanted.items():
        if value is not None:
            asked = asked.where(statement.c[name] == value)
    if after is not None:
        asked = asked.where(sa.tuple_(*_ORDER) > sa.tuple_(*(sa.literal(part) for part in after)))
    return [Statement(*row) for row in connection.execute(asked.limit(limit))]


def pending(
    connection: sa.Connection, *, provider_id: str | None = None, until: datetime | None = None
) -> list[Pending]:
    """Say what stands on no statement yet, posted before a moment (None = all); PEOPLE and NOBODY are providers too."""
    clauses = [_unlisted(entry.c.id)]
    if until is not None:
        clauses.append(entry.c.posted_at < until)
    found = _sums(connection, [*clauses, *_of_provider(provider_id)])
    return [Pending(provider, fund, *sums) for (provider, fund), sums in sorted(found.items())]


def doubtful(connection: sa.Connection) -> list[tuple[Statement, str]]:
    """Count every statement again from its entries, and list those that say something else, each with a code.

    `amounts_differ`: its numbers do not follow from the entries that stand on it; `clearing_differs`: it is cleared
    without the entry of its amount, or has one without being cleared. `medfloor.store.chain.verify` proves the entries.
    """
    found = []
    counted: dict[tuple[str, str], dict[str, list[int]]] = {}
    paid = (
        sa.select(posting.c.entry_id, posting.c.amount_fen)
        .join(entry, entry.c.id == posting.c.entry_id)
        .where(posting.c.party == "advance", entry.c.kind == "clearing")
    )
    cleared = {row.entry_id: row.amount_fen for row in connection.execute(paid)}
    for one in statements(connection):
        key = one.provider_id, one.month
        if key not in counted:
            counted[key] = {fund: sums for (_, fund), sums in _sums(connection, [_on(*key)]).items()}
        if counted[key].get(one.fund) != [getattr(one, name) for name in _SUMS]:
            found.append((one, "amounts_differ"))
        told = None if one.cleared_entry is None else cleared.get(one.cleared_entry, 0)
        if (one.state == "cleared") != (told is not None) or told not in (None, one.amount_fen):
            found.append((one, "clearing_differs"))
    return found


def lines_of(connection: sa.Connection, provider_id: str, month: str, *, fund: str | None = None) -> list[Line]:
    """List the entries on a provider's statement of a month, in the order of posting; of one fund, or of all.

    Entries for which nothing was advanced are in the list of all funds, those of other funds are left out otherwise.
    Differences are not listed: they are the person's matter. Raises NotFoundError (`no_such_statement`).
    """
    _found(connection, provider_id, month, fund)
    found = advanced(connection, _on(provider_id, month))
    return [one for one in found if fund is None or one.amount_fen.get(fund)]


def advanced(connection: sa.Connection, *clauses: sa.ColumnElement[bool]) -> list[Line]:
    """List settling and reversing entries that meet clauses, each with what was advanced for each fund."""
    settled = entry.alias("settled")
    columns = (entry.c.id, entry.c.kind, entry.c.claim_id, claim.c.person_id, entry.c.settled_date, entry.c.posted_at)
    borne = sa.or_(posting.c.party.like("fund:%"), posting.c.party == "person")
    asked = (
        sa.select(*columns, posting.c.party, posting.c.amount_fen)
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        # A reversal takes back what its settlement advanced, whatever differences have made of the claim since.
        .join(settled, _settled_by(settled))
        .outerjoin(posting, sa.and_(posting.c.entry_id == settled.c.id, borne))
        .where(entry.c.kind.in_((*SETTLING, "reversal")), *clauses)
        .order_by(entry.c.posted_at, entry.c.id)
    )
    rows: dict[int, Any] = {}
    row: Any
    amounts: dict[int, dict[str, int]] = {}
    for row in connection.execute(asked):
        rows[row.id] = row
        mine = amounts.setdefault(row.id, {})
        if row.party is not None:
            mine[row.party.removeprefix("fund:")] = -row.amount_fen if row.kind == "reversal" else row.amount_fen
    found = []
    for number, mine in amounts.items():
        said = rows[number]
        own = mine.pop("person", 0)
        found.append(
            Line(number, said.kind, said.claim_id, said.person_id, said.settled_date, said.posted_at, own, mine)
        )
    return found


def of_month(connection: sa.Connection, provider_id: str, month: str) -> list[sa.ColumnElement[bool]]:
    """Give the clauses that find the entries which stand on a statement, or would if it were drawn now."""
    _, ends = bounds_of(month)
    drawn = _drawn(connection, provider_id)
    if month in drawn:
        return [_on(provider_id, month)]
    first = month
    while month_before(first) in drawn:
        first = month_before(first)
    # What was posted in a month after its statement had been drawn belongs to this one.
    return [
        _unlisted(entry.c.id), entry.c.posted_at >= bounds_of(first)[0], entry.c.posted_at < ends,
        *_of_provider(provider_id),
    ]  # fmt: skip


def bounds_of(month: str) -> tuple[datetime, datetime]:
    """Give the first moment of a month and that after its last, by the clock of China. Raises UsageError (`bad_month`).

    >>> begins, ends = bounds_of("2024-02")
    >>> begins.isoformat(), ends.isoformat()
    ('2024-01-31T16:00:00+00:00', '2024-02-29T16:00:00+00:00')
    """
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", month)
    if found is None or not 1990 <= int(found[1]) <= 2200:
        raise UsageError("bad_month", "a month is written YYYY-MM, such as 2024-03, from 1990 to 2200")
    year, number = int(found[1]), int(found[2])
    begins = datetime(year, number, 1, tzinfo=OFFICE_ZONE)
    ends = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=OFFICE_ZONE)
    return begins.astimezone(UTC), ends.astimezone(UTC)


def month_of(moment: datetime) -> str:
    """Give the month in which a moment lies, by the clock of China.

    >>> month_of(datetime(2024, 1, 31, 17, 0, tzinfo=UTC))
    '2024-02'
    """
    return moment.astimezone(OFFICE_ZONE).strftime("%Y-%m")


def month_before(month: str) -> str:
    """Give the month before one.

    >>> month_before("2024-01")
    '2023-12'
    """
    return month_of(bounds_of(month)[0] - timedelta(days=1))


def _draw(connection: sa.Connection, provider_id: str, month: str, actor: Actor, now: datetime) -> None:
    """Draw what is pending of one provider, month by month, under the lock of its account."""
    _, ends = bounds_of(month)
    mine = [_unlisted(entry.c.id), entry.c.posted_at < ends, *_of_provider(provider_id)]
    if _first_pending(connection, mine) is None:
        return
    locked(connection, [(FACILITY, provider_id, 0)])
    first = _first_pending(connection, mine)
    drawn = _drawn(connection, provider_id)
    if first is None or month in drawn:
        return
    open_months = [one for one in _months(month_of(first), month) if one not in drawn]
    for one in open_months:
        values = sa.select(entry.c.id, sa.literal(provider_id), sa.literal(one)).join(
            claim, claim.c.claim_id == entry.c.claim_id
        )
        taken = values.where(
            entry.c.kind.in_(COUNTED), _unlisted(entry.c.id), entry.c.posted_at < bounds_of(one)[1],
            *_of_provider(provider_id),
        )  # fmt: skip
        names = ["entry_id", "provider_id", "month"]
        if not connection.execute(sa.insert(statement_line).from_select(names, taken)).rowcount:
            continue
        rows = [
            {
                "provider_id": provider_id, "month": one, "fund": fund, "state": "drawn", "drawn_at": now,
                "drawn_by": actor.login, **dict(zip(_SUMS, sums, strict=True)),
            }
            for (_, fund), sums in sorted(_sums(connection, [_on(provider_id, one)]).items())
        ]  # fmt: skip
        if rows:
            connection.execute(sa.insert(statement), rows)
        audit.record(connection, actor, "draw_statement", detail=f"{provider_id} {one}", now=now)


_SUMS = ("claims", "reversals", "amount_fen", "differences", "difference_fen")

_ORDER = (statement.c.month, statement.c.provider_id, statement.c.fund)

# Written out, not bound: PostgreSQL takes two parameters of one value for two expressions.
_HOLDER = sa.case(
    (claim.c.paid_by == sa.literal_column("'person'"), sa.literal_column(f"'{PEOPLE}'")),
    (
        sa.or_(claim.c.provider_id.is_(None), claim.c.provider_id.like(sa.literal_column("'*%'"))),
        sa.literal_column(f"'{NOBODY}'"),
    ),
    else_=claim.c.provider_id,
)
"""On whose statement a claim stands."""


def _of_provider(provider_id: str | None) -> list[sa.ColumnElement[bool]]:
    if provider_id is None:
        return []
    if provider_id.startswith("*"):
        return [_HOLDER.in_([provider_id])]
    return [claim.c.provider_id == provider_id, claim.c.paid_by != "person"]


def _on(provider_id: str, month: str) -> sa.ColumnElement[bool]:
    """Find the entries that stand on a statement."""
    listed = sa.select(statement_line.c.entry_id).where(
        statement_line.c.provider_id == provider_id, statement_line.c.month == month
    )
    return entry.c.id.in_(listed)


def _unlisted(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(statement_line.c.entry_id == column)


def _settled_by(settled: Any) -> sa.ColumnElement[bool]:
    """Join an entry with the one that settled its claim: itself, or for a reversal the entry that it names."""
    return sa.and_(
        settled.c.account_id == entry.c.account_id,
        settled.c.number == sa.case((entry.c.kind == "reversal", entry.c.cause), else_=entry.c.number),
    )


def _with_pending(connection: sa.Connection, until: datetime) -> list[str]:
    asked = (
        sa.select(_HOLDER.label("holder"))
        .select_from(entry.join(claim, claim.c.claim_id == entry.c.claim_id))
        .where(entry.c.kind.in_(COUNTED), entry.c.posted_at < until, _unlisted(entry.c.id))
        .distinct()
    )
    return sorted(connection.execute(asked).scalars())


def _first_pending(connection: sa.Connection, clauses: Sequence[sa.ColumnElement[bool]]) -> datetime | None:
    asked = (
        sa.select(entry.c.posted_at)
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        .where(entry.c.kind.in_(COUNTED), *clauses)
        .order_by(entry.c.posted_at)
        .limit(1)
    )
    return connection.execute(asked).scalar()


def _drawn(connection: sa.Connection, provider_id: str) -> frozenset[str]:
    """Give the months that were drawn: also those in which no fund paid anything, which leave no statement."""
    asked = sa.select(statement_line.c.month).where(statement_line.c.provider_id == provider_id).distinct()
    return frozenset(connection.execute(asked).scalars())


def _months(first: str, last: str) -> Iterable[str]:
    month = first
    while month <= last:
        yield month
        month = month_of(bounds_of(month)[1])


def _sums(connection: sa.Connection, clauses: Sequence[sa.ColumnElement[bool]]) -> dict[tuple[str, str], list[int]]:
    """Sum entries by holder and fund: claims, reversals, advanced, differences, moved between fund and person."""
    settled = entry.alias("settled")
    found: dict[tuple[str, str], list[int]] = {}

    def add(kinds: Sequence[str], of: Any, take: Callable[[list[int], int, int], None]) -> None:
        source = entry.join(claim, claim.c.claim_id == entry.c.claim_id)
        if of is settled:
            source = source.join(settled, _settled_by(settled))
        asked = (
            sa.select(_HOLDER.label("holder"), posting.c.party, sa.func.count(), sa.func.sum(posting.c.amount_fen))
            .select_from(source.join(posting, posting.c.entry_id == of.c.id))
            .where(entry.c.kind.in_(kinds), posting.c.party.like("fund:%"), *clauses)
            .group_by(_HOLDER, posting.c.party)
        )
        for holder, party, count, fen in connection.execute(asked):
            take(found.setdefault((holder, party.removeprefix("fund:")), [0, 0, 0, 0, 0]), count, int(fen))

    def claims(sums: list[int], count: int, fen: int) -> None:
        sums[0] += count
        sums[2] += fen

    def back(sums: list[int], count: int, fen: int) -> None:
        sums[1] += count
        sums[2] -= fen
        sums[4] += fen

    def moved(sums: list[int], count: int, fen: int) -> None:
        sums[3] += count
        sums[4] += fen

    def ended(sums: list[int], count: int, fen: int) -> None:
        # A reversal takes back from the fund what the claim stands at; what is beyond its advance had been moved.
        sums[4] += fen

    add(SETTLING, entry, claims)
    add(["reversal"], settled, back)
    add(["difference"], entry, moved)
    add(["reversal"], entry, ended)
    return found


def _found(connection: sa.Connection, provider_id: str, month: str, fund: str | None) -> list[Statement]:
    found = statements(connection, month=month, provider_id=provider_id, fund=fund)
    if not found:
        what = "" if fund is None else f" for {fund}"
        raise NotFoundError("no_such_statement", f"no statement of {provider_id} for {month}{what} has been drawn")
    return found


def _locked(connection: sa.Connection, provider_id: str, month: str, fund: str | None) -> list[Statement]:
    """Find statements under the lock of their facility's account."""
    _found(connection, provider_id, month, fund)
    locked(connection, [(FACILITY, provider_id, 0)])
    return _found(connection, provider_id, month, fund)


def _items_open(connection: sa.Connection, provider_id: str, month: str) -> bool:
    item = reconciliation_item
    asked = sa.select(item.c.id).where(item.c.provider_id == provider_id, item.c.month == month, item.c.state == "open")
    return connection.execute(asked.limit(1)).first() is not None


def _said(one: Statement) -> dict[str, Any]:
    return {
        "provider": one.provider_id, "month": one.month, "fund": one.fund, "amount": one.amount_fen,
        "claims": one.claims, "reversals": one.reversals,
    }  # fmt: skip
