"""Measure inequality: Gini, generalised entropy, Atkinson, share and percentile ratios, Lorenz curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.curve import curve, points, poorest
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, count, mean, total
from medfloor.measures.quantile import Bandwidth, estimated_quantile, width
from medfloor.measures.rank import Ranking, concentration
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, take
from medfloor.words import Phrase

InequalityMeasure = Literal[
    "gini", "ge", "atkinson", "quintile_share_ratio", "quintile_sum_ratio", "palma", "p90p10", "lorenz"
]
INEQUALITY_MEASURES: tuple[str, ...] = get_args(InequalityMeasure)
MOST_CURVES = 5
"""Of more groups than this, Lorenz curves could not be told apart; then only that of all is given."""


def inequality(
    table: Table,
    *,
    of: Source = "consumption",
    measures: Sequence[str] = ("gini", "ge", "atkinson", "quintile_share_ratio", "palma", "p90p10"),
    alphas: Sequence[float] = (0.0, 1.0, 2.0),
    aversions: Sequence[float] = (0.5, 1.0, 2.0),
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    parts: str | None = None,
    finite: bool = False,
    floor: float | None = None,
    nonpositive: Literal["keep", "leave_out"] = "keep",
    bandwidth: Bandwidth = "population",
    per_head: bool = True,
    size: Source = "size",
    unit: Unit = "person",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure how unequally consumption or income is spread.

    `of` is a household's amount, divided by its `size` unless `per_head` is False. Statistics, with their label
    `parameter` where they have one:

    - `gini`: 2 cov(y, R) / mu with weighted mid-ranks, exact with ties and weights; times n / (n - 1) if `finite`.
    - `generalised_entropy` (measure "ge") for each of `alphas`: (mean((y / mu)^a) - 1) / (a (a - 1)); 0 is the mean log
      deviation, mean(ln(mu / y)), 1 is Theil's index, mean((y / mu) ln(y / mu)).
    - `atkinson` for each of `aversions` e: 1 - mean((y / mu)^(1 - e))^(1 / (1 - e)); 1 is 1 - exp(mean(ln y)) / mu.
    - `quintile_share_ratio`: the mean of the highest fifth over that of the lowest fifth (S80/S20 as Eurostat's and R's
      laeken: the groups end at the weighted percentiles); `quintile_sum_ratio`: the ratio of their sums (R's convey),
      which differs where a group is not exactly a fifth. `palma`: the share of the highest tenth over that of the
      lowest two fifths, on the Lorenz curve. `p90p10`: the 90th over the 10th percentile.
    - `lorenz`: ordinates of the Lorenz curve at `shares`, on the line between two ranks.

    `parts` names a column: generalised entropy is then also parted into `entropy_within` its groups and
    `entropy_between` their means (the sum is the whole), with `entropy_between_share`; its groups are added to `by`.

    Values of zero and below have no logarithm and no negative power. With `nonpositive="keep"` the indices that need
    one (ge with alpha <= 0, atkinson with e >= 1; below zero also any power that is not whole, and Theil's) are null
    where there are such values, and a note says how many; "leave_out" works out generalised entropy and Atkinson's
    index, of every parameter, over the other rows (as R's convey); `floor` raises all lower values to itself. A mean of
    zero or below leaves every relative index null.

    Raises UsageError: no_such_measure, bad_alpha, bad_share, bad_bandwidth, no_such_group; InputError: what `take`
    raises.

    >>> homes = {"consumption": [1.0, 2.0, 3.0, 4.0], "size": [1, 1, 1, 1]}
    >>> found = inequality(homes, measures=["gini", "ge"], alphas=[2])
    >>> found.value("gini"), round(found.value("generalised_entropy"), 9)
    (0.25, 0.1)
    """
    rules = _checked(measures, alphas, aversions, shares, finite, nonpositive, bandwidth)
    groups = _groups(by, parts)
    sample = take(
        table, {"value": of, "size": size if per_head else None}, unit=unit, size=size, by=groups, design=design
    )
    sample = _parted(_valued(sample, floor), parts)
    rows = evaluate(
        sample,
        _estimator(rules, _sections(sample, parts)),
        labels={"parameter": pl.Float64()},
        against=against,
        progress=progress,
    )
    if parts is not None:
        # Inside one of the parts there is nothing to part.
        parting = pl.col("statistic").is_in(["entropy_within", "entropy_between", "entropy_between_share"])
        rows = rows.filter(~(parting & (pl.col("by") == parts).fill_null(False)))
    lorenz = _lorenz(sample)
    return Result(
        measure="inequality",
        rows=rows,
        definition=_definition(of, per_head, rules, parts),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=_notes(sample, rules, rows),
        # Figures look for a concentration curve; over its own ranks that is the Lorenz curve.
        curves={"lorenz": lorenz, "concentration": lorenz},
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    measures: tuple[str, ...]
    alphas: tuple[float, ...]
    aversions: tuple[float, ...]
    shares: tuple[float, ...]
    finite: bool
    leave_out: bool
    bandwidth: Bandwidth


def _checked(
    measures: Sequence[str],
    alphas: Sequence[float],
    aversions: Sequence[float],
    shares: Sequence[float],
    finite: bool,
    nonpositive: str,
    bandwidth: Bandwidth,
) -> _Rules:
    for one in measures:
        if one not in INEQUALITY_MEASURES:
            raise UsageError(
                "no_such_measure", f"there is no inequality measure {one!r}; use {', '.join(INEQUALITY_MEASURES)}"
            )
    if not measures:
        raise UsageError("no_such_measure", f"no measure was asked for; use {', '.join(INEQUALITY_MEASURES)}")
    for alpha in alphas:
        if not math.isfinite(alpha):
            raise UsageError("bad_alpha", f"alpha {alpha} of generalised entropy is no number; 0, 1 and 2 are usual")
    for aversion in aversions:
        if not 0 <= aversion < math.inf:
            raise UsageError(
                "bad_alpha", f"aversion {aversion} of Atkinson's index is not zero or above; 0.5, 1, 2 are usual"
            )
    for share in shares:
        if not 0 < share < 1:
            raise UsageError(
                "bad_share", f"a share of {share:g} is not between 0 and 1; write 0.4 for the poorest 40 %"
            )
    if nonpositive not in ("keep", "leave_out"):
        raise UsageError("bad_choice", f"nonpositive is 'keep' or 'leave_out', not {nonpositive!r}")
    numbers = [tuple(dict.fromkeys(float(one) for one in given)) for given in (alphas, aversions, shares)]
    asked = tuple(dict.fromkeys(measures))
    return _Rules(asked, numbers[0], numbers[1], numbers[2], finite, nonpositive == "leave_out", bandwidth)


def _groups(by: str | Sequence[str] | None, parts: str | None) -> list[str]:
    groups = [by] if isinstance(by, str) else list(by or ())
    return groups if parts is None or parts in groups else [*groups, parts]


def _valued(sample: Sample, floor: float | None) -> Sample:
    value = sample["value"] / sample["size"] if sample.has("size") else sample["value"]
    counts = {"zero_value": int((value == 0).sum()), "negative_value": int((value < 0).sum())}
    if floor is not None:
        if not math.isfinite(floor):
            raise UsageError(
                "bad_floor", f"a floor of {floor} is no number that values can be raised to; give a finite one"
            )
        counts["floored"] = int((value < floor).sum())
        value = np.maximum(value, floor)
    return sample.also(value=value).noting(**counts)


def _parted(sample: Sample, parts: str | None) -> Sample:
    if parts is None:
        return sample
    grouping = next(one for one in sample.groupings if one.name == parts)
    return sample.also(part=grouping.code.astype(np.float64))


def _sections(sample: Sample, parts: str | None) -> int:
    if parts is None:
        return 0
    return len(next(one for one in sample.groupings if one.name == parts).labels)


def _estimator(rules: _Rules, sections: int) -> Estimator:
    """Bind values; logarithms and powers are worked out once, on values over a fixed scale, so that none overflows."""

    def bind(columns: Mapping[str, Array]) -> Bound:
        value = columns["value"]
        scale = float(np.abs(value).mean()) or 1.0
        scaled = value / scale
        above = value > 0
        spread = _Spread(scaled, None if bool(above.all()) else above, bool((value < 0).any()), rules.leave_out)
        ranked = {"gini", "quintile_share_ratio", "quintile_sum_ratio", "palma", "lorenz"} & set(rules.measures)
        ranking = Ranking.of(value) if ranked else None
        part = columns["part"].astype(np.int64) if sections else None
        powers = {alpha: spread.power(alpha) for alpha in rules.alphas} if "ge" in rules.measures else {}
        means = {e: spread.power(1.0 - e) for e in rules.aversions} if "atkinson" in rules.measures else {}

        def bound(weight: Array) -> Iterator[Statistic]:
            for measure in rules.measures:
                if measure == "ge":
                    for alpha, power in powers.items():
                        yield from _entropy_rows(spread, weight, alpha, power, part, sections)
                elif measure == "atkinson":
                    for e, power in means.items():
                        found = _relative(spread, weight, partial(_atkinson, spread, aversion=e, power=power), power)
                        yield Statistic("atkinson", found, "index", {"parameter": e}, n=spread.rows(weight, power))
                elif measure == "p90p10":
                    yield Statistic(measure, _percentiles(value, weight, rules.bandwidth), "index")
                else:
                    assert ranking is not None
                    yield from _ranked_rows(measure, ranking, weight, scaled, rules)

        return bound

    return bind


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Be values over a fixed scale, and which of them have a logarithm (`above`; None where all do)."""

    value: Array
    above: npt.NDArray[np.bool_] | None
    negative: bool
    leave_out: bool

    def power(self, alpha: float) -> _Power:
        """Give what an index of a power needs: values to the power (0: logarithms, 1: y ln y); None where undefined."""
        needs = alpha <= 0 or (self.negative and not (alpha >= 2 and float(alpha).is_integer()))
        if needs and self.above is not None and not self.leave_out:
            return _Power(None, None)
        rows = self.above if self.leave_out else None
        value = self.value if rows is None else np.where(rows, self.value, 1.0)
        if alpha == 0:
            made = np.log(value)
        elif alpha == 1:
            made = np.zeros(len(value))
            np.log(value, out=made, where=value > 0)
            made *= value
        else:
            made = value**alpha
        return _Power(made, rows)

    def rows(self, weight: Array, power: _Power) -> int | None:
        """Count the rows of an index that leaves some out."""
        return None if power.rows is None else int(((weight > 0) & power.rows).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Power:
    values: Array | None
    rows: npt.NDArray[np.bool_] | None


def _relative(spread: _Spread, weight: Array, index: Callable[[Array], Quantity], power: _Power) -> Quantity:
    """Work an index out over the rows that have a value; undefined without any, or with a mean of zero or below."""
    if power.values is None:
        return Quantity(math.nan)
    rows = power.rows
    kept = weight if rows is None else weight * rows
    if not float(kept @ spread.value) > 0:
        return Quantity(math.nan)
    found = index(kept)
    if rows is None:
        return found
    return total(weight, lambda: np.asarray(found.influence() * rows, np.float64), found.value)


def _entropy(spread: _Spread, weight: Array, alpha: float, power: _Power) -> Quantity:
    """Estimate generalised entropy (Cowell 1980; Shorrocks 1980)."""
    assert power.values is not None
    centre = mean(weight, spread.value)
    middle = mean(weight, power.values)
    if alpha == 0:
        return centre.log() - middle
    if alpha == 1:
        return middle / centre - centre.log()
    return (middle / centre**alpha - 1.0) / (alpha * (alpha - 1))


def _atkinson(spread: _Spread, weight: Array, aversion: float, power: _Power) -> Quantity:
    """Estimate Atkinson's index (Atkinson 1970)."""
    assert power.values is not None
    centre = mean(weight, spread.value)
    if aversion == 0:
        return 1.0 - centre / centre
    middle = mean(weight, power.values)
    equal = middle.exp() if aversion == 1 else middle ** (1 / (1 - aversion))
    return 1.0 - equal / centre


def _entropy_rows(
    spread: _Spread,
    weight: Array,
    alpha: float,
    power: _Power,
    part: npt.NDArray[np.int64] | None,
    sections: int,
) -> Iterator[Statistic]:
    labels = {"parameter": alpha}
    rows = spread.rows(weight, power)
    whole = _relative(spread, weight, partial(_entropy, spread, alpha=alpha, power=power), power)
    yield Statistic("generalised_entropy", whole, "index", labels, n=rows)
    if part is None:
        return
    between = _relative(spread, weight, lambda w: _between(spread.value, w, alpha, part, sections), power)
    yield Statistic("entropy_within", whole - between, "index", labels, n=rows)
    yield Statistic("entropy_between", between, "index", labels, n=rows)
    # Where all are equal, the whole is what rounding left, and has no parts.
    parted = between / (whole if whole.value > 1e-14 else Quantity(0.0))
    yield Statistic("entropy_between_share", parted, "percent", labels, n=rows)


def _between(value: Array, weight: Array, alpha: float, part: npt.NDArray[np.int64], sections: int) -> Quantity:
    """Estimate the entropy between groups: that of the group means, each held by all of its group (Shorrocks 1984).

    One total over groups, with its derivatives by each group's people N and sum Y put beside the rows.
    """
    people = np.bincount(part, weight, minlength=sections)
    sums = np.bincount(part, weight * value, minlength=sections)
    there = people > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(there, sums / people, 1.0)
        if bool((means[there] <= 0).any()) and (alpha <= 0 or float(alpha) != int(alpha)):
            return Quantity(math.nan)
        logs = np.log(np.where(means > 0, means, 1.0))
        if alpha == 0:
            terms, by_people, by_sums = people * logs, logs - 1, 1 / means
        elif alpha == 1:
            terms, by_people, by_sums = sums * logs, -means, logs + 1
        else:
            terms = np.where(there, people * means**alpha, 0.0)
            by_people, by_sums = (1 - alpha) * means**alpha, alpha * means ** (alpha - 1)
    summed = total(weight, lambda: np.asarray(by_people[part] + by_sums[part] * value), float(terms[there].sum()))
    whole, everything = count(weight), total(weight, value)
    centre = everything / whole
    if alpha == 0:
        return centre.log() - summed / whole
    if alpha == 1:
        return summed / everything - centre.log()
    return (summed / whole / centre**alpha - 1.0) / (alpha * (alpha - 1))


def _percentiles(value: Array, weight: Array, bandwidth: Bandwidth) -> Quantity:
    low = estimated_quantile(value, weight, 0.1, bandwidth)
    # A ratio to a percentile of zero or below says nothing.
    return estimated_quantile(value, weight, 0.9, bandwidth) / (low if low.value > 0 else Quantity(0.0))


def _ranked_rows(measure: str, ranking: Ranking, weight: Array, value: Array, rules: _Rules) -> Iterator[Statistic]:
    """Estimate what needs an order: Gini, share ratios, ordinates of the Lorenz curve."""
    sums = total(weight, value)
    if not sums.value > 0:
        labels: list[Mapping[str, object]] = [{}]
        if measure == "lorenz":
            labels = [{"parameter": share} for share in rules.shares]
        kind: Kind = "percent" if measure == "lorenz" else "index"
        yield from (Statistic(measure, Quantity(math.nan), kind, one) for one in labels)
    elif measure == "gini":
        n = int(np.count_nonzero(weight))
        small = n / (n - 1) if rules.finite and n > 1 else (math.nan if rules.finite else 1.0)
        yield Statistic("gini", small * concentration(ranking, weight, value, sums), "index")
    elif measure == "lorenz":
        for share, one in zip(rules.shares, curve(ranking, weight, value, rules.shares, of_rank=True), strict=True):
            yield Statistic("lorenz", one, "percent", {"parameter": share})
    elif measure == "palma":
        low, high = poorest(ranking, weight, value, [0.4, 0.9], of_rank=True)
        yield Statistic("palma", (sums - high) / (low if low.value > 0 else Quantity(0.0)), "index")
    else:
        low, high = poorest(ranking, weight, value, [0.2, 0.8], of_rank=True, whole_ranks=True)
        lowest, highest = low, sums - high
        if measure == "quintile_share_ratio":
            few, many = poorest(ranking, weight, None, [0.2, 0.8], whole_ranks=True)
            lowest, highest = low / few, highest / (count(weight) - many)
        yield Statistic(measure, highest / (lowest if lowest.value > 0 else Quantity(0.0)), "index")


def _lorenz(sample: Sample) -> pl.DataFrame:
    """Give points of the Lorenz curve: of each group where there are at most five, of all otherwise."""
    value, weight = sample["value"], sample.weight
    drawn = [points(Ranking.of(value), weight, value, "lorenz")]
    for grouping in sample.groupings[:1]:
        if len(grouping.labels) <= MOST_CURVES:
            for code, label in enumerate(grouping.labels):
                rows = grouping.code == code
                drawn.append(points(Ranking.of(value[rows]), weight[rows], value[rows], "lorenz", label))
    return pl.concat(drawn)


def _definition(of: Source, per_head: bool, rules: _Rules, parts: str | None) -> Phrase:
    keys = ["gini_finite" if one == "gini" and rules.finite else one for one in rules.measures]
    said: Phrase | None = None
    for key in keys:
        one = Phrase(f"inequality.{key}")
        said = one if said is None else Phrase.of("inequality.and", first=said, second=one)
    assert said is not None
    if parts is not None:
        said = Phrase.of("inequality.and", first=said, second=Phrase.of("inequality.decomposed", parts=parts))
    per = Phrase("poverty.per_head" if per_head else "poverty.as_it_stands")
    return Phrase.of("inequality.definition", of=of if isinstance(of, str) else "value", per=per, measures=said)


def _notes(sample: Sample, rules: _Rules, rows: pl.DataFrame) -> tuple[Phrase, ...]:
    value = sample["value"]
    notes = []
    without, negative = int((value <= 0).sum()), int((value < 0).sum())
    entropic = {"ge", "atkinson"} & set(rules.measures)
    needing = ("ge" in rules.measures and min(rules.alphas, default=1) <= 0) or (
        "atkinson" in rules.measures and max(rules.aversions, default=0) >= 1
    )
    if without and rules.leave_out and entropic:
        notes.append(Phrase.of("inequality.left_out", rows=f"{without:,}"))
    if without and not rules.leave_out and (needing or (negative and entropic)):
        notes.append(Phrase.of("inequality.no_value", rows=f"{without:,}"))
    if negative:
        notes.append(Phrase.of("inequality.negative", rows=f"{negative:,}"))
    if not float(sample.weight @ value) > 0:
        notes.append(Phrase("inequality.no_mean"))
    ratios = rows.filter(pl.col("statistic").is_in(["quintile_share_ratio", "quintile_sum_ratio", "palma", "p90p10"]))
    if ratios["estimate"].null_count():
        notes.append(Phrase("inequality.no_ratio"))
    if not isinstance(rules.bandwidth, str):
        # A bandwidth that means nothing is refused even where no density is needed.
        width(value, sample.weight, rules.bandwidth)
    return tuple(notes)
