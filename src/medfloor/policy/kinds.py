"""List the kinds of claims that a tier tells apart, so that gaps and overlaps in its conditions can be found.

A kind is one choice for everything that the tier's conditions ask about: care type and facility level always, the rest
where a condition names it; ages, years and totals at, below and above every bound that a condition names.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from medfloor.policy.model import Policy, Range, Tier, When
from medfloor.policy.numbers import conditions_of
from medfloor.policy.resolve import NO_STATUS, Facts
from medfloor.policy.wording import group_name
from medfloor.tables import (
    AREAS,
    CARE_TYPES,
    FACILITY_LEVELS,
    INSURED_CLASSES,
    REFERRALS,
    RESIDENCES,
    SCHEMES,
    SEXES,
)
from medfloor.words import join, say

MOST = 30_000
"""How many kinds are looked at for one tier; beyond it a fixed sample of them is."""

_CODES: dict[str, tuple[str, ...]] = {
    "care_type": CARE_TYPES,
    "facility_level": FACILITY_LEVELS,
    "area": AREAS,
    "referral": REFERRALS,
    "scheme": SCHEMES,
    "insured_class": INSURED_CLASSES,
    "residence": RESIDENCES,
    "sex": SEXES,
}
_USUAL = {"area": "local", "referral": "regular", "scheme": "resident"}
_MOST_EXTRA_STATUSES = 3


@dataclass(frozen=True)
class Kind:
    """Be one kind of claim: its facts, the status that the tier uses, and what it is told apart by."""

    facts: Facts
    group: str
    apart: tuple[tuple[str, Any], ...]

    def without(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Give what tells the kind apart but for one thing."""
        return tuple(pair for pair in self.apart if pair[0] != name)

    def said(self, policy: Policy, lang: str) -> str:
        """Describe the kind by everything that is not as usual."""
        words = []
        for name, value in self.apart:
            if name in _CODES and value != _USUAL.get(name):
                words.append(say(f"{name}.{value}", lang))
            elif name == "held" and value:
                words.append(join([group_name(policy, group, lang) for group in value], lang))
            elif name in ("age", "continuous_years", "claim_free_years"):
                words.append(say(f"when.{name}", lang, range=value))
            elif name == "total_fen":
                words.append(say("when.total", lang, range=f"{value / 100:,.2f}"))
            elif name == "diagnosis" and value:
                words.append(say("when.diagnosis", lang, codes=value))
            elif name == "family_doctor" and value:
                words.append(say("when.family_doctor_yes", lang))
        return join(words, lang)


def kinds_of(policy: Policy, tier: Tier, year: int) -> list[Kind]:
    """List the kinds of claims that a tier tells apart, in a fixed order.

    `year` is the benefit year whose series values count.

    >>> from medfloor.policy.load import load_policy
    >>> policy = load_policy("cn/beijing@2018-01-01").versions[0]
    >>> len(kinds_of(policy, policy.tiers[1], 2018))
    16
    """
    pots = [pot for pot in policy.pots if any(pot.id in part.pots for part in tier.parts)]
    conditions = [*conditions_of(tier), *conditions_of(pots)]
    choices: dict[str, Sequence[Any]] = {}
    for name, codes in _CODES.items():
        if name in ("care_type", "facility_level") or any(getattr(when, name) is not None for when in conditions):
            choices[name] = codes
    for name in ("age", "continuous_years", "claim_free_years"):
        points = _points((getattr(when, name) for when in conditions), Decimal(1))
        if points:
            choices[name] = [int(point) for point in points]
    totals = _points((when.total for when in conditions), Decimal("0.01"))
    if totals:
        choices["total_fen"] = [int(point * 100) for point in totals]
    if any(when.family_doctor is not None for when in conditions):
        choices["family_doctor"] = (False, True)
    codes_named = {code for when in conditions for code in when.diagnosis or ()}
    if codes_named:
        choices["diagnosis"] = ("", *sorted(codes_named))
    choices["held"] = _held(tier, conditions)
    return [kind for values in _combinations(choices) if (kind := _kind(tier, dict(values), year)) is not None]


def _combinations(choices: dict[str, Sequence[Any]]) -> Iterable[tuple[tuple[str, Any], ...]]:
    size = 1
    for values in choices.values():
        size *= len(values)
    if size <= MOST:
        for row in itertools.product(*choices.values()):
            yield tuple(zip(choices, row, strict=True))
        return
    # The same sample every time, so that a check finds the same twice.
    chance = random.Random(0)
    for _ in range(MOST):
        yield tuple((name, chance.choice(values)) for name, values in choices.items())


def _kind(tier: Tier, values: dict[str, Any], year: int) -> Kind | None:
    """Make a kind; None where a class and an age cannot go together."""
    age = values.get("age")
    if age is not None:
        insured_class = values.get("insured_class")
        if (insured_class == "student_child" and age >= 60) or (insured_class == "elderly" and age < 45):
            return None
    held = frozenset(values["held"])
    facts = {name: value for name, value in values.items() if name != "held"}
    facts.setdefault("sex", None)
    return Kind(
        Facts(**facts, benefit_year=year, held=dict.fromkeys(("any_day", "start", "end", "settled"), held)),
        next((group for group in tier.prefer if group in held), NO_STATUS),
        tuple(values.items()),
    )


def _held(tier: Tier, conditions: list[When]) -> list[tuple[str, ...]]:
    """List the statuses to try: none, each preferred one, and with each the statuses that conditions name apart."""
    apart = {group for when in conditions for group in (*(when.holds or ()), *(when.lacks or ()))}
    extras = sorted(apart - set(tier.prefer))
    subsets: list[tuple[str, ...]] = [()]
    if len(extras) <= _MOST_EXTRA_STATUSES:
        for count in range(1, len(extras) + 1):
            subsets.extend(itertools.combinations(extras, count))
    else:
        subsets.extend((extra,) for extra in extras)
    return [(*used, *more) for used in ((), *((group,) for group in tier.prefer)) for more in subsets]


def _points(asked: Iterable[Range | None], step: Decimal) -> list[Decimal]:
    """List the values at, just below and just above every bound."""
    bounds = {
        bound
        for one in asked
        if one is not None
        for bound in (one.at_least, one.over, one.at_most, one.under)
        if bound is not None
    }
    return sorted({max(Decimal(0), bound + shift) for bound in bounds for shift in (-step, Decimal(0), step)})
