"""Say what enrolling costs and who pays it; list the insured poor, and the poor who are not enrolled (seed 003)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from medfloor.errors import MissingValueError, UsageError
from medfloor.periods import age_on
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Policy
from medfloor.policy.premiums import PremiumDue, premium_for
from medfloor.settlement.scope import class_by_rule
from medfloor.store import schema
from medfloor.store.departments import in_law
from medfloor.store.history import chunks, holding
from medfloor.store.register import Known, known


@dataclass(frozen=True, slots=True)
class Standing:
    """Be who enrols: what is known of the person, the day that counts, the benefit year, the class if it is said."""

    person: Known
    day: date
    benefit_year: int
    insured_class: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Be what is due, in fen: `premium_fen` of the class, of which assistance pays `subsidy_fen` for `subsidy_group`.

    `subsidy_fen` is 0 for who holds no status, and None where the law names no amount for the statuses held.
    """

    premium_fen: int
    subsidy_fen: int | None
    subsidy_group: str | None


def dues(policies: PolicySet, asked: Sequence[Standing]) -> list[Due | None]:
    """Say what the law asks of each; None where it has no row for the year and class, or its amount was not published.

    A row on a status names what the person pays and what is paid of it: the premium is both together. The subsidy of
    an ordinary row is the treasury's to the fund and no part of a person's premium, so that it does not count here.
    """
    kept: dict[tuple[object, ...], Due | None] = {}
    out = []
    for one in asked:
        fact = one.person.fact(one.day)
        age = None if fact is None or fact.birth_date is None else age_on(fact.birth_date, one.day)
        held = frozenset(
            name
            for status in one.person.statuses
            if status.span.holds(one.day)
            for name in in_law(status.group, status.detail)
        )
        sex, residence = (fact.sex, fact.residence) if fact else (None, None)
        key = (one.insured_class, one.benefit_year, age, sex, residence, held)
        if key not in kept:
            kept[key] = _due(policies, one.insured_class, one.benefit_year, age, sex, residence, held)
        out.append(kept[key])
    return out


def _due(
    policies: PolicySet,
    insured_class: str | None,
    benefit_year: int,
    age: int | None,
    sex: str | None,
    residence: str | None,
    held: frozenset[str],
) -> Due | None:
    for policy in reversed(policies.versions):
        if not any(row.benefit_year == benefit_year for row in policy.premiums):
            continue
        named = insured_class or class_by_rule(policy, age, sex)
        found = _row(policy, named, held, benefit_year, age, residence)
        if found is None:
            continue
        status = found.row.when is not None and bool(found.row.when.group or found.row.when.holds)
        if not status:
            return Due(found.personal_fen, None if held else 0, None)
        subsidy = found.subsidy_fen or 0
        group = next(
            (g for g in sorted(held) if _same(_row(policy, named, {g}, benefit_year, age, residence), found)), None
        )
        return Due(found.personal_fen + subsidy, subsidy, group)
    return None


def _row(
    policy: Policy, insured_class: str, held: Iterable[str], benefit_year: int, age: int | None, residence: str | None
) -> PremiumDue | None:
    try:
        return premium_for(policy, insured_class, held, benefit_year=benefit_year, age=age, residence=residence)
    except (UsageError, MissingValueError):
        return None


def _same(one: PremiumDue | None, other: PremiumDue) -> bool:
    return one is not None and one.row is other.row


@dataclass(frozen=True, slots=True)
class PoorPerson:
    """Be someone who holds a status on a day: which, where, in which household, and how insured (scheme None = not)."""

    person_id: str
    place: str
    household_id: str | None
    groups: tuple[str, ...]
    scheme: str | None
    premium_fen: int | None
    subsidy_fen: int | None
    subsidy_group: str | None
    paid_on: date | None

    @property
    def is_enrolled(self) -> bool:
        """Say whether the person is enrolled on the day."""
        return self.scheme not in (None, "none")


def poor_people(
    connection: sa.Connection, day: date, *, place: str = "", groups: Iterable[str] | None = None
) -> list[PoorPerson]:
    """List who holds a status on a day, in the order of ids: within a place (its code's beginning), of some groups.

    Who has died by the day is left out.
    """
    spell, facts = schema.spell, schema.person_fact
    asked = sa.select(spell.c.person_id).distinct().where(spell.c.known_to.is_(None), holding(spell, day))
    if groups is not None:
        asked = asked.where(spell.c.group.in_(sorted(groups)))
    if place:
        asked = asked.join(facts, facts.c.person_id == spell.c.person_id).where(
            facts.c.known_to.is_(None), holding(facts, day), facts.c.place.startswith(place, autoescape=True)
        )
    ids = sorted(connection.execute(asked).scalars())
    out = []
    for chunk in chunks(ids):
        for person_id, one in known(connection, chunk).items():
            fact, enrolled = one.fact(day), one.enrolment(day)
            if fact is not None and fact.deceased_on is not None and fact.deceased_on < day:
                continue
            out.append(
                PoorPerson(
                    person_id,
                    fact.place if fact else "",
                    fact.household_id if fact else None,
                    tuple(sorted({status.group for status in one.statuses if status.span.holds(day)})),
                    enrolled.scheme if enrolled else None,
                    enrolled.premium_fen if enrolled else None,
                    enrolled.subsidy_fen if enrolled else None,
                    enrolled.subsidy_group if enrolled else None,
                    enrolled.paid_on if enrolled else None,
                )
            )
    return sorted(out, key=lambda one: one.person_id)
