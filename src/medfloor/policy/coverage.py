"""Check the parts of each tier against every kind of claim that its conditions tell apart.

This finds gaps, cases and parts that are never used, overlaps in which only the order decides, brackets out of order,
ceilings under deductibles, and rates that rise with the facility level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from medfloor.policy.kinds import Kind, kinds_of
from medfloor.policy.model import Case, Part, Policy, Tier
from medfloor.policy.numbers import Names, series_of
from medfloor.policy.resolve import case_for, fits
from medfloor.policy.wording import figure_text, tier_name
from medfloor.tables import FACILITY_LEVELS
from medfloor.words import join, say

if TYPE_CHECKING:
    from medfloor.policy.check import Report

_FEW = 10_000
"""More kinds than this are enough to compare two parts."""


@dataclass
class _Users:
    """Collect the kinds of claims that reach a parameter, with the day on which a status counts."""

    kinds: list[tuple[Kind, Any]] = field(default_factory=list)


def check_tiers(report: Report) -> None:
    """Check every tier and every pot of a version."""
    policy = report.policy
    pots: dict[str, _Users] = {pot.id: _Users() for pot in policy.pots}
    for tier in policy.tiers:
        day = tier.status_day or policy.status_day
        kinds = kinds_of(policy, tier, policy.from_.year)
        reached = _check_parts(report, tier, kinds, day)
        for part in tier.parts:
            users = [(kind, day) for kind in reached[part.id]]
            if part.pays != "schedule" or not users:
                continue
            path: Names = ("tiers", tier.id, "parts", part.id)
            for names, cases, needed in _params(part, path):
                _check_cases(report, names, cases, users, needed)
            _check_amounts(report, part, path, users)
            for name in part.pots:
                pots[name].kinds.extend(users)
        _check_levels(report, tier, reached, day)
    for pot in policy.pots:
        if pots[pot.id].kinds:
            _check_cases(report, ("pots", pot.id, "cap"), pot.cap, pots[pot.id].kinds, True)


def _check_parts(report: Report, tier: Tier, kinds: list[Kind], day: Any) -> dict[str, list[Kind]]:
    """See which part takes which kinds; report what no part takes, parts never used, and overlaps by order."""
    fitting: dict[str, set[int]] = {part.id: set() for part in tier.parts}
    reached: dict[str, list[Kind]] = {part.id: [] for part in tier.parts}
    covered: set[tuple[str, str]] = set()
    for index, kind in enumerate(kinds):
        first = None
        for part in tier.parts:
            if fits(part.when, kind.facts, kind.group, day):
                fitting[part.id].add(index)
                first = first or part
        if first is not None:
            reached[first.id].append(kind)
            covered.add((kind.facts.care_type, kind.facts.facility_level))
    _report_uncovered(report, tier, kinds, covered)
    for place, part in enumerate(tier.parts):
        path: Names = ("tiers", tier.id, "parts", part.id)
        if fitting[part.id] and not reached[part.id]:
            report.add("unreachable_part", path)
        for number, earlier in enumerate(tier.parts[:place]):
            both = fitting[part.id] & fitting[earlier.id]
            nested = _set_apart(
                fitting[earlier.id], fitting[part.id], [fitting[one.id] for one in tier.parts[number + 1 :]]
            )
            # A part that pays nothing before the others is how law writes an exclusion.
            if not both or nested or earlier.pays == "nothing":
                continue
            differing = [
                kinds[index]
                for index in sorted(both)[:_FEW]
                if _outcome(report.policy, part, kinds[index], day)
                != _outcome(report.policy, earlier, kinds[index], day)
            ]
            if differing:
                report.add("overlapping_parts", path, other=earlier.id, kinds=report.kinds(differing))
    return reached


def _report_uncovered(report: Report, tier: Tier, kinds: list[Kind], covered: set[tuple[str, str]]) -> None:
    bare: dict[str, list[str]] = {}
    for care_type, level in dict.fromkeys((kind.facts.care_type, kind.facts.facility_level) for kind in kinds):
        if (care_type, level) not in covered:
            bare.setdefault(care_type, []).append(level)
    if not bare:
        return

    def said(lang: str) -> str:
        items = []
        for care_type, levels in bare.items():
            text = say(f"care_type.{care_type}", lang)
            if len(levels) < len(FACILITY_LEVELS):
                text += f" ({join([say(f'facility_level.{level}', lang) for level in levels], lang)})"
            items.append(text)
        return join(items, lang)

    report.add("uncovered", ("tiers", tier.id), tier=lambda lang: tier_name(report.policy, tier.id, lang), kinds=said)


def _params(part: Part, path: Names) -> list[tuple[Names, list[Case], bool]]:
    """List the parameters of a part: path, cases, and whether every claim needs one of them."""
    params: list[tuple[Names, list[Case] | None, bool]] = [((*path, "first_share"), part.first_share, False)]
    if part.deductible is not None:
        params.append(((*path, "deductible", "amount"), part.deductible.amount, True))
        params.append(((*path, "deductible", "factor"), part.deductible.factor, False))
    for index, bracket in enumerate(part.brackets):
        place: Names = (*path, "brackets", bracket.id or index)
        params.append(((*place, "up_to"), bracket.up_to, True))
        params.append(((*place, "rate"), bracket.rate, True))
    if part.floor is not None:
        params.append(((*path, "floor", "share"), part.floor.share, False))
    params.append(((*path, "cap_per_claim"), part.cap_per_claim, False))
    return [(names, cases, needed) for names, cases, needed in params if cases]


def _check_cases(
    report: Report, names: Names, cases: list[Case], users: Sequence[tuple[Kind, Any]], needed: bool
) -> None:
    """See that one case fits every kind that comes here, that each case is used, and that order does not decide."""
    if len(cases) == 1 and cases[0].when is None:
        return
    fitting: list[set[int]] = [set() for _ in cases]
    used: list[int] = [0] * len(cases)
    bare: list[Kind] = []
    for index, (kind, day) in enumerate(users):
        hits = [i for i, case in enumerate(cases) if fits(case.when, kind.facts, kind.group, day)]
        for hit in hits:
            fitting[hit].add(index)
        if hits:
            used[hits[0]] += 1
        else:
            bare.append(kind)
    if bare and needed:
        report.add("gap", names, kinds=report.kinds(bare))
    for place, case in enumerate(cases):
        where: Names = names if len(cases) == 1 else (*names, case.id or place)
        if fitting[place] and not used[place]:
            report.add("unreachable_case", where)
        for earlier in range(place):
            both = fitting[place] & fitting[earlier]
            nested = _set_apart(fitting[earlier], fitting[place], fitting[earlier + 1 :])
            if both and not nested and _worth(case) != _worth(cases[earlier]):
                kinds = [users[index][0] for index in sorted(both)]
                report.add("overlapping_cases", where, other=str(earlier + 1), kinds=report.kinds(kinds))


def _set_apart(earlier: set[int], later: set[int], rest: Sequence[set[int]]) -> bool:
    """Say whether the order of two conditions is plainly meant.

    It is where one is within the other, or where the earlier is an exception from several later ones that together hold
    it (unregistered care elsewhere, before care in the province and care outside).
    """
    if earlier <= later or later <= earlier:
        return True
    narrower = [one for one in rest if not earlier <= one]
    return earlier <= set[int]().union(*narrower)


def _worth(case: Case) -> tuple[Any, ...]:
    return case.value, case.unit, case.unlimited, case.column, case.of


def _outcome(policy: Policy, part: Part, kind: Kind, day: Any) -> tuple[Any, ...]:
    """Give everything that decides what a part pays for a kind, so that two parts can be compared."""
    numbers = tuple(
        (case.value, case.unlimited) if (case := case_for(cases, kind.facts, kind.group, day)) else None
        for _, cases, _ in _params(part, ())
    )
    adjusts = tuple(
        (adjust.points or adjust.times) for adjust in part.adjust if fits(adjust.when, kind.facts, kind.group, day)
    )
    deductible = part.deductible.per if part.deductible else None
    repeats = tuple(part.deductible.repeat) if part.deductible else ()
    return part.pays, part.feeds, numbers, adjusts, deductible, repeats, part.per, part.origin, tuple(part.pots)


def _check_amounts(report: Report, part: Part, path: Names, users: Sequence[tuple[Kind, Any]]) -> None:
    """See that brackets rise, and that ceilings and bounds are not under the deductible."""
    policy = report.policy
    pots = {pot.id: pot for pot in policy.pots}
    for kind, day in users:
        deductible = _deductible(policy, part, kind, day)
        before = Decimal(0)
        for index, bracket in enumerate(part.brackets):
            up_to = _amount(policy, case_for(bracket.up_to, kind.facts, kind.group, day), kind)
            if up_to is None:
                continue
            names: Names = (*path, "brackets", bracket.id or index, "up_to")
            if up_to <= before:
                report.add(
                    "bracket_order",
                    names,
                    up_to=figure_text(up_to),
                    before=figure_text(before),
                    kinds=report.kinds([kind]),
                )
            elif part.origin == "absolute" and deductible is not None and up_to <= deductible:
                report.add(
                    "bracket_under_deductible",
                    names,
                    up_to=figure_text(up_to),
                    deductible=figure_text(deductible),
                    kinds=report.kinds([kind]),
                )
            before = up_to
        if deductible is None:
            continue
        caps: list[tuple[Names, list[Case] | None]] = [((*path, "cap_per_claim"), part.cap_per_claim)]
        caps += [(("pots", name, "cap"), pots[name].cap) for name in part.pots]
        for names, cases in caps:
            cap = _amount(policy, case_for(cases, kind.facts, kind.group, day), kind)
            if cap is not None and 0 < cap < deductible:
                report.add(
                    "cap_under_deductible",
                    names,
                    cap=figure_text(cap),
                    deductible=figure_text(deductible),
                    kinds=report.kinds([kind]),
                )


def _deductible(policy: Policy, part: Part, kind: Kind, day: Any) -> Decimal | None:
    if part.deductible is None:
        return None
    amount = _amount(policy, case_for(part.deductible.amount, kind.facts, kind.group, day), kind)
    factor = case_for(part.deductible.factor, kind.facts, kind.group, day)
    if amount is None or factor is None or factor.value is None:
        return amount
    return amount * factor.value / 100


def _amount(policy: Policy, case: Case | None, kind: Kind) -> Decimal | None:
    """Give the amount of a case; None where it is not known, has no limit, or there is no case."""
    if case is None or case.value is None or case.unlimited:
        return None
    if case.of is None:
        return case.value
    series = series_of(policy, case.of.series)
    year = kind.facts.benefit_year - case.of.lag
    value = next((one.value for one in series.values if one.year == year), None) if series else None
    return None if value is None else value * case.value / 100


def _check_levels(report: Report, tier: Tier, reached: dict[str, list[Kind]], day: Any) -> None:
    """Find rates that are higher at a higher facility level, all else equal."""
    alike: dict[Any, dict[str, tuple[Part, Kind]]] = {}
    for part in tier.parts:
        if part.pays == "schedule":
            for kind in reached[part.id]:
                alike.setdefault(kind.without("facility_level"), {})[kind.facts.facility_level] = (part, kind)
    rises: dict[tuple[Any, ...], list[Kind]] = {}
    for levels in alike.values():
        there = [level for level in FACILITY_LEVELS if level in levels]
        for low, high in itertools.pairwise(there):
            (low_part, low_kind), (high_part, high_kind) = levels[low], levels[high]
            low_rates, high_rates = (_rates(p, k, day) for p, k in ((low_part, low_kind), (high_part, high_kind)))
            pairs = zip(low_rates, high_rates, strict=False) if len(low_rates) == len(high_rates) else ()
            for index, (low_rate, high_rate) in enumerate(pairs):
                if low_rate is not None and high_rate is not None and high_rate > low_rate:
                    key = (high_part.id, index, low, high, low_rate, high_rate)
                    rises.setdefault(key, []).append(high_kind)
    for (part_id, index, low, high, low_rate, high_rate), kinds in rises.items():
        part = next(part for part in tier.parts if part.id == part_id)
        bracket = part.brackets[index]
        case = case_for(bracket.rate, kinds[0].facts, kinds[0].group, day)
        names: Names = ("tiers", tier.id, "parts", part_id, "brackets", bracket.id or index, "rate")
        if len(bracket.rate) > 1 and case is not None:
            names = (*names, case.id or next(i for i, one in enumerate(bracket.rate) if one is case))
        report.add(
            "rate_rises_with_level",
            names,
            high=_level(high),
            low=_level(low),
            high_rate=figure_text(high_rate),
            low_rate=figure_text(low_rate),
            kinds=report.kinds(kinds),
        )


def _level(level: str) -> Callable[[str], str]:
    return lambda lang: say(f"facility_level.{level}", lang)


def _rates(part: Part, kind: Kind, day: Any) -> list[Decimal | None]:
    rates: list[Decimal | None] = []
    for bracket in part.brackets:
        case = case_for(bracket.rate, kind.facts, kind.group, day)
        rate = case.value if case is not None else None
        for adjust in part.adjust:
            if rate is not None and fits(adjust.when, kind.facts, kind.group, day):
                if adjust.points is not None and adjust.points.value is not None:
                    rate += adjust.points.value
                elif adjust.times is not None and adjust.times.value is not None:
                    rate = rate * adjust.times.value / 100
        rates.append(rate)
    return rates
