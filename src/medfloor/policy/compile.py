"""Compile law to flat integer arrays, for the fast engine.

A policy looks at a claim through a few questions only: the care type, the level, whether the person is older than 70,
whether the total is above 30,000. `Dimensions` collects the questions that a set of versions asks and cuts every
answer into bands, so that a claim's answers fit into one number, its *kind*. Each kind that occurs is resolved once
(`policy.resolve`), and equal results share a *profile*: a row range of integers that the kernel reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from medfloor import tables
from medfloor.errors import MissingValueError, PolicyError
from medfloor.money import MODE_NUMBER, PLACE_FEN
from medfloor.policy.load import PolicySet
from medfloor.policy.model import MOST_TIERS, Case, Growth, Range, StatusDay, When
from medfloor.policy.resolve import MOST_YEARS, Amount, Facts, Rules, Step, resolve

Ints = npt.NDArray[np.int64]

POOLS = ("in_scope", "referral_share", "set_aside", "first_self_pay", "over_limit", "off_catalogue")
"""The pools of a claim in the order in which compiled code numbers them."""

STEP_COLUMNS = [
    "tier",
    "pays",
    "share_bp",
    "ded_per",
    "ded_fen",
    "ded_column",
    "ded_factor",
    "ded_index",
    "ded_set",
    "repeat_start",
    "repeat_count",
    "transfer",
    "per_year",
    "counter",
    "absolute",
    "bracket_start",
    "bracket_count",
    "floor_bp",
    "floor_of",
    "cap_fen",
    "cap_column",
    "cap_factor",
    "pot_start",
    "pot_count",
    "keeps_ded",
    "keeps_cap",
    "given",
    "base",
    "base_count",
    "eligible",
    "deductible",
    "paid",
    "admissions",
    "admissions_level",
    "stay",
    "level",
    "ded_shared",
    "counter_shared",
    "odd",
]
"""What each column of `Profiles.steps` holds."""

DED_NONE, DED_ADMISSION, DED_CLAIM, DED_YEAR, DED_CURVE = range(5)
PAYS = {"schedule": 0, "nothing": 1, "given": 2}
TRANSFER = {"first_if_fund_paid": 0, "highest": 1, "new_admission": 2}
FLOOR_OF = {"total": 0, "total_less_deductible": 1, "in_scope": 2}
MAX_STEPS = 16  # as model.MOST_TIERS, but written here, where the digest of compiled code sees it


@dataclass(frozen=True)
class Layout:
    """Be the counters of a person-year, in the order in which accumulators hold them.

    `shared[i]` says that counter i belongs to the household. `initial[i]` is its value before anything was counted:
    0, or -1 for "not set yet". `tiers` are the output columns; `stay_tiers` those with a deductible for each stay.
    """

    names: tuple[str, ...]
    shared: tuple[bool, ...]
    initial: tuple[int, ...]
    tiers: tuple[str, ...]
    stay_tiers: tuple[str, ...]
    household: bool

    def index(self, name: str) -> int:
        """Give the position of a counter."""
        return self.names.index(name)


CLAIMS = "claims"
"""The counter of the year's claims that stand. Engines carry it on; `settle` counts, and numbers the claims by it."""


def layout_of(policies: PolicySet) -> Layout:
    """Collect every counter that any version uses, so that all versions of a year can share one account.

    Raises PolicyError where one counter would belong to the person in one tier and to the household in another.
    """
    counters: dict[str, bool] = {}
    tiers: dict[str, None] = {}
    stay_tiers: dict[str, None] = {}

    def add(name: str, shared: bool) -> None:
        if counters.setdefault(name, shared) != shared:
            raise PolicyError(
                "policy_counter",
                f"{policies.address}: counter {name} is used by a person and by a household; rename one",
            )

    add(CLAIMS, False)
    for version in policies.versions:
        for tier in version.tiers:
            tiers[tier.id] = None
            shared = tier.accumulate == "household"
            for kind in ("eligible", "deductible", "paid"):
                add(f"{tier.id}_{kind}", False)
            for part in tier.parts:
                counter = part.counter or f"{tier.id}_{part.id}"
                if part.per == "year":
                    add(f"counter_{counter}_reached", shared)
                deductible = part.deductible
                if deductible is None:
                    continue
                if deductible.per == "year":
                    name = deductible.counter or counter
                    if part.per == "year" and deductible.fixed_by == "current" and name == counter:
                        continue
                    add(f"counter_{name}_deductible", shared)
                    if deductible.fixed_by == "first":
                        add(f"counter_{name}_deductible_set", shared)
                if deductible.per == "admission":
                    stay_tiers[tier.id] = None
                    add(f"{tier.id}_admissions", False)
                    for level in tables.FACILITY_LEVELS:
                        add(f"{tier.id}_admissions_{level}", False)
        for pot in version.pots:
            add(f"pot_{pot.id}_paid", pot.scope == "household")
    names = tuple(counters)
    order = _merge_orders([[tier.id for tier in version.tiers] for version in policies.versions])
    return Layout(
        names,
        tuple(counters.values()),
        tuple(-1 if name.endswith("_deductible_set") else 0 for name in names),
        tuple(order),
        tuple(name for name in order if name in stay_tiers),
        any(counters.values()),
    )


def _merge_orders(orders: Sequence[Sequence[str]]) -> list[str]:
    """Merge the tier orders of several versions: later versions put their new tiers behind the tier before them."""
    merged: list[str] = []
    for order in orders:
        spot = 0
        for name in order:
            if name in merged:
                spot = merged.index(name) + 1
            else:
                merged.insert(spot, name)
                spot += 1
    return merged


@dataclass(frozen=True)
class Dimensions:
    """Be the questions that the versions ask, and the bands into which answers fall.

    Bounds are sorted; a value's band is the number of bounds that it reaches. `groups` lists, for each status day in
    use, the statuses that some condition or preference names. `columns` are the input columns that amounts come from.
    """

    coded: tuple[str, ...]
    age: tuple[int, ...]
    continuous_years: tuple[int, ...]
    claim_free_years: tuple[int, ...]
    total_fen: tuple[int, ...]
    prefixes: tuple[str, ...]
    groups: tuple[tuple[StatusDay, tuple[str, ...]], ...]
    columns: tuple[str, ...]


CODED: dict[str, tuple[str, ...]] = {
    "care_type": tables.CARE_TYPES,
    "facility_level": tables.FACILITY_LEVELS,
    "area": tables.AREAS,
    "referral": tables.REFERRALS,
    "scheme": tables.SCHEMES,
    "insured_class": tables.INSURED_CLASSES,
    "residence": tables.RESIDENCES,
    "sex": tables.SEXES,
}


def dimensions_of(policies: PolicySet) -> Dimensions:
    """Collect what the versions' tiers and ceilings ask about a claim."""
    bounds: dict[str, set[int]] = {"age": set(), "continuous_years": set(), "claim_free_years": set(), "total": set()}
    coded = {"care_type": True, "facility_level": True}
    prefixes: dict[str, None] = {}
    groups: dict[StatusDay, dict[str, None]] = {}
    columns: dict[str, None] = {}
    for version in policies.versions:
        scenes: list[tuple[StatusDay, Sequence[str], Any]] = [
            (tier.status_day or version.status_day, tier.prefer, tier) for tier in version.tiers
        ]
        scenes.append((version.status_day, (), version.ceilings))
        for tier in version.tiers:
            for pot in version.pots:
                if any(pot.id in part.pots for part in tier.parts):
                    scenes.append((tier.status_day or version.status_day, (), pot))
        for day, prefer, item in scenes:
            asked = groups.setdefault(day, {})
            asked.update(dict.fromkeys(prefer))
            for when in _conditions(item):
                for name in CODED:
                    if getattr(when, name) is not None:
                        coded[name] = True
                if when.family_doctor is not None:
                    coded["family_doctor"] = True
                asked.update(dict.fromkeys([*(when.holds or ()), *(when.lacks or ())]))
                prefixes.update(dict.fromkeys(when.diagnosis or ()))
                for name, scale in (("age", 1), ("continuous_years", 1), ("claim_free_years", 1), ("total", 100)):
                    bounds[name].update(_bounds(getattr(when, name), scale))
            for name in _columns(item):
                columns[name] = None
        for pot in version.pots:
            if pot.growth is not None:
                _growth_bounds(pot.growth, pot.cap, bounds)
    return Dimensions(
        tuple(name for name in (*CODED, "family_doctor") if name in coded),
        tuple(sorted(bounds["age"])),
        tuple(sorted(bounds["continuous_years"])),
        tuple(sorted(bounds["claim_free_years"])),
        tuple(sorted(bounds["total"])),
        tuple(prefixes),
        tuple((day, tuple(names)) for day, names in groups.items() if names),
        tuple(columns),
    )


def _walk(item: Any) -> Iterator[BaseModel]:
    if isinstance(item, BaseModel):
        yield item
        for name in type(item).model_fields:
            yield from _walk(getattr(item, name))
    elif isinstance(item, list):
        for one in item:
            yield from _walk(one)


def _conditions(item: Any) -> Iterator[When]:
    return (node for node in _walk(item) if isinstance(node, When))


def _columns(item: Any) -> Iterator[str]:
    for node in _walk(item):
        for name in ("column", "given"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                yield value


def _bounds(asked: Range | None, scale: int) -> Iterator[int]:
    """Turn a range into the whole numbers at which its answer changes."""
    if asked is None:
        return
    for bound, beyond in ((asked.at_least, 0), (asked.under, 0), (asked.over, 1), (asked.at_most, 1)):
        if bound is not None:
            scaled = bound * scale
            yield int(scaled) + beyond if scaled == int(scaled) else ceil(scaled)


def _growth_bounds(growth: Growth, caps: Sequence[Case], bounds: dict[str, set[int]]) -> None:
    """Cut the years so finely that every different cap has its band.

    Where the growth has an end and the caps are plain amounts, the years beyond it need no bands of their own.
    """
    most = None
    if growth.at_most is not None and all(case.of is None for case in caps):
        most = max((case.value or Decimal(0) for case in caps), default=Decimal(0)) * (growth.at_most.value or 0) / 100
    for step, after, name in (
        (growth.per_continuous_year, growth.continuous_after, "continuous_years"),
        (growth.per_claim_free_year, None, "claim_free_years"),
    ):
        if step is None or not step.value:
            continue
        start = int(after.value or 0) if after is not None else 0
        end = MOST_YEARS if most is None else min(start + ceil(most / step.value), MOST_YEARS)
        bounds[name].update(range(start + 1, end + 1))


@dataclass(frozen=True)
class Profiles:
    """Be the law as integers: steps of each profile, and the tables that they point into.

    `steps[s]` has STEP_COLUMNS; `first[p]` to `first[p + 1]` are the steps of profile p. `brackets` has from_fen,
    value at from_fen in fen times bp, and rate; `pots` has counter, cap, column, factor, shared; `repeats` has
    from_admission, same_level, percent_bp, minus_each_fen. `rounding[p]` is (mode, fen of the place). `ceilings[p]` is
    the range in `ceiling_rows`, each (share_bp, step positions from the first to give back, -1 where none).
    """

    first: Ints
    steps: Ints
    brackets: Ints
    pots: Ints
    repeats: Ints
    rounding: Ints
    ceilings: Ints
    ceiling_rows: Ints
    rules: tuple[Rules, ...]


def profiles_of(rules: Sequence[Rules], layout: Layout, columns: Sequence[str]) -> Profiles:
    """Write resolved rules as the arrays that the kernel reads."""
    first = [0]
    steps: list[list[int]] = []
    brackets: list[tuple[int, int, int]] = []
    pots: list[tuple[int, int, int, int, int]] = []
    repeats: list[tuple[int, int, int, int]] = []
    rounding: list[tuple[int, int]] = []
    ceilings: list[tuple[int, int]] = []
    ceiling_rows: list[list[int]] = []
    for rule in rules:
        assert len(rule.steps) <= MAX_STEPS == MOST_TIERS
        for step in rule.steps:
            steps.append(_step_row(step, layout, columns, len(brackets), len(pots), len(repeats)))
            brackets += _bracket_rows(step)
            pots += [
                (layout.index(f"pot_{name}_paid"), *_amount_cells(cap, columns), int(shared))
                for name, cap, shared in step.pots
            ]
            repeats += [(r.from_admission, int(r.same_level), r.percent_bp, r.minus_each_fen) for r in step.repeats]
        first.append(len(steps))
        rounding.append((MODE_NUMBER[rule.rounding_mode], PLACE_FEN[rule.rounding_place]))
        start = len(ceiling_rows)
        for ceiling in rule.ceilings:
            place = {step.tier: n for n, step in enumerate(rule.steps)}
            order = [place[tier] for tier in dict.fromkeys(ceiling.give_back) if tier in place]
            ceiling_rows.append([ceiling.share_bp, *order, *[-1] * (MAX_STEPS - len(order))])
        ceilings.append((start, len(ceiling_rows)))
    return Profiles(
        np.array(first, np.int64),
        _matrix(steps, len(STEP_COLUMNS)),
        _matrix(brackets, 3),
        _matrix(pots, 5),
        _matrix(repeats, 4),
        _matrix(rounding, 2),
        _matrix(ceilings, 2),
        _matrix(ceiling_rows, MAX_STEPS + 1),
        tuple(rules),
    )


def _matrix(rows: Sequence[Sequence[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)


def _amount_cells(amount: Amount, columns: Sequence[str]) -> tuple[int, int, int]:
    column = columns.index(amount.column) if amount.column in columns else -1
    return amount.fen, column, amount.factor_bp


def _bracket_rows(step: Step) -> list[tuple[int, int, int]]:
    rows: list[tuple[int, int, int]] = []
    for start, rate in step.brackets:
        worth = rows[-1][1] + (start - rows[-1][0]) * rows[-1][2] if rows else 0
        rows.append((start, worth, rate))
    return rows


def _step_row(step: Step, layout: Layout, columns: Sequence[str], bracket: int, pot: int, repeat: int) -> list[int]:
    per = {"none": DED_NONE, "admission": DED_ADMISSION, "claim": DED_CLAIM, "year": DED_YEAR}[step.deductible_per]
    if step.in_curve:
        per = DED_CURVE
    ded_fen, ded_column, ded_factor = _amount_cells(step.deductible, columns)
    cap_fen, cap_column, cap_factor = _amount_cells(step.cap_per_claim, columns)
    ded_index = layout.index(f"counter_{step.deductible_counter}_deductible") if per == DED_YEAR else -1
    ded_set = -1
    if per == DED_YEAR and step.deductible_fixed_first:
        ded_set = layout.index(f"counter_{step.deductible_counter}_deductible_set")
    admission = per == DED_ADMISSION
    level = _level_of(step)
    base = 0
    for name in reversed(step.base):
        base = base * 8 + POOLS.index(name)
    cells = {
        "tier": layout.tiers.index(step.tier),
        "pays": PAYS[step.pays],
        "share_bp": step.first_share_bp,
        "ded_per": per,
        "ded_fen": ded_fen,
        "ded_column": ded_column,
        "ded_factor": ded_factor,
        "ded_index": ded_index,
        "ded_set": ded_set,
        "repeat_start": repeat,
        "repeat_count": len(step.repeats),
        "transfer": TRANSFER[step.transfer],
        "per_year": int(step.per_year),
        "counter": layout.index(f"counter_{step.counter}_reached") if step.per_year else -1,
        "absolute": int(step.absolute),
        "bracket_start": bracket,
        "bracket_count": len(step.brackets),
        "floor_bp": step.floor_bp,
        "floor_of": FLOOR_OF[step.floor_of],
        "cap_fen": cap_fen,
        "cap_column": cap_column,
        "cap_factor": cap_factor,
        "pot_start": pot,
        "pot_count": len(step.pots),
        "keeps_ded": int(step.keeps_deductible),
        "keeps_cap": int(step.keeps_over_cap),
        "given": columns.index(step.given) if step.given in columns else -1,
        "base": base,
        "base_count": len(step.base),
        "eligible": layout.index(f"{step.tier}_eligible"),
        "deductible": layout.index(f"{step.tier}_deductible"),
        "paid": layout.index(f"{step.tier}_paid"),
        "admissions": layout.index(f"{step.tier}_admissions") if admission else -1,
        "admissions_level": layout.index(f"{step.tier}_admissions_{step.level}") if admission else -1,
        "stay": layout.stay_tiers.index(step.tier) if admission else -1,
        "level": level,
        "ded_shared": int(step.household),
        "counter_shared": int(step.household),
        "odd": int(
            step.base != ("in_scope",)
            or step.first_share_bp > 0
            or step.floor_bp > 0
            or step.keeps_deductible
            or step.keeps_over_cap
        ),
    }
    return [cells[name] for name in STEP_COLUMNS]


def _level_of(step: Step) -> int:
    return tables.FACILITY_LEVELS.index(step.level)


_ASKED = tuple(each.name for each in fields(Facts) if each.name != "held")


def resolve_kinds(
    policies: PolicySet, kinds: Sequence[tuple[int, Facts]], known: dict[Any, Rules] | None = None
) -> tuple[list[Rules], list[int], dict[int, MissingValueError]]:
    """Resolve kinds of claims (version, facts) into distinct rules.

    Gives the distinct rules, for each kind the index of its rules (-1 where a needed number was never published), and
    the errors of those kinds. `known` remembers what this law said of a kind, for the next batch of claims.
    """
    known = {} if known is None else known
    distinct: dict[Rules, int] = {}
    index: list[int] = []
    missing: dict[int, MissingValueError] = {}
    for number, (version, facts) in enumerate(kinds):
        key = (version, *(getattr(facts, name) for name in _ASKED), frozenset(facts.held.items()))
        rules = known.get(key)
        try:
            if rules is None:
                rules = known[key] = resolve(policies.versions[version], facts)
        except MissingValueError as error:
            missing[number] = error
            index.append(-1)
            continue
        index.append(distinct.setdefault(rules, len(distinct)))
    return list(distinct), index, missing
