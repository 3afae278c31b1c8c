"""Turn the law for one kind of claim into plain integers: which part of each tier applies, and with which numbers.

`resolve(policy, facts)` is the only place that reads conditions. It looks at this claim alone (the *scope* step of a
settlement); what the year has used so far is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from medfloor.errors import MissingValueError, PolicyError
from medfloor.money import BP, MAX_FEN
from medfloor.policy.model import Applied, Case, Part, Policy, Pot, Range, Sourced, StatusDay, Tier, When

NO_STATUS = "none"
NO_LIMIT = -1
"""How an amount that has no limit is written in fen."""
MOST_YEARS = 120
"""More years than these, enrolled or without a claim, let no cap grow further."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Be what the law may ask about a claim and its person.

    Amounts are in fen; `age` in completed years at the start of the claim; None = unknown, and no condition on it holds
    (an unknown number of continuous years is taken as enrolled without a gap). `held` gives the statuses held, for each
    way of choosing the status day.
    """

    care_type: str
    facility_level: str
    area: str = "local"
    referral: str = "regular"
    scheme: str = "resident"
    insured_class: str = "working_age"
    residence: str | None = None
    sex: str | None = None
    family_doctor: bool = False
    age: int | None = None
    continuous_years: int | None = None
    claim_free_years: int | None = None
    total_fen: int = 0
    diagnosis: str | None = None
    benefit_year: int = 0
    held: Mapping[StatusDay, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Amount:
    """Be an amount in fen: fixed, or brought by a column of the input (then `fen` is the default)."""

    fen: int
    column: str | None = None
    factor_bp: int = BP


@dataclass(frozen=True, slots=True)
class RepeatRule:
    """Be what the deductible becomes from the n-th admission on."""

    from_admission: int
    same_level: bool
    percent_bp: int
    minus_each_fen: int


@dataclass(frozen=True, slots=True)
class Step:
    """Be one tier's part as it applies to one kind of claim, in integers.

    `brackets` are (from_fen, rate_bp) in rising order. `pots` are (pot id, cap, whether the household shares it).
    `article` says what it rests on.
    """

    tier: str
    tier_index: int
    part: str
    group: str
    level: str
    pays: Literal["schedule", "nothing", "given"]
    feeds: bool
    base: tuple[str, ...]
    household: bool
    first_share_bp: int
    deductible_per: Literal["none", "admission", "claim", "year"]
    deductible: Amount
    deductible_counter: str
    deductible_fixed_first: bool
    repeats: tuple[RepeatRule, ...]
    transfer: str
    per_year: bool
    counter: str
    absolute: bool
    brackets: tuple[tuple[int, int], ...]
    floor_bp: int
    floor_of: str
    cap_per_claim: Amount
    pots: tuple[tuple[str, Amount, bool], ...]
    keeps_deductible: bool
    keeps_over_cap: bool
    given: str | None
    article: str

    @property
    def in_curve(self) -> bool:
        """Say whether deductible and brackets are one curve over the same yearly counter."""
        return (
            self.deductible_per == "year"
            and self.per_year
            and not self.deductible_fixed_first
            and self.deductible_counter == self.counter
        )


@dataclass(frozen=True, slots=True)
class CeilingRule:
    """Be a ceiling over all tiers as it applies to one kind of claim."""

    id: str
    share_bp: int
    give_back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Be everything that the law says about one kind of claim."""

    steps: tuple[Step, ...]
    ceilings: tuple[CeilingRule, ...]
    rounding_mode: str
    rounding_place: str


def resolve(policy: Policy, facts: Facts) -> Rules:
    """Give the steps of settlement for a claim of this kind, in the policy's order.

    Raises MissingValueError where a number that is needed was not published, PolicyError where a number cannot be
    carried exactly (a rate finer than a basis point).
    """
    steps: list[Step] = []
    for index, tier in enumerate(policy.tiers):
        group = status_used(policy, tier, facts)
        part = next((part for part in tier.parts if fits(part.when, facts, group, _day(policy, tier))), None)
        if part is None:
            continue
        step = _step(policy, tier, index, part, group, facts)
        steps.append(step)
        if not step.feeds:
            break
    ceilings = tuple(
        CeilingRule(
            ceiling.id,
            _percent_bp(policy, ceiling.share, facts, NO_STATUS, policy.status_day, f"ceilings/{ceiling.id}/share"),
            tuple(ceiling.give_back),
        )
        for ceiling in policy.ceilings
        if fits(ceiling.when, facts, NO_STATUS, policy.status_day)
    )
    return Rules(tuple(steps), ceilings, policy.rounding.mode, policy.rounding.place)


@dataclass(frozen=True, slots=True)
class AppliedRules:
    """Be a yearly assistance that is applied for, in integers: brackets (from_fen, rate_bp), cap (NO_LIMIT = none).

    `monthly_line_fen` is the most that a head may have a month; None where there is no income test.
    """

    brackets: tuple[tuple[int, int], ...]
    cap_fen: int
    monthly_line_fen: int | None


def resolve_applied(policy: Policy, applied: Applied, year: int) -> AppliedRules:
    """Give the numbers of an assistance that households apply for, for the year whose burden counts.

    Raises MissingValueError where a number was not published, such as a series' value for that year.
    """
    facts = Facts("inpatient", "3", benefit_year=year)
    day, path = policy.status_day, f"applied/{applied.id}"
    line = None
    if applied.income_test is not None:
        cases = applied.income_test.monthly_line
        line = _amount(policy, cases, facts, NO_STATUS, day, f"{path}/income_test/monthly_line").fen
    brackets: list[tuple[int, int]] = []
    start_fen = 0
    for number, bracket in enumerate(applied.brackets):
        place = f"{path}/brackets/{bracket.id or number}"
        brackets.append((start_fen, _percent_bp(policy, bracket.rate, facts, NO_STATUS, day, f"{place}/rate")))
        if bracket.up_to is not None:
            start_fen = _amount(policy, bracket.up_to, facts, NO_STATUS, day, f"{place}/up_to").fen
    return AppliedRules(tuple(brackets), _amount(policy, applied.cap, facts, NO_STATUS, day, f"{path}/cap").fen, line)


def status_used(policy: Policy, tier: Tier, facts: Facts) -> str:
    """Give the one status that a tier uses: the first in its order of preference that is held, else none."""
    held = facts.held.get(_day(policy, tier), frozenset())
    return next((group for group in tier.prefer if group in held), NO_STATUS)


def fits(when: When | None, facts: Facts, group: str, day: StatusDay) -> bool:
    """Say whether a condition holds. An absent condition always does."""
    if when is None:
        return True
    held = facts.held.get(day, frozenset())
    lists: tuple[tuple[list[str] | None, str | None], ...] = (
        (when.care_type, facts.care_type),  # type: ignore[assignment]
        (when.facility_level, facts.facility_level),
        (when.area, facts.area),
        (when.referral, facts.referral),
        (when.scheme, facts.scheme),
        (when.insured_class, facts.insured_class),
        (when.residence, facts.residence),
        (when.sex, facts.sex),
        (when.group, group),
    )
    if any(allowed is not None and value not in allowed for allowed, value in lists):
        return False
    if when.family_doctor is not None and when.family_doctor != facts.family_doctor:
        return False
    if when.holds is not None and not held.intersection(when.holds):
        return False
    if when.lacks is not None and held.intersection(when.lacks):
        return False
    ranges: tuple[tuple[Range | None, Decimal | int | None], ...] = (
        (when.age, facts.age),
        (when.continuous_years, facts.continuous_years),
        (when.claim_free_years, facts.claim_free_years),
        (when.total, Decimal(facts.total_fen) / 100),
    )
    if any(asked is not None and (value is None or not asked.holds(value)) for asked, value in ranges):
        return False
    if when.diagnosis is not None:
        code = facts.diagnosis or ""
        return any(code.startswith(beginning) for beginning in when.diagnosis)
    return True


def case_for(cases: list[Case] | None, facts: Facts, group: str, day: StatusDay) -> Case | None:
    """Give the first case whose condition holds, or None."""
    return next((case for case in cases or () if fits(case.when, facts, group, day)), None)


def series_value(policy: Policy, name: str, year: int, path: str) -> Decimal:
    """Give a published series' value for a year.

    Raises MissingValueError where the year was not published.
    """
    for series in policy.series:
        if series.id == name:
            for value in series.values:
                if value.year == year:
                    return value.value
            missing = _missing(policy, path, f"series {name} has no value for {year}")
            missing.series, missing.year = name, year
            raise missing
    raise _missing(policy, path, f"there is no series {name}")


def _day(policy: Policy, tier: Tier) -> StatusDay:
    return tier.status_day or policy.status_day


def _step(policy: Policy, tier: Tier, index: int, part: Part, group: str, facts: Facts) -> Step:
    day = _day(policy, tier)
    path = f"tiers/{tier.id}/parts/{part.id}"
    share_bp = (
        _percent_bp(policy, part.first_share, facts, group, day, f"{path}/first_share") if part.first_share else 0
    )
    deductible = part.deductible if part.pays == "schedule" else None
    amount = Amount(0)
    repeats: tuple[RepeatRule, ...] = ()
    if deductible is not None:
        amount = _amount(policy, deductible.amount, facts, group, day, f"{path}/deductible/amount")
        if amount.fen == NO_LIMIT:
            amount = Amount(MAX_FEN, amount.column)
        if deductible.factor is not None and case_for(deductible.factor, facts, group, day) is not None:
            factor_bp = _percent_bp(policy, deductible.factor, facts, group, day, f"{path}/deductible/factor", 10 * BP)
            amount = _times(amount, factor_bp)
        repeats = tuple(
            RepeatRule(
                repeat.from_admission,
                repeat.count == "same_level",
                _bp(repeat.percent, f"{path}/deductible/repeat") if repeat.percent else BP,
                _case_fen(repeat.minus_each, f"{path}/deductible/repeat") if repeat.minus_each else 0,
            )
            for repeat in deductible.repeat
            if fits(repeat.when, facts, group, day)
        )
    cap = Amount(NO_LIMIT)
    if part.cap_per_claim is not None and case_for(part.cap_per_claim, facts, group, day) is not None:
        cap = _amount(policy, part.cap_per_claim, facts, group, day, f"{path}/cap_per_claim")
    pots = {pot.id: pot for pot in policy.pots}
    return Step(
        tier=tier.id,
        tier_index=index,
        part=part.id,
        group=group,
        level=facts.facility_level,
        pays=part.pays,
        feeds=part.feeds,
        base=tuple(tier.base),
        household=tier.accumulate == "household",
        first_share_bp=share_bp,
        deductible_per=deductible.per if deductible else "none",
        deductible=amount,
        deductible_counter=_counter_of_deductible(tier, part),
        deductible_fixed_first=deductible is not None and deductible.fixed_by == "first",
        repeats=repeats,
        transfer=deductible.transfer if deductible else "new_admission",
        per_year=part.per == "year",
        counter=part.counter or f"{tier.id}_{part.id}",
        absolute=part.origin == "absolute",
        brackets=_brackets(policy, part, facts, group, day, path) if part.pays == "schedule" else (),
        floor_bp=_percent_bp(policy, part.floor.share, facts, group, day, f"{path}/floor/share") if part.floor else 0,
        floor_of=part.floor.of if part.floor else "total",
        cap_per_claim=cap,
        pots=tuple(
            (name, _pot_cap(policy, pots[name], facts, group, day), pots[name].scope == "household")
            for name in part.pots
        ),
        keeps_deductible="deductible" in part.keeps_from_later,
        keeps_over_cap="over_cap" in part.keeps_from_later,
        given=part.given,
        article=article_of(policy, tier, part),
    )


def _counter_of_deductible(tier: Tier, part: Part) -> str:
    """Name what a yearly deductible is counted under; by default the schedule's own counter."""
    if part.deductible and part.deductible.counter:
        return part.deductible.counter
    return part.counter or f"{tier.id}_{part.id}"


def article_of(policy: Policy, tier: Tier, part: Part) -> str:
    """Say in one short text what a part rests on: document and article."""
    candidates: list[Sourced] = [part, tier]
    if part.brackets:
        candidates[1:1] = [*part.brackets[0].rate]
    for item in candidates:
        source = policy.source_of(item)
        if source is not None:
            return f"{source.document or source.title.zh} {item.article or ''}".strip()
    return ""


def _brackets(
    policy: Policy, part: Part, facts: Facts, group: str, day: StatusDay, path: str
) -> tuple[tuple[int, int], ...]:
    brackets: list[tuple[int, int]] = []
    start_fen = 0
    for number, bracket in enumerate(part.brackets):
        place = f"{path}/brackets/{bracket.id or number}"
        rate = case_for(bracket.rate, facts, group, day)
        if rate is None:
            raise PolicyError("policy_gap", f"{policy.id}: {place}/rate has no case for {_about(facts, group)}")
        rate_percent = _figure(policy, rate, f"{place}/rate")
        for adjust in part.adjust:
            if fits(adjust.when, facts, group, day):
                if adjust.points is not None:
                    rate_percent += _figure(policy, adjust.points, f"{path}/adjust")
                if adjust.times is not None:
                    rate_percent = rate_percent * _figure(policy, adjust.times, f"{path}/adjust") / 100
        rate_bp = _exact_bp(min(max(rate_percent, Decimal(0)), Decimal(100)), f"{place}/rate")
        brackets.append((start_fen, rate_bp))
        if bracket.up_to is not None:
            up_to = _amount(policy, bracket.up_to, facts, group, day, f"{place}/up_to")
            if up_to.fen <= start_fen:
                raise PolicyError(
                    "policy_brackets", f"{policy.id}: {place}/up_to is not above the bracket before it; raise it"
                )
            start_fen = up_to.fen
    return tuple(brackets)


def _pot_cap(policy: Policy, pot: Pot, facts: Facts, group: str, day: StatusDay) -> Amount:
    path = f"pots/{pot.id}/cap"
    cap = _amount(policy, pot.cap, facts, group, day, path)
    growth = pot.growth
    if growth is None or cap.fen == NO_LIMIT or cap.column:
        return cap
    more_fen = 0
    if growth.per_continuous_year is not None and facts.continuous_years is not None:
        after = int(_figure(policy, growth.continuous_after, path)) if growth.continuous_after else 0
        more_fen += max(0, min(facts.continuous_years, MOST_YEARS) - after) * _case_fen(
            growth.per_continuous_year, path
        )
    if growth.per_claim_free_year is not None and facts.claim_free_years is not None:
        more_fen += min(facts.claim_free_years, MOST_YEARS) * _case_fen(growth.per_claim_free_year, path)
    if growth.at_most is not None:
        more_fen = min(more_fen, cap.fen * _bp(growth.at_most, path) // BP)
    return Amount(cap.fen + more_fen)


def _amount(policy: Policy, cases: list[Case], facts: Facts, group: str, day: StatusDay, path: str) -> Amount:
    case = case_for(cases, facts, group, day)
    if case is None:
        raise PolicyError("policy_gap", f"{policy.id}: {path} has no case for {_about(facts, group)}; add one")
    if case.unlimited:
        return Amount(NO_LIMIT, case.column)
    if case.of is not None:
        share = _figure(policy, case, path)
        year = facts.benefit_year - case.of.lag
        fen = series_value(policy, case.of.series, year, path) * share
        return Amount(min(MAX_FEN, int(fen.quantize(Decimal(1), rounding="ROUND_HALF_UP"))))
    if case.column is not None and case.value is None:
        return Amount(0, case.column)
    return Amount(_fen(_figure(policy, case, path), path), case.column)


def _times(amount: Amount, factor_bp: int) -> Amount:
    return Amount(min(MAX_FEN, (amount.fen * factor_bp + BP // 2) // BP), amount.column, factor_bp)


def _percent_bp(
    policy: Policy, cases: list[Case], facts: Facts, group: str, day: StatusDay, path: str, most_bp: int = BP
) -> int:
    """Give a percentage in basis points, from 0 to the most that makes sense; no case that fits means 0."""
    case = case_for(cases, facts, group, day)
    return 0 if case is None else _exact_bp(_figure(policy, case, path), path, most_bp)


def _bp(case: Case, path: str) -> int:
    if case.value is None:
        raise MissingValueError("policy_value_missing", f"{path} has no value; supply it with --reform")
    return _exact_bp(case.value, path, 10 * BP)


def _case_fen(case: Case, path: str) -> int:
    if case.value is None:
        raise MissingValueError("policy_value_missing", f"{path} has no value; supply it with --reform")
    return _fen(case.value, path)


def _figure(policy: Policy, case: Case, path: str) -> Decimal:
    if case.value is None:
        raise _missing(policy, path, "it was not published")
    return case.value


def _missing(policy: Policy, path: str, why: str) -> MissingValueError:
    error = MissingValueError(
        "policy_value_missing",
        f"{policy.id} ({policy.from_}): {path} has no value: {why}. Supply it with --reform FILE, a file that holds "
        f"change: {{{path}: YOUR-VALUE}}; `medfloor policy check` lists every number that is missing",
    )
    error.path = path
    return error


def _exact_bp(percent: Decimal, path: str, most_bp: int = BP) -> int:
    bp = percent * 100
    if bp != bp.to_integral_value():
        raise PolicyError("policy_rate", f"{path}: {percent} % is finer than a basis point; use two decimals at most")
    if not 0 <= bp <= most_bp:
        raise PolicyError("policy_rate", f"{path}: {percent} % lies outside 0 to {most_bp // 100} %; check the number")
    return int(bp)


def _fen(yuan: Decimal, path: str) -> int:
    fen = yuan * 100
    if fen != fen.to_integral_value():
        raise PolicyError("policy_amount", f"{path}: {yuan} is finer than a fen; use two decimals at most")
    if not 0 <= fen <= MAX_FEN:
        raise PolicyError(
            "policy_amount", f"{path}: {yuan} lies outside 0 to 9 trillion; `unlimited: true` sets no limit"
        )
    return int(fen)


def _about(facts: Facts, group: str) -> str:
    return (
        f"{facts.care_type}, level {facts.facility_level}, {facts.area}, {facts.referral}, {facts.insured_class}, "
        f"status {group}"
    )
