"""Follow one family through all tiers, before and after a reform, as its bill or its income changes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any, Literal, get_args

import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.result import name_of
from medfloor.periods import Span
from medfloor.policy.load import groups_of
from medfloor.policy.model import CareType, FacilityLevel, Policy
from medfloor.policy.resolve import Rules, resolve
from medfloor.settlement.reference import Account, Claim, settle_claim
from medfloor.settlement.scope import Person, Spell, Visit, facts_of
from medfloor.simulation.scenario import Scenario, scenario, scenarios_of
from medfloor.terminal import aligned
from medfloor.words import say

Vary = Literal["bill", "income"]
MOST = 1e12
"""Yuan; beyond it a double does not hold every fen."""

STEP_FEN = 100
"""How far a bill or an income moves to find out what one more yuan does."""

LEAST_JUMP_FEN = 5_000
"""A jump of 50 yuan and less between two neighbouring amounts is no cliff worth telling."""

_ALWAYS = Span(date.min, date.max)


@dataclass(frozen=True, slots=True)
class Family:
    """Be one family with one bill: the patient, the care, and what the family has.

    `status` holds the statuses of the patient all year. `lines` are income lines a head and year: below the first whose
    amount the income does not reach, the patient has its status instead (only where the income is varied). Amounts in
    yuan; `in_scope` is the share of the bill in the insurance's scope.
    """

    size: int = 3
    age: int = 45
    sex: str | None = None
    residence: str | None = None
    scheme: str = "resident"
    status: tuple[str, ...] = ()
    care_type: str = "inpatient"
    level: str = "3"
    area: str = "local"
    referral: str = "regular"
    in_scope: float = 0.8
    bill: float = 50_000.0
    income: float = 60_000.0
    lines: tuple[tuple[str, float], ...] = ()
    day: date = date(2024, 6, 1)

    def __post_init__(self) -> None:
        """Refuse a family that there cannot be."""
        amounts = (self.bill, self.income, *(line for _, line in self.lines))
        if not all(math.isfinite(one) and 0 <= one <= MOST for one in amounts):
            raise UsageError("bad_family", f"bill, income and lines of statuses lie between 0 and {MOST:,.0f} yuan")
        if self.care_type not in get_args(CareType) or self.level not in get_args(FacilityLevel):
            raise UsageError("bad_choice", f"there is no care {self.care_type!r} at level {self.level!r}")
        if not 0 <= self.in_scope <= 1:
            raise UsageError("bad_share", f"the in-scope share {self.in_scope:g} lies outside 0 and 1")
        if self.size < 1 or not 0 <= self.age <= 120 or self.bill < 0:
            raise UsageError("bad_family", "a family has at least one member, an age of 0 to 120, a bill of 0 or more")

    def held_at(self, income: float) -> tuple[str, ...]:
        """Say which statuses the patient holds at an income."""
        for name, line in sorted(self.lines, key=lambda pair: pair[1]):
            if income / self.size < line:
                return (name,)
        return self.status


@dataclass(frozen=True, slots=True)
class FamilyCliff:
    """Be a jump of the own part: from `at_fen` to one step more it goes from `before_fen` to `after_fen`."""

    scenario: str
    at_fen: int
    before_fen: int
    after_fen: int
    status_before: tuple[str, ...]
    status_after: tuple[str, ...]

    @property
    def jump_fen(self) -> int:
        """Give its height."""
        return self.after_fen - self.before_fen

    def text(self, lang: str) -> str:
        """Say it in one sentence."""
        values = {
            "scenario": _scenario_name(self.scenario, lang), "at": f"{self.at_fen / 100:,.2f}",
            "before": f"{self.before_fen / 100:,.2f}", "after": f"{self.after_fen / 100:,.2f}",
            "jump": f"{self.jump_fen / 100:+,.2f}",
        }  # fmt: skip
        if self.status_before == self.status_after:
            return say("household.cliff", lang, **values)
        first, second = (_status_name(one, lang) for one in (self.status_before, self.status_after))
        return say("household.income_cliff", lang, first=first, second=second, **values)


@dataclass(frozen=True, slots=True, eq=False)
class HouseholdCurve:
    """Be what one family bears under each law as one amount varies.

    `rows` has a row a scenario and amount, in yuan: scenario, amount (the bill, or the income), bill, status,
    pay_<tier> for each tier, own, marginal (of one more yuan of the bill, how much the family bears; null where that
    yuan makes a jump, which is among the cliffs), left (income less own) and share (own over income; null without
    income).
    """

    family: Family
    vary: Vary
    scenarios: tuple[Scenario, ...]
    tiers: tuple[str, ...]
    rows: pl.DataFrame
    cliffs: tuple[FamilyCliff, ...]

    def head(self, lang: str) -> list[str]:
        """Say of which family and which bill it is."""
        family = self.family
        told = say(
            "household.family", lang, size=family.size, age=family.age, care=say(f"care_type.{family.care_type}", lang),
            level=family.level, share=f"{100 * family.in_scope:g}", status=_status_name(family.status, lang),
        )  # fmt: skip
        return [told, say("household.note_first", lang, day=family.day), say("household.note_scope", lang)]

    def text(self, lang: str = "en", most: int = 12) -> str:
        """Tell it on a terminal: about so many amounts, each law beside the other, and the cliffs."""
        lines = [say("household.title", lang), *self.head(lang), ""]
        amounts = self.rows["amount"].unique(maintain_order=True).to_list()
        step = max(1, -(-(len(amounts) - 1) // (most - 1)) if len(amounts) > 1 else 1)
        shown = set(amounts[::step]) | {amounts[-1]}
        heads = [say(f"household.{self.vary}", lang)]
        for one in self.scenarios:
            name = _scenario_name(one.name, lang)
            heads += [f"{name}: {say(f'household.{column}', lang)}" for column in ("own", "marginal")]
        body = []
        for amount in amounts:
            if amount in shown:
                here = self.rows.filter(pl.col("amount") == amount)
                cells = [f"{amount:,.0f}"]
                for row in here.iter_rows(named=True):
                    marginal = row["marginal"]
                    told = say("household.at_a_jump", lang) if marginal is None else f"{100 * marginal:.1f} %"
                    cells += [f"{row['own']:,.2f}", told]
                body.append(cells)
        lines += [*aligned([heads, *body], right=range(len(heads))), ""]
        lines.append(say("household.cliffs", lang))
        lines += [f"  {one.text(lang)}" for one in self.cliffs]
        if not self.cliffs:
            low, high = f"{amounts[0]:,.0f}", f"{amounts[-1]:,.0f}"
            lines.append("  " + say("household.no_cliffs", lang, low=low, high=high))
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give it as plain data, ready for JSON."""
        return {
            "vary": self.vary,
            "scenarios": [one.name for one in self.scenarios],
            "rows": self.rows.to_dicts(),
            "cliffs": [one.text(lang) for one in self.cliffs],
        }


def household(
    family: Family,
    policy: str = "cn/beijing@2024-01-01",
    reforms: Sequence[str] = (),
    *,
    baseline_reforms: Sequence[str] = (),
    vary: Vary = "bill",
    low: float = 0.0,
    high: float = 1_000_000.0,
    points: int = 201,
) -> HouseholdCurve:
    """Settle one family's bill under a policy and its reforms, from the lowest to the highest bill or income.

    `baseline_reforms` lie under the policy and under each reform. The bill is the first of the benefit year. What lies
    between two points is searched by halving wherever the own part jumps or falls, so cliffs are exact to the fen of a
    bill and to the yuan of an income.

    Raises UsageError: bad_family, bad_share, bad_choice, bad_points; what loading raises; MissingValueError.

    >>> found = household(Family(in_scope=1.0, level="3"), points=3, high=2000.0)
    >>> found.rows["own"].to_list()
    [0.0, 1000.0, 1475.0]
    """
    if vary not in get_args(Vary):
        raise UsageError("bad_choice", f"vary is bill or income, not {vary!r}")
    if not 2 <= points <= 10_001 or not 0 <= low < high <= MOST:
        raise UsageError(
            "bad_points",
            f"{points} points from {low:g} to {high:g}: ask for 2 to 10,001, from 0 upwards, to at most {MOST:,.0f}",
        )
    if family.lines and vary == "bill":
        raise UsageError(
            "bad_line", "lines of statuses count where the income varies; for a bill give the status itself"
        )
    scenarios = (
        scenarios_of(policy, reforms, baseline_reforms=baseline_reforms)
        if reforms
        else [scenario(policy, baseline_reforms=baseline_reforms)]
    )
    known = set().union(*(groups_of(one.law.policies) for one in scenarios))
    wrong = [one for one in (*family.status, *(name for name, _ in family.lines)) if one not in known]
    if wrong:
        raise UsageError(
            "bad_choice", f"there is no status {wrong[0]!r} under {policy}; use {', '.join(sorted(known))}"
        )
    tiers = tuple(dict.fromkeys(tier for one in scenarios for tier in one.law.layout.tiers))
    amounts = [round((low + (high - low) * place / (points - 1)) * 100) for place in range(points)]
    rows: list[dict[str, object]] = []
    cliffs: list[FamilyCliff] = []
    for one in scenarios:
        bearer = _Bearer(one, family, vary)
        rows += [_row(bearer, amount, tiers) for amount in amounts]
        cliffs += bearer.cliffs(amounts)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return HouseholdCurve(family, vary, tuple(scenarios), tiers, frame, tuple(cliffs))


@dataclass(eq=False)
class _Bearer:
    """Be a family under one law: what is paid and borne at each amount, found once."""

    scenario: Scenario
    family: Family
    vary: Vary
    known: dict[tuple[int, tuple[str, ...]], tuple[Mapping[str, int], int]] = field(default_factory=dict)
    resolved: dict[tuple[int, tuple[str, ...]], Rules] = field(default_factory=dict)
    """The law of a bill and statuses: it asks a bill only between which of its limits it lies."""

    @property
    def policy(self) -> Policy:
        policies = self.scenario.law.policies
        index = policies.index_on(self.family.day)
        if index is None:
            raise UsageError("outside_policy_dates", f"{policies.address} is not in force on {self.family.day}")
        return policies.versions[index]

    def at(self, amount_fen: int) -> tuple[int, float, tuple[str, ...]]:
        """Give the bill, the income and the statuses at an amount."""
        if self.vary == "bill":
            return amount_fen, self.family.income, self.family.status
        income = amount_fen / 100
        return round(self.family.bill * 100), income, self.family.held_at(income)

    def settled(self, bill_fen: int, held: tuple[str, ...]) -> tuple[Mapping[str, int], int]:
        """Settle a bill as the first of the year: what each tier pays, and what is left."""
        key = (bill_fen, held)
        if key not in self.known:
            family, policy = self.family, self.policy
            visit = Visit(
                family.care_type, family.level, family.day, family.day, family.day, family.area, family.referral,
                None, bill_fen,
            )  # fmt: skip
            birth = date(family.day.year - family.age, 1, 1)
            person = Person("patient", "family", birth, family.sex, family.scheme, family.residence)
            facts = facts_of(policy, visit, person, [Spell(one, _ALWAYS) for one in held])
            inside = round(bill_fen * family.in_scope)
            claim = Claim("bill", "patient", family.day, family.day, facts, inside, off_catalogue_fen=bill_fen - inside)
            place = bisect_right(self.scenario.law.dimensions.total_fen, bill_fen), held
            if place not in self.resolved:
                self.resolved[place] = resolve(policy, facts)
            one = settle_claim(claim, self.resolved[place], Account())
            pay = {tier.id: one.pay_of(tier.id) for tier in policy.tiers}
            self.known[key] = (pay, one.own_in_scope_fen + one.own_outside_fen)
        return self.known[key]

    def own(self, amount_fen: int) -> int:
        """Give what the family bears at an amount."""
        bill, _, held = self.at(amount_fen)
        return self.settled(bill, held)[1]

    def cliffs(self, amounts: Sequence[int]) -> list[FamilyCliff]:
        """Find every jump, exactly.

        The own part is a continuous function of the bill but where the law asks about a total, and of the income but at
        the lines of statuses, so both sides of these are looked at; between amounts falls are searched by halving too.
        """
        found: list[FamilyCliff] = []
        unit = 1 if self.vary == "bill" else STEP_FEN
        marks = {one for bound in self._bounds() for one in (bound - unit, bound)}
        inside = {one for one in marks if amounts[0] <= one <= amounts[-1]}
        for low, high in pairwise(sorted({*amounts, *inside})):
            self._search(low, high, unit, found)
        return found

    def _bounds(self) -> tuple[int, ...]:
        if self.vary == "bill":
            return self.scenario.law.dimensions.total_fen
        return tuple(round(line * self.family.size * 100) for _, line in self.family.lines)

    def _search(self, low: int, high: int, unit: int, found: list[FamilyCliff]) -> None:
        """Halve while the own part rises faster than the amount, or falls."""
        if not self._jumps(low, high):
            return
        if high - low <= unit:
            before, after = self.own(low), self.own(high)
            found.append(FamilyCliff(self.scenario.name, low, before, after, self.at(low)[2], self.at(high)[2]))
            return
        middle = (low + high) // 2 // unit * unit
        middle = middle if low < middle < high else low + unit
        self._search(low, middle, unit, found)
        self._search(middle, high, unit, found)

    def _jumps(self, low: int, high: int) -> bool:
        rise = self.own(high) - self.own(low)
        allowed = high - low if self.vary == "bill" else 0
        return rise < -LEAST_JUMP_FEN or rise > allowed + LEAST_JUMP_FEN


def _row(bearer: _Bearer, amount_fen: int, tiers: Sequence[str]) -> dict[str, object]:
    bill, income, held = bearer.at(amount_fen)
    pay, own = bearer.settled(bill, held)
    more = bearer.settled(bill + STEP_FEN, held)[1]
    row: dict[str, object] = {
        "scenario": bearer.scenario.name, "amount": amount_fen / 100, "bill": bill / 100,
        "status": "+".join(held) or "none",
    }  # fmt: skip
    row |= {f"pay_{tier}": pay.get(tier, 0) / 100 for tier in tiers}
    return row | {
        "own": own / 100,
        # Where one more yuan makes a jump there is no share of a yuan; the jump stands among the cliffs.
        "marginal": None if _jumped(own, more) else (more - own) / STEP_FEN,
        "left": income - own / 100,
        "share": own / 100 / income if income > 0 else None,
    }


def _jumped(own_fen: int, more_fen: int) -> bool:
    """Say whether the own part falls, or rises by more than the yuan, between an amount and one yuan more."""
    return more_fen - own_fen < -LEAST_JUMP_FEN or more_fen - own_fen > STEP_FEN + LEAST_JUMP_FEN


def _status_name(held: Sequence[str], lang: str) -> str:
    return " + ".join(name_of("group", one, lang) for one in (held or ("none",)))


def _scenario_name(name: str, lang: str) -> str:
    return name_of("scenario", name, lang)
