"""Count catastrophic health spending, under every definition in use, and put them side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.capacity import (
    Capacity,
    EuropeRule,
    SocietalLine,
    WhoRule,
    discretionary,
    europe_capacity,
    who_capacity,
)
from medfloor.measures.design import Design, Structure
from medfloor.measures.estimate import Bound, Estimator, Shortcut, Statistic, errors_of, evaluate
from medfloor.measures.impoverishing import groups_of
from medfloor.measures.influence import Array, Quantity, mean, total
from medfloor.measures.rank import Ranking, concentration, quantile_groups
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of, take
from medfloor.words import Phrase

Definition = Literal["budget", "nonfood", "who", "europe", "sdg"]
DEFINITIONS: tuple[str, ...] = get_args(Definition)
Sign = Literal[">", ">="]


@dataclass(frozen=True, slots=True)
class Columns:
    """Be where the columns of households stand: names in the table, or Polars expressions over it."""

    oop: Source = "oop"
    consumption: Source = "consumption"
    food: Source = "food"
    housing: Source = "housing"
    utilities: Source = "utilities"
    size: Source = "size"
    adults: Source = "adults"
    children: Source = "children"


COLUMNS = Columns()
"""The contract's own names."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Be what a definition asks for and what it takes when nothing else is said."""

    needs: tuple[str, ...]
    thresholds: tuple[float, ...]
    sign: Sign
    unit: Unit


STANDARDS: dict[str, Standard] = {
    "budget": Standard((), (0.10, 0.25), ">", "household"),
    "nonfood": Standard(("food",), (0.40,), ">", "household"),
    "who": Standard(("food",), (0.40,), ">=", "household"),
    "europe": Standard(("food", "housing", "utilities", "adults", "children"), (0.40,), ">", "household"),
    "sdg": Standard((), (0.40,), ">", "person"),
}


def catastrophic(
    table: Table,
    *,
    definition: Definition = "budget",
    thresholds: Sequence[float] | None = None,
    columns: Columns = COLUMNS,
    unit: Unit | None = None,
    sign: Sign | None = None,
    who: WhoRule | None = None,
    europe: EuropeRule | None = None,
    sdg: SocietalLine | None = None,
    rank_weighted: bool = True,
    rank_by: Literal["person", "household"] | None = None,
    beyond: float = 1.0,
    impoverishment: bool = False,
    near: float = 1.2,
    quantiles: int = 0,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Count households whose out-of-pocket health spending takes more than a share of what they can pay.

    Definitions (what they can pay): `budget` all consumption; `nonfood` consumption less food; `who` capacity to pay
    (Xu 2005, see `WhoRule`); `europe` consumption less normative food, housing and utilities (see `EuropeRule`); `sdg`
    the discretionary budget over the societal poverty line (SDG 3.8.2 as adopted in 2025; give `sdg=SocietalLine.of(
    2017, ppp=..., days=...)` for the table's currency and period). Amounts are a household and period, in the table's
    unit; out-of-pocket spending is net of all that was paid back, and consumption includes it.

    For each threshold z: `headcount` H, the share with spending above z of capacity (`sign` says whether exactly z
    counts); `overshoot` O, the mean of what lies above z, as a share of capacity; `mean_positive_overshoot` O/H; and if
    `rank_weighted`, the concentration indices of both over consumption (`rank_by` person: a head) and H (1 - C),
    O (1 - C) (O'Donnell et al. 2008, chapter 18). The definition sdg adds `impoverishing` (spending above the whole
    discretionary budget) and `large_not_impoverishing`.

    `impoverishment` adds who is poor by the definition's own line (who: subsistence; europe: basic needs; sdg: the
    societal line), with label threshold null: `gross_headcount` (consumption below the line), `net_headcount`
    (consumption less spending below it), and the five groups of `medfloor.measures.impoverishing`, of which `at_risk`
    have less than `near` times the line after paying (Xu 2005; Cylus, Thomson and Evetovits 2018).

    A household with spending and a capacity of zero or below is catastrophic at every threshold; in the overshoot its
    spending counts as `beyond` times its capacity, because the ratio has no value. Such households are counted in
    `special`. One without spending never is. Missing values leave a row out and are counted too.

    Raises UsageError: bad_threshold, no_such_definition, bad_sign, no_such_group, bad_beyond, bad_near, bad_choice (a
    definition without a line has no impoverishment); InputError: what `take` raises, empty_band.

    >>> homes = {"oop": [0.0, 5.0, 30.0, 50.0], "consumption": [100.0, 100.0, 100.0, 100.0], "size": [1, 1, 1, 1]}
    >>> found = catastrophic(homes, thresholds=[0.1, 0.4])
    >>> found.value("headcount", threshold=0.1), round(found.value("mean_positive_overshoot", threshold=0.4), 3)
    (0.5, 0.1)
    """
    _check_asked(definition, sign, beyond)
    standard = STANDARDS[definition]
    at = thresholds_of(standard.thresholds if thresholds is None else thresholds)
    sign = sign or standard.sign
    rules = Rules(who or WhoRule(), europe or EuropeRule(), sdg or SocietalLine.of(2017))
    frame = frame_of(table)
    has_size = not isinstance(columns.size, str) or columns.size in frame.columns
    rank_by = rank_by or ("person" if has_size else "household")
    unit = unit or standard.unit
    ranked = rank_weighted or quantiles > 0
    sized = definition in ("who", "sdg") or unit == "person" or (ranked and rank_by == "person")
    needs = {name: getattr(columns, name) for name in ("oop", "consumption", *standard.needs)}
    if sized:
        needs["size"] = columns.size
    sample = take(frame, needs, unit=unit, size=columns.size, by=by, design=design)
    capacity = capacity_of(sample, definition, rules)
    sample = _with_ranks(sample, rank_by if ranked else None, quantiles).also(capacity=capacity.amount)
    if impoverishment:
        sample = _with_needs(sample, capacity, near)
    sample = sample.noting(**_special(sample))
    estimator = estimator_of(at, sign, beyond, rank_weighted, definition == "sdg", near if impoverishment else None)
    plain = not (rank_weighted or definition == "sdg" or against or impoverishment)
    rows = evaluate(
        sample,
        estimator,
        labels={"threshold": pl.Float64()},
        against=against,
        progress=progress,
        shortcut=_shortcut(at, sign, beyond) if plain else None,
    )
    notes = [Phrase.of("catastrophic.no_capacity", beyond=f"{beyond:g}")] if sample.special.get("no_capacity") else []
    if definition == "sdg" and rules.sdg.in_dollars:
        notes.append(Phrase("catastrophic.dollars"))
    if sdg is not None and sdg.base == 2021 and definition == "sdg":
        notes.append(Phrase("catastrophic.base_2021"))
    return Result(
        measure="catastrophic",
        rows=rows,
        definition=defined(definition, rules),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=capacity.line,
        sign=sign,
        level=sample.design.level,
        special=sample.special,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Be the parameters of the definitions that have any."""

    who: WhoRule
    europe: EuropeRule
    sdg: SocietalLine


def _check_asked(definition: str, sign: str | None, beyond: float) -> None:
    if definition not in DEFINITIONS:
        raise UsageError("no_such_definition", f"there is no definition {definition!r}; use {', '.join(DEFINITIONS)}")
    if sign not in (None, ">", ">="):
        raise UsageError("bad_sign", f"the sign of a threshold is > or >=, not {sign!r}")
    if not 0 <= beyond < math.inf:
        raise UsageError(
            "bad_beyond", f"beyond {beyond:g} is how many times its capacity a household spends; 1 is usual"
        )


def thresholds_of(thresholds: Sequence[float]) -> tuple[float, ...]:
    """Check thresholds and leave out repeated ones. Raises UsageError bad_threshold."""
    if not thresholds:
        raise UsageError("bad_threshold", "no threshold was given; write 0.1 for 10 %")
    for one in thresholds:
        if not 0 < one < 10:
            raise UsageError(
                "bad_threshold", f"threshold {one} is not a share above zero of capacity; write 0.1 for 10 %"
            )
    return tuple(dict.fromkeys(float(one) for one in thresholds))


def capacity_of(sample: Sample, definition: str, rules: Rules) -> Capacity:
    """Work out what each household of a sample can pay, by a definition."""
    consumption = sample["consumption"]
    # Lines are averages over households, also where people are counted.
    homes = sample.weight / sample["size"] if sample.unit == "person" else sample.weight
    if definition == "budget":
        return Capacity(consumption, None, None)
    if definition == "nonfood":
        return Capacity(consumption - sample["food"], None, None)
    if definition == "who":
        return who_capacity(consumption, sample["food"], sample["size"], homes, rules.who)
    if definition == "europe":
        basic = sample["food"] + sample["housing"] + sample["utilities"]
        return europe_capacity(consumption, basic, sample["adults"], sample["children"], homes, rules.europe)
    return discretionary(consumption, sample["size"], homes * sample["size"], rules.sdg)


def _with_ranks(sample: Sample, rank_by: str | None, quantiles: int) -> Sample:
    if rank_by is None:
        return sample
    rank = sample["consumption"] / sample["size"] if rank_by == "person" else sample["consumption"]
    sample = sample.also(rank=rank)
    if not quantiles:
        return sample
    if not 2 <= quantiles <= 100:
        raise UsageError("bad_quantiles", f"{quantiles} quantile groups; ask for 2 to 100, 5 for quintiles")
    codes, _ = quantile_groups(rank, sample.weight, quantiles)
    return sample.parted("quantile", [str(place) for place in range(1, quantiles + 1)], codes)


def _with_needs(sample: Sample, capacity: Capacity, near: float) -> Sample:
    """Add the line of each household, whose impoverishment is asked for."""
    if capacity.needs is None:
        raise UsageError(
            "bad_choice",
            "impoverishment needs a definition with a line of its own: who, europe or sdg; for others "
            "use medfloor.measures.impoverishing with a line",
        )
    if not near >= 1:
        raise UsageError("bad_near", f"near {near} is a multiple of the line, 1 or above; write 1.2 for 120 %")
    return sample.also(needs=capacity.needs)


def _special(sample: Sample) -> dict[str, int]:
    oop, capacity, consumption = sample["oop"], sample["capacity"], sample["consumption"]
    # A look at the lowest value spares a pass over many rows in the usual case.
    none = capacity <= 0 if capacity.min() <= 0 else None
    counts = {
        "no_spending": len(oop) - int(np.count_nonzero(oop)),
        "negative_spending": int((oop < 0).sum()) if oop.min() < 0 else 0,
        "no_consumption": int((consumption <= 0).sum()) if consumption.min() <= 0 else 0,
        "no_capacity": 0 if none is None else int(none.sum()),
        "no_capacity_spending": 0 if none is None else int((none & (oop > 0)).sum()),
        "more_than_consumption": int((oop > consumption).sum()),
    }
    return {name: number for name, number in counts.items() if number or name in ("no_spending", "no_capacity")}


def is_catastrophic(oop: Array, capacity: Array, threshold: float, sign: str) -> npt.NDArray[np.bool_]:
    """Say which households spend more than a share of their capacity; none without spending does.

    A capacity of zero or below is exceeded by any spending.

    >>> is_catastrophic(np.array([0.0, 4.0, 1.0]), np.array([-1.0, 10.0, -1.0]), 0.4, ">=").tolist()
    [False, True, True]
    """
    limit = threshold * capacity
    return (oop > 0) & (oop >= limit if sign == ">=" else oop > limit)


def rank_weighted(share: float, index: float) -> float:
    """Weigh a headcount or an overshoot by rank: share (1 - C), more where the poor bear it (O'Donnell et al. 2008).

    >>> round(rank_weighted(33.77, -0.0315), 2)
    34.83
    """
    return share * (1 - index)


def estimator_of(
    thresholds: tuple[float, ...], sign: str, beyond: float, ranked: bool, sdg: bool, near: float | None = None
) -> Estimator:
    """Make the estimator of catastrophic spending: columns oop, capacity, and rank if `ranked`.

    With `near` it also counts the poor, by the column needs.
    """

    def bind(columns: Mapping[str, Array]) -> Bound:
        oop, capacity = columns["oop"], columns["capacity"]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(capacity > 0, oop / capacity, beyond)
        ranking = Ranking.of(columns["rank"]) if ranked else None
        events = [is_catastrophic(oop, capacity, one, sign) for one in thresholds]
        # What lies above the threshold is never below zero, also where `beyond` itself is under it.
        overs = [np.where(e, np.maximum(ratio - z, 0.0), 0.0) for z, e in zip(thresholds, events, strict=True)]
        whole = is_catastrophic(oop, capacity, 1.0, sign)
        poor = {} if near is None else _poor(columns, near)

        def bound(weight: Array) -> Iterator[Statistic]:
            for z, event, over in zip(thresholds, events, overs, strict=True):
                labels = {"threshold": z}
                counted, above = total(weight, event), total(weight, over)
                people = mean(weight, event), mean(weight, over)
                yield Statistic("headcount", people[0], "proportion", labels)
                yield Statistic("overshoot", people[1], "percent", labels)
                yield Statistic("mean_positive_overshoot", above / counted, "percent", labels)
                if sdg:
                    yield Statistic("impoverishing", mean(weight, whole & event), "proportion", labels)
                    yield Statistic("large_not_impoverishing", mean(weight, event & ~whole), "proportion", labels)
                if ranking is not None:
                    for name, share, values, sums in (
                        ("headcount", people[0], event.astype(np.float64), counted),
                        ("overshoot", people[1], over, above),
                    ):
                        index = concentration(ranking, weight, values, sums)
                        yield Statistic(f"concentration_{name}", index, "index", labels)
                        yield Statistic(f"rank_weighted_{name}", share * (1.0 - index), "percent", labels)
            for name, group in poor.items():
                yield Statistic(name, mean(weight, group), "proportion", {"threshold": None})

        return bound

    return bind


def _poor(columns: Mapping[str, Array], near: float) -> dict[str, npt.NDArray[np.bool_]]:
    """Say who is poor before and after spending, by the definition's own line, and in which group."""
    consumption, oop, needs = columns["consumption"], columns["oop"], columns["needs"]
    net = consumption - oop
    before, after = consumption < needs, net < needs
    groups = groups_of(before, after, net < near * needs, oop > 0)
    return {"gross_headcount": before, "net_headcount": after, **groups}


MANY = 200_000
"""From so many households on, the compiled pass saves more than loading it costs."""


def _shortcut(thresholds: tuple[float, ...], sign: str, beyond: float) -> Shortcut:
    """Make one compiled pass over the columns where every row is a cluster of one stratum."""

    def shortcut(
        columns: Mapping[str, Array], weight: Array, structure: Structure
    ) -> list[tuple[Statistic, float, float]] | None:
        if len(weight) < MANY or structure.cluster is not None or structure.stratum_of is not None:
            return None
        from medfloor.measures.exceeding import SUMS, sums_of

        at = np.array(sorted(thresholds))
        oop, capacity, counted = (np.ascontiguousarray(one) for one in (columns["oop"], columns["capacity"], weight))
        workers = min(8, os.cpu_count() or 1)
        edges = np.linspace(0, len(weight), workers + 1).astype(int)
        sums, whole = np.zeros((workers, len(at), SUMS)), np.zeros((workers, 3))

        def add_up(k: int) -> None:
            first, last = int(edges[k]), int(edges[k + 1])
            sums_of(oop, capacity, counted, at, int(sign == ">="), beyond, first, last, sums[k], whole[k])

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(add_up, range(workers)))
        by_threshold = dict(zip(at.tolist(), sums.sum(axis=0), strict=True))
        w, v, n = whole.sum(axis=0)
        # (1 - f) n/(n-1), as in Structure.variance; every estimate below has scores that sum to zero.
        rows = structure.size
        spread = rows / (rows - 1) * (1.0 if structure.fraction is None else float(1 - structure.fraction[0]))
        return [
            (
                Statistic(name, Quantity(value), kind, {"threshold": z}),
                math.sqrt(spread * max(squares, 0)),
                math.sqrt(srs),
            )
            for z in thresholds
            for name, value, kind, squares, srs in _moments(by_threshold[z], w, v, n)
        ]

    return shortcut


def _moments(sums: Array, w: float, v: float, n: float) -> list[tuple[str, float, Kind, float, float]]:
    """Turn sums (see `exceeding`) into estimates, sums of squared scores, and variances of simple random sampling."""
    we, wo, woo, ve, vo, voo = sums.tolist()
    h, o, r = we / w, wo / w, wo / we if we > 0 else math.nan
    free = max(n - 1, 1)
    found: list[tuple[str, float, Kind, float, float]] = [
        ("headcount", h, "proportion", (ve * (1 - 2 * h) + h * h * v) / w**2, h * (1 - h) / free),
        ("overshoot", o, "percent", (voo - 2 * o * vo + o * o * v) / w**2, max(woo / w - o * o, 0) / free),
    ]
    if we > 0:
        squares, plain = voo - 2 * r * vo + r * r * ve, woo - 2 * r * wo + r * r * we
        mpo = (squares / we**2, w * max(plain, 0) / we**2 / free)
    else:
        mpo = (math.nan, math.nan)
    found.append(("mean_positive_overshoot", r, "percent", *mpo))
    return found


def defined(definition: str, rules: Rules) -> Phrase:
    """Say a definition in words, with its parameters."""
    values: dict[str, object] = {}
    if definition == "who":
        rule = rules.who
        values = _band_words(rule.band, rule.weighted, rule.inclusive) | {
            "exponent": f"{rule.exponent:g}",
            "rule": Phrase("catastrophic.min_rule" if rule.actual_food else "catastrophic.no_min_rule"),
        }
    if definition == "europe":
        values = _band_words(rules.europe.band, rules.europe.weighted, rules.europe.inclusive) | {
            "adult": f"{rules.europe.adult:g}",
            "child": f"{rules.europe.child:g}",
        }
    return Phrase.of(f"catastrophic.{definition}", **values)


def _band_words(band: tuple[float, float], weighted: bool, inclusive: bool) -> dict[str, object]:
    return {
        "low": f"{100 * band[0]:g}",
        "high": f"{100 * band[1]:g}",
        "weighted": Phrase("catastrophic.weighted" if weighted else "catastrophic.unweighted"),
        "ends": Phrase("catastrophic.inclusive" if inclusive else "catastrophic.exclusive"),
    }
