"""Estimate means, totals, proportions, ratios and quantiles of a survey, and say what its design costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Inverse, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity
from medfloor.measures.influence import mean as mean_of
from medfloor.measures.influence import total as total_of
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, column, frame_of, take
from medfloor.words import Phrase

Deff = Literal["replacement", "population"]
Interval = Literal["logit", "wilson", "beta", "wald", "arcsine"]
Rule = Literal["inverse", "midpoint"]
Variables: TypeAlias = Source | Sequence[Source]

_MOST_CATEGORIES = 50


@dataclass(frozen=True, slots=True)
class _Asked:
    """Be what every function here is asked in the same words."""

    by: str | Sequence[str] | None
    against: str | None
    design: Design | None
    unit: Unit
    size: Source
    deff: Deff
    progress: Progress | None


def mean(
    table: Table,
    *,
    value: Variables,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    deff: Deff = "replacement",
    progress: Progress | None = None,
) -> Result:
    """Estimate the mean of one or more columns: sum of w y over sum of w.

    `value` names columns or gives Polars expressions; a row that misses one of them is left out of all, and counted.
    `by` makes a domain of each group, with the clusters of the whole sample; `against` compares the groups with one of
    them. Without `design` the contract's columns weight, stratum, psu and fpc are used where the table has them.

    The column `deff` is Kish's design effect against as many rows drawn with replacement; with deff="population"
    against a draw without replacement from a population of the size of the weights (R survey's deff=TRUE), so that it
    is larger by 1 / (1 - n / N); null where the weights do not add up to more than the rows. n / deff is the effective
    sample size.

    Raises InputError: what `medfloor.measures.sample.take` raises; UsageError: no_columns, no_such_group, bad_choice.

    >>> villages = {"paid": [1.0, 3.0, 5.0, 7.0], "psu": ["a", "a", "b", "b"]}
    >>> found = mean(villages, value="paid")
    >>> found.estimate, round(found.se, 6), found.rows["df"].item()
    (4.0, 2.0, 1.0)
    """
    asked = _Asked(by, against, design, unit, size, deff, progress)
    return _of_columns(table, value, asked, "mean", mean_of)


def total(
    table: Table,
    *,
    value: Variables,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    deff: Deff = "replacement",
    progress: Progress | None = None,
) -> Result:
    """Estimate the total of one or more columns over the population: sum of w y. Arguments and errors as in `mean`.

    A total depends on the number of clusters that fell into a group, a mean hardly does: its error is far larger. A
    stratum with one cluster adds its distance from the mean of all clusters (lonely="adjust"; Stata's centered, R
    survey from 4.3).

    >>> total({"paid": [1.0, 3.0], "weight": [10.0, 20.0]}, value="paid").estimate
    70.0
    """
    asked = _Asked(by, against, design, unit, size, deff, progress)
    return _of_columns(table, value, asked, "total", total_of)


def ratio(
    table: Table,
    *,
    value: Source,
    over: Source,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    deff: Deff = "replacement",
    progress: Progress | None = None,
) -> Result:
    """Estimate a ratio of totals: sum of w y over sum of w x. Arguments and errors as in `mean`.

    Null, with a note, where the denominators add up to zero.

    >>> ratio({"paid": [1.0, 3.0], "cost": [4.0, 4.0]}, value="paid", over="cost").estimate
    0.5
    """
    asked = _Asked(by, against, design, unit, size, deff, progress)
    named = _named([value, over])
    names = list(named)

    def bind(columns: Mapping[str, Array]) -> Bound:
        above, below = columns[names[0]], columns[names[-1]]

        def bound(weight: Array) -> Iterator[Statistic]:
            labels = {"variable": f"{names[0]} / {names[-1]}"}
            yield Statistic("ratio", total_of(weight, above) / total_of(weight, below), "index", labels)

        return bound

    sample = _take(table, named, asked)
    return _result("ratio", sample, bind, {"variable": pl.String()}, asked)


def proportion(
    table: Table,
    *,
    value: Source,
    category: object = None,
    interval: Interval | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    deff: Deff = "replacement",
    progress: Progress | None = None,
) -> Result:
    """Estimate the share of the population in each category of a column. Arguments and errors as in `mean`.

    A column of truth values, or of 0 and 1, gives one share: that of true, of 1. Any other column gives one share a
    category, of up to 50, or that of one `category` (label `category`).

    `interval`: "logit", the default, is symmetric on the logit scale (R survey's svyciprop(method="logit"), Stata);
    "beta" is Korn and Graubard's (1998) of Clopper and Pearson with the effective sample size p (1 - p) / se^2, times
    (t of n - 1 over t of df)^2, as R's method="beta"; "wilson" is Wilson's score interval of the same effective size;
    "wald" is Student's t around the share (R's method="mean"), which may leave 0 and 1; "arcsine" the same around the
    arcsine of its root (method="asin"). For a share of 0 or 1 logit, wald and arcsine have none (null); the others take
    the number of rows as effective size, as the standards of the US National Center for Health Statistics do (Parker et
    al. 2017).

    Raises also UsageError: many_categories, no_such_category, bad_choice.

    >>> found = proportion({"insured": ["yes", "no", "yes", "yes"]}, value="insured", category="yes", interval="wilson")
    >>> found.estimate, [round(one, 3) for one in found.interval]
    (0.75, [0.131, 0.984])
    """
    if interval not in (None, *get_args(Interval)):
        raise UsageError("bad_choice", f"there is no interval {interval!r}; use {', '.join(get_args(Interval))}")
    asked = _Asked(by, against, design, unit, size, deff, progress)
    frame = frame_of(table)
    name = next(iter(_named(value)))
    shares = _shares(frame, value, name, category)

    def bind(columns: Mapping[str, Array]) -> Bound:
        events = {label: columns[key] > 0 for label, key in zip(shares, columns, strict=False)}

        def bound(weight: Array) -> Iterator[Statistic]:
            for label, event in events.items():
                labels = {"variable": name, "category": label}
                yield Statistic("proportion", mean_of(weight, event), "proportion", labels)

        return bound

    sources: dict[str, Source | None] = {f"{name}={label}": one for label, one in shares.items()}
    sample = _take(frame, sources, asked)
    result = _result("proportion", sample, bind, {"variable": pl.String(), "category": pl.String()}, asked)
    return result if interval in (None, "logit") else _with_intervals(result, interval, sample.design.level)


def quantile(
    table: Table,
    *,
    value: Variables,
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    rule: Rule = "inverse",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    deff: Deff = "replacement",
    progress: Progress | None = None,
) -> Result:
    """Estimate quantiles with Woodruff's (1952) intervals. Arguments and errors as in `mean`.

    With rule="inverse" a quantile is the lowest value that at least a share p of the weight does not exceed (R survey's
    qrule="math"); with "midpoint" it is the mean of two values where the distribution is flat (qrule="school", Stata).
    The share of rows at or below it has an interval by Student's t; the values at its ends are the interval, and the
    standard error is its width over 2 t (R survey 4.1's svyquantile(interval.type="mean")). Both are null where an end
    lies outside 0 and 1. The bootstrap and a survey's replicate weights give the error of the quantile itself, except
    those of a jackknife, which is wrong for quantiles: there the share is replicated.

    Raises also UsageError: bad_probability.

    >>> quantile({"paid": [4.0, 1.0, 3.0, 2.0]}, value="paid", probabilities=[0.5]).estimate
    2.0
    """
    asked = _Asked(by, against, design, unit, size, deff, progress)
    for one in probabilities:
        if not 0 < one < 1:
            raise UsageError("bad_probability", f"probability {one} is not between 0 and 1; write 0.5 for the median")
    if rule not in ("inverse", "midpoint"):
        raise UsageError("bad_choice", f"there is no rule {rule!r}; use inverse or midpoint")
    named = _named(value)

    def bind(columns: Mapping[str, Array]) -> Bound:
        ladders = {name: _Ladder.of(columns[name], rule) for name in named}

        def bound(weight: Array) -> Iterator[Statistic]:
            for name, ladder in ladders.items():
                at = ladder.under(weight)
                for share in probabilities:
                    found = at(share)
                    within = columns[name] <= found
                    inverse = Inverse(mean_of(weight, within), within, at)
                    labels = {"variable": name, "probability": float(share)}
                    yield Statistic("quantile", Quantity(found), "amount", labels, inverse=inverse)

        return bound

    sample = _take(table, named, asked)
    return _result("quantile", sample, bind, {"variable": pl.String(), "probability": pl.Float64()}, asked)


def design_summary(
    table: Table,
    *,
    by: str | Sequence[str] | None = None,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
) -> Result:
    """Say what a design looks like, in all and by group: rows, clusters, strata, weights, and what the weights cost.

    `rows` with a weight above zero, `clusters` and `strata` among them (the column `df` is the one less the other),
    `sum_of_weights`, `smallest_weight`, `largest_weight`, `weight_cv` (standard deviation over mean),
    `kish_deff` = 1 + cv^2, the design effect of unequal weights alone, and `effective_rows` = rows / kish_deff (Kish
    1965, section 11.7). Clusters and strata cost or gain on top of it, differently for each estimate: see `deff` there.

    >>> found = design_summary({"weight": [1.0, 1.0, 4.0]})
    >>> found.value("effective_rows"), found.value("kish_deff")
    (2.0, 1.5)
    """
    asked = _Asked(by, None, design, unit, size, "replacement", None)
    sample = _take(table, {}, asked)
    structure = sample.structure
    every = np.arange(len(sample), dtype=np.float64)
    stratum_of = np.zeros(structure.size) if structure.stratum_of is None else structure.stratum_of.astype(np.float64)
    sample = sample.also(
        cluster=every if structure.cluster is None else structure.cluster.astype(np.float64),
        stratum=stratum_of[: len(sample)] if structure.cluster is None else stratum_of[structure.cluster],
    )

    def bind(columns: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            seen = weight > 0
            used = weight[seen]
            n, whole = len(used), float(used.sum())
            cost = n * float(used @ used) / whole**2
            told: tuple[tuple[str, float, Kind], ...] = (
                ("rows", n, "count"),
                ("clusters", len(np.unique(columns["cluster"][seen])), "count"),
                ("strata", len(np.unique(columns["stratum"][seen])), "count"),
                ("sum_of_weights", whole, "amount"),
                ("smallest_weight", used.min(), "amount"),
                ("largest_weight", used.max(), "amount"),
                ("weight_cv", math.sqrt(max(cost - 1, 0.0)), "index"),
                ("kish_deff", cost, "index"),
                ("effective_rows", n / cost, "count"),
            )
            for name, value, kind in told:
                yield Statistic(name, Quantity(float(value)), kind, known=False)

        return bound

    rows = evaluate(replace(sample, design=replace(sample.design, method="none")), bind)
    return Result(
        measure="design",
        rows=rows,
        definition=Phrase("survey.design"),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
    )


def pps_inclusion_probabilities(size: Sequence[float] | Array, *, n: int) -> Array:
    """Give the probabilities of being drawn when n units are drawn with probabilities proportional to size.

    pi_i = n a_i / sum of a. Units for which that is 1 or more are drawn for certain; the rest of n is spread over the
    others, again and again until none is above 1 (as R's sampling::inclusionprobabilities; Saerndal, Swensson and
    Wretman 1992, section 3.6.2). A unit of size zero is never drawn. The sampling weight is 1 / pi.

    Raises UsageError: bad_size (negative, missing), bad_number (n below 1 or above the units with a size).

    >>> pps_inclusion_probabilities([1.0, 1.0, 2.0, 8.0], n=2).tolist()
    [0.25, 0.25, 0.5, 1.0]
    """
    sizes = np.asarray(size, np.float64)
    if not np.isfinite(sizes).all() or (sizes < 0).any():
        raise UsageError(
            "bad_size", "a size is missing, infinite or below zero; give each unit a number, zero or above"
        )
    units = int(np.count_nonzero(sizes))
    if not 1 <= n <= units:
        raise UsageError("bad_number", f"{n} units cannot be drawn from {units} that have a size; ask for 1 to {units}")
    certain = np.zeros(len(sizes), np.bool_)
    while True:
        rest = sizes * ~certain
        left = n - int(certain.sum())
        chances = left * rest / rest.sum() if left else rest * 0
        sure = (chances >= 1) & ~certain
        if not sure.any():
            return np.where(certain, 1.0, chances)
        certain |= sure


def _of_columns(
    table: Table, value: Variables, asked: _Asked, measure: str, quantity: Callable[[Array, Array], Quantity]
) -> Result:
    named = _named(value)

    def bind(columns: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for name in named:
                yield Statistic(measure, quantity(weight, columns[name]), "amount", {"variable": name})

        return bound

    sample = _take(table, named, asked)
    return _result(measure, sample, bind, {"variable": pl.String()}, asked)


def _named(value: Variables) -> dict[str, Source | None]:
    """Name the variables: an expression by the name that Polars gives its result, another than those before it."""
    sources = [value] if isinstance(value, (str, pl.Expr)) else list(value)
    if not sources:
        raise UsageError("no_columns", "no column was given to estimate; name one with value")
    named: dict[str, Source | None] = {}
    for source in sources:
        name = source if isinstance(source, str) else source.meta.output_name(raise_if_undetermined=False) or "value"
        while name in named and not isinstance(source, str):
            name += "'"
        named[name] = source
    return named


def _take(table: Table, columns: Mapping[str, Source | None], asked: _Asked) -> Sample:
    if asked.deff not in ("replacement", "population"):
        raise UsageError("bad_choice", f"there is no deff {asked.deff!r}; use replacement or population")
    return take(table, columns, unit=asked.unit, size=asked.size, by=asked.by, design=asked.design)


def _result(
    measure: str, sample: Sample, estimator: Estimator, labels: Mapping[str, pl.DataType], asked: _Asked
) -> Result:
    rows = evaluate(sample, estimator, labels=labels, against=asked.against, progress=asked.progress)
    notes = []
    if asked.deff == "population":
        share = pl.col("n") / pl.col("weighted_n")
        rows = rows.with_columns(pl.when(share < 1).then(pl.col("deff") / (1 - share)).alias("deff"))
        notes.append(Phrase("survey.deff_population"))
    if rows["estimate"].null_count():
        notes.append(Phrase("survey.undefined"))
    if measure == "quantile" and rows["se"].null_count() and sample.design.method != "none":
        notes.append(Phrase("survey.outside"))
    return Result(
        measure=measure,
        rows=rows,
        definition=Phrase(f"survey.{measure}"),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=tuple(notes),
    )


def _shares(frame: pl.DataFrame, value: Source, name: str, category: object) -> dict[str | None, pl.Expr]:
    """Give the indicator of each category; that of truth values, 0 and 1, has no name."""
    series = column(frame, value, name)
    source = pl.col(value) if isinstance(value, str) else value
    found = series.unique().drop_nulls().sort()
    if series.dtype.is_float():
        found = found.filter(~found.is_nan())
    plain = series.dtype == pl.Boolean or (series.dtype.is_numeric() and set(found.to_list()) <= {0, 1})
    if plain and category is None:
        return {None: source.cast(pl.Float64)}
    if category is not None:
        if category not in found.to_list():
            there = ", ".join(str(one) for one in found.to_list()[:20])
            raise UsageError("no_such_category", f"{name} is never {category!r}; it is {there}")
        return {str(category): source.eq(category).cast(pl.Float64)}
    if len(found) > _MOST_CATEGORIES:
        raise UsageError(
            "many_categories",
            f"{name} has {len(found):,} different values; name one with category, or take mean or quantile",
        )
    if not len(found):
        raise InputError("no_rows", f"column {name} has no value in any row; check the column")
    return {str(one): source.eq(one).cast(pl.Float64) for one in found.to_list()}


def _with_intervals(result: Result, interval: Interval, level: float) -> Result:
    """Put another interval to the shares; differences between groups keep theirs."""
    ends = [
        _ends(row, interval, level) if row["kind"] == "proportion" else (row["low"], row["high"])
        for row in result.rows.iter_rows(named=True)
    ]
    low, high = (pl.Series(name, values, pl.Float64) for name, values in zip(("low", "high"), zip(*ends, strict=True)))  # noqa: B905
    note = Phrase(f"survey.{interval}")
    return replace(result, rows=result.rows.with_columns(low, high), notes=(*result.notes, note))


def _ends(row: Mapping[str, Any], interval: Interval, level: float) -> tuple[float | None, float | None]:
    from scipy.special import betaincinv, stdtrit

    share, error, n, df = row["estimate"], row["se"], row["n"], row["df"]
    if share is None or error is None or not df or n < 2:
        return None, None
    upper = (1 + level) / 2
    t = float(stdtrit(df, upper))
    if 0 < share < 1 and error == 0:
        return share, share
    if interval in ("wald", "arcsine"):
        return _around(share, t * error, interval)
    effective = share * (1 - share) / error**2 if 0 < share < 1 else float(n)
    effective *= (float(stdtrit(n - 1, upper)) / t) ** 2
    if interval == "beta":
        hits, misses = effective * share, effective * (1 - share)
        low = float(betaincinv(hits, misses + 1, 1 - upper)) if hits > 0 else 0.0
        high = float(betaincinv(hits + 1, misses, upper)) if misses > 0 else 1.0
        return low, high
    slack = t * t / effective
    centre = (share + slack / 2) / (1 + slack)
    half = t / (1 + slack) * math.sqrt(share * (1 - share) / effective + slack / (4 * effective))
    return max(0.0, centre - half), min(1.0, centre + half)


def _around(share: float, half: float, interval: Interval) -> tuple[float | None, float | None]:
    if not 0 < share < 1:
        return None, None
    if interval == "wald":
        return share - half, share + half
    # The slope of the arcsine of the root is 1 / (2 sqrt(p (1 - p))); beyond 0 and a right angle there are no shares.
    middle, half = math.asin(math.sqrt(share)), half / (2 * math.sqrt(share * (1 - share)))
    return math.sin(max(middle - half, 0.0)) ** 2, math.sin(min(middle + half, math.pi / 2)) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class _Ladder:
    """Be the values of a column from the lowest to the highest, sorted once, to be climbed under any weights."""

    order: npt.NDArray[np.intp]
    ordered: Array
    rule: Rule

    @classmethod
    def of(cls, values: Array, rule: Rule) -> _Ladder:
        order = np.argsort(values)
        return cls(order, values[order], rule)

    def under(self, weight: Array) -> Callable[[float], float]:
        """Give the function from a share to the value that it is reached at, NaN outside 0 and 1."""
        upto = np.cumsum(weight[self.order])
        whole = float(upto[-1])
        # A cumulated weight counts as reached when rounding alone keeps it apart.
        slack = 1e-12 * whole

        def at(share: float) -> float:
            if not (0 <= share <= 1 and whole > 0):
                return math.nan
            place = int(np.searchsorted(upto, max(share * whole - slack, slack)))
            place = min(place, len(upto) - 1)
            if self.rule == "midpoint" and abs(float(upto[place]) - share * whole) <= slack:
                after = int(np.searchsorted(upto, upto[place] + slack))
                if after < len(upto):
                    return float(self.ordered[place] + self.ordered[after]) / 2
            return float(self.ordered[place])

        return at
