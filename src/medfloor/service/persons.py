"""Make answers about people of what register and ledger know: masked, as of a day, as known at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from medfloor.periods import OPEN_END, Span
from medfloor.service.bodies.people import (
    EnrolmentAnswer,
    EntryAnswer,
    HouseholdAnswer,
    MemberYear,
    PersonAnswer,
    SpellAnswer,
    YearAnswer,
)
from medfloor.service.looking import no_person
from medfloor.service.settling import policy_name
from medfloor.store import accounts
from medfloor.store.keys import Keyring
from medfloor.store.ledger import Line, YearView, year_of
from medfloor.store.register import DAWN, Known, household_on, identity_of, known
from medfloor.store.schema import claim, entry, posting, spell

ENTRIES_MOST = 500
"""So many entries of a year are listed at most; a year with more is rare and its sums are whole all the same."""


def person_answer(
    connection: sa.Connection, keyring: Keyring, person_id: str, *, day: date, known_at: datetime | None, now: datetime
) -> PersonAnswer:
    """Give a person as known at a moment (None = now), with the facts of a day.

    Raises NotFoundError (`no_such_person`).
    """
    found = known(connection, [person_id], known_at).get(person_id)
    if found is None or (known_at is not None and not (found.facts or found.enrolments or found.statuses)):
        raise no_person()
    fact = found.fact(day)
    lasting = found.person(day)
    shown = identity_of(connection, keyring, person_id).masked()
    return PersonAnswer.model_validate(
        {
            "person_id": person_id,
            "name": shown.name,
            "identity_number": shown.identity_number,
            "birth_date": lasting.birth_date,
            "sex": lasting.sex,
            "residence": fact.residence if fact else None,
            "household_id": fact.household_id if fact else None,
            "place": fact.place if fact else "",
            "family_doctor": fact.family_doctor if fact else None,
            "deceased_on": fact.deceased_on if fact else None,
            "enrolments": enrolments_of(found),
            "spells": spells_of(found, _spell_numbers(connection, person_id)),
            "day": day,
            "known_at": known_at or now,
        }
    )


def enrolments_of(found: Known) -> list[EnrolmentAnswer]:
    """List the enrolments of a person in order of days."""
    return [
        EnrolmentAnswer(
            benefit_year=one.benefit_year,
            scheme=one.scheme,
            insured_class=one.insured_class,
            continuous_years=one.continuous_years,
            claim_free_years=one.claim_free_years,
            premium_fen=one.premium_fen,
            subsidy_fen=one.subsidy_fen,
            subsidy_group=one.subsidy_group,
            paid_on=one.paid_on,
            valid_from=first_day(one.span),
            valid_to=last_day(one.span),
        )
        for one in sorted(found.enrolments, key=lambda one: one.span.start)
    ]


def spells_of(found: Known, numbers: Mapping[tuple[str, date], int]) -> list[SpellAnswer]:
    """List the statuses of a person in order of days, each with the number of its record while it is believed."""
    return [
        SpellAnswer(
            spell=numbers.get((one.group, one.span.start)),
            group=one.group,
            detail=one.detail,
            from_date=first_day(one.span),
            to_date=last_day(one.span),
            source=one.source,
            recognised_by=one.recognised_by,
            recognised_on=one.recognised_on,
            evidence=one.evidence,
        )
        for one in sorted(found.statuses, key=lambda one: (one.span.start, one.group))
    ]


def year_answer(connection: sa.Connection, person_id: str, year: int, tiers: Sequence[str] = ()) -> YearAnswer:
    """Give a person's benefit year with its entries; a year without any is a year of zeros.

    `tiers` are those of the policy in use, in the order of payment.
    """
    view = year_of(connection, person_id, year)
    if view is None:
        return YearAnswer(
            person_id=person_id, benefit_year=year, claims=0, total_fen=0, payments_fen=dict.fromkeys(tiers, 0),
            pay_total_fen=0, own_total_fen=0, deductible_fen=0, counters={},
        )  # fmt: skip
    payments = dict.fromkeys(tiers, 0)
    for line in view.lines:
        for tier, fen in line.now.pay.items():
            payments[tier] = payments.get(tier, 0) + fen
    return YearAnswer(
        person_id=person_id,
        benefit_year=year,
        policy=None if view.policy is None else policy_name(view.policy),
        claims=len(view.lines),
        total_fen=sum(line.bill.total_fen for line in view.lines),
        payments_fen=payments,
        pay_total_fen=sum(payments.values()),
        own_total_fen=sum(line.now.own_total_fen for line in view.lines),
        deductible_fen=sum(line.now.deductible_fen for line in view.lines),
        counters=_own_counters(view, person_id),
        entries=_entries(connection, person_id, year),
    )


def household_answer(
    connection: sa.Connection, keyring: Keyring, household_id: str, members: Sequence[str], *, day: date, year: int
) -> HouseholdAnswer:
    """Give a household with the members given and what the year cost them.

    Raises NotFoundError (`no_such_household`).
    """
    home = household_on(connection, household_id, day)
    listed = known(connection, members)
    rows = []
    for one in members:
        found, view = listed[one], year_of(connection, one, year)
        person = found.person(day)
        lines = view.lines if view else ()
        rows.append(
            MemberYear(
                person_id=one,
                name=identity_of(connection, keyring, one).masked().name,
                birth_date=person.birth_date,
                sex=person.sex,
                groups=sorted({status.group for status in found.statuses if status.span.holds(day)}),
                claims=len(lines),
                total_fen=sum(line.bill.total_fen for line in lines),
                pay_total_fen=sum(line.now.pay_total_fen for line in lines),
                own_total_fen=sum(line.now.own_total_fen for line in lines),
                payments_fen=_paid_by_tier(lines),
            )
        )
    return HouseholdAnswer(
        household_id=household_id,
        place=home.place,
        size=home.size,
        income_fen=home.income_fen,
        consumption_fen=home.consumption_fen,
        benefit_year=year,
        total_fen=sum(row.total_fen for row in rows),
        pay_total_fen=sum(row.pay_total_fen for row in rows),
        own_total_fen=sum(row.own_total_fen for row in rows),
        members=rows,
    )


def first_day(span: Span) -> date | None:
    """Give the first day of a span; None = since ever."""
    return None if span.start == DAWN else span.start


def last_day(span: Span) -> date | None:
    """Give the last day of a span; None while it runs."""
    return None if span.end >= OPEN_END else span.end - timedelta(days=1)


def _paid_by_tier(lines: Sequence[Line]) -> dict[str, int]:
    paid: dict[str, int] = {}
    for line in lines:
        for tier, fen in line.now.pay.items():
            paid[tier] = paid.get(tier, 0) + fen
    return paid


def _spell_numbers(connection: sa.Connection, person_id: str) -> dict[tuple[str, date], int]:
    """Give the numbers of the records that are believed now, by group and first day."""
    rows = connection.execute(
        sa.select(spell.c.group, spell.c.valid_from, spell.c.id).where(
            spell.c.person_id == person_id, spell.c.known_to.is_(None)
        )
    )
    return {(group, start): number for group, start, number in rows}


def claim_entries(connection: sa.Connection, claim_id: str) -> list[EntryAnswer]:
    """List the entries of a claim in their order: settled, came out anew, taken back."""
    rows = connection.execute(sa.select(entry).where(entry.c.claim_id == claim_id).order_by(entry.c.id)).all()
    return _told(connection, rows)


def _own_counters(view: YearView, person_id: str) -> dict[str, int]:
    """Give the counters of a person; those of other members of a household stay out."""
    mine = {}
    for name, value in view.counters.items():
        plain, at, owner = name.partition("@")
        if not at or owner == person_id:
            mine[plain] = value
    return mine


def _entries(connection: sa.Connection, person_id: str, year: int) -> list[EntryAnswer]:
    found = accounts.of_person(connection, person_id, year)
    assert found is not None
    mine = sa.select(claim.c.claim_id).where(claim.c.account_id == found.id, claim.c.person_id == person_id)
    rows = connection.execute(
        sa.select(entry)
        .where(entry.c.account_id == found.id, entry.c.claim_id.in_(mine))
        .order_by(entry.c.number)
        .limit(ENTRIES_MOST)
    ).all()
    return _told(connection, rows)


def _told(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[EntryAnswer]:
    """Give entries with their postings."""
    parties: dict[int, dict[str, int]] = {}
    for entry_id, party, fen in connection.execute(
        sa.select(posting.c.entry_id, posting.c.party, posting.c.amount_fen)
        .where(posting.c.entry_id.in_([row.id for row in rows]))
        .order_by(posting.c.id)
    ):
        parties.setdefault(entry_id, {})[party] = fen
    return [
        EntryAnswer(
            number=row.number,
            kind=row.kind,
            claim_id=row.claim_id,
            settled_date=row.settled_date,
            posted_at=row.posted_at,
            posted_by=row.posted_by,
            policy=policy_name(row.policy),
            postings_fen=parties.get(row.id, {}),
            hash=row.hash,
        )
        for row in rows
    ]
