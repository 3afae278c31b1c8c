"""Say what a person's next bill would cost, without settling it, and whether a cliff is near.

The answer is that of a pre-settlement on top of the person's year. Nothing is written to the ledger; that somebody
looked is traced as always.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from medfloor.errors import MissingValueError
from medfloor.periods import OFFICE_ZONE, benefit_year
from medfloor.service.access import Acting
from medfloor.service.looking import look, within
from medfloor.service.running import Running
from medfloor.service.settling import books_of
from medfloor.settlement.gauges import Gauge, gauges
from medfloor.settlement.scope import Visit, facts_of
from medfloor.store import accounts, ledger
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.register import known
from medfloor.tables import CARE_TYPES

NEAR_SHARE, NEAR_FEN = 0.3, 1_000_000
"""A cliff is told within three tenths of the bill, and within ten thousand yuan of a small one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Be the bill that is asked about, in fen; all of it lies in the scope but for `outside_fen`."""

    care_type: str
    facility_level: str
    total_fen: int
    outside_fen: int
    day: date
    area: str = "local"
    referral: str = "regular"


@dataclass(frozen=True, slots=True)
class Cliff:
    """Be a total after which one fen more changes what the patient bears by a jump."""

    at_fen: int
    before_fen: int
    after_fen: int

    @property
    def jump_fen(self) -> int:
        """Give by how much the patient's part jumps; below zero it falls."""
        return self.after_fen - self.before_fen


@dataclass(frozen=True, slots=True)
class Outlook:
    """Be what the next bill would cost: payments by tier in the order of payment, the patient's part, a near cliff."""

    asked: Asked
    payments_fen: Mapping[str, int]
    own_in_scope_fen: int
    own_outside_fen: int
    deductible_fen: int
    benefit_year: int
    cliff: Cliff | None

    @property
    def own_total_fen(self) -> int:
        """Give the patient's part."""
        return self.own_in_scope_fen + self.own_outside_fen


def next_bill(run: Running, acting: Acting, person_id: str, asked: Asked) -> Outlook:
    """Say what a bill would cost a person, on top of what the year has used.

    Raises NotFoundError (`no_such_person`), and what a pre-settlement is refused with.
    """
    books = books_of(run)

    def check(connection: sa.Connection) -> tuple[None, list[str]]:
        return None, within(connection, acting, [person_id])

    look(run, acting, "next_bill", check)
    posted = _presettled(books, acting, person_id, asked, asked.total_fen)
    amounts = posted.amounts
    return Outlook(
        asked, {**dict.fromkeys(books.law.layout.tiers, 0), **amounts.pay}, amounts.own_in_scope_fen,
        amounts.own_outside_fen, amounts.deductible_fen, posted.benefit_year,
        _cliff(books, acting, person_id, asked),
    )  # fmt: skip


def gauges_of(
    connection: sa.Connection, books: Books, person_id: str, year: int, day: date, *, facility_level: str = "3"
) -> tuple[Gauge, ...]:
    """Give how far a person's year has come towards the deductibles and caps that hold for them on a day.

    Kinds of care for which the law lacks a number are left out; a day outside of all versions gives none.
    """
    index = books.law.policies.index_on(day)
    one = known(connection, [person_id]).get(person_id)
    if index is None or one is None:
        return ()
    policy = books.law.policies.versions[index]
    rules = {}
    for care_type in CARE_TYPES:
        visit = Visit(care_type, facility_level, day, day, day)
        facts = facts_of(policy, visit, one.person(day), one.spells())
        try:
            rules[care_type] = books.rulings.of(index, facts)[0]
        except MissingValueError:
            continue
    found = accounts.of_person(connection, person_id, year)
    used: dict[str, int] = {}
    for name, value in (found.counters if found else {}).items():
        plain, at, owner = name.partition("@")
        if not at or owner == person_id:
            used[plain] = value
    return gauges(policy, rules, used)


def today(acting: Acting) -> date:
    """Give the day in the office."""
    return acting.now.astimezone(OFFICE_ZONE).date()


def year_on(books: Books, day: date) -> int:
    """Give the benefit year of care on a day, by the version in force then, or the last one."""
    versions = books.law.policies.versions
    index = books.law.policies.index_on(day)
    return benefit_year(day, versions[-1 if index is None else index].benefit_year.first_day)


def day_in(books: Books, year: int, today: date) -> date:
    """Give the day on which a next bill of a benefit year is thought of: today, or the last day of another year."""
    if year_on(books, today) == year:
        return today
    month, first = books.law.policies.versions[-1].benefit_year.first_day
    return date(year + 1, month, first) - timedelta(days=1)


def _presettled(books: Books, acting: Acting, person_id: str, asked: Asked, total_fen: int) -> ledger.Posted:
    outside = min(asked.outside_fen, total_fen)
    bill = Bill(
        # A name that no claim has: the ledger refuses one that was settled.
        claim_id=f"next.{secrets.token_hex(8)}", person_id=person_id, care_type=asked.care_type,
        facility_level=asked.facility_level, start_date=asked.day, end_date=asked.day, settled_date=asked.day,
        total_fen=total_fen, in_scope_fen=total_fen - outside, off_catalogue_fen=outside, area=asked.area,
        referral=asked.referral,
    )  # fmt: skip
    request = ledger.Request(bill, by=acting.actor, within=True)
    (found,) = ledger.presettle(books, [request], actor=acting.actor, now=acting.now)
    if isinstance(found, ledger.Refused):
        raise found.error
    return found


def _cliff(books: Books, acting: Acting, person_id: str, asked: Asked) -> Cliff | None:
    """Find the nearest total at which the law changes its mind: only conditions on the total make a bill jump."""
    reach = max(int(asked.total_fen * NEAR_SHARE), NEAR_FEN)
    near = [one for one in books.law.dimensions.total_fen if abs(one - asked.total_fen) <= reach]
    for bound in sorted(near, key=lambda one: abs(one - asked.total_fen)):
        before, after = (
            _presettled(books, acting, person_id, asked, fen).amounts.own_total_fen for fen in (bound - 1, bound)
        )
        # Rounding alone may move it by some fen.
        if abs(after - before) > 100:
            return Cliff(bound - 1, before, after)
    return None
