"""Say how far a person's year has come: towards deductibles that are borne once, and towards caps of the year.

The limits are those that the law resolves to for the kinds of claims asked about; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from medfloor.money import MAX_FEN
from medfloor.policy.model import Policy
from medfloor.policy.resolve import NO_LIMIT, Amount, Rules, Step
from medfloor.settlement.explanation import Text


@dataclass(frozen=True, slots=True)
class Gauge:
    """Be one limit of a year and what of it is used, in fen; `limit_fen` None: the law sets none.

    kind `deductible`: what the patient bears before the tier pays; `cap`: what the tier pays at most. `care_types` are
    those for which it counts.
    """

    kind: Literal["deductible", "cap"]
    tier: str
    counter: str
    name: Text
    used_fen: int
    limit_fen: int | None
    care_types: tuple[str, ...]


def gauges(policy: Policy, rules: Mapping[str, Rules], used: Mapping[str, int]) -> tuple[Gauge, ...]:
    """List the gauges of a year in the order in which tiers pay, from the rules of each care type.

    `used` are the year's counters by the names of the layout; one that is missing stands at its start. Amounts that a
    column of the input brings are not known before a claim, so such limits are left out.

    >>> from medfloor.policy.load import load_policy
    >>> from medfloor.policy.resolve import Facts, resolve
    >>> law = load_policy("cn/beijing").versions[-1]
    >>> rules = {"inpatient": resolve(law, Facts("inpatient", "3", benefit_year=2024))}
    >>> [(one.kind, one.counter, one.limit_fen) for one in gauges(law, rules, {})]
    [('cap', 'inpatient', 20000000), ('deductible', 'critical_illness', 3040400)]
    """
    tiers = {tier.id: number for number, tier in enumerate(policy.tiers)}
    found: dict[tuple[str, str, str, int | None], list[tuple[Gauge, str]]] = {}
    for care_type, law in rules.items():
        for step in law.steps:
            for one in _of_step(policy, step, used):
                found.setdefault((one.kind, one.tier, one.counter, one.limit_fen), []).append((one, care_type))
    merged = [
        Gauge(one.kind, one.tier, one.counter, one.name, one.used_fen, one.limit_fen, tuple(care for _, care in alike))
        for alike in found.values()
        for one in (alike[0][0],)
    ]
    return tuple(sorted(merged, key=lambda one: (tiers[one.tier], one.kind != "deductible")))


def _of_step(policy: Policy, step: Step, used: Mapping[str, int]) -> list[Gauge]:
    tier = next(one for one in policy.tiers if one.id == step.tier)
    found = []
    if step.pays == "schedule" and step.deductible_per == "year" and not step.deductible.column:
        limit = step.deductible.fen
        if step.in_curve:
            borne = used.get(f"counter_{step.counter}_reached", 0)
        else:
            borne = used.get(f"counter_{step.deductible_counter}_deductible", 0)
            fixed = used.get(f"counter_{step.deductible_counter}_deductible_set", -1)
            limit = fixed if step.deductible_fixed_first and fixed >= 0 else limit
        if 0 < limit < MAX_FEN:
            found.append(
                Gauge(
                    "deductible", step.tier, step.deductible_counter, Text(tier.name.zh, tier.name.en),
                    min(borne, limit), limit, (),
                )
            )  # fmt: skip
    for pot_id, cap, _ in step.pots:
        if cap.column:
            continue
        pot = next(one for one in policy.pots if one.id == pot_id)
        words = pot.name
        paid = used.get(f"pot_{pot_id}_paid", 0)
        found.append(Gauge("cap", step.tier, pot_id, Text(words.zh, words.en), paid, _limit(cap), ()))
    return found


def _limit(cap: Amount) -> int | None:
    return None if cap.fen in (NO_LIMIT, MAX_FEN) else cap.fen
