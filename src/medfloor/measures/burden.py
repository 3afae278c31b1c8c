"""Measure how far each tier of compensation takes the burden off cases: burden reduction, relative risk, the safe zone.

Burden reduction index (BRI) and disease relative risk appear in Chinese evaluations of poverty alleviation by medical
insurance without a formula that could be found. The definitions here are this project's own; they reproduce the
arithmetic of the figures that such a study printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.association import Test, independence, notes_of, rows_of
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, mean, total
from medfloor.measures.rank import quantile
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit, take
from medfloor.measures.settled import cases_of, without_taken_back
from medfloor.words import Phrase

Reference: TypeAlias = "Literal['mean', 'median'] | float | Source"

BEFORE = "before"
"""The label of what stands before any compensation."""

RISKS, ZONES = ("low", "high"), ("unsafe", "safe")

EDGE = 1e-9
"""How near a ratio must be to an edge to count as on it: amounts are fen, and sums of doubles miss 0.8 by less."""

SIDE_BY_SIDE = (
    ("burden_reduction", "mean_burden_reduction", "added_reduction", "mean_added_reduction", "safe_share"),
    ("relative_risk", "mean_relative_risk", "high_risk_share"),
    ("cross_cases", "cross_share"),
    ("odds_ratio",),
    ("change_cases", "change_share"),
)
"""What a terminal shows in one table: one row a tier, or one a tier and cell."""

LABELS = {
    "tier": pl.String(),
    "risk": pl.String(),
    "zone": pl.String(),
    "risk_after": pl.String(),
    "of": pl.String(),
    "denominator_df": pl.Float64(),
}


def burden(
    table: Table,
    *,
    reference: Reference | None = None,
    total: Source = "total",
    tiers: Sequence[str] | None = None,
    oop: Source | None = None,
    safe: float = 0.8,
    safe_closed: bool = True,
    risk_cut: float = 1.0,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
    unit: Unit = "household",
) -> Result:
    """Measure what each tier takes off the burden of cases, and who is safe after it. Definitions are this project's.

    A row is a case (a claim, a stay, a person's year) with its cost before compensation, `total`, and what each of
    `tiers` paid, in order; by default all columns that begin with `pay_`, except pay_total. `oop` gives what is left in
    the end: alone, it makes one tier "compensation"; with tiers, what they do not explain becomes a last tier "other".

    By tier, always after this tier and all before it: `burden_reduction` 1 - left / cost as a ratio of sums, and
    `mean_burden_reduction` as the mean of cases' ratios; `added_reduction` and `mean_added_reduction`, what this tier
    adds to each; `relative_risk`, what is left over `reference` as a ratio of sums, and `mean_relative_risk`
    (tier "before": the whole cost); `high_risk_share`, cases with a relative risk of `risk_cut` or above; `safe_share`,
    cases with a reduction of `safe` or above (`safe_closed=False`: above).

    `reference` has no default, because the choice decides who is at high risk: "mean" or "median" (of the cost of all
    cases), a number, or a column of amounts a case (income, capacity to pay). Cases whose reference is zero or below
    are at high risk as long as anything is left to pay; they stand outside of relative_risk.

    Cross table by tier: `cross_cases` and `cross_share` (of the row) of cases at low and high `risk` before
    compensation that are in each `zone` after the tier; `odds_ratio` of being safe, high against low; tests of
    independence over all cases (`independence`). `change_cases` and `change_share`: from the risk before to the risk
    after. `case_share` is a group's share of all cases.

    Cases without cost (zero or below) have no ratio; they are left out and counted. A settlement that was taken back is
    no case, nor is the row that takes it back: where the table has person_id (or claim_id and reverses), both are left
    out and counted as one. Settlements under the national platform's names (medfee_sumamt, hifp_pay, ...) are
    understood as they are.

    Raises UsageError: no_reference, no_tiers, bad_share, bad_reference; InputError: no_costs and what `take` raises.

    >>> cases = {"total": [100.0, 100.0, 400.0], "pay_basic": [60.0, 80.0, 100.0], "pay_assistance": [0.0, 0.0, 260.0]}
    >>> found = burden(cases, reference="mean")
    >>> round(found.value("burden_reduction", tier="assistance"), 4), round(found.value("safe_share", tier="basic"), 4)
    (0.8333, 0.3333)
    >>> found.value("cross_cases", tier="assistance", risk="high", zone="safe")
    1.0
    """
    asked = _Asked(_reference(reference), _share(safe, "safe"), safe_closed, _cut(risk_cut))
    groups = [by] if isinstance(by, str) else by or ()
    frame, gone = cases_of(table, _names([total, oop, reference, *(tiers or ()), *groups]))
    names = _tiers(frame, tiers, oop)
    frame, taken_back = _cases(frame, total, names, gone)
    sample = _sample(frame, total, names, oop, asked, unit, by, design)
    sample, steps = _layers(sample, names, oop is not None)
    sample, line = _with_reference(sample, asked)
    sample = sample.noting(**_special(sample, steps), **taken_back)
    rows = evaluate(sample, _estimator(steps, asked), labels=LABELS, against=against, progress=progress)
    shares = evaluate(sample, _case_share, labels=LABELS, whole=True).filter(pl.col("group").is_not_null())
    tests = list(_tests(sample, steps, asked))
    notes = [Phrase("burden.ours")]
    if isinstance(asked.reference, str) and asked.reference in ("mean", "median"):
        notes.append(Phrase("burden.reference_fixed"))
    if sample.special.get("no_reference"):
        notes.append(Phrase("burden.no_reference"))
    return Result(
        measure="burden",
        rows=pl.concat([rows, shares, rows_of(tests, LABELS)]),
        definition=Phrase.of(
            "burden.definition", sign=">=" if safe_closed else ">", safe=f"{safe:g}", cut=f"{risk_cut:g}"
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=line,
        sign=">=" if safe_closed else ">",
        level=sample.design.level,
        special=sample.special,
        notes=(*notes, *notes_of([test for _, test in tests])),
        spreads=SIDE_BY_SIDE,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    reference: Reference
    safe: float
    closed: bool
    cut: float

    def is_safe(self, paid: Array, cost: Array) -> npt.NDArray[np.bool_]:
        ratio = paid / cost
        return ratio >= self.safe - EDGE if self.closed else ratio > self.safe + EDGE

    def is_high(self, left: Array, reference: Array) -> npt.NDArray[np.bool_]:
        # Without a reference any burden is too high, and none is not.
        return np.where(reference > 0, left >= self.cut * reference * (1 - EDGE), left > 0)


def _reference(given: Reference | None) -> Reference:
    if given is None:
        raise UsageError(
            "no_reference",
            "relative risk needs a reference, and the choice decides who is at high risk: mean or median (of the cost "
            "of all cases), a number, or a column such as income or capacity to pay",
        )
    if isinstance(given, (int, float)) and not (0 < given < float("inf")):
        raise UsageError(
            "bad_reference", f"the reference {given} is not an amount above zero; give mean, median, a column or yuan"
        )
    return given


def _share(given: float, name: str) -> float:
    if not 0 < given <= 1:
        raise UsageError("bad_share", f"{name} {given} is not a share in (0, 1]; write 0.8 for 80 %")
    return given


def _cut(given: float) -> float:
    if not 0 < given < float("inf"):
        raise UsageError("bad_share", f"risk_cut {given} is not above zero; 1 is the reference itself")
    return given


def _tiers(frame: pl.DataFrame, tiers: Sequence[str] | None, oop: Source | None) -> list[str]:
    if isinstance(tiers, str):
        raise UsageError("no_tiers", f"tiers is a list of columns in order, not {tiers!r}")
    names = list(tiers or ())
    if tiers is None:
        names = [name for name in frame.columns if name.startswith("pay_") and name != "pay_total"]
    if not names and oop is None:
        raise UsageError(
            "no_tiers",
            "the table has no column pay_<tier>; name the columns of payments in order (tiers), or what was left (oop)",
        )
    if len(set(names)) < len(names):
        raise UsageError("no_tiers", f"a tier is named twice; keep one: {', '.join(names)}")
    return names


def _names(sources: Sequence[object]) -> set[str]:
    return {one for one in sources if isinstance(one, str)}


def _cases(frame: pl.DataFrame, cost: Source, tiers: Sequence[str], gone: int) -> tuple[pl.DataFrame, dict[str, int]]:
    """Leave out settlements that were taken back; count them with those `gone` already, where there are any."""
    if gone:
        return frame, {"taken_back": gone}
    if not isinstance(cost, str) or any(name not in frame.columns for name in (cost, *tiers)):
        return frame, {}
    frame, pairs = without_taken_back(frame, total=cost, paid=tiers)
    if not frame.height:
        raise InputError("no_costs", f"all {pairs:,} settlements were taken back; there is no cost to reduce")
    return frame, {"taken_back": pairs} if pairs else {}


def _sample(
    frame: pl.DataFrame,
    cost: Source,
    tiers: Sequence[str],
    oop: Source | None,
    asked: _Asked,
    unit: Unit,
    by: str | Sequence[str] | None,
    design: Design | None,
) -> Sample:
    columns: dict[str, Source | None] = {"total": cost, **{f"paid:{name}": name for name in tiers}, "oop": oop}
    given = asked.reference
    if isinstance(given, pl.Expr) or (isinstance(given, str) and given not in ("mean", "median")):
        columns["reference"] = given
    sample = take(frame, columns, unit=unit, by=by, design=design)
    costly = sample["total"] > 0
    negative = int((sample["total"] < 0).sum())
    sample = sample.noting(
        no_cost=int((sample["total"] == 0).sum()), **({"negative_cost": negative} if negative else {})
    )
    if not (sample.weight[costly] > 0).any():
        raise InputError(
            "no_costs",
            f"none of {len(sample):,} cases has a cost above zero; there is nothing to reduce. Check the column",
        )
    return sample if costly.all() else sample.only(costly)


def _layers(sample: Sample, tiers: Sequence[str], final: bool) -> tuple[Sample, list[str]]:
    """Add what is left before and after each tier; give the names of the steps."""
    left = sample["total"]
    made = {f"left:{BEFORE}": left}
    for name in tiers:
        left = left - sample[f"paid:{name}"]
        made[f"left:{name.removeprefix('pay_')}"] = left
    if final and (not tiers or np.abs(left - sample["oop"]).max(initial=0.0) > 0.005):
        # Half a fen: a difference that is not rounding was paid by somebody whom no column names.
        made["left:other" if tiers else "left:compensation"] = sample["oop"]
    return sample.also(**made), [name.removeprefix("left:") for name in made]


def _with_reference(sample: Sample, asked: _Asked) -> tuple[Sample, Phrase]:
    given, cost = asked.reference, sample["total"]
    if sample.has("reference"):
        name = given if isinstance(given, str) else "reference"
        return sample, Phrase.of("burden.column_reference", column=name)
    if isinstance(given, str):
        weighed = float(sample.weight @ cost) / float(sample.weight.sum())
        level = weighed if given == "mean" else quantile(cost, sample.weight, 0.5)
        line = Phrase.of(f"burden.{given}_reference", level=f"{level:,.2f}")
    else:
        assert isinstance(given, (int, float))
        level, line = float(given), Phrase.of("burden.number_reference", level=f"{given:,.2f}")
    return sample.also(reference=np.full(len(sample), level)), line


def _special(sample: Sample, steps: Sequence[str]) -> dict[str, int]:
    lefts = [sample[f"left:{step}"] for step in steps]
    paid_back = np.logical_or.reduce([after > before + 0.005 for before, after in pairwise(lefts)])
    counts = {
        "no_reference": int((sample["reference"] <= 0).sum()),
        "paid_over_cost": int((lefts[-1] < -0.005).sum()),
        "negative_payment": int(paid_back.sum()),
    }
    return {name: number for name, number in counts.items() if number}


def _estimator(steps: Sequence[str], asked: _Asked) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        cost, reference = columns["total"], columns["reference"]
        lefts = [columns[f"left:{step}"] for step in steps]
        known = reference > 0
        highs = [asked.is_high(left, reference) for left in lefts]
        safes = [asked.is_safe(cost - left, cost) for left in lefts]
        ratios = [1 - left / cost for left in lefts]
        divisor = np.where(known, reference, 1.0)

        def bound(weight: Array) -> Iterator[Statistic]:
            costs, references = total(weight, cost), total(weight, np.where(known, reference, 0.0))
            counted = total(weight, known)
            n, weighted_n = int(((weight > 0) & known).sum()), counted.value
            sums = mean_of = Quantity(0.0)
            for place, (step, left) in enumerate(zip(steps, lefts, strict=True)):
                labels = {"tier": step}
                if place:
                    reduced = total(weight, cost - left) / costs
                    averaged = mean(weight, ratios[place])
                    yield Statistic("burden_reduction", reduced, "percent", labels)
                    yield Statistic("mean_burden_reduction", averaged, "percent", labels)
                    yield Statistic("added_reduction", reduced - sums, "percent", labels)
                    yield Statistic("mean_added_reduction", averaged - mean_of, "percent", labels)
                    sums, mean_of = reduced, averaged
                borne = np.where(known, left, 0.0)
                risk, risks = total(weight, borne) / references, total(weight, borne / divisor) / counted
                yield Statistic("relative_risk", risk, "index", labels, n=n, weighted_n=weighted_n)
                yield Statistic("mean_relative_risk", risks, "index", labels, n=n, weighted_n=weighted_n)
                yield Statistic("high_risk_share", mean(weight, highs[place]), "proportion", labels)
                if place:
                    yield Statistic("safe_share", mean(weight, safes[place]), "proportion", labels)
                    yield from _crossed(weight, highs[0], safes[place], ("cross", "zone", ZONES), step)
                    yield _odds(weight, highs[0], safes[place], step)
                    yield from _crossed(weight, highs[0], highs[place], ("change", "risk_after", RISKS), step)

        return bound

    return bind


def _crossed(
    weight: Array,
    high: npt.NDArray[np.bool_],
    event: npt.NDArray[np.bool_],
    named: tuple[str, str, tuple[str, str]],
    step: str,
) -> Iterator[Statistic]:
    """Count the four cells of risk before by an event, and their shares of the row."""
    name, label, values = named
    for risk, row in zip(RISKS, (~high, high), strict=True):
        base = total(weight, row)
        n, weighted_n = int(((weight > 0) & row).sum()), base.value
        for value, column in zip(values, (~event, event), strict=True):
            labels = {"tier": step, "risk": risk, label: value}
            cell = total(weight, row & column)
            yield Statistic(f"{name}_cases", cell, "count", labels)
            yield Statistic(f"{name}_share", cell / base, "proportion", labels, n=n, weighted_n=weighted_n)


def _odds(weight: Array, high: npt.NDArray[np.bool_], safe: npt.NDArray[np.bool_], step: str) -> Statistic:
    low_unsafe, low_safe = total(weight, ~high & ~safe), total(weight, ~high & safe)
    high_unsafe, high_safe = total(weight, high & ~safe), total(weight, high & safe)
    odds = (high_safe * low_unsafe) / (high_unsafe * low_safe)
    return Statistic("odds_ratio", odds, "index", {"tier": step})


def _case_share(columns: Mapping[str, Array]) -> Bound:
    inside = columns["inside"]

    def bound(weight: Array) -> Iterator[Statistic]:
        yield Statistic("case_share", mean(weight, inside), "proportion")

    return bound


def _tests(sample: Sample, steps: Sequence[str], asked: _Asked) -> Iterator[tuple[None, Test]]:
    """Test, over all cases, that the zone after each tier has nothing to do with the risk before."""
    high = asked.is_high(sample["total"], sample["reference"]).astype(np.int64)
    for step in steps[1:]:
        safe = asked.is_safe(sample["total"] - sample[f"left:{step}"], sample["total"]).astype(np.int64)
        for test in independence(sample, high, safe, {"tier": step, "of": "cross_cases"}):
            yield None, test
