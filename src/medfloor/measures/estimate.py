"""Estimate: run a measure over the whole sample and its groups, and put errors to what it says.

A measure is written once, as an *estimator*: from columns (whatever does not depend on weights, such as a sort, is done
there) to a function of weights that yields statistics. Everything else is general and lives here: groups, differences
with their covariance, linearised errors, jackknife, bootstrap, replicate weights, intervals, deff.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.design import MOST_JACKKNIFED, Design, Structure
from medfloor.measures.influence import Array, Quantity, dot
from medfloor.measures.replicate import Progress, Replicates, replicates_of, spread
from medfloor.measures.result import SCHEMA, Kind
from medfloor.measures.sample import Grouping, Sample
from medfloor.sparing import ready
from medfloor.words import Phrase


@dataclass(frozen=True, slots=True)
class Inverse:
    """Be how a quantile gets its error from that of a share (Woodruff 1952).

    `share` is the share of the population at or below the quantile, `within` marks these rows, and `at` gives the value
    below which a share lies. The interval is what lies at the ends of the share's interval, and the standard error is
    its half width over Student's t, as R survey's svyquantile has it; NaN where an end lies outside 0 and 1.
    """

    share: Quantity
    within: npt.NDArray[np.bool_]
    at: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Statistic:
    """Be one number of a measure: its name, the quantity, and the labels that tell it from others.

    `known` is False where no linearised error exists; replicates still give one. `n` and `weighted_n` override the
    counts of the sample where a number rests on fewer rows. `inverse` is for quantiles, whose quantity needs no
    influence then.
    """

    name: str
    quantity: Quantity
    kind: Kind = "index"
    labels: Mapping[str, object] = field(default_factory=dict)
    known: bool = True
    tested: bool = False
    n: int | None = None
    weighted_n: float | None = None
    inverse: Inverse | None = None


Bound: TypeAlias = Callable[[Array], Iterator[Statistic]]
Estimator: TypeAlias = Callable[[Mapping[str, Array]], Bound]
Shortcut: TypeAlias = Callable[[Mapping[str, Array], Array, Structure], "list[tuple[Statistic, float, float]] | None"]
"""A quicker way to the same statistics with their standard errors (by the design, and by simple random sampling); None
where it does not apply."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Be the whole sample or one group of it."""

    by: str | None
    group: str | None
    columns: Mapping[str, Array]
    weight: Array
    structure: Structure
    rows: npt.NDArray[np.bool_] | None
    counted: Array
    """The weights of the rows that the part counts: `weight`, or, where it sees the whole sample, zero outside it."""


def evaluate(
    sample: Sample,
    estimator: Estimator,
    *,
    labels: Mapping[str, pl.DataType] | None = None,
    against: str | None = None,
    progress: Progress | None = None,
    shortcut: Shortcut | None = None,
    whole: bool = False,
) -> pl.DataFrame:
    """Run an estimator over the sample and its groups.

    `labels` names the label columns of the statistics and their types. `against` names a group: then each other group
    of its grouping is also compared with it, with the covariance that the shared clusters give. `shortcut` is tried
    first where errors are linearised. With `whole` the estimator sees all rows also for a group, whose own are marked
    by one in the column "inside": what the group is held against (a line from the median of all) then carries its error
    into the group's. Returns the rows of a `Result`. Raises UsageError no_such_group.
    """
    compared = _compared(sample, against)
    run = _Run(sample, estimator, replicates_of(sample), _steps(sample, progress), shortcut)
    rows: list[dict[str, object]] = []
    kept: list[_Evaluated] = []
    for part in _parts(sample, whole):
        if not (part.counted > 0).any():
            continue
        evaluated = run.evaluated(part, compare=part.by in compared)
        rows += _rows(evaluated, sample)
        kept += [evaluated] if part.by in compared else []
    for base in kept:
        if base.part.group == against:
            for one in kept:
                if one.part.by == base.part.by and one is not base:
                    rows += _differences(one, base, run)
    schema = {
        "statistic": pl.String(),
        **(labels or {}),
        "by": pl.String(),
        "group": pl.String(),
        "against": pl.String(),
        **SCHEMA,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def errors_of(sample: Sample) -> Phrase:
    """Say in words how the standard errors of a sample are made."""
    design, structure = sample.design, sample.structure
    finite = "finite" if structure.units is None else "finite_units"
    drawn = Phrase.of(
        "errors.clusters" if design.psu else "errors.rows",
        clusters=f"{structure.size:,}",
        strata=f"{structure.strata:,}",
        fpc=Phrase(f"errors.{finite}" if design.fpc else "errors.replacement"),
        lonely=Phrase(f"errors.lonely_{design.lonely}" if structure.lonely_strata else "errors.no_lonely"),
    )
    replicates = len(sample.design.replicate_weights) if design.method == "replicates" else design.replicates
    name: str = design.method
    if design.method == "jackknife" and structure.size > MOST_JACKKNIFED:
        name = "jackknife_groups"
    if design.method == "bootstrap" and design.bootstrap_interval == "percentile":
        name = "bootstrap_percentile"
    said = {"drawn": drawn, "replicates": f"{replicates:,}", "seed": design.seed, "kind": _kind_of(design)}
    return Phrase.of(f"errors.{name}", **said)


def _kind_of(design: Design) -> str:
    return f"{design.kind} {design.fay:g}" if design.kind == "fay" else design.kind


def _compared(sample: Sample, against: str | None) -> tuple[str, ...]:
    """Name the groupings that have the group to compare with."""
    if against is None:
        return ()
    known = tuple(grouping.name for grouping in sample.groupings if against in grouping.labels)
    if not known:
        there = ", ".join(label for grouping in sample.groupings for label in grouping.labels) or "no groups (use by)"
        raise UsageError("no_such_group", f"there is no group {against!r} to compare with; there are {there}")
    return known


def _steps(sample: Sample, progress: Progress | None) -> Progress | None:
    """Make one count of all replicates of all parts out of those of each part."""
    if progress is None:
        return None
    parts = 1
    for grouping in sample.groupings:
        parts += int(np.count_nonzero(np.bincount(grouping.code[sample.weight > 0])))
    done = 0

    def step(_: int, of: int) -> None:
        nonlocal done
        done += 1
        progress(done, of * parts)

    return step


def _parts(sample: Sample, whole: bool) -> Iterator[_Part]:
    everywhere = {**sample.columns, "inside": np.ones(len(sample))} if whole else sample.columns
    yield _Part(None, None, everywhere, sample.weight, sample.structure, None, sample.weight)
    for grouping in sample.groupings:
        for code in range(len(grouping.labels)):
            yield _part(sample, grouping, code, whole)


def _part(sample: Sample, grouping: Grouping, code: int, whole: bool) -> _Part:
    rows = grouping.code == code
    if whole:
        inside = rows.astype(np.float64)
        columns = {**sample.columns, "inside": inside}
        every = np.ones(len(rows), np.bool_)
        counted = sample.weight * inside
        return _Part(grouping.name, grouping.labels[code], columns, sample.weight, sample.structure, every, counted)
    weight = sample.weight[rows]
    return _Part(
        grouping.name,
        grouping.labels[code],
        {name: column[rows] for name, column in sample.columns.items()},
        weight,
        sample.structure.keep(rows),
        rows,
        weight,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Be a statistic with its standard error and that of simple random sampling, NaN where not known.

    `ends` are those of its interval, where it is not made of estimate and error.
    """

    statistic: Statistic
    error: float
    srs: float
    ends: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluated:
    """Be a part with all that was found of it, and the values of its replicates: one row a statistic."""

    part: _Part
    found: list[_Found]
    replicated: npt.NDArray[np.float64]
    df: float


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Be one evaluation: what does not change from part to part."""

    sample: Sample
    estimator: Estimator
    draws: Replicates | None
    progress: Progress | None
    shortcut: Shortcut | None

    def evaluated(self, part: _Part, *, compare: bool) -> _Evaluated:
        """Evaluate a part. A shortcut has no influences, so that it serves parts only that are not compared."""
        df = self.degrees(part.counted, part)
        if self.shortcut is not None and self.sample.design.method == "linearised" and not compare:
            quick = self.shortcut(part.columns, part.weight, part.structure)
            if quick is not None:
                return _Evaluated(part, [_Found(*one) for one in quick], np.empty((0, 0)), df)
        bound = self.estimator(part.columns)
        replicated = np.empty((0, 0))
        if self.draws is not None:
            replicated = self.draws.run(
                lambda weight: [one.quantity.value for one in bound(weight)], part.weight, part.rows, self.progress
            )
        found = []
        for place, statistic in enumerate(bound(part.weight)):
            one = self._found(statistic, place, part, df, replicated)
            # Influences of millions of rows are let go as soon as they have been used, unless groups are compared.
            bare = replace(one.statistic, quantity=Quantity(statistic.quantity.value), inverse=None)
            found.append(one if compare else replace(one, statistic=bare))
        return _Evaluated(part, found, replicated, df)

    def degrees(self, counted: Array, part: _Part) -> float:
        """Give the degrees of freedom of some rows: the handbook's, or the design's and what the replicates allow."""
        if self.sample.design.degrees is not None:
            return self.sample.design.degrees
        df = part.structure.degrees(counted)
        if self.draws is None or self.draws.degrees is None:
            return df
        return min(df, self.draws.degrees(counted, part.rows))

    def ends(self, replicated: Array) -> tuple[float, float] | None:
        """Give the percentiles of the replicates, where intervals are asked to be made of them."""
        design = self.sample.design
        if design.method != "bootstrap" or design.bootstrap_interval != "percentile":
            return None
        if not np.isfinite(replicated).all():
            return math.nan, math.nan
        low, high = np.quantile(replicated, [(1 - design.level) / 2, (1 + design.level) / 2])
        return float(low), float(high)

    def _found(
        self, statistic: Statistic, place: int, part: _Part, df: float, replicated: npt.NDArray[np.float64]
    ) -> _Found:
        quantity, draws = statistic.quantity, self.draws
        if statistic.inverse is not None and (draws is None or draws.smooth):
            return self._inverted(statistic, statistic.inverse, place, part, df, replicated)
        if draws is not None:
            error = spread(replicated[place], quantity.value, draws)
            srs = simple_error(quantity, part.weight) if statistic.known and quantity.terms else math.nan
            return _Found(statistic, error, srs, self.ends(replicated[place]))
        if self.sample.design.method == "none" or not statistic.known:
            return _Found(statistic, math.nan, math.nan)
        return _Found(statistic, *linearised_error(quantity, part.weight, part.structure))

    def _inverted(
        self,
        statistic: Statistic,
        inverse: Inverse,
        place: int,
        part: _Part,
        df: float,
        replicated: npt.NDArray[np.float64],
    ) -> _Found:
        """Find a quantile's error through that of the share below it, and give it the influence that fits.

        The influence is that of the share times the slope that the two errors imply, so that differences of quantiles
        carry the covariance of the shares. Under a jackknife the share is replicated, not the quantile.
        """
        value, share = statistic.quantity.value, inverse.share
        if self.sample.design.method == "none":
            return _Found(statistic, math.nan, math.nan)
        error, srs = linearised_error(share, part.weight, part.structure)
        shares = np.empty((0, 0))
        if self.draws is not None:
            shares = self.draws.run(lambda w: [float(w[inverse.within].sum() / w.sum())], part.weight, part.rows)
            error = spread(shares[0], share.value, self.draws)
        t = _student(df, self.sample.design.level)
        low, high = (inverse.at(share.value + step) for step in (-t * error, t * error))
        half = (high - low) / (2 * t)
        slope = half / error if error > 0 else 0.0 if error == 0 else math.nan
        if self.draws is not None:
            replicated[place] = value - slope * (shares[0] - share.value)
        known = replace(statistic, quantity=share.chain(value, -slope))
        return _Found(known, half, slope * srs, (low, high))


def _rows(evaluated: _Evaluated, sample: Sample) -> list[dict[str, object]]:
    part = evaluated.part
    n, weighted_n = int(np.count_nonzero(part.counted)), float(part.counted.sum())
    return [
        {
            "statistic": found.statistic.name,
            **found.statistic.labels,
            "by": part.by,
            "group": part.group,
            "against": None,
            **_figures(found, evaluated.df, sample.design.level),
            "n": n if found.statistic.n is None else found.statistic.n,
            "weighted_n": weighted_n if found.statistic.weighted_n is None else found.statistic.weighted_n,
        }
        for found in evaluated.found
    ]


def linearised_error(quantity: Quantity, weight: Array, structure: Structure) -> tuple[float, float]:
    """Give the standard error by linearisation, and the one that simple random sampling would have given.

    NaN where the value is not defined or there is one cluster only.

    >>> from medfloor.measures.design import Columns, structure_of
    >>> from medfloor.measures.influence import mean
    >>> w = np.ones(4)
    >>> quantity = mean(w, np.array([1.0, 2.0, 3.0, 4.0]))
    >>> round(linearised_error(quantity, w, structure_of(4, Columns(), "adjust"))[0], 6)
    0.645497
    """
    if not math.isfinite(quantity.value) or structure.size < 2:
        return math.nan, math.nan
    influence = quantity.influence()
    scores = weight * influence
    variance = structure.variance(scores)
    error = math.nan if math.isnan(variance) else math.sqrt(max(variance, 0.0))
    return error, _simple(influence, weight, scores)


def simple_error(quantity: Quantity, weight: Array) -> float:
    """Give the standard error under simple random sampling: as many rows with replacement, each counting once.

    It is what Kish's design effect is measured against. NaN for one row, or where the influence is the same for all.

    >>> from medfloor.measures.influence import mean
    >>> w = np.array([2.0, 2.0, 2.0, 2.0])
    >>> round(simple_error(mean(w, np.array([1.0, 2.0, 3.0, 4.0])), w), 6)
    0.645497
    """
    if not math.isfinite(quantity.value):
        return math.nan
    influence = quantity.influence()
    return _simple(influence, weight, weight * influence)


def _simple(influence: Array | float, weight: Array, scores: Array) -> float:
    """Give sqrt(W^2 s^2 / n), s^2 the weighted variance of the influences; the scores are used up."""
    n = int(np.count_nonzero(weight))
    if n < 2 or isinstance(influence, float):
        return math.nan
    whole = float(weight.sum())
    # Around the mean, not as a difference of squares: influences of a million with a spread of one lose nothing.
    np.subtract(influence, float(scores.sum()) / whole, out=scores)
    np.square(scores, out=scores)
    return whole * math.sqrt(dot(weight, scores) / whole / (n - 1))


def _figures(found: _Found, df: float, level: float) -> dict[str, object]:
    statistic, error, srs = found.statistic, found.error, found.srs
    value = statistic.quantity.value
    low, high = interval(value, error, df, level, statistic.kind) if found.ends is None else found.ends
    p = math.nan
    if statistic.tested and error > 0 and df > 0:
        p = two_sided(value / error, df)
    figures = {
        "estimate": value,
        "se": error,
        "low": low,
        "high": high,
        "p": p,
        "df": df,
        "deff": (error / srs) ** 2 if srs > 0 else math.nan,
    }
    return {"kind": statistic.kind, **{name: None if math.isnan(one) else one for name, one in figures.items()}}


def interval(value: float, error: float, df: float, level: float, kind: Kind = "index") -> tuple[float, float]:
    """Give the interval of an estimate: Student's t, on the logit scale for proportions (as R survey's svyciprop).

    NaN where it is not defined, also for a proportion of 0 or 1: that nobody was found does not make it sure that there
    is nobody (see `medfloor.measures.survey.proportion` for an interval that says how sure).

    >>> low, high = interval(0.5, 0.1, 30, 0.95, "proportion")
    >>> round(low, 4), round(high, 4)
    (0.3064, 0.6936)
    """
    ready("scipy.special")
    from scipy.special import expit

    if not (math.isfinite(value) and math.isfinite(error) and df > 0):
        return math.nan, math.nan
    wide = _student(df, level) * error
    if kind != "proportion":
        return value - wide, value + wide
    if not 0 < value < 1:
        return math.nan, math.nan
    logit, wide = math.log(value / (1 - value)), wide / (value * (1 - value))
    return float(expit(logit - wide)), float(expit(logit + wide))


def _student(df: float, level: float) -> float:
    ready("scipy.special")
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2)) if df > 0 else math.nan


def two_sided(t: float, df: float) -> float:
    """Give the two-sided p-value of a t statistic."""
    ready("scipy.special")
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))


def _differences(one: _Evaluated, base: _Evaluated, run: _Run) -> list[dict[str, object]]:
    """Compare a group with another, as one estimate over the joint sample."""
    sample, rows = run.sample, []
    places = {(f.statistic.name, *f.statistic.labels.items()): place for place, f in enumerate(base.found)}
    assert one.part.rows is not None and base.part.rows is not None
    joint = np.zeros(len(sample))
    joint[one.part.rows] += one.part.counted
    joint[base.part.rows] += base.part.counted
    everyone = _Part(None, None, {}, sample.weight, sample.structure, None, joint)
    df = run.degrees(joint, everyone)
    for place, found in enumerate(one.found):
        statistic = found.statistic
        other = places.get((statistic.name, *statistic.labels.items()))
        if other is None:
            continue
        pair = base.found[other].statistic
        # As quantities, so that equal groups differ by nothing, and not by a rounding.
        value = (Quantity(statistic.quantity.value) - pair.quantity.value).value
        error, ends = math.nan, None
        if run.draws is not None:
            off = one.replicated[place] - base.replicated[other]
            error, ends = spread(off, value, run.draws), run.ends(off)
        elif sample.design.method != "none" and statistic.known and math.isfinite(value) and sample.structure.size > 1:
            scores = np.zeros(len(sample))
            scores[one.part.rows] += one.part.weight * statistic.quantity.influence()
            scores[base.part.rows] -= base.part.weight * pair.quantity.influence()
            error = math.sqrt(max(sample.structure.variance(scores), 0.0))
        kind: Kind = "percent" if statistic.kind == "proportion" else statistic.kind
        contrast = Statistic(statistic.name, Quantity(value), kind, statistic.labels, tested=True)
        rows.append(
            {
                "statistic": statistic.name,
                **statistic.labels,
                "by": one.part.by,
                "group": one.part.group,
                "against": base.part.group,
                **_figures(_Found(contrast, error, math.nan, ends), df, sample.design.level),
                "n": int(np.count_nonzero(joint)),
                "weighted_n": float(joint.sum()),
            }
        )
    return rows
