"""Take the yearly ceiling of payments from the law that an office settles by, in place of the shipped one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medfloor.fund.supervision.rules import Rules
from medfloor.policy.model import Part, Policy
from medfloor.tables import CARE_TYPES

_RULE, _CAP = "near_cap", "cap_yuan"
_TIER, _CARE = "basic", "inpatient"


@dataclass(frozen=True, slots=True)
class YearlyCeiling:
    """Be what basic insurance pays for a person in a year at most, in yuan, and the care that fills it.

    `yuan` is None where the law names no number: it is left to places, or unlimited.
    """

    yuan: float | None
    care: tuple[str, ...]


def ceiling_of(law: Policy) -> YearlyCeiling:
    """Find the ceiling that payments for stays fill; where it differs by person, the highest, which nobody exceeds.

    >>> from medfloor.policy.load import load_policy
    >>> ceiling_of(load_policy("cn/jiangxi/nanchang").versions[-1]).yuan
    100000.0
    """
    parts = [part for tier in law.tiers if tier.id == _TIER for part in tier.parts]
    of_stays = {name for part in parts if _CARE in _care_of(part) for name in part.pots}
    caps = {}
    for pot in law.pots:
        known = [float(case.value) for case in pot.cap if case.value is not None and not case.unlimited]
        if pot.id in of_stays and known:
            caps[pot.id] = max(known)
    if not caps:
        return YearlyCeiling(None, ())
    chosen = max(caps, key=lambda name: caps[name])
    care = {kind for part in parts if chosen in part.pots for kind in _care_of(part)}
    return YearlyCeiling(caps[chosen], tuple(one for one in CARE_TYPES if one in care))


def rules_under(rules: Rules, ceiling: YearlyCeiling) -> Rules:
    """Put the ceiling of a law into the rules; where it has none, the rule that asks for it is off."""
    rule = rules[_RULE]
    old = next(one for one in rule.settings if one.name == _CAP)
    if ceiling.yuan is None or not old.least <= ceiling.yuan <= old.most:
        made = replace(rule, on=False)
    else:
        new = replace(old, value=ceiling.yuan, source="law", trust="law")
        made = replace(rule, settings=tuple(new if one is old else one for one in rule.settings))
    return replace(rules, all=tuple(made if one is rule else one for one in rules.all))


def _care_of(part: Part) -> tuple[str, ...]:
    kinds = None if part.when is None else part.when.care_type
    return tuple(CARE_TYPES) if kinds is None else tuple(kinds)
